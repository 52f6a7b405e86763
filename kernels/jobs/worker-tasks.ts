/** What worker threads can be asked, by kind: the other side of JobContext.map. */
import { runAllocateTask } from './allocate';
import { runCompareTask } from './compare';
import { runDetailTask } from './detail';
import { runScanTask } from './scan-tasks';

export const workerTasks = {
  scan: runScanTask,
  detail: runDetailTask,
  allocate: runAllocateTask,
  compare: runCompareTask,
};

/** Entry point of every thread of the kernel but the main one (dist/worker.js). */
import { jobs } from '../jobs/registry';
import { workerTasks } from '../jobs/worker-tasks';
import { serveThread } from './serve-thread';

serveThread(jobs, workerTasks);

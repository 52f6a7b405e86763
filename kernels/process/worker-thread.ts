/** A worker: runs one task at a time and answers with its result or its error. */
import type { MessagePort } from 'node:worker_threads';
import { lookup, type Table } from './lookup';
import { SharedState } from './shared-state';
import { errorData, type TaskAnswer, type TaskMessage, type ThreadData } from './thread-messages';
import { transfersOf, type WorkerContext, type WorkerTask } from './worker-context';

export function runWorkerThread(port: MessagePort, data: ThreadData, tasks: Table<WorkerTask>): void {
  const shared = new SharedState(data.shared);
  const state = new Map<string, unknown>();

  const run = async ({ index, kind, task }: TaskMessage): Promise<void> => {
    let units = 0;
    const context: WorkerContext = {
      cancelFlag: shared.cancelFlag,
      throwIfCancelled: shared.throwIfCancelled,
      reportDone: (more) => {
        shared.step();
        units += more;
        shared.setUnits(data.slot, units);
      },
      state,
    };
    let answer: TaskAnswer;
    try {
      const known = lookup(tasks, kind);
      if (!known) throw new Error(`no worker task "${kind}" is registered`);
      shared.throwIfCancelled();
      answer = { type: 'result', index, result: await known(task as never, context) };
    } catch (error) {
      answer = { type: 'error', index, error: errorData(error) };
    }
    try {
      port.postMessage(answer, answer.type === 'result' ? [...transfersOf(answer.result)] : []);
    } catch (error) {
      port.postMessage({ type: 'error', index, error: errorData(error) } satisfies TaskAnswer);
    }
  };
  port.on('message', (message: TaskMessage) => void run(message));
}

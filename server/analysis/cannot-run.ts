/** Models that cannot be run. */
import type { TraceResult } from '../trace/trace';
import { UserError } from './user-error';

/** The source cannot be followed to a graph, or there is nothing to run it with: what needs no run can still be done. */
export class CannotRun extends UserError {}

/** @throws CannotRun naming the place where the trace ended */
export function followed(traced: TraceResult): TraceResult {
  const { stopped } = traced;
  if (!stopped) return traced;
  const where = stopped.span ? `${stopped.span.file}:${stopped.span.startLine + 1}: ` : '';
  throw new CannotRun(`the model cannot be run, because its forward cannot be followed to the end: ${where}${stopped.reason}. "bitlens trace" shows how far it comes`);
}

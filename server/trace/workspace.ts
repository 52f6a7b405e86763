/** The Python of a workspace, whose models can be followed to graphs. */
import { PythonWorkspace } from '../python';
import { traceModel, type TraceRequest, type TraceResult } from './trace';

/** Traces kept; the longest unused go. */
const MOST_TRACES = 8;

export class TracedWorkspace extends PythonWorkspace {
  private readonly traces = new Map<string, { readonly value: TraceResult; readonly unchanged: () => boolean }>();

  /** The trace as it is now: made again only when a file that it was made from has changed. */
  trace(request: TraceRequest): TraceResult {
    const known = this.knownTrace(request);
    if (known) return known;
    const made = this.following(() => traceModel(this, request));
    this.traces.set(keyOf(request), made);
    if (this.traces.size > MOST_TRACES) this.traces.delete(this.traces.keys().next().value!);
    return made.value;
  }

  /** The trace, when it was made before and would come out the same. */
  knownTrace(request: TraceRequest): TraceResult | undefined {
    if (this.traces.size === 0) return undefined;
    const key = keyOf(request);
    const known = this.traces.get(key);
    this.traces.delete(key);
    if (!known?.unchanged()) return undefined;
    this.traces.set(key, known);
    return known.value;
  }

  override dispose(): void {
    this.traces.clear();
    super.dispose();
  }
}

/** Everything that a trace depends on besides the files. */
const keyOf = ({ file, root, args, tensors, inputs, data }: TraceRequest): string => JSON.stringify([file, root, args ?? {}, inputs ?? null, data ?? null,
  tensors && [...tensors].map(([name, info]) => [name, info.name, info.dtype, info.encoding !== undefined, info.shape])]);

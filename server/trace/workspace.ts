/** The Python of a workspace, whose models can be followed to graphs. */
import { PythonWorkspace } from '../python';
import { traceModel, type TraceRequest, type TraceResult } from './trace';

export class TracedWorkspace extends PythonWorkspace {
  trace(request: TraceRequest): TraceResult {
    return traceModel(this, request);
  }
}

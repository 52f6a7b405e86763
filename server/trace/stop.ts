/** How a trace ends before its end. Neither is an exception of Python: no `except` in the source sees them. */
import type { SourceSpan } from '../python/module-tree';

/** Something that the tracer does not know, or that the source does not decide. */
export class TraceStop extends Error {
  constructor(readonly reason: string, readonly span: SourceSpan | undefined) { super(reason); }
}

/** A free dimension must be a number: the trace begins again with this one in its place. */
export class MustBeFixed extends Error {
  constructor(readonly dimension: string, readonly size: number, readonly reason: string) { super(`${dimension} = ${size}: ${reason}`); }
}

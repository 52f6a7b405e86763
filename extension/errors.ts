/** What can go wrong on the client's side, and how any error becomes one sentence for the user. */

/** The server cannot answer now; the message says why. */
export class ServerDown extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ServerDown';
  }
}

/** A command cannot go on, for a reason that the user can do something about by running another command. */
export class Refusal extends Error {
  constructor(message: string, readonly actions: readonly { readonly title: string; readonly command: string; readonly args?: readonly unknown[] }[] = []) {
    super(message);
    this.name = 'Refusal';
  }
}

/** JSON-RPC codes of a request that was cancelled, by us or by the server. */
const CANCELLED = new Set([-32800, -32802]);
/** JSON-RPC codes of a request that the connection lost. */
const LOST = new Set([-32097, -32096]);

function codeOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : undefined;
}

/** True when nobody needs to hear of it: the user cancelled. */
export function isCancellation(error: unknown): boolean {
  return CANCELLED.has(codeOf(error) ?? 0) || (error instanceof Error && (error.name === 'Canceled' || error.name === 'CancellationError'));
}

export function isConnectionLost(error: unknown): boolean {
  return error instanceof ServerDown || LOST.has(codeOf(error) ?? 0);
}

/** One sentence, without the wrapping that the JSON-RPC layer puts around a server's message. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^Request [\w/]+ failed with message: /, '').trim() || 'Unknown error';
}

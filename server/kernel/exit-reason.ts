/** Says why a kernel process ended, in words for the user. */

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last of stderr. */
  readonly stderr: string;
  /** Why we ended it ourselves, when we did. */
  readonly killedFor: 'cancel' | 'stop' | 'hung' | 'garbage' | 'handshake' | null;
  /** Set when it could not be started at all. */
  readonly spawnError: string | null;
  readonly upMs: number;
}

export interface ExitReason {
  readonly message: string;
  readonly memory: boolean;
  /** The same input would end the same way: not worth a second try. */
  readonly certain: boolean;
}

export function explainExit(exit: Exit, memoryMb: number): ExitReason {
  const { code, signal, stderr, killedFor, spawnError } = exit;
  const plain = (message: string): ExitReason => ({ message, memory: false, certain: false });
  if (spawnError !== null) return plain(`it could not be started: ${spawnError}`);
  if (/JavaScript heap out of memory|Reached heap limit|FATAL ERROR:.*Allocation failed/.test(stderr)) {
    return { message: needsMemory(memoryMb), memory: true, certain: true };
  }
  if (killedFor === 'hung') return plain('it stopped answering and was ended');
  if (killedFor === 'garbage') return plain('it sent something that is not a message of its protocol');
  if (killedFor === 'handshake') return plain('it did not become ready in time');
  if (signal === 'SIGKILL' || code === 137) {
    return { message: `the system ended it, most likely for want of memory: ${needsMemory(memoryMb)}, or close other programs`, memory: true, certain: false };
  }
  return plain(`${signal ? `it was ended by ${signal}` : `it ended with exit code ${code}`}${quote(stderr)}`);
}

export function needsMemory(memoryMb: number): string {
  return `the job needs more than ${memoryMb} MB: raise bitlens.memoryMb`;
}

/** The line of stderr that says most: the first that names an error, else the last. */
function quote(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !/^at |^Node\.js v|^\^+$/.test(line));
  const line = lines.find((text) => /\b\w*(Error|Exception)\b|^FATAL/.test(text)) ?? lines.at(-1);
  return line === undefined ? '' : `: ${line.slice(0, 300)}`;
}

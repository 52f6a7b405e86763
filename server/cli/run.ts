/** The command line: finds the verb, runs it, and turns what happens into an exit code (0 fine, 1 findings, 2 bad usage or input). */
import { fstatSync, writeSync } from 'node:fs';
import { JobCancelled } from '../../kernels/jobs/job';
import { messageOf, nearest, UserError } from '../analysis/user-error';
import type { Analysis, CreateOptions } from '../analysis/create';
import { DEFAULT_SETTINGS } from '../protocol';
import { commandHelp, parseArguments, UsageError, type Arguments } from './arguments';
import type { Verb, VerbContext } from './context';
import { isList, jsonPieces, plain } from './output';
import { Progress } from './progress';
import { projectRoots } from './project';
import { version } from './version';

/** What a command line is made of. */
export interface CommandLine {
  readonly verbs: readonly Verb[];
  createAnalysis(options: CreateOptions): Analysis;
}

const BAD_INPUT = 2;
/** 128 + SIGINT, as shells expect. */
const INTERRUPTED = 130;

function help(verbs: readonly Verb[]): string {
  return [
    'bitlens: which layers of a PyTorch model survive low precision, and how many bits each should get.', '',
    'Usage: bitlens VERB ...', '',
    ...verbs.map(({ command }) => `  ${command.name.padEnd(10)} ${command.summary}`),
    '', '"bitlens VERB --help" shows a verb\'s flags. "bitlens --version" prints the version.',
    'Exit code: 0 fine, 1 findings at or above --fail-on, 2 bad usage or input.', '',
  ].join('\n');
}

/** One line, whatever was thrown; with --json also a document, so that a script always has one to read. BITLENS_DEBUG=1 shows stacks. */
function complain(error: unknown, json: boolean): void {
  const stack = process.env.BITLENS_DEBUG && error instanceof Error ? `\n${error.stack}` : '';
  process.stderr.write(`bitlens: ${plain(messageOf(error).replace(/\s*\n\s*/g, ' '), 2000)}${stack}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ error: messageOf(error), ...(error instanceof UserError && error.problem ? { problems: [error.problem] } : {}) })}\n`);
}

function contextOf({ createAnalysis }: CommandLine, args: Arguments, signal: AbortSignal, progress: Progress, notes: string[], open: (analysis: Analysis) => void): VerbContext {
  const quiet = args.has('quiet');
  let analysis: Analysis | null = null;
  const write = (text: string): void => {
    progress.clear();
    process.stderr.write(`${text}\n`);
  };
  const note = (text: string): void => {
    if (quiet) return;
    // A person sees at once what was chosen. A script gets it with the answer, or the error alone: one line.
    if (process.stderr.isTTY) write(text);
    else notes.push(text);
  };
  return {
    args, json: args.has('json'), signal, note,
    print: (text) => { progress.clear(); answer(text); },
    printJson: (value) => { progress.clear(); answerJson(value); },
    onProgress: progress.show,
    service: (settings = {}) => {
      const threads = args.number('threads', 0);
      const memoryMb = args.number('memory', 128);
      const providers = (args.text('execution-providers') ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
      analysis ??= createAnalysis({
        settings: { ...DEFAULT_SETTINGS, ...(threads === undefined ? {} : { threads }), ...(memoryMb === undefined ? {} : { memoryMb }), ...(providers.length > 0 ? { executionProviders: providers } : {}), ...settings },
        roots: projectRoots, log: (text) => { if (process.env.BITLENS_DEBUG) note(text); },
      });
      open(analysis);
      return analysis.service;
    },
  };
}

async function main(commandLine: CommandLine, argv: readonly string[]): Promise<number> {
  const { verbs } = commandLine;
  const [name, ...rest] = argv;
  if (name === undefined) { process.stderr.write(help(verbs)); return BAD_INPUT; }
  if (name === '--help' || name === '-h' || name === 'help') {
    const verb = verbs.find(({ command }) => command.name === rest[0]);
    process.stdout.write(verb ? commandHelp(verb.command) : help(verbs));
    return 0;
  }
  if (name === '--version' || name === '-V') { process.stdout.write(`${version()}\n`); return 0; }
  const verb = verbs.find(({ command }) => command.name === name);
  if (!verb) {
    const close = nearest(name, verbs.map(({ command }) => command.name));
    throw new UsageError(`${JSON.stringify(plain(name, 80))} is not a verb.${close ? ` Did you mean ${close}?` : ''} There are: ${verbs.map(({ command }) => command.name).join(', ')}`);
  }
  const args = parseArguments(verb.command, rest);
  if (args.has('help')) { process.stdout.write(commandHelp(verb.command)); return 0; }
  return runVerb(commandLine, verb, args);
}

async function runVerb(commandLine: CommandLine, verb: Verb, args: Arguments): Promise<number> {
  const cancel = new AbortController();
  let interrupts = 0;
  const interrupt = (): void => {
    interrupts += 1;
    if (interrupts > 1) process.exit(INTERRUPTED);
    cancel.abort(new JobCancelled());
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt).on('SIGHUP', interrupt);
  const progress = new Progress(process.stderr, !args.has('quiet') && (process.stderr.isTTY === true || args.has('progress')));
  let opened: Analysis | null = null;
  const notes: string[] = [];
  try {
    const code = await verb.run(contextOf(commandLine, args, cancel.signal, progress, notes, (analysis) => { opened = analysis; }));
    progress.clear();
    for (const note of notes) process.stderr.write(`${note}\n`);
    return code;
  } catch (error) {
    progress.clear();
    if (interrupts === 0) throw error;
    process.stderr.write('bitlens: cancelled; nothing was written\n');
    return INTERRUPTED;
  } finally {
    progress.clear();
    await (opened as Analysis | null)?.dispose();
  }
}

/** Exits when everything printed has left the process: a pipe takes it in pieces. */
function exit(code: number): void {
  process.stdout.write('', (error) => {
    if (error) stopPrinting(error);
    process.stderr.write('', () => process.exit(code));
  });
}

/** One JSON document: indented for a person, in pieces for a program. */
function answerJson(value: object): void {
  if (process.stdout.isTTY || Array.isArray(value)) {
    const whole = Array.isArray(value) ? value : Object.fromEntries(Object.entries(value).map(([key, part]) => [key, isList(part) ? [...part] : part]));
    answer(`${JSON.stringify(whole, null, process.stdout.isTTY ? 2 : undefined)}\n`);
    return;
  }
  for (const piece of jsonPieces(value)) answer(piece);
  answer('\n');
}

/** Writes to standard output. Into a file in a loop of our own: Node's stream takes a short write, as on a full disk, for a whole one. */
function answer(text: string): void {
  if (!stdoutIsFile()) {
    process.stdout.write(text);
    return;
  }
  try {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) done += writeSync(process.stdout.fd, bytes, done);
  } catch (error) {
    stopPrinting(error as NodeJS.ErrnoException);
  }
}

function stdoutIsFile(): boolean {
  try {
    return fstatSync(process.stdout.fd).isFile();
  } catch {
    return false;
  }
}

/** An answer that cannot be printed whole is no answer; but `bitlens ... | head` closes the pipe early, and that is no error of ours. */
function stopPrinting(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(0);
  // Synchronous: nothing is left to wait for it.
  try { writeSync(process.stderr.fd, `bitlens: the answer could not be written to standard output: ${error.message}. Make room or print elsewhere\n`); } catch { /* neither can the complaint */ }
  process.exit(BAD_INPUT);
}

/** Runs the verb that the process was started with, and exits. */
export function runCommandLine(commandLine: CommandLine): void {
  process.stdout.on('error', stopPrinting);
  const argv = process.argv.slice(2);
  main(commandLine, argv).then(exit, (error: unknown) => {
    complain(error, argv.includes('--json') || argv.includes('--sarif'));
    exit(BAD_INPUT);
  });
}

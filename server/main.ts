/** The language server's process: `--node-ipc` under VS Code, `--stdio` anywhere else. */
import { readFileSync } from 'node:fs';
import { createConnection, ProposedFeatures, type Connection } from 'vscode-languageserver/node';
import { version } from './cli/version';
import { Kernel, type KernelState } from './kernel';
import { serve } from './lsp/connection';
import type { ServerStatus } from './protocol';
import { initParser } from './python';
import { TracedWorkspace } from './trace/workspace';

/** Pipes only: no socket is ever opened. */
const TRANSPORTS = ['--node-ipc', '--stdio'];

/** What the editor is told of the supervisor's states: a kernel that is not needed now reads as stopped. */
const KERNEL_STATES: Readonly<Record<KernelState, ServerStatus['kernel']>> = {
  idle: 'stopped', starting: 'starting', ready: 'ready', busy: 'busy', stopping: 'stopped', failed: 'failed',
};

function readSource(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function main(): void {
  if (!process.argv.some((argument) => TRANSPORTS.some((transport) => argument === transport || argument.startsWith(`${transport}=`)))) {
    process.stderr.write('bitlens language server: say how to talk: --stdio, or --node-ipc from a parent process\n');
    process.exit(2);
  }
  const connection: Connection = createConnection(ProposedFeatures.all);
  // One bad request must not take the other documents' findings away: what nobody caught is logged, and the server goes on.
  const survive = (kind: string) => (error: unknown): void => {
    connection.console.error(`${kind}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
  };
  process.on('uncaughtException', survive('uncaught exception'));
  process.on('unhandledRejection', survive('unhandled rejection'));
  serve(connection, {
    version: version(),
    python: async (roots) => {
      await initParser();
      return new TracedWorkspace({ readFile: readSource, roots });
    },
    kernel: ({ settings, log, onState }) => new Kernel({ threads: settings.threads, memoryMb: settings.memoryMb, executionProviders: settings.executionProviders, log, onState: (state) => onState(KERNEL_STATES[state]) }),
  });
}

main();

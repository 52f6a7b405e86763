/** Puts the analysis together with the real rooms around it, for the command line. */
import { readFileSync } from 'node:fs';
import { openCheckpoint } from '../../kernels/checkpoint';
import { Kernel } from '../kernel';
import type { Settings } from '../protocol';
import { initParser } from '../python';
import { runRules } from '../rules/registry';
import { TracedWorkspace } from '../trace/workspace';
import type { TracingPort } from './ports';
import { AnalysisService } from './service';

export interface Analysis {
  readonly service: AnalysisService;
  dispose(): Promise<void>;
}

export interface CreateOptions {
  readonly settings: Settings;
  readonly roots: () => readonly string[];
  readonly log: (message: string) => void;
}

/** Text of a source file as it is on disk; null when there is none. */
function readSource(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** The parser is loaded when the first source is read, and the kernel process started with the first job: `inspect` needs neither. */
export function createAnalysis({ settings, roots, log }: CreateOptions): Analysis {
  const python = new TracedWorkspace({ readFile: readSource, roots });
  let ready: Promise<void> | null = null;
  const parser = (): Promise<void> => (ready ??= initParser());
  const port: TracingPort = {
    rootCandidates: async (file) => { await parser(); return python.rootCandidates(file); },
    buildTree: async (file, name, args) => { await parser(); return python.buildTree(file, name, args); },
    trace: async (request) => { await parser(); return python.trace(request); },
    knownTrace: (request) => python.knownTrace(request),
  };
  const kernel = new Kernel({ threads: settings.threads, memoryMb: settings.memoryMb, executionProviders: settings.executionProviders, log });
  const service = new AnalysisService({ kernel, python: port, openCheckpoint, runRules, host: { roots }, settings, log, caller: 'on the command line' });
  return { service, dispose: async () => { await kernel.dispose(); python.dispose(); } };
}

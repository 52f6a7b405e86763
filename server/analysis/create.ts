/** Puts the analysis together with the real rooms around it, for the command line. */
import { readFileSync } from 'node:fs';
import { openCheckpoint } from '../../kernels/checkpoint';
import { Kernel } from '../kernel';
import type { Settings } from '../protocol';
import { initParser, PythonWorkspace } from '../python';
import { runRules } from '../rules/registry';
import { AnalysisService } from './service';

export interface Analysis {
  readonly service: AnalysisService;
  readonly python: PythonWorkspace;
  readonly kernel: Kernel;
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

/** The kernel process is not started here; it starts with the first job. */
export async function createAnalysis({ settings, roots, log }: CreateOptions): Promise<Analysis> {
  await initParser();
  const python = new PythonWorkspace({ readFile: readSource, roots });
  const kernel = new Kernel({ threads: settings.threads, memoryMb: settings.memoryMb, log });
  const service = new AnalysisService({ kernel, python, openCheckpoint, runRules, host: { roots }, settings, log, caller: 'on the command line' });
  return { service, python, kernel, dispose: async () => { await kernel.dispose(); } };
}

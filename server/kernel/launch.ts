/** How the kernel is started: program, arguments, environment. */
import os from 'node:os';
import { DEFAULT_PROVIDERS, PROVIDERS_VARIABLE } from '../../kernels/run/execution-providers';

/** Variables the kernel gets. Everything else stays out: tokens, proxies, and NODE_OPTIONS, which could load code into it. */
const PASSED = new Set(['PATH', 'HOME', 'USERPROFILE', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'LANGUAGE', 'TZ', 'LD_LIBRARY_PATH', 'SYSTEMROOT', 'WINDIR', 'SYSTEMDRIVE', 'NUMBER_OF_PROCESSORS']);

/** @param executionProviders what models run on, the most wanted first */
export function kernelEnvironment(from: NodeJS.ProcessEnv, executionProviders: readonly string[] = DEFAULT_PROVIDERS): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { [PROVIDERS_VARIABLE]: executionProviders.join(',') };
  for (const [name, value] of Object.entries(from)) {
    const upper = name.toUpperCase();
    if (PASSED.has(upper) || upper.startsWith('LC_')) environment[name] = value;
  }
  // In VS Code the running program is Electron, which is Node only when told.
  environment['ELECTRON_RUN_AS_NODE'] = '1';
  return environment;
}

/** Arguments for `process.execPath`; no shell reads them. */
export function kernelArguments(entry: string, memoryMb: number): string[] {
  return [`--max-old-space-size=${memoryMb}`, entry];
}

/** 0 or nothing: as many as the machine lets us use, at most 16; beyond that the disk is the limit. */
export function threadCount(setting: number | undefined): number {
  const wanted = Math.floor(setting ?? 0);
  return wanted >= 1 ? Math.min(wanted, 256) : Math.min(16, os.availableParallelism());
}

/** The setting, but never more than half of the memory there is, container limits included. */
export function memoryLimitMb(setting: number | undefined): number {
  const limit = process.constrainedMemory();
  const total = Math.min(os.totalmem(), limit > 0 ? limit : Infinity);
  const wanted = setting !== undefined && Number.isFinite(setting) && setting >= 1 ? Math.floor(setting) : 2048;
  return Math.max(64, Math.min(wanted, Math.floor(total / 2 ** 21)));
}

/**
 * What onnxruntime computes on: its execution providers, the most wanted first. The kernel process is told when it is started,
 * through its environment, which all of its threads share.
 */
import { JobError } from '../jobs/job';

/** Names separated by commas; nothing there is the processor. */
export const PROVIDERS_VARIABLE = 'BITLENS_EXECUTION_PROVIDERS';

export const DEFAULT_PROVIDERS: readonly string[] = ['cpu'];

/** Those that the process was started with. */
export function executionProviders(environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  const names = (environment[PROVIDERS_VARIABLE] ?? '').split(',').map((name) => name.trim().toLowerCase()).filter((name) => name !== '');
  return names.length > 0 ? [...new Set(names)] : DEFAULT_PROVIDERS;
}

/** True where models run on the processor alone, as they do unless told otherwise. */
export const isProcessorOnly = (providers: readonly string[]): boolean => providers.every((name) => name === 'cpu');

/** In words, for what a figure rests on: empty on the processor. */
export const ranOn = (providers: readonly string[]): string => (isProcessorOnly(providers) ? '' : ` (run by ${providers.join(', ')})`);

/**
 * @param available names that this platform's onnxruntime was built with
 * @throws JobError naming them, when one that is asked for is not among them
 */
export function refuseAbsent(providers: readonly string[], available: readonly string[]): void {
  const absent = providers.filter((name) => !available.includes(name));
  if (absent.length === 0) return;
  throw new JobError(`the onnxruntime of this platform has no execution provider ${absent.map((name) => JSON.stringify(name)).join(', ')}; it has ${available.join(', ')}. Change bitlens.executionProviders (--execution-providers)`);
}

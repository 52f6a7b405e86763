/** Settings as a client sends them: anything at all, brought into shape here. */
import { DEFAULT_SETTINGS, type Settings } from '../protocol';

const SEVERITIES = ['error', 'warning', 'information', 'hint', 'off'] as const;
const isSeverity = (value: unknown): value is (typeof SEVERITIES)[number] => (SEVERITIES as readonly unknown[]).includes(value);
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is missing or of the wrong type takes its default. */
export function normalizeSettings(raw: unknown): Settings {
  const given = isRecord(raw) ? raw : {};
  const text = (key: keyof Settings, fallback: string): string => (typeof given[key] === 'string' ? given[key].trim() : fallback);
  const number = (key: keyof Settings, fallback: number, least: number): number => {
    const value = given[key];
    return typeof value === 'number' && Number.isFinite(value) ? Math.max(least, value) : fallback;
  };
  const boolean = (key: keyof Settings, fallback: boolean): boolean => (typeof given[key] === 'boolean' ? given[key] : fallback);
  const formats = Array.isArray(given.formats) ? given.formats.filter((id): id is string => typeof id === 'string' && id.trim() !== '').map((id) => id.trim()) : [];
  const providers = Array.isArray(given.executionProviders) ? given.executionProviders.filter((name): name is string => typeof name === 'string' && name.trim() !== '').map((name) => name.trim()) : [];
  return {
    checkpoint: text('checkpoint', DEFAULT_SETTINGS.checkpoint),
    targetFormat: text('targetFormat', DEFAULT_SETTINGS.targetFormat) || DEFAULT_SETTINGS.targetFormat,
    formats: formats.length > 0 ? [...new Set(formats)].slice(0, 64) : DEFAULT_SETTINGS.formats,
    minimumSqnrDb: number('minimumSqnrDb', DEFAULT_SETTINGS.minimumSqnrDb, 0),
    kurtosis: number('kurtosis', DEFAULT_SETTINGS.kurtosis, 0),
    channelRangeSpread: number('channelRangeSpread', DEFAULT_SETTINGS.channelRangeSpread, 1),
    rules: isRecord(given.rules) ? Object.fromEntries(Object.entries(given.rules).filter((entry): entry is [string, Settings['rules'][string]] => isSeverity(entry[1]))) : {},
    inlayHints: boolean('inlayHints', DEFAULT_SETTINGS.inlayHints),
    codeLens: boolean('codeLens', DEFAULT_SETTINGS.codeLens),
    threads: Math.floor(number('threads', DEFAULT_SETTINGS.threads, 0)),
    memoryMb: Math.floor(number('memoryMb', DEFAULT_SETTINGS.memoryMb, 128)),
    executionProviders: providers.length > 0 ? providers : DEFAULT_SETTINGS.executionProviders,
  };
}

/** The part of the settings that an analysis depends on: documents that agree on it share a service and its caches. */
export function analysisKey(settings: Settings): string {
  const { checkpoint, targetFormat, formats, minimumSqnrDb, kurtosis, channelRangeSpread, rules, executionProviders } = settings;
  return JSON.stringify([checkpoint, targetFormat, formats, minimumSqnrDb, kurtosis, channelRangeSpread, Object.entries(rules).sort(), executionProviders]);
}

/** From the settings of the editor or the command line to what the rules need. */
import type { Settings } from '../protocol';
import type { RuleSettings } from './rule';

export function ruleSettings(settings: Pick<Settings, 'targetFormat' | 'minimumSqnrDb' | 'kurtosis' | 'channelRangeSpread' | 'rules'>): RuleSettings {
  return {
    targetFormat: settings.targetFormat,
    minimumSqnrDb: settings.minimumSqnrDb,
    kurtosis: settings.kurtosis,
    channelRangeSpread: settings.channelRangeSpread,
    severities: settings.rules,
  };
}

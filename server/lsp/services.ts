/** One analysis service per distinct settings: folders of a workspace may want different checkpoints and thresholds. */
import type { AnalysisService } from '../analysis/service';
import type { Settings } from '../protocol';
import { analysisKey } from './settings';

/** More sets of settings than this at a time are not real: the least recently used service and its caches go. */
const MOST = 8;

export class Services {
  private readonly services = new Map<string, AnalysisService>();

  constructor(private readonly make: (settings: Settings) => AnalysisService) {}

  for(settings: Settings): AnalysisService {
    const key = analysisKey(settings);
    const service = this.services.get(key) ?? this.make(settings);
    this.services.delete(key);
    this.services.set(key, service);
    if (this.services.size > MOST) this.services.delete(this.services.keys().next().value!);
    return service;
  }

  forgetDiscovery(): void {
    for (const service of this.services.values()) service.forgetDiscovery();
  }
}

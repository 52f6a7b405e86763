/** Rules: one finding per file, in one registry (registry.ts). Pure: they read an analysis, they compute nothing heavy. */
import type { SourceSpan } from '../python/module-tree';
import type { ModelAnalysis } from '../analysis/model-analysis';

export type Severity = 'error' | 'warning' | 'information' | 'hint' | 'off';

export interface Finding {
  readonly code: string;
  readonly severity: Exclude<Severity, 'off'>;
  /** One sentence with the number and where it comes from. */
  readonly message: string;
  /** Layer path, where the finding is about one. */
  readonly layer?: string;
  /** All layers it is about, when one source line makes several; `layer` is the worst of them. */
  readonly layers?: readonly string[];
  /** Null for findings about a checkpoint as a whole, which sit on the root class. */
  readonly span: SourceSpan | null;
  readonly evidence: string;
  /** For code actions: a format that would cure it, a recipe entry to change. */
  readonly suggestion?: {
    readonly format?: string;
    readonly layer?: string;
    /** For a finding about several layers: what would cure each. */
    readonly layers?: readonly { readonly path: string; readonly format: string }[];
  };
  readonly related?: readonly { readonly span: SourceSpan; readonly message: string }[];
}

/** Thresholds a user may set; defaults in settings.ts. */
export interface RuleSettings {
  readonly targetFormat: string;
  readonly minimumSqnrDb: number;
  readonly kurtosis: number;
  readonly channelRangeSpread: number;
  readonly severities: Readonly<Record<string, Severity>>;
}

/** What a rule yields: the registry adds the code, and the severity where the rule leaves it at its default. */
export type RawFinding = Omit<Finding, 'code' | 'severity'> & { readonly severity?: Exclude<Severity, 'off'> };

export interface Rule {
  readonly code: string;
  /** Kebab-case name, e.g. `low-sqnr`. */
  readonly name: string;
  readonly title: string;
  readonly defaultSeverity: Severity;
  /** Markdown for docs/findings.md: why it matters, what is measured, what to do. */
  readonly explanation: string;
  /** What must be there for the rule to say anything. */
  readonly needs: 'source' | 'checkpoint' | 'measurements' | 'recipe' | 'activations';
  check(analysis: ModelAnalysis, settings: RuleSettings): Iterable<RawFinding>;
}

/** Every rule, and the one place that runs them. A new rule is one file and one line here. */
import type { ModelAnalysis } from '../analysis/model-analysis';
import { lowSqnr } from './bl101-low-sqnr';
import { heavyTails } from './bl102-heavy-tails';
import { channelRanges } from './bl103-channel-ranges';
import { deadChannels } from './bl104-dead-channels';
import { notFinite } from './bl105-not-finite';
import { dtypeRange } from './bl106-dtype-range';
import { edgeLayersBelow8 } from './bl107-edge-layers';
import { groupSize } from './bl108-group-size';
import { tiedBits } from './bl109-tied-bits';
import { recipeNames } from './bl110-recipe-names';
import { outlierChannels } from './bl201-outlier-channels';
import { asymmetricRange } from './bl202-asymmetric-range';
import { softmaxGrid } from './bl203-softmax-grid';
import { massiveActivations } from './bl204-massive-activations';
import { normOverflow } from './bl205-norm-overflow';
import { unequalTerms } from './bl206-unequal-terms';
import { attentionLogits } from './bl207-attention-logits';
import { accumulatorWidth } from './bl208-accumulator-width';
import { missingTensor } from './bl401-missing-tensor';
import { unexpectedTensor } from './bl402-unexpected-tensor';
import { misshapedTensor } from './bl403-misshaped-tensor';
import { tiedTensors } from './bl404-tied-tensors';
import { checkpointRefused } from './bl405-checkpoint-refused';
import { checkpointQuestionable } from './bl406-checkpoint-questionable';
import { checkpointImports } from './bl407-checkpoint-imports';
import { projectFile } from './bl408-project-file';
import { notUnderstood } from './bl501-not-understood';
import { notTraced } from './bl503-not-traced';
import { unknownSuppression } from './bl502-unknown-suppression';
import type { Finding, Rule, RuleSettings } from './rule';
import { readSuppressions, type Suppressions } from './suppressions';

export const rules: readonly Rule[] = [
  lowSqnr, heavyTails, channelRanges, deadChannels, notFinite, dtypeRange, edgeLayersBelow8, groupSize, tiedBits, recipeNames,
  outlierChannels, asymmetricRange, softmaxGrid, massiveActivations, normOverflow, unequalTerms, attentionLogits, accumulatorWidth,
  missingTensor, unexpectedTensor, misshapedTensor, tiedTensors, checkpointRefused, checkpointQuestionable, checkpointImports, projectFile,
  notUnderstood, unknownSuppression, notTraced,
];
export const ruleCodes: ReadonlySet<string> = new Set(rules.map(({ code }) => code));

export function ruleOf(code: string): Rule | undefined {
  return rules.find((rule) => rule.code === code);
}

const SEVERITY_ORDER = ['error', 'warning', 'information', 'hint'];

/**
 * Findings of every rule that is not switched off, worst severity first within a rule's order of the source.
 * A severity set by the user replaces the rule's own, also where the rule grades its findings.
 * Suppression comments are the caller's: they need the text of the files (`suppressions`).
 */
export function runRules(analysis: ModelAnalysis, settings: RuleSettings): Finding[] {
  const findings: Finding[] = [];
  for (const rule of rules) {
    const wanted = Object.hasOwn(settings.severities, rule.code) ? settings.severities[rule.code] : undefined;
    if (wanted === 'off' || (wanted === undefined && rule.defaultSeverity === 'off')) continue;
    for (const raw of rule.check(analysis, settings)) {
      const severity = wanted ?? raw.severity ?? rule.defaultSeverity;
      if (severity !== 'off') findings.push({ ...raw, code: rule.code, severity });
    }
  }
  return findings.sort((a, b) => SEVERITY_ORDER.indexOf(a.severity) - SEVERITY_ORDER.indexOf(b.severity));
}

/** Suppression comments of one file's text, checked against the codes of the registry. */
export function suppressions(text: string): Suppressions {
  return readSuppressions(text, ruleCodes);
}

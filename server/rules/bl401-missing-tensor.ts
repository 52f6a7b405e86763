import type { SourceSpan } from '../python/module-tree';
import { checkpointName, headerEvidence } from './facts';
import { layersText } from './layer-names';
import { spanKey } from './per-line';
import type { Rule } from './rule';
import { countText, plain, sentence } from './text';

/** Counters that PyTorch itself fills in when an old checkpoint lacks them. */
const FORGIVEN = /(?:^|\.)num_batches_tracked$/;
/** When more than this share of the model is missing, the checkpoint is for something else: one finding says so. */
const MOSTLY = 0.5;

export const missingTensor: Rule = {
  code: 'BL401',
  name: 'missing-tensor',
  title: 'Parameter is not in the checkpoint',
  defaultSeverity: 'warning',
  needs: 'checkpoint',
  explanation: `
\`load_state_dict\` raises for it, or with \`strict=False\` leaves it at its random initial value without a word.

Said on the line that creates the parameter. Counters named \`num_batches_tracked\`, which old checkpoints lack and PyTorch
fills in, are only a hint. When more than half of the model's parameters are missing, one finding on the class says that the
checkpoint is probably for another model or other constructor arguments.

**What to do:** choose the checkpoint that belongs to this code (*Choose Checkpoint*), name the class and its arguments in
\`bitlens.json\`, or correct the constructor call.
`,
  * check(analysis) {
    const { link, checkpoint } = analysis;
    if (!link || !checkpoint || link.missing.length === 0) return;
    const evidence = headerEvidence(analysis);
    const file = checkpointName(analysis);
    const expected = link.layers.reduce((count, layer) => count + layer.tensors.filter(({ parameter }) => parameter !== null).length, 0);
    const wanted = link.missing.filter(({ name }) => !FORGIVEN.test(name));
    if (wanted.length > 3 && wanted.length > MOSTLY * expected) {
      yield {
        message: sentence(`${wanted.length} of ${countText(expected, 'parameter')} of this model are not in ${file} (${layersText(wanted.map(({ name }) => name))}): it is probably for another model, or for other constructor arguments (${evidence})`),
        span: null, evidence,
      };
      return;
    }
    const lines = new Map<string, { span: SourceSpan; names: string[]; module: string }>();
    for (const { name, parameter, module } of link.missing) {
      const span = module.kind === 'torch' ? module.span : parameter.span;
      const key = spanKey(span);
      const line = lines.get(key) ?? { span, names: [], module: module.path };
      line.names.push(name);
      lines.set(key, line);
    }
    for (const { span, names, module } of lines.values()) {
      const kept = names.filter((name) => !FORGIVEN.test(name));
      const told = kept.length > 0 ? kept : names;
      yield {
        message: sentence(`${layersText(told)} ${told.length === 1 ? 'is' : 'are'} not in ${file}${link.prefix === '' ? '' : ` (looked for under ${plain(link.prefix)})`} (${evidence})`),
        ...(kept.length === 0 ? { severity: 'hint' as const } : {}),
        span, layer: module, evidence,
      };
    }
  },
};

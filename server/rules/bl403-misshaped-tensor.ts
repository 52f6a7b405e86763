import { checkpointName, headerEvidence } from './facts';
import { spanKey } from './per-line';
import type { LinkResult } from '../linking/layer';
import type { Rule } from './rule';
import { plain, sentence, shapeText } from './text';

export const misshapedTensor: Rule = {
  code: 'BL403',
  name: 'misshaped-tensor',
  title: 'Shape in the checkpoint contradicts the source',
  defaultSeverity: 'warning',
  needs: 'checkpoint',
  explanation: `
\`load_state_dict\` raises for it, even with \`strict=False\`. The expected shape comes from the constructor arguments as the source
gives them; dimensions that it does not determine (\`?\`) are not compared.

**What to do:** the usual cause is a constructor argument (number of classes, width, vocabulary) that differs from the one the
checkpoint was trained with. Put the real ones into \`args\` of \`bitlens.json\`.
`,
  * check(analysis) {
    const { link, checkpoint } = analysis;
    if (!link || !checkpoint) return;
    const evidence = headerEvidence(analysis);
    const file = checkpointName(analysis);
    const lines = new Map<string, LinkResult['misshaped'][number][]>();
    for (const item of link.misshaped) {
      const key = spanKey(item.module.kind === 'torch' ? item.module.span : item.parameter.span);
      const line = lines.get(key);
      if (line) line.push(item);
      else lines.set(key, [item]);
    }
    for (const [first, ...others] of lines.values()) {
      const { name, expected, actual, module, parameter } = first!;
      yield {
        message: sentence(`${plain(name)} is ${shapeText(actual)} in ${file}, but the source makes ${shapeText(expected)}${others.length === 0 ? '' : `; ${others.length} more on this line, for example ${plain(others[0]!.name)}`} (${evidence})`),
        span: module.kind === 'torch' ? module.span : parameter.span, layer: module.path, evidence,
      };
    }
  },
};

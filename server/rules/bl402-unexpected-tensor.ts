import type { ModelAnalysis } from '../analysis/model-analysis';
import type { ModuleNode, SourceSpan } from '../python/module-tree';
import { checkpointName, headerEvidence } from './facts';
import { layersText } from './layer-names';
import type { Rule } from './rule';
import { countText, plain, sentence } from './text';

const MOST_GROUPS = 6;

interface Group {
  /** Deepest path shared by the names, with its final dot; '' when they share none. */
  readonly prefix: string;
  readonly names: readonly string[];
}

/** Groups names by their first segment that differs, then walks down while there is only one way to go. */
export function groupByPrefix(names: readonly string[]): Group[] {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const dot = name.indexOf('.');
    const key = dot < 0 ? '' : name.slice(0, dot + 1);
    const group = groups.get(key);
    if (group) group.push(name);
    else groups.set(key, [name]);
  }
  return [...groups].map(([key, members]) => {
    let prefix = key;
    while (prefix !== '') {
      const next = members[0]!.indexOf('.', prefix.length);
      const longer = next < 0 ? '' : members[0]!.slice(0, next + 1);
      if (longer === '' || !members.every((name) => name.startsWith(longer))) break;
      prefix = longer;
    }
    return { prefix, names: members };
  });
}

/** The innermost module of the source that a tensor path lies in. */
function ancestor(root: ModuleNode, path: string): ModuleNode {
  let node = root;
  for (;;) {
    const child = node.children.find((candidate) => candidate.path !== '' && path.startsWith(`${candidate.path}.`));
    if (!child) return node;
    node = child;
  }
}

export const unexpectedTensor: Rule = {
  code: 'BL402',
  name: 'unexpected-tensor',
  title: 'Checkpoint holds tensors that the model does not have',
  defaultSeverity: 'information',
  needs: 'checkpoint',
  explanation: `
\`load_state_dict\` raises for them unless \`strict=False\`. They are not measured and get no bits, so sizes are those of the model,
not of the file.

Tensors are grouped by their common prefix and reported on the innermost module that they lie in, else on the class. State of
an optimizer, second copies of the model (\`ema\`) and other networks in the same file are one hint.

**What to do:** nothing, when they belong to another head or to the training; otherwise the code and the checkpoint are of
different versions.
`,
  * check(analysis) {
    const { link, checkpoint } = analysis;
    if (!link || !checkpoint) return;
    const evidence = headerEvidence(analysis);
    const file = checkpointName(analysis);
    const groups = groupByPrefix(link.unlinkedTensors.map(({ name }) => name)).sort((a, b) => b.names.length - a.names.length);
    for (const { prefix, names } of groups.slice(0, MOST_GROUPS)) {
      const place = placeOf(analysis, prefix, link.prefix);
      const where = prefix === '' ? '' : ` under ${plain(prefix)}`;
      yield {
        message: sentence(`${countText(names.length, 'tensor')}${where} of ${file} ${names.length === 1 ? 'is' : 'are'} in no module of ${place.module}: ${layersText(names)} (${evidence})`),
        span: place.span, evidence, ...(place.layer !== undefined && { layer: place.layer }),
      };
    }
    const rest = groups.slice(MOST_GROUPS);
    if (rest.length > 0) {
      const count = rest.reduce((sum, { names }) => sum + names.length, 0);
      yield { message: sentence(`${countText(count, 'more tensor')} under ${countText(rest.length, 'other prefix', 'other prefixes')} of ${file} ${count === 1 ? 'is' : 'are'} in no module of the model (${evidence})`), span: null, evidence };
    }
    const elsewhere = link.elsewhere ?? [];
    if (elsewhere.length > 0) {
      const shown = elsewhere.slice(0, MOST_GROUPS).map(({ prefix, tensors }) => `${tensors} under ${plain(prefix)}`).join(', ');
      const more = elsewhere.length > MOST_GROUPS ? `, and ${elsewhere.length - MOST_GROUPS} more groups` : '';
      yield { message: sentence(`${file} also holds tensors that are not this model's: ${shown}${more} (${evidence})`), severity: 'hint', span: null, evidence };
    }
  },
};

function placeOf(analysis: ModelAnalysis, prefix: string, taken: string): { module: string; span: SourceSpan | null; layer?: string } {
  const root = analysis.tree?.root;
  if (!root) return { module: 'the model', span: null };
  const path = taken !== '' && prefix.startsWith(taken) ? prefix.slice(taken.length) : prefix;
  const node = ancestor(root, path);
  return node === root ? { module: plain(root.className), span: null } : { module: `${plain(node.path)} (${plain(node.className)})`, span: node.span, layer: node.path };
}

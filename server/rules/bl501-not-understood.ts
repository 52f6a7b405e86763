import type { ModelAnalysis } from '../analysis/model-analysis';
import type { ModuleNode, SourceSpan } from '../python/module-tree';
import { SOURCE_EVIDENCE } from './facts';
import { layersText } from './layer-names';
import type { Rule } from './rule';
import { plain, sentence } from './text';

function* unknownNodes(node: ModuleNode): Generator<ModuleNode> {
  if (node.unknown) yield node;
  for (const child of node.children) yield* unknownNodes(child);
}

/** True when the checkpoint is there and holds nothing under a module: then not knowing its inside hides nothing. */
function hidesNothing(analysis: ModelAnalysis, node: ModuleNode): boolean {
  const { link, checkpoint } = analysis;
  if (!link || !checkpoint || (link.matched ?? 0) === 0) return false;
  if (node.path.includes('*')) return false;
  const inside = (path: string): boolean => node.path === '' || path === node.path || path.startsWith(`${node.path}.`);
  const prefix = `${link.prefix}${node.path}`;
  return !link.layers.some((layer) => layer.inferred !== undefined && inside(layer.path))
    && !link.unlinkedTensors.some(({ name }) => node.path === '' || name.startsWith(`${prefix}.`) || name.startsWith(`${node.path}.`));
}

export const notUnderstood: Rule = {
  code: 'BL501',
  name: 'not-understood',
  title: 'Model code that the source alone does not explain',
  defaultSeverity: 'hint',
  needs: 'source',
  explanation: `
Bitlens reads the source and never runs it. Where a module depends on something that is not in the source (a value from a file
or from the command line, a class of a package that is not in the workspace), its inside is unknown, and it says so instead of
guessing. Tensors that the checkpoint holds under such a module are still measured, by their names.

Said only where something is hidden: not when the checkpoint holds nothing under the module.

**What to do:** give the constructor arguments in \`bitlens.json\` (\`args\`), or open the folder that holds the missing module.
`,
  * check(analysis) {
    const { tree } = analysis;
    if (!tree) return;
    const lines = new Map<string, { span: SourceSpan; reason: string; cause: SourceSpan | null; paths: string[] }>();
    for (const node of unknownNodes(tree.root)) {
      if (hidesNothing(analysis, node)) continue;
      const reason = node.unknown!.reason;
      // On the construction; what is to blame (an import, an argument read from a file) is the related place.
      const cause = node.unknown!.span ?? null;
      const span = node.path === '' ? cause ?? node.span : node.span;
      const key = `${span.startLine}:${span.file}:${reason}`;
      const line = lines.get(key) ?? { span, reason, cause, paths: [] };
      line.paths.push(node.path);
      lines.set(key, line);
    }
    for (const { span, reason, cause, paths } of lines.values()) {
      const elsewhere = cause !== null && (cause.file !== span.file || cause.startLine !== span.startLine);
      yield { message: sentence(`what is inside ${layersText(paths)} is not known: ${plain(reason, 400)} (${SOURCE_EVIDENCE})`), span, layer: paths[0]!, evidence: SOURCE_EVIDENCE,
        ...(elsewhere && { related: [{ span: cause, message: 'because of this' }] }) };
    }
  },
};

/** bitlens layers: the model's layers with their tensors. */
import { modelTensors, shownDtype } from '../../../kernels/checkpoint/checkpoint';
import type { Layer } from '../../linking/layer';
import { refuseBroken } from '../../analysis/service';
import { UserError } from '../../analysis/user-error';
import type { ModelAnalysis } from '../../analysis/model-analysis';
import type { Verb } from '../context';
import { bytesText, countText, plain, plural, shapeText, table } from '../output';
import { analyseTarget, CHECKPOINT, TARGET } from '../target';

interface TensorRow {
  readonly name: string;
  readonly shape: readonly (number | null)[] | null;
  readonly dtype: string | null;
}
interface ModuleRow {
  readonly path: string;
  readonly className: string;
  readonly file: string;
  readonly line: number;
  readonly linked: boolean;
  readonly tensors: TensorRow[];
  readonly weights: { readonly path: string; readonly tensor: string; readonly tiedTo: string | null }[];
  readonly inferred?: string;
}

/** One row per module: layers that are single weights of one module are put together again. */
export function moduleRows(analysis: ModelAnalysis): ModuleRow[] {
  const bound = analysis.checkpoint !== null;
  const rows = new Map<string, ModuleRow>();
  const order = (layer: Layer): string => `${layer.modulePath ?? layer.path}\0${layer.inferred ?? ''}`;
  for (const layer of analysis.link!.layers) {
    const key = order(layer);
    const row: ModuleRow = rows.get(key) ?? {
      path: layer.modulePath ?? layer.path, className: layer.className, file: layer.module.span.file, line: layer.module.span.startLine + 1,
      linked: false, tensors: [], weights: [], ...(layer.inferred === undefined ? {} : { inferred: layer.inferred }),
    };
    for (const { name, info, parameter } of layer.tensors) {
      if (info) row.tensors.push({ name: info.name, shape: info.shape, dtype: shownDtype(info) });
      // Without a checkpoint the tensors are those the source expects.
      else if (!bound) row.tensors.push({ name, shape: parameter?.shape ?? null, dtype: null });
    }
    if (layer.weight) row.weights.push({ path: layer.path, tensor: layer.weight.info?.name ?? layer.weight.name, tiedTo: layer.tiedTo });
    rows.set(key, { ...row, linked: row.linked || layer.linked });
  }
  return [...rows.values()];
}

export const layers: Verb = {
  command: {
    name: 'layers',
    summary: 'Lists the layers of a model: modules of the source joined with tensors of the checkpoint.',
    positionals: [TARGET],
    flags: [CHECKPOINT],
    notes: ['JSON: {root, reason, layers: [{path, className, file, line, linked, tensors: [{name, shape, dtype}]}], unlinkedTensors, missing, misshaped, tied, unknowns, prefix, explained}'],
  },
  async run(context) {
    const analysis = await analyseTarget(context);
    const { root, link, checkpoint, tree } = analysis;
    refuseBroken(analysis);
    if (!root || !link || !tree) throw new UserError(`${analysis.source} defines no nn.Module that could be the model. TARGET is a file with one, or file.py:Class`);
    const rows = moduleRows(analysis);
    if (context.json) {
      context.printJson({
        root: root.name, reason: root.reason, checkpoint: analysis.checkpointPath,
        layers: rows,
        unlinkedTensors: link.unlinkedTensors.map(({ name }) => name),
        missing: link.missing.map(({ name, parameter }) => ({ name, shape: parameter.shape })),
        misshaped: link.misshaped.map(({ name, expected, actual }) => ({ name, expected, actual })),
        tied: link.tied, prefix: link.prefix, explained: link.explained, elsewhere: link.elsewhere ?? [],
        unknowns: tree.unknowns.map(({ reason, span }) => ({ reason, ...(span ? { file: span.file, line: span.startLine + 1 } : {}) })),
        assumptions: tree.assumptions.map(({ text, span }) => ({ text, ...(span ? { file: span.file, line: span.startLine + 1 } : {}) })),
        ...(analysis.rootArguments ? { arguments: analysis.rootArguments } : {}),
      });
      return 0;
    }
    context.print(table([{ title: 'Layer' }, { title: 'Class' }, { title: 'Line', right: true }, { title: 'Weight' }, { title: 'Dtype' }, { title: 'Size', right: true }, { title: '' }],
      link.layers.map((layer) => {
        const shape = layer.weight?.info?.shape ?? layer.weight?.parameter?.shape ?? null;
        const stored = layer.tensors.reduce((sum, { info }) => sum + (info?.bytes ?? 0), 0);
        const remark = layer.tiedTo !== null ? `tied to ${layer.tiedTo}` : layer.inferred !== undefined ? 'inside an unknown module' : layer.linked || !checkpoint ? '' : 'not in the checkpoint';
        return [layer.path || '(root)', layer.className, String(layer.span.startLine + 1), shape ? shapeText(shape) : '–', layer.weight?.info ? shownDtype(layer.weight.info) : '–', layer.tiedTo !== null || stored === 0 ? '–' : bytesText(stored), remark];
      })));
    const linked = rows.filter((row) => row.linked).length;
    context.print(`\n${plural(rows.length, 'module')} with tensors, ${countText(linked)} linked${checkpoint ? ` with ${link.considered ?? modelTensors(checkpoint).length} tensors (${(100 * link.explained).toFixed(1)} % explained${link.prefix ? `, prefix "${plain(link.prefix)}"` : ''})` : '; no checkpoint'}\n`);
    const list = (title: string, names: readonly string[]): void => {
      if (names.length > 0) context.print(`${title} (${names.length}): ${names.slice(0, 8).map((name) => plain(name)).join(', ')}${names.length > 8 ? ', …' : ''}\n`);
    };
    list('Missing from the checkpoint', link.missing.map(({ name }) => name));
    list('Mis-shaped', link.misshaped.map(({ name, expected, actual }) => `${name} (source ${shapeText(expected)}, checkpoint ${shapeText(actual)})`));
    list('Not explained by the source', link.unlinkedTensors.map(({ name }) => name));
    list('Unknown in the source', tree.unknowns.map(({ reason, span }) => `${span ? `line ${span.startLine + 1}: ` : ''}${reason}`));
    return 0;
  },
};

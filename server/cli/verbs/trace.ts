/** bitlens trace: forward as a graph of operators, without Python; with --onnx the model as a file. */
import type { GraphValue } from '../../../kernels/graph/graph';
import { UserError } from '../../analysis/user-error';
import { refuseBroken } from '../../analysis/service';
import type { Verb } from '../context';
import { INPUT, readInput } from '../input-flag';
import { bytesText, plain, plural, table } from '../output';
import { analyseTarget, CHECKPOINT, TARGET } from '../target';

const shown = ({ name, type, shape }: Pick<GraphValue, 'name' | 'type' | 'shape'>): object => ({ name, type, shape });
const shapeOf = (shape: readonly (number | string)[]): string => `[${shape.join(', ')}]`;

export const trace: Verb = {
  command: {
    name: 'trace',
    summary: 'Follows forward through the source, without running it, to a graph of ONNX operators.',
    positionals: [TARGET],
    flags: [CHECKPOINT,
      { name: 'onnx', value: 'FILE', help: 'write the model with the weights of the checkpoint as ONNX' },
      INPUT],
    notes: ['JSON: {root, complete, inputs: [{name, type, shape}], outputs: [...], nodes: [{op, module, file, line, outputs: [{name, type, shape}]}], operators, reached, notReached, stopped: {reason, file, line} | null, assumptions, findings, onnx}',
      'Names in shapes are free dimensions. Exit code 1 when the trace is not complete.'],
  },
  async run(context) {
    const inputs = context.args.all('input').map(readInput);
    const out = context.args.text('onnx');
    const analysis = await analyseTarget(context);
    refuseBroken(analysis);
    const service = context.service();
    const traced = await service.trace(analysis, inputs.length > 0 ? { inputs } : {});
    const { graph, stopped, reached, assumptions } = traced;
    if (out !== undefined && stopped) throw new UserError(`the trace is not complete, so that there is no model to write: ${stopped.reason}${stopped.span ? ` (${stopped.span.file}:${stopped.span.startLine + 1})` : ''}`);
    const written = out === undefined ? null : await service.writeOnnx(analysis, traced, out, context);
    const findings = service.findings({ ...analysis, traced }).filter(({ code }) => code === 'BL503');
    const ran = new Set(reached);
    const layers = (analysis.link?.layers ?? []).map((layer) => layer.modulePath ?? layer.path);
    const operators = new Map<string, number>();
    for (const { op } of graph.nodes) operators.set(op, (operators.get(op) ?? 0) + 1);
    if (context.json) {
      const values = new Map([...(graph.values ?? []), ...graph.outputs].map((value) => [value.name, value]));
      context.printJson({
        root: analysis.root!.name, complete: stopped === null, inputs: graph.inputs.map(shown), outputs: graph.outputs.map(shown),
        nodes: graph.nodes.map(({ op, module, span, outputs }) => ({ op, module, file: span?.file ?? null, line: span ? span.startLine + 1 : null, outputs: outputs.map((name) => values.get(name)).filter((value) => value !== undefined).map(shown) })),
        operators: Object.fromEntries(operators), reached: [...new Set(layers)].filter((layer) => ran.has(layer)), notReached: [...new Set(layers)].filter((layer) => !ran.has(layer)),
        stopped: stopped && { reason: stopped.reason, ...(stopped.span ? { file: stopped.span.file, line: stopped.span.startLine + 1 } : {}) },
        assumptions, findings: findings.map(({ code, severity, message }) => ({ code, severity, message })), onnx: written,
      });
      return stopped ? 1 : 0;
    }
    context.print(table([{ title: '' }, { title: 'Name' }, { title: 'Type' }, { title: 'Shape' }],
      [...graph.inputs.map((value) => ['input', plain(value.name), value.type, shapeOf(value.shape)]), ...(stopped ? [] : graph.outputs.map((value) => ['output', plain(value.name), value.type, shapeOf(value.shape)]))]));
    context.print(`\n${plural(graph.nodes.length, 'node')}: ${[...operators].sort((a, b) => b[1] - a[1]).map(([op, count]) => `${op} ${count}`).join(', ')}\n`);
    const missed = [...new Set(layers)].filter((layer) => !ran.has(layer));
    if (missed.length > 0) context.print(`Not reached: ${missed.slice(0, 8).map((layer) => plain(layer)).join(', ')}${missed.length > 8 ? `, … (${missed.length})` : ''}\n`);
    for (const text of assumptions) context.print(`Taken for granted: ${plain(text, 200)}\n`);
    if (stopped) context.print(`Stopped${stopped.span ? ` at ${stopped.span.file}:${stopped.span.startLine + 1}` : ''}: ${plain(stopped.reason, 400)}\n`);
    if (written) context.print(`Written to ${written.path} (${bytesText(written.bytes)})${written.runs === null ? '; onnxruntime is not there to try it' : '; onnxruntime loads it'}\n`);
    return stopped ? 1 : 0;
  },
};

/**
 * Gradients of whole traced models. Some against PyTorch's, parameter by parameter (generate_gradients.py); of every other model
 * the slope along a random direction of all its weights against differences.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { TensorReader, type Checkpoint } from '../../kernels/checkpoint';
import { GraphEmitter } from '../../kernels/graph/emitter';
import { emitGradients } from '../../kernels/graph/gradient/gradient';
import type { Graph } from '../../kernels/graph/graph';
import { resolveGraph } from '../../kernels/graph/resolve';
import { Random } from '../../kernels/numerics/random';
import { startModel, type NamedArray, type RunningModel } from '../../kernels/run/run-model';
import { initParser, PythonWorkspace } from '../../server/python';
import { traceModel } from '../../server/trace/trace';
import { repositoryRoot } from '../support/data';
import { openCheckpoint, readTensor, relativeError } from '../support/run-graph';

const folder = path.join(repositoryRoot, 'test/trace');
const models = JSON.parse(readFileSync(path.join(folder, 'models.json'), 'utf8')) as { name: string; root: string; shapes?: (number | string)[][] }[];
/** Models with operators that have no rule, and which. */
const REFUSED: Readonly<Record<string, string>> = { crnn: 'LSTM', lstm_classifier: 'LSTM', row_rnn: 'LSTM', gru_seq: 'RNN', word_lm: 'LSTM' };

before(() => initParser());

interface Traced { readonly graph: Graph; readonly checkpoint: Checkpoint; readonly inputs: readonly NamedArray[] }
async function traced({ name, root, shapes }: (typeof models)[number]): Promise<Traced> {
  const workspace = new PythonWorkspace({ readFile: (file) => { try { return readFileSync(file, 'utf8'); } catch { return null; } }, roots: () => [path.join(folder, 'models')] });
  const checkpoint = await openCheckpoint(path.join(folder, 'goldens', `${name}.safetensors`));
  const byName = (prefix: string) => new Map(checkpoint.tensors.filter((tensor) => tensor.name.startsWith(prefix)).map((tensor) => [tensor.name.slice(prefix.length), tensor] as const));
  const inputs = byName('in.');
  const { graph } = traceModel(workspace, {
    file: path.join(folder, 'models', `${name}.py`), root, tensors: byName('w.'),
    ...(shapes ? { inputs: shapes.map((shape, i) => ({ name: `input_${i}`, type: 'F32' as const, shape })) } : {}),
  });
  workspace.dispose();
  return { graph, checkpoint, inputs: Array.from({ length: inputs.size }, (_, i) => readTensor(checkpoint, inputs.get(String(i))!)) };
}
async function started(graph: Graph, checkpoint: Checkpoint): Promise<RunningModel> {
  const reader = TensorReader.open(checkpoint);
  try { return await startModel(resolveGraph(graph, checkpoint, reader), 1); } finally { reader.close(); }
}
/** The sum over all floating-point outputs of the mean of their squares. */
function emitLoss(g: GraphEmitter, graph: Graph): string {
  const outputs = graph.outputs.filter(({ type }) => type === 'F32');
  return g.sum(outputs.map(({ name, shape }) => g.mean(g.mul(name, name), shape.map((_, axis) => axis), false)));
}
const feeds = (graph: Graph, inputs: readonly NamedArray[]) => new Map(graph.inputs.map(({ name }, i) => [name, inputs[i]!] as const));
/** Weights that the loss depends on: those the graph reads and can move. */
function weightsOf(graph: Graph) { return graph.initializers.filter(({ type, data }) => type === 'F32' && 'checkpoint' in data); }

for (const model of models) {
  const refused = REFUSED[model.name];
  const golden = path.join(folder, 'gradients', `${model.name}.safetensors`);
  if (refused !== undefined) {
    test(`${model.name}: the operator without a gradient is named`, async () => {
      const { graph } = await traced(model);
      const g = new GraphEmitter(graph);
      assert.throws(() => emitGradients(g, emitLoss(g, graph), weightsOf(graph).map(({ name }) => name)), new RegExp(`no gradient is known of the operator ${refused} \\(in module `));
    });
  } else if (existsSync(golden)) {
    test(`${model.name}: gradients of all parameters are PyTorch's`, async () => {
      const { graph, checkpoint, inputs } = await traced(model);
      const expected = await openCheckpoint(golden);
      const wanted = expected.tensors.filter(({ name }) => name.startsWith('g.'));
      const byTensor = new Map(weightsOf(graph).map(({ name, data }) => ['checkpoint' in data ? data.checkpoint.slice(2) : '', name] as const));
      const g = new GraphEmitter(graph);
      const loss = emitLoss(g, graph);
      const names = wanted.map(({ name }) => byTensor.get(name.slice(2))!);
      assert.ok(names.length > 0 && names.every((name) => name !== undefined), 'every parameter is in the graph');
      const gradients = emitGradients(g, loss, names);
      const running = await started(g.finish([loss, ...new Set(gradients.values())]), checkpoint);
      const results = await running.run(feeds(graph, inputs));
      await running.close();
      const largest = wanted.map((info) => (readTensor(expected, info).data as Float32Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0));
      wanted.forEach((info, i) => {
        const theirs = readTensor(expected, info);
        const ours = results.get(gradients.get(names[i]!)!)!;
        assert.deepEqual(ours.shape, theirs.shape);
        // A gradient that is zero but for rounding is compared with the largest of the model.
        const error = relativeError(ours.data, theirs.data) * (largest[i]! / Math.max(largest[i]!, 1e-3 * Math.max(...largest)));
        assert.ok(error <= 5e-4, `${info.name} differs by ${error}`);
      });
    });
  } else {
    test(`${model.name}: the slope along a random direction is that of differences`, async () => {
      const { graph, checkpoint, inputs } = await traced(model);
      const random = new Random(3);
      const g = new GraphEmitter(graph);
      const loss = emitLoss(g, graph);
      // Weights move along fixed random directions by one amount, which is an input; its gradient is the slope.
      const amount = g.input('amount', 'F32', []);
      const moved = new Map(weightsOf(graph).map(({ name, shape }) => {
        const count = shape.reduce((a, b) => a * b, 1);
        const direction = g.constant('F32', shape, Array.from({ length: count }, () => random.normal() * 0.05));
        return [name, g.add(name, g.mul(direction, amount))] as const;
      }));
      const ahead = g.nodes.filter(({ outputs }) => [...moved.values()].some((name) => outputs.includes(name)) || outputs.some((name) => [...moved.values()].some((sum) => g.nodes.find((node) => node.outputs[0] === sum)!.inputs.includes(name))));
      const rest = g.nodes.filter((node) => !ahead.includes(node)).map((node) => ({ ...node, inputs: node.inputs.map((name) => moved.get(name) ?? name) }));
      g.nodes.splice(0, g.nodes.length, ...ahead, ...rest);
      const slope = emitGradients(g, loss, [amount]).get(amount)!;
      const running = await started(g.finish([loss, slope]), checkpoint);
      const at = async (value: number): Promise<{ loss: number; slope: number }> => {
        const made = await running.run(new Map([...feeds(graph, inputs), [amount, { type: 'F32', shape: [], data: Float32Array.of(value) }]]));
        return { loss: Number(made.get(loss)!.data[0]), slope: Number(made.get(slope)!.data[0]) };
      };
      const step = 2 ** -8;
      const [back, here, ahead_] = [await at(-step), await at(0), await at(step)];
      await running.close();
      const difference = (ahead_.loss - back.loss) / (2 * step);
      assert.ok(Math.abs(here.slope - difference) <= 0.02 * Math.max(Math.abs(difference), 1e-2 * here.loss), `the gradient gives ${here.slope}, differences give ${difference}`);
    });
  }
}

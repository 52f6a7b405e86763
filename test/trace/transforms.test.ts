/**
 * Transforms on every traced model: factors are moved at every place where that is said to be possible, layers are turned, and the
 * model gives what it gave, to 1e-5 of its largest output.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import type { Graph, GraphInitializer } from '../../kernels/graph/graph';
import { weightLayout } from '../../kernels/formats/blocks';
import { parseFormat } from '../../kernels/formats/registry';
import type { ModelWork, TransformLayer } from '../../kernels/methods/method';
import { hadamard } from '../../kernels/methods/transforms/hadamard';
import { moveFactors, rescalePlaces } from '../../kernels/methods/transforms/rescale';
import { Random } from '../../kernels/numerics/random';
import { PreparedModel } from '../../kernels/run/prepared-model';
import type { NamedArray } from '../../kernels/run/run-model';
import { allSites } from '../../kernels/run/sites';
import { initParser, PythonWorkspace } from '../../server/python';
import { traceModel } from '../../server/trace/trace';
import { repositoryRoot } from '../support/data';
import { openCheckpoint, readTensor, relativeError } from '../support/run-graph';

const folder = path.join(repositoryRoot, 'test/trace');
const models = JSON.parse(readFileSync(path.join(folder, 'models.json'), 'utf8')) as { name: string; root: string; shapes?: (number | string)[][] }[];
const TOLERANCE = 1e-5;
let moved = 0;
let turned = 0;

before(() => initParser());

async function run(model: PreparedModel, inputs: readonly NamedArray[]): Promise<NamedArray[]> {
  const running = await model.start();
  try {
    const outputs = await running.run(new Map(model.graph.inputs.map(({ name }, i) => [name, inputs[i]!] as const)));
    return model.graph.outputs.map(({ name }) => { const array = outputs.get(name)!; return { ...array, data: array.data.slice() }; });
  } finally { await running.close(); }
}

for (const { name, root, shapes } of models) {
  test(`${name} stays what it is`, async () => {
    const workspace = new PythonWorkspace({ readFile: (file) => { try { return readFileSync(file, 'utf8'); } catch { return null; } }, roots: () => [path.join(folder, 'models')] });
    const golden = path.join(folder, 'goldens', `${name}.safetensors`);
    const checkpoint = await openCheckpoint(golden);
    const weights = new Map(checkpoint.tensors.filter((tensor) => tensor.name.startsWith('w.')).map((tensor) => [tensor.name.slice(2), tensor] as const));
    const inputs = checkpoint.tensors.filter((tensor) => /^in\.\d+$/.test(tensor.name)).sort((a, b) => Number(a.name.slice(3)) - Number(b.name.slice(3))).map((tensor) => readTensor(checkpoint, tensor));
    const { graph } = traceModel(workspace, { file: path.join(folder, 'models', `${name}.py`), root, tensors: weights, ...(shapes ? { inputs: shapes.map((shape, i) => ({ name: `input_${i}`, type: 'F32' as const, shape })) } : {}) });
    workspace.dispose();
    const model = await PreparedModel.open(graph, golden, 1);
    try {
      const layers = layersOf(graph);
      const original = await run(model, inputs);
      const same = async (other: PreparedModel, what: string): Promise<void> => (await run(other, inputs)).forEach((value, i) => {
        const difference = value.type === 'F32' ? relativeError(value.data, original[i]!.data) : 0;
        assert.ok(difference <= TOLERANCE, `${what}: output ${i} differs by ${difference}`);
      });
      for (const throughBatchNorm of [false, true]) {
        const { places } = rescalePlaces({ model, layers }, { throughBatchNorm });
        const random = new Random(1);
        const changed = new Map<string, Float32Array>();
        for (const { group } of places) moveFactors({ model }, group, Float64Array.from({ length: group.channels }, () => 2 ** (random.uniform() * 2 - 1)), changed);
        if (places.length > 0) await same(model.with({ changed }), `factors at ${places.length} places${throughBatchNorm ? ', through batch norms' : ''}`);
        moved += places.length;
      }
      const rotation = await hadamard.run({ model, layers, step: () => undefined } as unknown as ModelWork);
      if (rotation.places > 0) await same(model.with({ graph: rotation.graph!, changed: rotation.changed }), `${rotation.places} layers turned`);
      turned += rotation.places;
    } finally { model.close(); }
  });
}

/** Every weight that the graph applies. */
function layersOf(graph: Graph): TransformLayer[] {
  const byTensor = new Map(graph.initializers.flatMap((each): [string, GraphInitializer][] => ('checkpoint' in each.data ? [[each.data.checkpoint, each]] : [])));
  return [...allSites(graph)].filter(([, sites]) => sites.some(({ kind }) => kind !== 'lookup')).map(([tensor, [site]]) => {
    const { shape } = byTensor.get(tensor)!;
    return { tensor, shape, layout: weightLayout(shape, site!.outputAxis ?? 0), format: parseFormat('int4-sym-channel') };
  });
}

test('there were places to speak of', () => assert.ok(moved >= 150 && turned >= 150, `factors moved at ${moved} places, ${turned} layers turned`));

/** The GPTQ and AWQ layouts: what is written is recognised again and decodes to exactly what the trial measured. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { modelTensors, openCheckpoint } from '../../../kernels/checkpoint';
import { weightLayout } from '../../../kernels/formats/blocks';
import { parseFormat } from '../../../kernels/formats/registry';
import { JobError, type QuantizeTask } from '../../../kernels/jobs/job';
import { quantizeJob } from '../../../kernels/jobs/quantize';
import { Random } from '../../../kernels/numerics/random';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporaryFolder, temporarySafetensors } from '../../support/temporary-safetensors';
import { valuesOfModelTensor } from '../layouts/values';

const SHAPES: Readonly<Record<string, readonly [number, number]>> = { 'model.layers.0.q_proj.weight': [64, 128], 'model.layers.0.odd.weight': [30, 50], 'model.embed_tokens.weight': [32, 64] };
/** Values of one sign in some rows, so that zero points reach both ends of the codes. */
function values(seed: number, count: number, cols: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, (_, i) => random.normal() * 0.05 + (Math.floor(i / cols) % 3 === 0 ? 0.4 : 0));
}
const task = (tensor: string, format: string): QuantizeTask => ({ key: tensor, tensor, outputAxis: 0, format, method: 'mse-clip' });

for (const layout of ['gptq', 'awq'] as const) {
  for (const format of layout === 'gptq' ? ['int4-sym-g32', 'int4-asym-g32-sf16', 'int3-asym-g64', 'int2-asym-channel', 'int8-symr-channel-sf16', 'int4-asym-channel'] : ['int4-asym-g32-sf16', 'int4-sym-g64', 'int4-asym-channel']) {
    test(`${layout} of ${format}: recognised, equal to the trial, settings beside it`, async (t) => {
      const weights = new Map(Object.entries(SHAPES).map(([name, [rows, cols]], i) => [name, values(i + 1, rows * cols, cols)]));
      const file = await temporarySafetensors(t, Object.entries(SHAPES).map(([name, shape]) => ({ name, shape, values: weights.get(name)! })));
      const out = path.join(temporaryFolder(t), 'packed.safetensors');
      const result = await quantizeJob.run({ checkpoint: file, seed: 0, tasks: Object.keys(SHAPES).map((name) => task(name, format)), export: { path: out, layout } }, inlineJobContext());
      const written = await openCheckpoint(out);
      assert.deepEqual(written.problems.filter(({ grade }) => grade === 'questionable'), []);
      assert.deepEqual(written.derived!.map(({ name }) => name), ['model.layers.0.q_proj.weight']);
      assert.match(result.export!.notes!.join('\n'), /odd\.weight \(/);
      assert.match(result.export!.notes!.join('\n'), /embed_tokens\.weight \(not the weight of a linear layer\)/);
      for (const tensor of modelTensors(written)) {
        const [rows, cols] = SHAPES[tensor.name]!;
        const own = parseFormat(format);
        const expected = own.decode(own.encode(weights.get(tensor.name)!, weightLayout([rows, cols], 0), 'mse'));
        const found = valuesOfModelTensor(written, tensor);
        assert.deepEqual(found.map((value) => value + 0), expected.map((value) => value + 0), tensor.name);
      }
      const shown = written.derived![0]!.encoding;
      // Symmetric codes of AWQ are asymmetric ones with their zero point in the middle; restricted ranges cannot be told from the file.
      assert.equal(shown.format, layout === 'awq' ? format.replace('-sym', '-asym') : format.replace('-symr', '-sym'));
      const config = JSON.parse(readFileSync(out.replace('.safetensors', '.quantization_config.json'), 'utf8')) as Record<string, unknown>;
      assert.equal(config.quant_method, layout);
      if (layout === 'gptq') assert.equal(config.checkpoint_format, format.includes('asym') ? 'gptq_v2' : 'gptq');
    });
  }
}

test('formats that the layout cannot hold, and several at once, are refused before anything is written', async (t) => {
  const file = await temporarySafetensors(t, ['a.weight', 'b.weight'].map((name, i) => ({ name, shape: [32, 64], values: values(i, 2048, 64) })));
  const run = (formats: string[], layout: 'gptq' | 'awq'): Promise<unknown> => quantizeJob.run({ checkpoint: file, seed: 0, tasks: formats.map((format, i) => task(['a.weight', 'b.weight'][i]!, format)), export: { path: path.join(temporaryFolder(t), 'x.safetensors'), layout } }, inlineJobContext());
  const refused = (work: Promise<unknown>, message: RegExp): Promise<void> => assert.rejects(work, (error) => error instanceof JobError && message.test(error.message));
  await refused(run(['int4-sym-g32', 'int3-sym-g32'], 'gptq'), /holds one format for all layers, not int4-sym-g32 and int3-sym-g32/);
  await refused(run(['int8-sym-channel'], 'awq'), /can pack no layer: a\.weight \(8-bit codes\)/);
  await refused(run(['fp8-e4m3'], 'gptq'), /not an integer format/);
  await refused(run(['int4-sym-tensor'], 'gptq'), /one scale for the whole tensor/);
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { openCheckpoint, type Checkpoint } from '../../../kernels/checkpoint';
import { dataPath, needsData } from '../../support/data';
import { openBytes, valuesOf } from './support';

interface Expected { dtype?: string; shape: number[]; stride?: number[]; sha256_contiguous_le?: string; int_repr_sha256?: string; dequant_sha256?: string; layout?: string }

const DTYPES: Record<string, string> = {
  float32: 'F32', float64: 'F64', float16: 'F16', bfloat16: 'BF16', int8: 'I8', uint8: 'U8', int16: 'I16', int32: 'I32', int64: 'I64', bool: 'BOOL',
  complex64: 'C64', complex128: 'C128', 'torch.qint8': 'QI8', 'torch.quint8': 'QU8',
};

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const tensorOf = (checkpoint: Checkpoint, name: string) => {
  const tensor = checkpoint.tensors.find((each) => each.name === name);
  assert.ok(tensor, `${name} is not listed in ${checkpoint.path}`);
  return tensor;
};

test('every tensor that torch 1.13 saved is listed with its name, dtype and shape, and its values hash as torch said', async (t) => {
  if (!needsData(t, 'oracles/torch113')) return;
  const files = JSON.parse(readFileSync(dataPath('oracles/torch113/expected.json'), 'utf8')) as Record<string, Record<string, Expected>>;
  assert.equal(Object.keys(files).length, 16);
  let hashes = 0;
  for (const [file, tensors] of Object.entries(files)) {
    const checkpoint = await openCheckpoint(dataPath(`oracles/torch113/${file}`));
    for (const [name, expected] of Object.entries(tensors)) {
      const tensor = tensorOf(checkpoint, name);
      assert.deepEqual(tensor.shape, expected.shape, `${file} ${name}`);
      if (expected.layout) {
        assert.equal(tensor.data, null, `${file} ${name}`);
        continue;
      }
      assert.equal(tensor.dtype, DTYPES[expected.dtype!], `${file} ${name}`);
      const hash = expected.sha256_contiguous_le ?? expected.int_repr_sha256;
      // In one piece, element by element, and through windows of a few bytes: the same bytes each time.
      for (const [step, window] of [[Infinity, 2 ** 20], [1, 64], [5, 16]]) {
        assert.equal(sha256(valuesOf(checkpoint, tensor, step, window)), hash, `${file} ${name} by ${step} through ${window}`);
      }
      hashes++;
    }
    assert.deepEqual(checkpoint.problems.filter((problem) => problem.code === 'BL406' && problem.grade === 'questionable'), [], file);
  }
  assert.ok(hashes >= 200, `${hashes} hashes compared`);
});

test('quantized tensors come with what makes their codes real numbers', async (t) => {
  if (!needsData(t, 'oracles/torch113')) return;
  const files = JSON.parse(readFileSync(dataPath('oracles/torch113/expected.json'), 'utf8')) as Record<string, Record<string, Expected>>;
  const checkpoint = await openCheckpoint(dataPath('oracles/torch113/quantized.pt'));
  for (const [name, expected] of Object.entries(files['quantized.pt'])) {
    const tensor = tensorOf(checkpoint, name);
    const bytes = valuesOf(checkpoint, tensor);
    const codes = tensor.dtype === 'QU8' ? new Uint8Array(bytes) : new Int8Array(bytes);
    const quantizer = tensor.quantizer!;
    let scaleOf = (_row: number): [number, number] => assert.fail();
    if (quantizer.scheme === 'per_tensor') scaleOf = () => [quantizer.scale, quantizer.zeroPoint];
    else {
      assert.equal(quantizer.axis, 0);
      const scales = new Float64Array(new Uint8Array(valuesOf(checkpoint, quantizer.scales)).buffer);
      const zeros = new BigInt64Array(new Uint8Array(valuesOf(checkpoint, quantizer.zeroPoints)).buffer);
      scaleOf = (row) => [scales[row], Number(zeros[row])];
    }
    const real = Float32Array.from(codes, (code, i) => { const [scale, zero] = scaleOf(Math.floor(i / tensor.shape[1])); return Math.fround((code - zero) * Math.fround(scale)); });
    assert.equal(sha256(Buffer.from(real.buffer)), expected.dequant_sha256, name);
  }
});

test('tensors that share a storage say so', async (t) => {
  if (!needsData(t, 'oracles/torch113')) return;
  for (const file of ['state_zip.pt', 'state_legacy.pth']) {
    const checkpoint = await openCheckpoint(dataPath(`oracles/torch113/${file}`));
    const a = tensorOf(checkpoint, 'shared.a').data!;
    const b = tensorOf(checkpoint, 'shared.b').data!;
    assert.ok(a.storage !== undefined);
    assert.deepEqual(a, b);
    assert.notEqual(tensorOf(checkpoint, 'dt.float32').data!.storage, a.storage);
  }
});

test('plain values beside the weights are kept, tensors and unknown objects are not', async (t) => {
  if (!needsData(t, 'oracles/torch113')) return;
  for (const file of ['checkpoint.pt', 'checkpoint_legacy.pt']) {
    const { extra, tensors } = await openCheckpoint(dataPath(`oracles/torch113/${file}`));
    assert.equal(extra!.epoch, 3);
    const args = extra!.args as Record<string, unknown>;
    assert.equal(args.name, 'x');
    assert.equal(args.lr, 0.001);
    assert.deepEqual(args.betas, [0.9, 0.999]);
    assert.equal(args.none, null);
    assert.equal(args.big, 2 ** 40);
    assert.equal(args.neg, -5);
    assert.ok(!('huge' in args), '2^80 is not rounded');
    assert.ok(!('model' in extra!));
    assert.ok(tensors.some((tensor) => tensor.name === 'optimizer.state.0.exp_avg'), 'names go through integer keys');
  }
});

test('a real legacy checkpoint keeps the container of its state dict in the names', async (t) => {
  if (!needsData(t, 'resnet20/resnet20-12fca82f.th')) return;
  const checkpoint = await openCheckpoint(dataPath('resnet20/resnet20-12fca82f.th'));
  assert.equal(checkpoint.format, 'pytorch-legacy');
  assert.deepEqual(tensorOf(checkpoint, 'state_dict.module.conv1.weight').shape, [16, 3, 3, 3]);
  assert.deepEqual(tensorOf(checkpoint, 'state_dict.module.linear.bias').shape, [10]);
  assert.deepEqual(checkpoint.problems, []);
  assert.ok(checkpoint.imports.length > 0 && checkpoint.imports.every((item) => item.kind === 'tensor'));
});

test('every cut of a torch file is refused with a place, never shown in part', async (t) => {
  if (!needsData(t, 'oracles/torch113')) return;
  for (const file of ['state_zip_p4.pt', 'state_legacy_p4.pth', 'bare_tensor.pt', 'list.pt']) {
    const bytes = readFileSync(dataPath(`oracles/torch113/${file}`));
    for (let length = 0; length < bytes.length; length++) {
      const result = await openBytes(bytes.subarray(0, length));
      if ('error' in result) {
        assert.equal(result.error.problem.grade, 'malformed');
        assert.ok(result.error.problem.fix.length > 0);
        continue;
      }
      // A legacy file cut inside its first pickles still is a pickle, of the magic number: no tensors, and it says so.
      assert.equal(result.checkpoint.tensors.length, 0, `${file} cut at ${length}`);
    }
  }
});

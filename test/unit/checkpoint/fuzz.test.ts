import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { CheckpointError } from '../../../kernels/checkpoint/checkpoint';
import { TensorReader } from '../../../kernels/checkpoint/tensor-reader';
import { storedValues } from '../../../kernels/stored/registry';
import { dataPath } from '../../support/data';
import { addressMutation, ggufMutation, jsonMutation, npyMutation, pickleMutation, protobufMutation, rawMutation, safetensorsMutation, zipMutation } from './mutants';
import { gguf } from './gguf-file';
import { build, call, dict, floats, global, list, ordered, pickle, rawBytes, storage, tensorV2, torchLegacy, torchZip, tuple, zip, made, type Py } from './pickles';
import { npy } from './numpy-files';
import { block, graph, initializer, int, intAttribute, model, node, tensor, varint } from './onnx-files';
import { tfliteModel } from './tflite-files';
import { MemorySource, openBytes, randomFrom, safetensors } from './support';

/**
 * 20,000 mutants a format, each of which opens or is refused with a CheckpointError: in a process of its own with a
 * small heap, so that a mutant which takes memory or never ends is seen as such. BITLENS_FUZZ_SEED replays a run.
 */
const MUTANTS = Number(process.env.BITLENS_FUZZ_MUTANTS ?? 20_000);
const SEED = Number(process.env.BITLENS_FUZZ_SEED ?? 20_240_601);
const CEILING = 192 * 2 ** 20;

interface Format { seeds: () => Buffer[]; mutate: (bytes: Buffer, random: (below: number) => number) => Buffer; path?: string }

function stateDict(): Py {
  const shared = storage('FloatStorage', '0', 12);
  return dict([
    ['epoch', 3], ['config', dict([['n_layer', 2], ['name', 'x']])],
    ['state_dict', ordered([
      ['module.a', tensorV2(shared, 0, [3, 4])], ['module.t', tensorV2(shared, 0, [4, 3], [1, 4])],
      ['module.p', call(global('torch._utils', '_rebuild_parameter'), tensorV2(storage('HalfStorage', '1', 4), 1, [3]), true, ordered([]))],
      ['module.v3', call(global('torch._utils', '_rebuild_tensor_v3'), storage('UntypedStorage', '2', 8, 'torch.storage'), 0, tuple(4), tuple(1), false, ordered([]), global('torch', 'bfloat16'))],
      ['list', list(tensorV2(shared, 2, [2]), tuple('x', null, true))],
    ])],
    ['module', build(made(global('torch.nn.modules.linear', 'Linear')), dict([['_parameters', ordered([['weight', tensorV2(shared, 0, [12])]])], ['_buffers', ordered([])], ['_modules', ordered([])]]))],
  ]);
}

function numpyPickle(): Buffer {
  const array = build(call(global('numpy.core.multiarray', '_reconstruct'), global('numpy', 'ndarray'), tuple(0), rawBytes(Buffer.from('b'))),
    tuple(1, tuple(2, 2), build(call(global('numpy', 'dtype'), 'f4', 0, 1), tuple(3, '<', null)), false, rawBytes(floats(1, 2, 3, 4))));
  return pickle(dict([['w', array], ['n', 5]]), 3);
}

const fromData = (...names: string[]): Buffer[] => names.map((name) => dataPath(`oracles/${name}`)).filter((name) => existsSync(name)).map((name) => readFileSync(name));
const storages = { 0: Buffer.alloc(48, 1), 1: Buffer.alloc(8, 2), 2: Buffer.alloc(8, 3) };

const FORMATS: Record<string, Format> = {
  safetensors: {
    seeds: () => [
      safetensors({ __metadata__: { format: 'pt' }, 'a.weight': { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] }, b: { dtype: 'BF16', shape: [2], data_offsets: [24, 28] }, e: { dtype: 'I8', shape: [0], data_offsets: [28, 28] } }, Buffer.alloc(28, 3)),
      safetensors({ x: { dtype: 'F4', shape: [4], data_offsets: [0, 2] }, 2: { dtype: 'I64', shape: [], data_offsets: [2, 10] }, 1: { dtype: 'BOOL', shape: [1, 1, 1], data_offsets: [10, 11] } }, Buffer.alloc(11)),
    ],
    mutate: safetensorsMutation,
  },
  'torch-zip': {
    seeds: () => [torchZip(stateDict(), storages, [{ name: 'byteorder', bytes: Buffer.from('little') }, { name: 'constants.pkl', bytes: pickle(tuple(tensorV2(storage('ByteStorage', '0', 3), 0, [3]))) }, { name: 'constants/0', bytes: Buffer.alloc(3) }]),
      zip([{ name: 'm/data.pkl', bytes: pickle(stateDict()) }, { name: 'm/data/0', bytes: storages[0] }, { name: 'm/data/1', bytes: storages[1] }, { name: 'm/data/2', bytes: storages[2] }], { zip64: true }),
      ...fromData('torch113/bare_tensor.pt', 'torch113/quantized.pt', 'torch113/sparse.pt', 'hostile-pickles/malicious1_0x20.zip')],
    mutate: zipMutation,
  },
  'torch-legacy': {
    seeds: () => [torchLegacy(stateDict(), [['0', 12, storages[0]], ['1', 4, storages[1]], ['2', 8, storages[2]]]), ...fromData('torch113/state_legacy_p4.pth')],
    mutate: (bytes, random) => pickleMutation(bytes, random, random(4) === 0 ? 0 : Math.min(60, bytes.length)),
  },
  pickle: {
    seeds: () => [pickle(stateDict()), numpyPickle(), Buffer.concat([pickle(list(1, 2n ** 80n, 'x')), pickle(call(global('os', 'system'), 'ls'))]),
      Buffer.from('(lp0\nVa\\u0041\np1\naI01\naL5L\naF1.5\na(S\'x\'\nios\nsystem\n(cos\nsystem\noa.'),
      ...fromData('hostile-pickles/malicious0.pkl', 'hostile-pickles/malicious15b.pkl', 'hostile-pickles/malicious-invalid-bytes.pkl')],
    mutate: (bytes, random) => pickleMutation(bytes, random),
  },
  gguf: {
    seeds: () => {
      const parts = {
        pairs: [['general.architecture', 'string', 'llama'], ['general.alignment', 'uint32', 32], ['words', 'string[]', ['a', 'bc', '']], ['n', 'float32[]', [1, 2, 3]], ['yes', 'bool', true], ['big', 'uint64', 7]],
        tensors: [{ name: 'token_embd.weight', dims: [3, 2], type: 0, data: Buffer.alloc(24, 1) }, { name: 'q', dims: [64, 2], type: 2, data: Buffer.alloc(72, 0x21) },
          { name: 'k', dims: [256], type: 12, data: Buffer.alloc(144, 0x21) }, { name: 'i', dims: [], type: 24, data: Buffer.from([1]) }],
      } as const;
      return [gguf(parts), gguf({ ...parts, version: 2 }), gguf({ ...parts, bigEndian: true }), ...fromData('ggml-verdicts/base.gguf')];
    },
    mutate: ggufMutation,
  },
  npy: {
    seeds: () => [
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }\n", floats(1, 2, 3, 4, 5, 6)), npy("{'descr': [('a', '>f4'), ('b', '<i2', (2,))], 'fortran_order': False, 'shape': (1,), }\n", Buffer.alloc(8), 3),
      npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", numpyPickle(), 2), ...fromData('numpy/dt_be_i8.npy', 'numpy/object_PICKLE.npy', 'numpy/unicode_U3.npy'),
    ],
    mutate: npyMutation,
  },
  npz: {
    seeds: () => [
      zip([{ name: 'a.npy', bytes: npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", floats(1, 2)) }, { name: 'o.npy', bytes: npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", numpyPickle()) }]),
      ...fromData('numpy/plain.npz', 'numpy/deflated.npz'),
    ],
    mutate: (bytes, random) => (random(3) === 0 ? npyMutation(bytes, random) : zipMutation(bytes, random)),
  },
  onnx: {
    seeds: () => [
      model(graph(initializer('w', 1, [2], floats(1, 2)), initializer('q', 22, [2, 4], Buffer.alloc(4, 0x7b)), initializer('s', 10, [2], Buffer.alloc(4, 0x3c)), initializer('z', 6, [3], null, block(5, varint(1), varint(-2), varint(300))),
        node('DequantizeLinear', ['q', 's'], ['d'], intAttribute('axis', 0)), node('MatMul', ['x', 'd'], ['y']),
        block(15, block(1, tensor('sp', 1, [1], floats(5))), block(2, tensor('', 7, [1], Buffer.alloc(8))), int(3, 4)),
        node('If', ['w'], ['v'], block(5, block(1, 'then_branch'), block(6, node('Constant', [], ['k'], block(5, block(1, 'value'), block(5, tensor('', 11, [1], Buffer.alloc(8)))))))))),
      ...fromData('onnx-external/inline.onnx', 'onnxruntime/mmnb_b4_bs16_asym_odd_blocks.onnx', 'onnxruntime/bnb_nf4_bs32.onnx'),
    ],
    mutate: protobufMutation,
  },
  hdf5: {
    seeds: () => [...fromData('hdf5/libver_earliest.h5', 'hdf5/libver_latest.h5')],
    mutate: addressMutation,
  },
  tflite: {
    seeds: () => [tfliteModel([
      { name: 'w', type: 9, shape: [2, 3], data: Buffer.alloc(6, 0x7b), scales: [0.5, 2], zeros: [0, 1], axis: 0 }, { name: 'b', type: 0, shape: [2], data: floats(1, 2) }, { name: 'x', type: 0, shape: [1, 3], data: null },
      { name: 'q', type: 17, shape: [3], data: Buffer.from([0x21, 0x0f]), scales: [1], zeros: [0], axis: 0 }, { name: 'd', type: 9, shape: [1, 1, 1, 2], data: Buffer.alloc(2, 9), scales: [1, 2], zeros: [], axis: 3 },
    ], [{ code: 4, inputs: [2, 4] }])],
    mutate: addressMutation,
  },
  'index.json': {
    seeds: () => [Buffer.from(JSON.stringify({ metadata: { total_size: 28 }, weight_map: { a: 's-00001-of-00002.safetensors', b: 's-00002-of-00002.safetensors', c: 's-00002-of-00002.safetensors' } }, null, 1))],
    mutate: (bytes, random) => { let text = bytes.toString(); for (let i = 0; i <= random(3); i++) text = jsonMutation(text, random); return Buffer.from(text); },
    path: 'model.safetensors.index.json',
  },
};

async function fuzz(name: string): Promise<void> {
  const format = FORMATS[name];
  const folder = mkdtempSync(path.join(tmpdir(), 'bitlens-fuzz-'));
  writeFileSync(path.join(folder, 's-00001-of-00002.safetensors'), safetensors({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, Buffer.alloc(8)));
  writeFileSync(path.join(folder, 's-00002-of-00002.safetensors'), safetensors({ b: { dtype: 'F32', shape: [4], data_offsets: [0, 16] }, c: { dtype: 'I8', shape: [4], data_offsets: [16, 20] } }, Buffer.alloc(20)));
  const seeds = format.seeds();
  // A seed that does not open would make the whole run meaningless.
  const target = path.join(folder, format.path ?? 'file');
  for (const seed of seeds) assert.ok('checkpoint' in await openBytes(new MemorySource(seed, target)), 'a seed is refused');
  const baseline = process.memoryUsage.rss();
  let peak = baseline;
  const counts = { opened: 0, refused: 0 };
  for (let i = 0; i < MUTANTS; i++) {
    const random = randomFrom(SEED + i);
    const seed = seeds[i % seeds.length];
    const bytes = i % 2 === 0 ? rawMutation(seed, random, seeds[random(seeds.length)]) : format.mutate(seed, random);
    const source = new MemorySource(bytes, target);
    let result;
    try {
      result = await openBytes(source);
    } catch (error) {
      throw new Error(`mutant ${i} of ${name}, seed ${SEED}: ${(error as Error).stack}\n${bytes.toString('base64').slice(0, 4000)}`, { cause: error });
    }
    // Work is bounded by the file: no mutant makes a reader go over the bytes many times.
    assert.ok(source.bytesRead <= 16 * bytes.length + 65_536 && source.reads <= 1000, `mutant ${i} of ${name}: ${source.reads} reads, ${source.bytesRead} bytes of ${bytes.length}`);
    if ('error' in result) { counts.refused++; assert.ok(result.error.problem.message.length < 2000 && result.error.problem.fix.length > 0); continue; }
    counts.opened++;
    const { checkpoint } = result;
    assert.equal(new Set(checkpoint.tensors.map((tensor) => tensor.name)).size, checkpoint.tensors.length, `mutant ${i}: names are not unique`);
    for (const tensor of checkpoint.tensors) {
      if (!tensor.data || tensor.data.strides || checkpoint.files[tensor.data.file].path !== target || tensor.encoding?.parts) continue;
      const within = tensor.data.packed?.size ?? bytes.length;
      assert.ok(tensor.data.offset >= 0 && tensor.data.offset + tensor.bytes <= within, `mutant ${i} of ${name}: ${tensor.name} lies outside the file`);
    }
    if (i % 50 === 0) {
      peak = Math.max(peak, process.memoryUsage.rss());
      assert.ok(peak - baseline < CEILING, `mutant ${i} of ${name}: ${Math.round((peak - baseline) / 2 ** 20)} MiB over the baseline`);
    }
    // What was opened can be read: from a file, now and then, because it costs a write.
    if (i % 100 === 1 && format.path === undefined) {
      writeFileSync(target, bytes);
      const { openCheckpoint } = await import('../../../kernels/checkpoint/open');
      const onDisk = await openCheckpoint(target);
      const reader = TensorReader.open(onDisk);
      for (const tensor of [...onDisk.tensors, ...(onDisk.derived ?? [])]) {
        const elements = tensor.shape.reduce((a, b) => a * b, 1);
        if (!tensor.data || tensor.bytes >= 2 ** 20 || elements >= 2 ** 20) continue;
        try {
          if (tensor.encoding) storedValues(tensor, reader).read(0, elements, new Float32Array(elements));
          else reader.readInto(tensor, 0, elements, new Uint8Array(tensor.bytes));
        } catch (error) {
          // Compressed values may turn out damaged only now.
          if (!(error instanceof CheckpointError && (tensor.data.packed || tensor.encoding))) throw error;
        }
      }
      reader.close();
    }
  }
  rmSync(folder, { recursive: true, force: true });
  process.stdout.write(JSON.stringify({ ...counts, peak: Math.round((peak - baseline) / 2 ** 20) }));
}

const child = process.env.BITLENS_FUZZ_CHILD;
if (child) {
  fuzz(child).catch((error: unknown) => {
    process.stderr.write(`${error instanceof CheckpointError ? 'CheckpointError ' : ''}${(error as Error).stack}\n`);
    process.exitCode = 1;
  });
} else {
  for (const name of Object.keys(FORMATS)) {
    // Some formats have only seeds that are not here.
    if (FORMATS[name].seeds().length === 0) {
      test(`mutants of ${name}`, (t) => { t.skip(`needs the oracles of ${name} (set BITLENS_DATA to the folder of real inputs)`); });
      continue;
    }
    test(`${MUTANTS} mutants of ${name}: each opens or is refused, in a heap of 256 MB (seed ${SEED})`, async (t) => {
      const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
      const result = await new Promise<{ code: number | null; out: string; error: string }>((resolve) => {
        const running = spawn(process.execPath, ['--enable-source-maps', '--max-old-space-size=256', __filename], { env: { ...env, BITLENS_FUZZ_CHILD: name } });
        let out = '';
        let error = '';
        running.stdout.on('data', (data: Buffer) => { out += data.toString(); });
        running.stderr.on('data', (data: Buffer) => { error += data.toString(); });
        running.on('close', (code) => { resolve({ code, out, error }); });
      });
      assert.equal(result.code, 0, result.error.slice(0, 6000));
      const counts = JSON.parse(result.out) as { opened: number; refused: number; peak: number };
      t.diagnostic(`${counts.opened} opened, ${counts.refused} refused, ${counts.peak} MiB over the baseline at most`);
      assert.equal(counts.opened + counts.refused, MUTANTS);
      // Mutations that never break anything, or break everything, test nothing.
      assert.ok(counts.opened > MUTANTS / 50 && counts.refused > MUTANTS / 50, JSON.stringify(counts));
    });
  }
}

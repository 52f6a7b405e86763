/** Kinds of data beside arrays: folders of images, texts and streams of tokens. Goldens are of PIL, torchvision and the Python package tokenizers. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { decodeImage, fitted } from '../../../kernels/data/decode-image';
import { openDataset } from '../../../kernels/data/open';
import { sampleShapeOf } from '../../../kernels/data/shape';
import { repositoryRoot } from '../../support/data';
import { temporaryFolder } from '../../support/temporary-safetensors';

const fixture = (name: string): string => path.join(repositoryRoot, 'test/fixtures/data', name);
const golden = JSON.parse(readFileSync(fixture('pictures.json'), 'utf8')) as { fitted: Record<string, string>; jpeg: string };
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

test('images are resized and cut as torchvision does on PIL images, to one grey level', () => {
  const image = decodeImage(fixture('picture.png'));
  for (const [key, text] of Object.entries(golden.fitted)) {
    const [resize, rows, cols] = key.split(' ').map(Number) as [number, number, number];
    const expected = bytes(text);
    const found = fitted(image, [rows, cols], resize);
    assert.equal(found.length, expected.length);
    let [worst, different] = [0, 0];
    expected.forEach((value, i) => { const off = Math.abs(value - found[i]!); worst = Math.max(worst, off); if (off > 0) different += 1; });
    assert.ok(worst <= 1 && different <= expected.length / 50, `${key}: off by up to ${worst}, ${different} of ${expected.length}`);
  }
});

test('a JPEG decodes to what libjpeg gives, to a few grey levels', () => {
  const { data, width, height } = decodeImage(fixture('picture.jpg'));
  const expected = bytes(golden.jpeg);
  assert.deepEqual([width, height], [31, 23]);
  for (let i = 0; i < width * height; i += 1) for (let c = 0; c < 3; c += 1) assert.ok(Math.abs(data[i * 4 + c]! - expected[i * 3 + c]!) <= 4);
});

test('folders are classes, the first samples are one of each, and values come as ToTensor gives them', async (t) => {
  const folder = temporaryFolder(t);
  for (const [name, count] of [['cat', 3], ['ant', 2], ['bee', 1]] as const) {
    mkdirSync(path.join(folder, name));
    for (let i = 0; i < count; i += 1) copyFileSync(fixture('picture.png'), path.join(folder, name, `${i}.png`));
  }
  const data = await openDataset({ inputs: folder });
  assert.deepEqual([data.count, data.sample], [6, { shape: [3, 23, 31], whole: false }]);
  assert.deepEqual([...data.labels([0, 1, 2, 3, 4, 5]).data as BigInt64Array].map(Number), [0, 1, 2, 0, 2, 2], 'ant is 0, bee 1, cat 2');
  const image = decodeImage(fixture('picture.png'));
  const values = data.inputs([0]).data as Float32Array;
  assert.equal(values[1], Math.fround(image.data[4]! / 255));
  assert.deepEqual((await sampleShapeOf({ inputs: folder, preprocess: { crop: [8, 8], resize: 10 } })).shape, [3, 8, 8]);
});

test('images that differ in size, or are none, are refused by name', async (t) => {
  const folder = temporaryFolder(t);
  copyFileSync(fixture('picture.png'), path.join(folder, 'a.png'));
  writeFileSync(path.join(folder, 'b.png'), 'not an image');
  const data = await openDataset({ inputs: folder });
  assert.throws(() => data.inputs([1]), /b\.png is neither a PNG nor a JPEG image/);
  await assert.rejects(openDataset({ inputs: temporaryFolder(t) }), /holds no PNG or JPEG image/);
});

test('a text becomes the ids that the tokenizer gives in Python, in samples of one length', async (t) => {
  const { text, ids } = JSON.parse(readFileSync(fixture('tokens.json'), 'utf8')) as { text: string; ids: number[] };
  const folder = temporaryFolder(t);
  const [file, lines] = [path.join(folder, 'a.txt'), path.join(folder, 'a.jsonl')];
  writeFileSync(file, text);
  writeFileSync(lines, `${JSON.stringify({ text })}\n${JSON.stringify('more')}\n`);
  for (const inputs of [file, lines]) {
    const data = await openDataset({ inputs, tokenizer: fixture('tokenizer.json'), sequence: 8 });
    const count = Math.floor(ids.length / 8);
    assert.ok(data.count >= count && data.sample.whole);
    assert.deepEqual([...data.inputs([...Array(count).keys()]).data as BigInt64Array].map(Number), ids.slice(0, 8 * count));
  }
  await assert.rejects(openDataset({ inputs: file }), /needs a tokenizer: name the model's tokenizer\.json/);
  await assert.rejects(openDataset({ inputs: file, tokenizer: file }), /cannot be used as a tokenizer/);
  await assert.rejects(openDataset({ inputs: file, tokenizer: fixture('tokenizer.json'), sequence: 4096 }), /fewer than one sample of 4096/);
});

test('a stream of 16-bit ids is cut into samples; what is left over is dropped', async (t) => {
  const file = path.join(temporaryFolder(t), 'train.bin');
  writeFileSync(file, new Uint8Array(Uint16Array.from([1, 2, 3, 4, 5, 6, 7]).buffer));
  const data = await openDataset({ inputs: file, sequence: 3 });
  assert.deepEqual([data.count, data.sample.shape], [2, [3]]);
  assert.deepEqual([...data.inputs([1, 0]).data as BigInt64Array].map(Number), [4, 5, 6, 1, 2, 3]);
  await assert.rejects(openDataset({ inputs: file, sequence: 8 }), /in samples of 8 it needs an even number and at least 16/);
});

test('an image that is kept is the image that was decoded', async (t) => {
  const folder = temporaryFolder(t);
  copyFileSync(fixture('picture.jpg'), path.join(folder, 'a.jpg'));
  const data = await openDataset({ inputs: folder, preprocess: { crop: [8, 8], resize: 10 } });
  const first = data.inputs([0]).data;
  rmSync(path.join(folder, 'a.jpg'));
  assert.deepEqual(data.inputs([0]).data, first);
});

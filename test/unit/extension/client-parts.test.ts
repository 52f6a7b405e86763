/** The parts of the client that know nothing of VS Code. */
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { isCancellation, isConnectionLost, messageOf, ServerDown } from '../../../extension/errors';
import { reportCsv } from '../../../server/report-csv';
import { isCheckpointMessage, isReportMessage } from '../../../extension/report/messages';
import { RestartPolicy } from '../../../extension/restart-policy';
import { ProgressText, timeLeft } from '../../../extension/ui/progress-text';
import { formatBits, formatBytes, formatSqnr, markdownCell, oneLine, parseSize, withoutIcons } from '../../../extension/ui/text';
import { findingsIn, layerTree, worstOf, type LayerNode } from '../../../extension/views/layer-nodes';
import type { LayerRow, ModelSummary, ReportData } from '../../../server/protocol';

test('restarts: five with growing pauses, then none, and again after three quiet minutes', () => {
  const policy = new RestartPolicy();
  const pauses = Array.from({ length: 6 }, (_, index) => policy.next(1000 * index));
  assert.equal(pauses[5], null);
  const given = pauses.slice(0, 5) as number[];
  assert.deepEqual(given, [...given].sort((left, right) => left - right));
  assert.equal(new Set(given).size, 5);
  assert.equal(policy.next(5000 + 3 * 60_000), pauses[0]);
});

test('restarts: one that the user asked for starts counting anew', () => {
  const policy = new RestartPolicy();
  for (let index = 0; index < 6; index++) policy.next(index);
  policy.reset();
  assert.notEqual(policy.next(7), null);
});

test('progress never goes back and its increments add up', () => {
  fc.assert(fc.property(fc.array(fc.option(fc.integer({ min: -10, max: 130 }), { nil: undefined }), { maxLength: 30 }), (percentages) => {
    const text = new ProgressText();
    let total = 0;
    percentages.forEach((percentage, index) => {
      const { increment = 0 } = text.next(index * 1000, percentage, 'working');
      assert.ok(increment >= 0);
      total += increment;
    });
    assert.equal(total, Math.min(100, Math.max(0, ...percentages.map((percentage) => percentage ?? 0))));
  }));
});

test('progress estimates the time left from what is done, unless the server says it', () => {
  const text = new ProgressText();
  assert.equal(text.next(0, 0, 'reading').message, '0 % · reading');
  assert.equal(text.next(10_000, 25, 'reading').message, '25 % · reading · about 30 s left');
  assert.equal(text.next(20_000, 50, 'reading, 12 s left').message, '50 % · reading, 12 s left');
  assert.equal(timeLeft(0.2), 'less than a second left');
  assert.equal(timeLeft(600), 'about 10 min left');
});

test('sizes: what is shown can be typed, within the digits shown', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 50 }), (bytes) => {
    const back = parseSize(formatBytes(bytes))!;
    assert.ok(Math.abs(back - bytes) / bytes <= 0.006, `${bytes} -> ${formatBytes(bytes)} -> ${back}`);
  }));
  assert.equal(parseSize('1.5 MB'), 1_500_000);
  assert.equal(parseSize('2 GiB'), 2 * 2 ** 30);
  assert.equal(parseSize('1,5k'), 1500);
  for (const text of ['', 'x', '-1 MB', '0', '1 XB', '1 2', 'MB']) assert.equal(parseSize(text), null, text);
});

test('numbers for people', () => {
  assert.equal(formatBits(4.125), '4.125');
  assert.equal(formatBits(8), '8');
  assert.equal(formatBytes(999), '999 B');
  assert.equal(formatBytes(999_999), '1.00 MB');
  assert.equal(formatSqnr({ sqnrDb: 19.996, mse: 1 }), '20.00 dB');
  assert.equal(formatSqnr({ sqnrDb: null, mse: 0 }), 'exact');
});

test('names from files cannot draw outside their place', () => {
  assert.equal(oneLine('a\nb\u202egnp'), 'a\ufffdb\ufffdgnp');
  assert.equal(oneLine('x'.repeat(500), 10).length, 10);
  assert.ok(!withoutIcons('$(zap) $(error)').includes('$('));
  fc.assert(fc.property(fc.string(), (name) => {
    const cell = markdownCell(name);
    assert.doesNotMatch(cell.replace(/\\./g, ''), /[|`*_<>[\]\\\n$]/);
  }));
});

test('errors: the wrapping goes, cancelling is silent, a lost server is recognised', () => {
  assert.equal(messageOf(new Error('Request bitlens/model failed with message: no such file')), 'no such file');
  assert.equal(messageOf('text'), 'text');
  assert.ok(isCancellation(Object.assign(new Error('x'), { code: -32800 })));
  assert.ok(!isCancellation(new Error('cancelled by nobody')));
  assert.ok(isConnectionLost(new ServerDown('down')) && !isConnectionLost(new Error('bad input')));
});

test('messages from the pages are checked', () => {
  for (const good of [{ type: 'ready' }, { type: 'open', path: 'a' }, { type: 'detail', path: '' }, { type: 'export', kind: 'csv' }]) assert.ok(isReportMessage(good));
  for (const bad of [null, 1, 'ready', {}, { type: 'open' }, { type: 'quantize', path: 3 }, { type: 'export', kind: 'exe' }, { type: 'eval', code: 'x' }]) assert.ok(!isReportMessage(bad));
  assert.ok(isCheckpointMessage({ type: 'tensor', name: 'x' }) && !isCheckpointMessage({ type: 'tensor' }) && !isCheckpointMessage(undefined));
});

const row = (path: string, extra: Partial<LayerRow> = {}): LayerRow => ({
  path, className: 'Linear', uri: 'file:///m.py', range: { start: { line: 0, character: 0 }, end: { line: 0, character: 1 } }, linked: true,
  weight: { tensor: `${path}.weight`, dtype: 'F32', shape: [2, 2] }, parameters: 4, bytes: 16, format: null, formatSource: null, bitsPerWeight: null, bytesAfter: 2, sqnrDb: null, tiedTo: null, findings: [], ...extra,
});
const model = (layers: LayerRow[]): ModelSummary => ({
  target: { uri: 'file:///m.py' }, root: 'Net', rootReason: '', rootCandidates: [], checkpoint: null, checkpointMessage: null, recipe: null, data: { task: null, calibration: null, evaluation: null, metric: 'kl' }, measurements: 'ready', evidence: '',
  layers, unlinkedTensors: [], missingTensors: [], parameters: 0, bytes: 0, bytesAfter: null, averageBits: null,
});

test('layers become a tree by path, and branches add up', () => {
  const [blocks, head] = layerTree(model([
    row('blocks.0.up', { findings: [{ code: 'BL101', severity: 'warning', message: '' }] }), row('blocks.1.up'), row('head', { bytesAfter: null }),
  ]));
  assert.equal(blocks!.row, null);
  assert.deepEqual(blocks!.children.map(({ label }) => label), ['0', '1']);
  assert.equal(blocks!.children[0]!.children[0]!.path, 'blocks.0.up');
  assert.deepEqual([blocks!.branch.layers, blocks!.branch.bytes, blocks!.branch.bytesAfter], [2, 32, 4]);
  assert.equal(worstOf(blocks!.branch), 'warning');
  assert.equal(findingsIn(blocks!.branch), 1);
  assert.equal(head!.branch.bytesAfter, null);
  assert.equal(worstOf(head!.branch), undefined);
});

test('any set of paths gives a tree that holds each once, below its parent', () => {
  const segment = fc.constantFrom('0', '1', 'conv', 'constructor', '__proto__', 'toString', '');
  fc.assert(fc.property(fc.array(fc.array(segment, { maxLength: 5 }), { maxLength: 30 }), (names) => {
    const paths = names.map((name) => name.join('.'));
    const seen: string[] = [];
    const walk = (nodes: readonly LayerNode[], parent: LayerNode | undefined): void => {
      for (const node of nodes) {
        assert.equal(node.parent, parent);
        if (parent) assert.ok(node.path.startsWith(`${parent.path}.`));
        seen.push(node.path);
        walk(node.children, node);
      }
    };
    walk(layerTree(model(paths.map((path) => row(path)))), undefined);
    assert.equal(new Set(seen).size, seen.length);
    for (const path of paths) assert.ok(seen.includes(path), path);
  }));
});

test('CSV quotes, and a name that a spreadsheet would run is text', () => {
  const statistics = { count: 4, nan: 0, inf: 0, zeros: 0, min: -1, max: 1, absmax: 1, mean: -0.5, std: 1, rms: 1, kurtosis: null, outlierShare: 0, absmaxOverRms: 1, channelRangeSpread: 1, deadChannels: [], deadChannelCount: 0, constantChannelCount: 0, zd: 0, fp16Overflow: 0, fp16Underflow: 0 };
  const layer = (path: string): ReportData['layers'][number] => ({ path, className: 'Linear', file: 'm.py', line: 1, tensor: 't', dtype: 'F32', shape: [2, 2], weights: 4, bytes: 16, statistics, errors: [null], format: null, tiedTo: null, findings: [] });
  const report: ReportData = {
    version: 1, title: '', generatedAt: '', target: { source: '', root: '', rootReason: '', checkpoint: '', identity: '' }, evidence: '', thresholdDb: 18, formats: [{ id: 'int4', title: '', codeBits: 4 }],
    layers: [layer('=HYPERLINK("http://x")'), layer('a,"b"\nc')], metric: { id: '', title: '', unit: '' }, curve: { points: [], chosen: null, uniform: [] },
    totals: { layers: 2, weights: 8, bytes: 32, bytesAfter: null, averageBits: null }, unlinkedTensors: [], notes: [],
  };
  const csv = reportCsv(report);
  assert.ok(csv.includes('\r\n"\'=HYPERLINK(""http://x"")",Linear'));
  assert.ok(csv.includes('"a,""b""\nc",Linear'));
  assert.ok(csv.includes(',-0.5,'), 'negative numbers stay numbers');
  assert.ok(csv.endsWith(',,,,\r\n'), 'formats that were not measured are empty');
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { tmpdir } from 'node:os';
import test from 'node:test';
import type { ReportData } from '../../../server/protocol';
import { reportCsv } from '../../../server/report-csv';
import { reportDocument, scriptJson } from '../../../server/report/html';
import { bench } from '../analysis/fakes';
import { checkpoint, linear, node, parameter, tree } from '../linking/build';

const HOSTILE = 'a</script><script>alert(1)</script><!-- \u2028 "quoted", =1+1';

async function reportOf(name: string): Promise<ReportData> {
  const layer = node('x', 'Linear', 'torch', [parameter('weight', [4, 8])]);
  const { service } = bench({ Net: { tree: tree({ ...layer, path: name }, linear('fc', 8, 4)) } },
    checkpoint({ [`${name}.weight`]: [4, 8], 'fc.weight': [4, 8], 'fc.bias': [4], 'optimizer.state.0.exp_avg': [1], stray: [2] }));
  return service.report(await service.analyse(path.join(tmpdir(), 'model.py'), { checkpoint: 'w' }), { details: true });
}

test('the document holds its data unharmed, whatever the names are, and nothing of it can run', async () => {
  const report = await reportOf(HOSTILE);
  const html = reportDocument({ ...report, title: '<img src=x onerror=alert(1)>' }, 'console.log("</script>")', 'p::after { content: "</style>" }');
  const data = /<script id="bitlens-data" type="application\/json">([\s\S]*?)<\/script>/.exec(html)![1]!;
  const parsed = JSON.parse(data) as ReportData;
  assert.deepEqual({ ...parsed, title: report.title }, JSON.parse(JSON.stringify(report)));
  assert.ok(parsed.layers.some((layer) => layer.path === HOSTILE));
  assert.equal(html.match(/<script/g)!.length, 2, 'the data element and the page\'s code, and no other');
  assert.equal(html.match(/<\/script>/g)!.length, 2);
  assert.equal(html.match(/<\/style>/g)!.length, 1);
  assert.ok(!html.includes('<img'));
});

test('the content policy names exactly the script and the style that are in the file, and lets nothing be fetched', async () => {
  const html = reportDocument(await reportOf('fc9'), 'const a = "</script>";', 'p { color: red }');
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)![1]!;
  const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const script = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map((match) => match[1]!);
  assert.equal(script.length, 1);
  assert.ok(policy.includes(`script-src ${hash(script[0]!)}`));
  assert.ok(policy.includes(`style-src ${hash(/<style>([\s\S]*?)<\/style>/.exec(html)![1]!)}`));
  assert.match(policy, /^default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.doesNotMatch(html, /(?:src|href)=/);
});

test('script JSON survives a round trip', () => {
  for (const value of ['</script>', '<!--', '\u2028\u2029&<>', { ['__proto__']: 1 }]) assert.deepEqual(JSON.parse(scriptJson(value)), JSON.parse(JSON.stringify(value)));
  assert.doesNotMatch(scriptJson('</script><!--\u2028'), /[<>&\u2028]/);
});

test('the report says what is outside the model and where numbers come from', async () => {
  const report = await reportOf('fc9');
  assert.match(report.evidence, /no calibration data/);
  assert.deepEqual(report.unlinkedTensors, ['stray']);
  assert.ok(report.notes.some((note) => note.includes('"optimizer."')), report.notes.join('\n'));
  assert.ok(report.totals.bytesAfter! < report.totals.bytes);
  assert.equal(report.totals.weights, 64);
  assert.ok(report.layers.every((layer) => layer.errors.length === report.formats.length && !path.isAbsolute(layer.file)));
});

test('CSV: quotes by RFC 4180, formulas made inert, as many cells in every row', async () => {
  const csv = reportCsv(await reportOf('=HYPERLINK("x"),\n'));
  assert.ok(csv.includes('"\'=HYPERLINK(""x""),\n"'));
  const rows: string[][] = [[]];
  let cell = '';
  let quoted = false;
  for (let at = 0; at < csv.length; at += 1) {
    const char = csv[at]!;
    if (quoted) {
      if (char === '"' && csv[at + 1] === '"') { cell += '"'; at += 1; } else if (char === '"') quoted = false;
      else cell += char;
    } else if (char === '"') quoted = true;
    else if (char === ',' || char === '\r') { rows.at(-1)!.push(cell); cell = ''; if (char === '\r') { rows.push([]); at += 1; } }
    else cell += char;
  }
  assert.deepEqual(rows.pop(), []);
  assert.equal(rows.length, 3);
  assert.ok(rows.every((row) => row.length === rows[0]!.length));
});

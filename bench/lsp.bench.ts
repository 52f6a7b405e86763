/** Keystrokes in a 3,000-line model file: from the change to new diagnostics, in the server, header of the checkpoint included. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { createConnection, ProposedFeatures, StreamMessageReader, StreamMessageWriter } from 'vscode-languageserver/node';
import { createMessageConnection } from 'vscode-jsonrpc/node';
import { serve } from '../server/lsp/connection';
import { initParser, PythonWorkspace } from '../server/python';
import { safetensors } from '../test/lsp/safetensors';

const KEYS = 200;
const WARM = 20;
/** A file of this many classes of about 60 lines each, as in published model files, the last of which is a model of all the others. */
const CLASSES = 50;

function model(): { text: string; tensors: { name: string; shape: number[] }[]; typeAt: number } {
  const lines = ['import torch', 'import torch.nn as nn', 'import torch.nn.functional as F', '', ''];
  const tensors: { name: string; shape: number[] }[] = [];
  let typeAt = 0;
  for (let index = 0; index < CLASSES; index++) {
    lines.push(`class Block${index}(nn.Module):`, `    """Block ${index} of the file."""`, '', '    def __init__(self, dim=64, ratio=2):', '        super().__init__()',
      '        hidden = dim * ratio', '        self.norm = nn.LayerNorm(dim)', '        self.up = nn.Linear(dim, hidden)', '        self.down = nn.Linear(hidden, dim)',
      '        self.gate = nn.Parameter(torch.ones(dim))', '', '    def forward(self, x, mask=None, cache=None):', '        residual = x', '        x = self.norm(x)', '        x = F.gelu(self.up(x))');
    for (let step = 0; step < 7; step++) {
      lines.push('        if mask is not None:', `            # Step ${step}: what is masked takes no part.`, '            weight = torch.softmax(mask.float(), dim=-1)',
        '            x = x * weight.unsqueeze(-1).to(x.dtype)', '        elif cache is not None:', `            x = torch.cat([cache[${step}], x], dim=1)`);
    }
    if (index === Math.floor(CLASSES / 2)) typeAt = lines.length;
    lines.push('        x = self.down(x) * self.gate', '        return residual + x', '', '', `# ${'-'.repeat(70)}`);
    for (const [name, shape] of [['norm.weight', [64]], ['norm.bias', [64]], ['up.weight', [128, 64]], ['up.bias', [128]], ['down.weight', [64, 128]], ['down.bias', [64]], ['gate', [64]]] as const) {
      tensors.push({ name: `block${index}.${name}`, shape: [...shape] });
    }
  }
  lines.push('', 'class Net(nn.Module):', '    def __init__(self):', '        super().__init__()');
  for (let index = 0; index < CLASSES; index++) lines.push(`        self.block${index} = Block${index}()`);
  return { text: `${lines.join('\n')}\n`, tensors, typeAt };
}

const quantile = (sorted: readonly number[], share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;

async function main(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bitlens-bench-'));
  const { text, tensors, typeAt } = model();
  writeFileSync(path.join(folder, 'model.py'), text);
  writeFileSync(path.join(folder, 'weights.safetensors'), safetensors(tensors));
  await initParser();
  const [toServer, toClient] = [new PassThrough(), new PassThrough()];
  const connection = createConnection(ProposedFeatures.all, new StreamMessageReader(toServer), new StreamMessageWriter(toClient));
  const server = serve(connection, {
    version: 'bench',
    python: (roots) => Promise.resolve(new PythonWorkspace({ roots, readFile: () => null })),
    // No kernel: what is timed must not depend on it.
    kernel: () => ({ run: () => new Promise(() => undefined), restart: () => undefined, dispose: () => undefined }),
  });
  const client = createMessageConnection(new StreamMessageReader(toClient), new StreamMessageWriter(toServer));
  client.onRequest(() => null);
  client.listen();
  await client.sendRequest('initialize', { processId: null, rootUri: null, capabilities: { textDocument: { diagnostic: {} } }, workspaceFolders: [{ uri: pathToFileURL(folder).href, name: 'bench' }] });
  await client.sendNotification('initialized', {});
  const uri = pathToFileURL(path.join(folder, 'model.py')).href;
  const pull = () => client.sendRequest<{ items: unknown[] }>('textDocument/diagnostic', { textDocument: { uri } });
  const opened = performance.now();
  await client.sendNotification('textDocument/didOpen', { textDocument: { uri, languageId: 'python', version: 1, text } });
  await pull();
  console.log(`${text.split('\n').length} lines, ${tensors.length} tensors; first diagnostics after ${(performance.now() - opened).toFixed(0)} ms`);

  let version = 1;
  const edits: readonly (readonly [string, (key: number) => { line: number; character: number; text: string }])[] = [
    ['a statement in forward', (key) => ({ line: typeAt, character: 24 + (key % 40), text: 'a' })],
    ['a constructor argument', (key) => ({ line: typeAt - 8, character: 28, text: ' '.repeat(1 + (key % 2)) })],
    ['a comment at the top', (key) => ({ line: 3, character: 0, text: key % 10 === 9 ? '\n' : '#' })],
  ];
  let worst = 0;
  for (const [name, edit] of edits) {
    const times: number[] = [];
    for (let key = 0; key < KEYS + WARM; key++) {
      const { line, character, text: typed } = edit(key);
      const position = { line, character };
      const before = performance.now();
      await client.sendNotification('textDocument/didChange', { textDocument: { uri, version: ++version }, contentChanges: [{ range: { start: position, end: position }, text: typed }] });
      await pull();
      if (key >= WARM) times.push(performance.now() - before);
    }
    times.sort((a, b) => a - b);
    worst = Math.max(worst, quantile(times, 0.95));
    console.log(`${name}: p50 ${quantile(times, 0.5).toFixed(1)} ms, p95 ${quantile(times, 0.95).toFixed(1)} ms, largest ${times.at(-1)!.toFixed(1)} ms (${KEYS} keys)`);
  }
  console.log(`keystroke to new diagnostics: p95 ${worst.toFixed(1)} ms, wanted below 50 ms: ${worst < 50 ? 'met' : 'MISSED'}`);
  server.dispose();
  client.dispose();
  connection.dispose();
  rmSync(folder, { recursive: true, force: true });
  process.exitCode = worst < 50 ? 0 : 1;
}

main().then(() => process.exit(), (error: unknown) => { console.error(error); process.exit(1); });

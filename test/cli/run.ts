/** Runs the built command line in a folder of its own, and writes small checkpoints for it. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { assetPath } from '../../kernels/assets';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Called with every piece of stderr; may send a signal. */
  readonly onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

export function bitlens(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [assetPath('cli.js'), ...args], { cwd: options.cwd ?? tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      options.onStderr?.(text, (signal) => child.kill(signal));
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** The one document on stdout. Fails when there is anything else. */
export function json<T>(outcome: Outcome): T {
  return JSON.parse(outcome.stdout) as T;
}

export function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'bitlens-cli-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Weights that are the same on every machine: a linear congruential generator, values in [-1, 1). */
function values(count: number, seed: number): Float32Array {
  const made = new Float32Array(count);
  let state = seed >>> 0;
  for (let index = 0; index < count; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    made[index] = state / 2 ** 31 - 1;
  }
  return made;
}

/** A safetensors file of F32 tensors, written by the format's own words: length, JSON header, bytes. */
export function writeWeights(file: string, shapes: readonly (readonly [string, readonly number[]])[]): string {
  let offset = 0;
  const parts: Buffer[] = [];
  const header = shapes.map(([name, shape], index) => {
    const data = values(shape.reduce((a, b) => a * b, 1), index + 1);
    const begin = offset;
    offset += data.byteLength;
    parts.push(Buffer.from(data.buffer));
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype: 'F32', shape, data_offsets: [begin, offset] })}`;
  });
  const text = Buffer.from(`{${header.join(',')}}`);
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeFileSync(file, Buffer.concat([length, padded, ...parts]));
  return file;
}

export const MODEL = `import torch.nn as nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)


class Net(nn.Module):
    def __init__(self, dim=32, depth=2):
        super().__init__()
        self.embed = nn.Embedding(64, dim)
        self.blocks = nn.ModuleList([Block(dim) for _ in range(depth)])
        self.head = nn.Linear(dim, 64, bias=False)
        self.head.weight = self.embed.weight
`;
export const WEIGHTS: readonly (readonly [string, readonly number[]])[] = [
  ['module.embed.weight', [64, 32]],
  ...[0, 1].flatMap((index): (readonly [string, readonly number[]])[] => [
    [`module.blocks.${index}.fc.weight`, [32, 32]], [`module.blocks.${index}.fc.bias`, [32]],
    [`module.blocks.${index}.norm.weight`, [32]], [`module.blocks.${index}.norm.bias`, [32]],
  ]),
];

/** model.py and weights.safetensors in a fresh folder. */
export function project(t: TestContext): { root: string; model: string; weights: string } {
  const root = folder(t);
  const model = path.join(root, 'model.py');
  writeFileSync(model, MODEL);
  return { root, model, weights: writeWeights(path.join(root, 'weights.safetensors'), WEIGHTS) };
}

/** A small model of a loop of blocks, its checkpoint and settings: what the tests of the server look at. */
import type { Diagnostic } from 'vscode-languageserver/node';
import { error } from '../unit/rules/fixture';
import { workspace, type Workspace } from './harness';
import { safetensors } from './safetensors';

export const MODEL = `import torch
import torch.nn as nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x):
        return self.down(torch.relu(self.up(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(64) for _ in range(3)])
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)
`;
export const lineOf = (text: string, part: string): number => text.split('\n').findIndex((line) => line.includes(part));
export const UP = lineOf(MODEL, 'self.up = ');
export const NET = lineOf(MODEL, 'class Net');
export const HEAD = lineOf(MODEL, 'self.head = ');

export const ENTRIES = [
  ...[0, 1, 2].flatMap((index) => [
    { name: `blocks.${index}.up.weight`, shape: [128, 64] }, { name: `blocks.${index}.up.bias`, shape: [128] },
    { name: `blocks.${index}.down.weight`, shape: [64, 128] }, { name: `blocks.${index}.down.bias`, shape: [64] },
  ]),
  { name: 'head.weight', shape: [10, 64] }, { name: 'head.bias', shape: [10] },
];
export const TARGET = 'int4-sym-g64';
export const SETTINGS = { targetFormat: TARGET, formats: [TARGET, 'int8-sym-channel'], minimumSqnrDb: 20 };
export const low = (db: number) => ({ formats: { [TARGET]: error(db, 4.5), 'int8-sym-channel': error(44, 8.1) } });

export function model(t: Parameters<typeof workspace>[0], entries = ENTRIES): Workspace {
  const files = workspace(t);
  files.write('model.py', MODEL);
  files.write('weights.safetensors', safetensors(entries));
  return files;
}
/** Messages of diagnostics are plain text. */
export type Found = Diagnostic & { message: string };
export const of = (code: string, diagnostics: readonly Diagnostic[]): Found[] => diagnostics.filter((diagnostic) => diagnostic.code === code) as Found[];

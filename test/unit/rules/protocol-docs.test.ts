/** docs/protocol.md and server/protocol.ts name the same messages. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { repositoryRoot } from '../../support/data';

const source = readFileSync(path.join(repositoryRoot, 'server/protocol.ts'), 'utf8');
const page = readFileSync(path.join(repositoryRoot, 'docs/protocol.md'), 'utf8');

/** Keys of an interface of the protocol. */
function messages(name: string): string[] {
  const body = new RegExp(`export interface ${name} \\{([\\s\\S]*?)\\n\\}`).exec(source)?.[1] ?? '';
  return [...body.matchAll(/^ {2}'(bitlens\/\w+)':/gm)].map((match) => match[1]!);
}
/** Headings of a chapter of the page, each with text below it. */
function described(chapter: string): string[] {
  const body = new RegExp(`\\n## ${chapter}\\n([\\s\\S]*?)(?=\\n## |$)`).exec(page)?.[1] ?? '';
  return body.split(/\n### /).slice(1).filter((part) => part.split('\n').slice(1).join('').trim().length > 40).map((part) => part.split('\n')[0]!.trim());
}

for (const [name, chapter] of [['Requests', 'Requests'], ['Notifications', 'Notifications']] as const) {
  test(`docs/protocol.md describes every one of ${name}, and no other`, () => {
    const expected = messages(name);
    assert.ok(expected.length > 1);
    assert.deepEqual(described(chapter), expected);
  });
}

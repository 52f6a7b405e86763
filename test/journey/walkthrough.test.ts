/** The walkthrough as a newcomer meets it: every step has its words and its picture, and the first one opens the example. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { exampleFolder, Workbench } from './workbench';

let bench: Workbench;
before(async () => { bench = await Workbench.open({ theme: 'light' }); });
after(async () => { await bench?.close(); });

test('every step of the walkthrough is there, with its picture', async () => {
  const root = path.resolve(exampleFolder, '../..');
  const { contributes } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { contributes: { walkthroughs: { steps: { title: string; media: { svg: string } }[] }[] } };
  const texts = JSON.parse(readFileSync(path.join(root, 'package.nls.json'), 'utf8')) as Record<string, string>;
  await bench.command('Welcome: Open Walkthrough', texts['walkthrough.title']!);
  const steps = contributes.walkthroughs[0]!.steps;
  for (const { title, media } of steps) {
    const words = texts[title.slice(1, -1)]!;
    const step = bench.page.getByRole('button', { name: words }).first();
    await step.click();
    const caption = /<text[^>]*>([^<]+)<\/text>\s*<\/svg>/.exec(readFileSync(path.join(root, media.svg), 'utf8'))?.[1];
    assert.ok(caption, `${media.svg} ends with words`);
    await bench.webview(`svg text:text-is("${caption}")`);
  }
  await bench.screenshot('walkthrough-light');
});

/** Entry of the suite that runs inside the extension host, on a copy of examples/shakespeare-gpt. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { figures, runAll } from './harness';
import './activation';
import './editor-features';
import './views';
import './quantization';
import './running';
import './checkpoints-and-report';
import './settings';
import './resilience';

/** Called by VS Code; rejects when a test failed. BITLENS_TEST_ONLY runs the tests whose name holds it. */
export async function run(): Promise<void> {
  const outcomes = await runAll(process.env.BITLENS_TEST_ONLY);
  const failed = outcomes.filter(({ ok }) => !ok);
  const { activationMs } = figures;
  const result = { passed: outcomes.length - failed.length, failed: failed.length, activationMs, outcomes };
  const file = process.env.BITLENS_TEST_RESULT;
  if (file) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(result, null, 2));
  }
  console.log(`extension host: ${result.passed} passed, ${result.failed} failed; activation took ${activationMs?.toFixed(0) ?? '?'} ms`);
  if (failed.length > 0 || outcomes.length === 0) throw new Error(`failed: ${failed.map(({ name }) => name).join('; ') || 'no test ran'}`);
}

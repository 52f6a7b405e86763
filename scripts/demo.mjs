// The main job on the bundled example, through the command line: findings, allocation, a PTQ trial, an HTML report.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const example = path.join(root, 'examples/shakespeare-gpt');
const out = path.join(root, 'demo-output');
mkdirSync(out, { recursive: true });

function step(title, args, accepted = [0]) {
  const shown = args.map((arg) => (path.isAbsolute(arg) ? path.relative(root, arg) : arg)).join(' ');
  console.log(`\n── ${title}\n$ bitlens ${shown}\n`);
  const { status } = spawnSync(process.execPath, [path.join(root, 'dist/cli.js'), ...args], { cwd: root, stdio: 'inherit' });
  if (!accepted.includes(status)) process.exit(status ?? 1);
}

const model = path.join(example, 'model.py');
const weights = path.join(example, 'weights.safetensors');
const recipe = path.join(out, 'model.recipe.json');
step('Layers that will not survive 4 bits', ['check', model, '--checkpoint', weights], [0, 1]);
step('Bits for each layer at 5 bits on average', ['allocate', model, '--checkpoint', weights, '--bits', '5', '--out', recipe]);
step('A PTQ trial of that recipe, written and read back', ['quantize', model, '--checkpoint', weights, '--recipe', recipe, '--method', 'mse-clip', '--out', path.join(out, 'quantized.safetensors')]);
step('The report', ['report', model, '--checkpoint', weights, '--out', path.join(out, 'report.html')]);
console.log('\nOpen demo-output/report.html in a browser, or run "npm start" to see the same in VS Code.');

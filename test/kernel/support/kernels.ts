/** Builds the kernels the tests run, into a temporary folder, and waits for conditions. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const root = process.env.BITLENS_ROOT!;
let folder: string | undefined;

/** Folder with the bundled fixtures; made on first use, removed when the test process ends. */
export function kernelsFolder(): string {
  if (folder) return folder;
  const out = folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-kernels-'));
  process.on('exit', () => rmSync(out, { recursive: true, force: true }));
  const entries = ['test-worker', 'test-kernel', 'bad-kernel', 'host'].map((name) => path.join(root, 'test/kernel/fixtures', `${name}.ts`));
  const options = { entryPoints: entries, outdir: out, bundle: true, platform: 'node', format: 'cjs', target: 'node20', logLevel: 'error' };
  execFileSync(process.execPath, ['-e', `require('esbuild').buildSync(${JSON.stringify(options)})`], { cwd: root, stdio: 'inherit' });
  return out;
}

export function testKernel(): string {
  return path.join(kernelsFolder(), 'test-kernel.js');
}

export function badKernel(mode: string): string {
  const file = path.join(kernelsFolder(), `${mode}.cjs`);
  writeFileSync(file, `process.env.KERNEL_MODE = ${JSON.stringify(mode)};\nrequire('./bad-kernel.js');\n`);
  return file;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A zombie that nobody has reaped yet is not running any more.
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return process.platform !== 'linux';
  }
}

export async function until(condition: () => boolean, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    if (condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return condition();
}

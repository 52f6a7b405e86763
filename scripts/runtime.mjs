// Puts onnxruntime beside the bundles for one platform: its JavaScript as one file, and that platform's library alone.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import esbuild from 'esbuild';

const require = createRequire(import.meta.url);
/** Targets that vsce knows and the package has libraries for, with the package's names of them. */
export const PLATFORMS = {
  'linux-x64': ['linux', 'x64'], 'linux-arm64': ['linux', 'arm64'], 'darwin-arm64': ['darwin', 'arm64'], 'win32-x64': ['win32', 'x64'], 'win32-arm64': ['win32', 'arm64'],
};
/** Copies of a library under another name, and what the CPU provider never loads. */
const LEFT_OUT = /\.\d+\.\d+\.\d+\.dylib$|^(dxcompiler|dxil)\.dll$/;

/** The target of the machine this runs on; null where there is no library for it. */
export const thisPlatform = () => Object.keys(PLATFORMS).find((target) => target === `${process.platform}-${process.arch}`) ?? null;

/** Writes `dist/onnxruntime` for a target, or takes it away for `universal`. Returns the names of its files, relative to `dist`. */
export async function stageRuntime(dist, target) {
  const folder = path.join(dist, 'onnxruntime');
  rmSync(folder, { recursive: true, force: true });
  if (target === 'universal') return [];
  const home = path.dirname(require.resolve('onnxruntime-node/package.json'));
  const [platform, arch] = PLATFORMS[target];
  const napi = readdirSync(path.join(home, 'bin')).find((name) => name.startsWith('napi-'));
  const source = path.join(home, 'bin', napi, platform, arch);
  if (!existsSync(source)) throw new Error(`onnxruntime-node has no library for ${target}`);
  const to = path.join(folder, 'bin', napi, platform, arch);
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(source).filter((each) => !LEFT_OUT.test(each))) cpSync(path.join(source, name), path.join(to, name), { dereference: true });
  // The binding is found relative to the file that asks for it, as in the package.
  await esbuild.build({ entryPoints: [path.join(home, 'dist/index.js')], outfile: path.join(folder, 'dist/index.js'), bundle: true, platform: 'node', format: 'cjs', target: 'node20', minify: true, external: ['../bin/*'], logLevel: 'error' });
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => path.relative(dist, path.join(entry.parentPath ?? entry.path, entry.name)).split(path.sep).join('/'));
}

/** Fused error pass of one format of each kind, in weights per second on this thread, and the ratio to a plain read of the same memory. */
import { TILE_WEIGHTS } from '../kernels/formats/blocks';
import { CLIP_FRACTIONS } from '../kernels/formats/clip-search';
import { isBlockScaled, type ScaleRule } from '../kernels/formats/format';
import { parseFormat } from '../kernels/formats/registry';
import { SCALE_STORAGES } from '../kernels/formats/scale';
import { Random } from '../kernels/numerics/random';
import { wasmOps } from '../kernels/wasm/wasm-ops';
import { bestOf, report, type BenchResult } from './results';

/** [id, rule, weights per block, the goal of closed-form formats and of codebooks of 16]. A search is to take no longer than a pass for each candidate. */
const PASSES: readonly (readonly [string, ScaleRule, number, number?])[] = [
  ['int4-sym-g128', 'absmax', 128, 0.3], ['int4-asym-g128', 'absmax', 128, 0.3], ['int8-sym-channel', 'absmax', 4096, 0.3],
  ['fp8-e4m3-channel', 'absmax', 4096, 0.3], ['fp4-e2m1-g128', 'absmax', 128, 0.3], ['bf16', 'absmax', 4096, 0.3],
  ['mxfp4', 'absmax', 32, 0.3], ['mxfp8-e4m3', 'absmax', 32, 0.3], ['mxint8', 'absmax', 32, 0.3], ['fp4-e2m1-g16-se4m3', 'absmax', 16, 0.3],
  ['nf4-g64', 'absmax', 64, 0.3], ['bnb-fp4-g64', 'absmax', 64, 0.3], ['mxfp8-e4m3-rceil-trunc', 'absmax', 32],
  ['int4-sym-g128', 'mse', 128], ['nf4-g64', 'mse', 64],
];

async function benchFormats(): Promise<BenchResult[]> {
  const ops = await wasmOps();
  const random = new Random(1);
  for (let i = 0; i < TILE_WEIGHTS; i += 1) ops.values[i] = random.normal() * 0.02;
  const rate = (milliseconds: number): number => TILE_WEIGHTS / milliseconds / 1e6;
  const results: BenchResult[] = [];
  const absmax = new Map<string, number>();
  for (const [id, rule, size, goal] of PASSES) {
    const format = parseFormat(id);
    if (!isBlockScaled(format)) throw new Error(`${id} has no fused pass`);
    const outer = SCALE_STORAGES[format.scaleStorage].outer === null ? 1 : 0.02 / 448;
    const work = (): void => ops.blockErrors({ element: format.element, storage: format.scaleStorage, rule, outer }, 0, TILE_WEIGHTS / size, size, { squared: 0, power: 0 }, null);
    const runs = rule === 'mse' ? 3 : 30;
    let [best, read] = [Infinity, Infinity];
    for (let turn = 0; turn < 4; turn += 1) {
      best = Math.min(best, bestOf(runs, work));
      read = Math.min(read, bestOf(5, () => { ops.sum(TILE_WEIGHTS); }));
    }
    if (rule === 'absmax') absmax.set(id, rate(best));
    const wanted = rule === 'mse' ? absmax.get(id)! / CLIP_FRACTIONS.length : goal;
    results.push({ name: `${id} fused error pass, ${rule} (${(best / read).toFixed(1)} x a plain read)`, value: rate(best), unit: 'G weights/s', ...(wanted ? { goal: { atLeast: Number(wanted.toPrecision(3)) } } : {}) });
  }
  return results;
}

report(benchFormats);

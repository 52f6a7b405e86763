/** Flags that name the data a model is run on; what is not named comes from bitlens.json. */
import path from 'node:path';
import { AUTO, type SyntheticSource } from '../../kernels/data/data';
import { TASKS } from '../analysis/config';
import type { ModelAnalysis } from '../analysis/model-analysis';
import { modelData, type DataOverrides, type ModelData } from '../analysis/model-data';
import { syntheticNamed } from '../analysis/vocabulary';
import { UsageError, type Arguments, type Flag } from './arguments';

export const DATA_FLAGS: readonly Flag[] = [
  { name: 'data', value: 'FILE', help: 'inputs to judge on: an array (.npy, .npz, .safetensors; FILE:ARRAY names one), a folder of images, tokens (.bin) or text (.txt, .jsonl); or synthetic[:METHOD], made up; else bitlens.json' },
  { name: 'labels', value: 'FILE', help: 'labels of --data, one per sample' },
  { name: 'task', value: 'T', help: 'what the outputs are', choices: TASKS },
  { name: 'samples', value: 'N', help: 'only the first N samples' },
  { name: 'scale', value: 'S', help: 'preprocessing of --data: x * S, then (x - mean) / std per channel' },
  { name: 'mean', value: 'LIST', help: 'mean per channel, separated by commas' },
  { name: 'std', value: 'LIST', help: 'standard deviation per channel' },
  { name: 'resize', value: 'N', help: 'images: length of the shorter side before the crop (8/7 of --crop)' },
  { name: 'crop', value: 'H,W', help: 'images: height and width of the center crop' },
  { name: 'sequence', value: 'N', help: 'tokens of one sample, for tokens and text (256)' },
  { name: 'tokenizer', value: 'FILE', help: 'tokenizer.json of --data that is text' },
  { name: 'layout', value: 'L', help: 'order of the dimensions in the file', choices: ['NCHW', 'NHWC'] },
];
export const CALIBRATION_FLAGS: readonly Flag[] = [
  { name: 'calibration', value: 'FILE', help: 'inputs to calibrate on, or synthetic[:METHOD], made up ("bitlens methods" lists those of the kind "calibration"); else bitlens.json' },
  { name: 'calibration-samples', value: 'N', help: 'only the first N samples of it' },
];

/** @throws UsageError */
export function readData(analysis: ModelAnalysis, args: Arguments): ModelData {
  const file = (name: string): string | undefined => { const text = args.text(name); return text === undefined ? undefined : path.resolve(text); };
  const source = (name: 'data' | 'calibration', count: number | undefined): string | SyntheticSource | undefined => readSynthetic(args.text(name), count) ?? file(name);
  const [inputs, labels] = [source('data', readSamples(args)), file('labels')];
  const calibration = args.has('calibration') ? source('calibration', readSamples(args, 'calibration-samples')) : undefined;
  if (labels !== undefined && typeof inputs === 'object') throw new UsageError('--labels are of data that is there, and --data synthetic makes it up');
  if (labels !== undefined && inputs === undefined) throw new UsageError('--labels belong to --data, which is not given');
  const scale = args.text('scale') === undefined ? undefined : numbersOf(args.text('scale')!, 'scale')[0]!;
  const [mean, std] = (['mean', 'std'] as const).map((name) => (args.text(name) === undefined ? undefined : numbersOf(args.text(name)!, name)));
  if (mean && std && mean.length !== std.length) throw new UsageError(`--mean has ${mean.length} values and --std has ${std.length}: one of each per channel`);
  if (std?.some((value) => value <= 0)) throw new UsageError('--std must be larger than 0');
  const layout = (['NCHW', 'NHWC'] as const).find((each) => each === args.text('layout'));
  const task = TASKS.find((each) => each === args.text('task'));
  const crop = args.text('crop') === undefined ? undefined : numbersOf(args.text('crop')!, 'crop');
  if (crop && (crop.length !== 2 || crop.some((each) => !Number.isInteger(each) || each < 1 || each > 8192))) throw new UsageError('--crop must be height and width in pixels: 224,224');
  const [resize, sequence, tokenizer] = [readSamples(args, 'resize'), readSamples(args, 'sequence'), file('tokenizer')];
  const preprocess = scale === undefined && !mean && !std && !layout && !crop && resize === undefined ? undefined : { ...(crop ? { crop: [crop[0]!, crop[1]!] as const } : {}), ...(resize === undefined ? {} : { resize }), ...(scale === undefined ? {} : { scale }), ...(mean ? { mean } : {}), ...(std ? { std } : {}), ...(layout ? { layout } : {}) };
  const given: DataOverrides = {
    ...(task ? { task } : {}), ...(inputs === undefined ? {} : { inputs }), ...(labels === undefined ? {} : { labels }),
    ...(calibration === undefined ? {} : { calibration }), ...(preprocess ? { preprocess } : {}), ...(sequence === undefined ? {} : { sequence }), ...(tokenizer === undefined ? {} : { tokenizer }),
  };
  return modelData(analysis, given);
}

/** `synthetic`, or `synthetic:METHOD`; a file of that name is ./synthetic. @throws UserError naming the methods there are */
function readSynthetic(text: string | undefined, samples: number | undefined): SyntheticSource | undefined {
  const match = /^synthetic(?::(.*))?$/.exec(text ?? '');
  return match ? { synthetic: syntheticNamed(match[1] ?? AUTO), ...(samples === undefined ? {} : { samples }) } : undefined;
}

/** Flags of data that nothing would read are refused: they would change nothing. @throws UsageError */
export function refuseData(args: Arguments, why: string): void {
  const given = [...DATA_FLAGS, ...CALIBRATION_FLAGS].find(({ name }) => args.has(name));
  if (given) throw new UsageError(`--${given.name} ${why}`);
}

/** The number of samples asked for. @throws UsageError for none. */
export function readSamples(args: Arguments, flag = 'samples'): number | undefined {
  const count = args.number(flag, 1);
  if (count !== undefined && !Number.isInteger(count)) throw new UsageError(`--${flag} must be a whole number`);
  return count;
}

function numbersOf(text: string, name: string): number[] {
  const values = text.split(',').map((item) => Number(item.trim()));
  if (text.trim() === '' || values.some((value) => !Number.isFinite(value))) throw new UsageError(`--${name} must be numbers separated by commas, not ${JSON.stringify(text)}`);
  return values;
}

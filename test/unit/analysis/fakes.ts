/** The rooms around the analysis, as small as a test can make them. */
import { parseFormat } from '../../../kernels/formats/registry';
import type { FormatError, JobKind, JobTypes, WeightScan, WeightSpec } from '../../../kernels/jobs/job';
import { methodOfKind } from '../../../kernels/methods/registry';
import { DEFAULT_SETTINGS } from '../../../server/protocol';
import { AnalysisService } from '../../../server/analysis/service';
import type { KernelPort, OpenCheckpoint, RunOptions, TracingPort } from '../../../server/analysis/ports';
import type { ModuleTree, RootCandidate } from '../../../server/python/module-tree';
import type { Checkpoint } from '../../../kernels/checkpoint/checkpoint';
import { span } from '../linking/build';

export interface FakeClass {
  readonly tree: ModuleTree | ((args: Readonly<Record<string, unknown>> | undefined) => ModuleTree);
  readonly kind?: RootCandidate['kind'];
  readonly missing?: readonly string[];
}

/** Classes of every file, in source order. Counts how often a tree is built. */
export class FakePython implements TracingPort {
  built = 0;
  constructor(private readonly classes: Readonly<Record<string, FakeClass>>) {}
  rootCandidates(): readonly RootCandidate[] {
    return Object.entries(this.classes).map(([name, { kind = 'class', missing = [] }], line) => ({ name, kind, span: { ...span, startLine: line }, missingArguments: missing }));
  }
  buildTree(_file: string, name: string, args?: Readonly<Record<string, unknown>>): ModuleTree | null {
    this.built += 1;
    const made = Object.hasOwn(this.classes, name) ? this.classes[name]!.tree : null;
    return typeof made === 'function' ? made(args) : made;
  }
  trace(): never { throw new Error('nothing is traced here'); }
  knownTrace(): undefined { return undefined; }
}

/** Errors that fall by 6 dB a bit, so that budgets have something to weigh. */
function scanOf(spec: WeightSpec, checkpoint: Checkpoint, formats: readonly string[]): WeightScan {
  const { shape } = checkpoint.tensors.find((tensor) => tensor.name === spec.tensor)!;
  const rows = shape[spec.outputAxis]!;
  const cols = shape.reduce((a, b) => a * b, 1) / rows;
  const error = (id: string): FormatError => {
    const format = parseFormat(id);
    const { bitsPerWeight, totalBits } = format.storage({ rows, cols });
    const sqnrDb = 6 * format.codeBits;
    return { mse: 10 ** (-sqnrDb / 10), sqnrDb, cosine: 1, bitsPerWeight, bytes: Math.ceil(totalBits / 8), scaleRule: 'absmax' };
  };
  return {
    key: spec.key, tensor: spec.tensor, view: { rows, cols },
    statistics: {
      count: rows * cols, nan: 0, inf: 0, zeros: 0, min: -1, max: 1, absmax: 1, mean: 0, std: 1, rms: 1, kurtosis: 3, outlierShare: 0, absmaxOverRms: 1,
      channelRangeSpread: 1, deadChannels: [], deadChannelCount: 0, constantChannelCount: 0, zd: 0, fp16Overflow: 0, fp16Underflow: 0,
    },
    formats: Object.fromEntries(formats.map((id) => [id, error(id)])),
  };
}

/** Answers from shapes alone, except for allocation, which is solved for real. */
export class FakeKernel implements KernelPort {
  readonly calls: { kind: JobKind; params: unknown }[] = [];
  fail: Error | null = null;
  constructor(private readonly checkpoint: Checkpoint) {}

  async run<K extends JobKind>(kind: K, params: JobTypes[K]['params'], options: RunOptions = {}): Promise<JobTypes[K]['result']> {
    this.calls.push({ kind, params });
    options.signal?.throwIfAborted();
    if (this.fail) throw this.fail;
    const answers: { [J in JobKind]: (params: JobTypes[J]['params']) => JobTypes[J]['result'] } = {
      scan: ({ weights, formats }) => ({ weights: weights.map((spec) => scanOf(spec, this.checkpoint, formats)), skipped: [], elements: 0, seconds: 0 }),
      detail: ({ weight }) => ({ key: weight.key, statistics: scanOf(weight, this.checkpoint, []).statistics, histogram: { edges: [-1, 0, 1], counts: [1, 2] }, channels: { index: [0], min: [-1], max: [1] } }),
      allocate: (given) => methodOfKind('allocation', given.allocator).run(given, () => undefined),
      quantize: ({ tasks, export: target }) => ({
        layers: tasks.map((task) => {
          const error = scanOf(task, this.checkpoint, [task.format]).formats[task.format]!;
          return { key: task.key, tensor: task.tensor, format: task.format, method: task.method, before: error, after: error };
        }),
        weights: 0, bytesBefore: 0, bytesAfter: 0, averageBits: 0, seconds: 0.5,
        ...(target ? { export: { path: target.path, bytes: 1, verifiedTensors: tasks.length, sha256: '0' } } : {}),
      }),
      convert: ({ path: target }) => ({ path: target, bytes: 1, sha256: '0', verifiedTensors: 1, decoded: 0, left: [], quantized: [], kept: [], fallbacks: [], notes: [], seconds: 0 }),
      compare: ({ pairs }) => ({ pairs: pairs.map(() => ({ compared: true, equal: true, sqnrDb: null, maxError: 0, differing: 0, nonFinite: 0 })), elements: 0, seconds: 0 }),
      onnx: ({ path }) => ({ path, bytes: 1, sha256: '0', nodes: 0, initializers: 0, runs: null }),
      evaluate: () => { throw new Error('the fake kernel runs no model'); },
      sensitivity: () => { throw new Error('the fake kernel runs no model'); },
      proxies: () => { throw new Error('the fake kernel runs no model'); },
      trial: () => { throw new Error('the fake kernel runs no model'); },
      activations: () => { throw new Error('the fake kernel runs no model'); },
      types: ({ graph }) => ({ graph }),
      costs: () => { throw new Error('the fake kernel counts nothing'); },
      judge: () => { throw new Error('the fake kernel runs no model'); },
    };
    return answers[kind](params);
  }
}

export interface Bench {
  readonly service: AnalysisService;
  readonly kernel: FakeKernel;
  readonly python: FakePython;
}

export function bench(classes: Readonly<Record<string, FakeClass>>, checkpoint: Checkpoint, open: OpenCheckpoint = async () => checkpoint): Bench {
  const kernel = new FakeKernel(checkpoint);
  const python = new FakePython(classes);
  const service = new AnalysisService({
    kernel, python, openCheckpoint: open, runRules: () => [], host: { roots: [] },
    settings: { ...DEFAULT_SETTINGS, targetFormat: 'int4-sym-channel', formats: ['int2-sym-channel', 'int4-sym-channel', 'int8-sym-channel'] },
  });
  return { service, kernel, python };
}

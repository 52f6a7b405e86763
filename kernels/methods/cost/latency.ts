import type { NumberFormat } from '../../formats/format';
import type { AppliedShape } from '../../run/applied-shapes';
import { codeOperator, copiesModel, floatOperator, type Operator } from '../../run/operators';
import type { NamedArray } from '../../run/run-model';
import { loadRuntime } from '../../run/onnx-runtime';
import { timeModels } from '../../run/stopwatch';
import type { CostModel, CostRun, LayerCost } from '../method';

/** Bytes of float32 weights of the copies of one operator, and how many copies at most. */
const COPY_BYTES = 2 ** 26;
const MOST_COPIES = 8;
/** Weights of a dense layer that are timed at most: 128 MiB of float32. */
const MOST_WEIGHTS = 2 ** 25;
/** Operations from which one copy is enough: calling it takes nothing beside. */
const LARGE = 1e8;
/** Every operator is timed so often, the others between: what disturbs one pass for a while seldom meets the next. */
const PASSES = 2;
/** Sides of the square matrix that the rate of memory is measured with: as large as the model, which caches hold or do not; 1 to 64 MiB. */
const STREAM_SIDES = [512, 4096] as const;

/**
 * Time of each layer in each format on this machine, by running the operator of onnxruntime that computes with the format's codes:
 * the catalogue's OHQ on the user's own processor. A format that no operator runs must be decoded to float32 before it is
 * multiplied; its time is estimated as the float32 operator's, less what reading fewer bytes saves at the rate at which this
 * machine reads memory, and is called an estimate.
 */
export const latency: CostModel = {
  id: 'latency',
  kind: 'cost',
  title: 'Latency: operators timed on this machine',
  source: 'Huang et al., OHQ: On-chip Hardware-aware Quantization, 2023',
  needs: 'hardware',
  catalogue: ['ohq'],
  unit: 'ms',
  perUnit: 1e6,
  parameters: {},
  async run(layers, formats, _options, run) {
    loadRuntime();
    const shapes = new Map<string, AppliedShape>();
    for (const layer of layers) for (const shape of layer.shapes) shapes.set(keyOf(shape), shape);
    const rate = await streamRate(layers.reduce((sum, { view }) => sum + view.rows * view.cols, 0), run);
    const timed = new Map<string, Timed>();
    for (let pass = 0, done = 0; pass < PASSES; pass += 1) {
      for (const [key, shape] of shapes) {
        run.progress(done, PASSES * shapes.size, 'Timing operators');
        const [before, now] = [timed.get(key), await timeShape(shape, formats, run)];
        timed.set(key, before ? better(before, now) : now);
        done += 1;
      }
    }
    return layers.map(({ view, shapes: applied }) => formats.map((format): LayerCost => {
      const bytes = format.storage(view).totalBits / 8;
      const parts = applied.map((shape) => partOf(timed.get(keyOf(shape))!, shape, format, bytes, 4 * view.rows * view.cols, rate));
      const operators = [...new Set(parts.flatMap(({ operator }) => (operator === undefined ? [] : [operator])))];
      return {
        value: Math.max(1, Math.round(parts.reduce((sum, { value }) => sum + value, 0))),
        basis: parts.some(({ basis }) => basis === 'estimated') ? 'estimated' : 'measured',
        spread: Math.round(parts.reduce((sum, { spread }) => sum + spread!, 0)),
        ...(operators.length > 0 ? { operator: operators.join(' + ') } : {}),
      };
    }));
  },
};

/** Sizes that take the same time; the names of the layers do not matter. */
const keyOf = ({ kind, attributes, input, weight, output }: AppliedShape): string => JSON.stringify([kind, kind === 'linear' ? null : attributes, input, weight, output]);

interface Time { readonly nanoseconds: number; readonly spread: number; readonly operator: string }
interface Timed { readonly float: Time | null; readonly byFormat: ReadonlyMap<string, Time> }

async function timeShape(whole: AppliedShape, formats: readonly NumberFormat[], run: CostRun): Promise<Timed> {
  const { shape, times: factor } = trimmed(whole);
  const float = floatOperator(shape);
  if (!float) return { float: null, byFormat: new Map() };
  const operators = new Map<string, Operator>([[float.name, float]]);
  const nameOf = new Map<string, string>();
  for (const format of formats) {
    const operator = codeOperator(format, shape);
    if (!operator) continue;
    operators.set(operator.name, operator);
    nameOf.set(format.id, operator.name);
  }
  const weightBytes = 4 * shape.weight.reduce((a, b) => a * b, 1);
  const copies = shape.macs > LARGE ? 1 : Math.max(1, Math.min(MOST_COPIES, Math.floor(COPY_BYTES / weightBytes)));
  const model = (operator: Operator | null) => () => copiesModel(shape.input, shape.output.length, copies, operator);
  const [empty, ...times] = await timeModels([model(null), ...[...operators.values()].map(model)], inputOf(shape.input), run.threads, run.throwIfCancelled);
  const found = new Map([...operators.keys()].flatMap((name, i): [string, Time][] => {
    const time = times[i];
    return time ? [[name, { nanoseconds: factor * Math.max(1, (time.value - (empty?.value ?? 0)) / copies), spread: (factor * time.spread) / copies, operator: factor === 1 ? name : `${name}, on 1/${factor.toPrecision(2)} of its outputs` }]] : [];
  }));
  return {
    float: found.get(float.name) ?? null,
    byFormat: new Map([...nameOf].flatMap(([id, name]): [string, Time][] => (found.has(name) ? [[id, found.get(name)!]] : []))),
  };
}

/** A dense layer of many outputs (a vocabulary) is timed on so many of them as fit into memory easily: each output is a sum of its own. */
function trimmed(shape: AppliedShape): { shape: AppliedShape; times: number } {
  const [k, n] = [shape.input.at(-1)!, shape.output.at(-1)!];
  const kept = Math.max(1, Math.floor(MOST_WEIGHTS / k));
  if (shape.kind !== 'linear' || kept >= n) return { shape, times: 1 };
  return { shape: { ...shape, output: [...shape.output.slice(0, -1), kept], weight: [k, kept], macs: (shape.macs / n) * kept }, times: n / kept };
}

/** The faster of two passes for each operator: a machine can only be disturbed towards the slow side. Half of what they differ by is noise. */
function better(a: Timed, b: Timed): Timed {
  const of = (x: Time | null | undefined, y: Time | null | undefined): Time | null => {
    if (!x || !y) return x ?? y ?? null;
    const fast = x.nanoseconds <= y.nanoseconds ? x : y;
    return { ...fast, spread: Math.max(fast.spread, Math.abs(x.nanoseconds - y.nanoseconds) / 2) };
  };
  return { float: of(a.float, b.float), byFormat: new Map([...new Set([...a.byFormat.keys(), ...b.byFormat.keys()])].map((id) => [id, of(a.byFormat.get(id), b.byFormat.get(id))!])) };
}

/** @param rate bytes in a nanosecond */
function partOf({ float, byFormat }: Timed, shape: AppliedShape, format: NumberFormat, bytes: number, floatBytes: number, rate: number): LayerCost {
  const measured = byFormat.get(format.id);
  if (measured) return { value: measured.nanoseconds, basis: 'measured', spread: measured.spread, operator: measured.operator };
  // A lookup reads the rows it is asked for, a recurrent weight is read in every step.
  const read = shape.kind === 'lookup' ? Math.min(1, shape.input.reduce((a, b) => a * b, 1) / shape.weight[0]!) : shape.kind === 'recurrent' ? shape.input[0]! : 1;
  const least = (read * bytes) / rate;
  if (!float) return { value: least, basis: 'estimated', spread: 0 };
  return { value: Math.max(least, float.nanoseconds - (floatBytes - bytes) / rate), basis: 'estimated', spread: float.spread };
}

/** Bytes in a nanosecond that a product of a vector with so many weights reads. */
async function streamRate(weights: number, run: CostRun): Promise<number> {
  const side = Math.round(Math.min(STREAM_SIDES[1], Math.max(STREAM_SIDES[0], Math.sqrt(weights))));
  const shape: AppliedShape = { kind: 'linear', attributes: {}, input: [1, side], output: [1, side], weight: [side, side], macs: side * side };
  const [time] = await timeModels([() => copiesModel(shape.input, 2, 1, floatOperator(shape))], inputOf(shape.input), run.threads, run.throwIfCancelled);
  if (!time) throw new Error('onnxruntime does not run a matrix product here, so that nothing can be timed');
  return (4 * side * side) / time.value;
}

function inputOf(shape: readonly number[]): NamedArray {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => 0.25 + 0.5 * Math.sin(i));
  return { type: 'F32', shape, data };
}

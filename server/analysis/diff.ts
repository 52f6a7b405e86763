/** Two checkpoints, tensor by tensor, across file formats. Names are matched here; the kernel compares the values. */
import { elementCount, shownDtype, type Checkpoint, type TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { ComparedPair, TensorView } from '../../kernels/jobs/job';
import type { CheckpointDiff, DiffRow, DiffSide } from '../protocol';
import type { KernelPort, RunOptions } from './ports';
import { matchTensors, viewsOf, type MatchedBy, type TensorPair } from './tensor-pairs';

/** Pairs and elements that are tried for tensors whose names nothing connects. */
const MOST_TRIED = 5000;
const MOST_TRIED_ELEMENTS = 2 ** 32;

interface Try { readonly a: TensorInfo; readonly b: TensorInfo; readonly view: TensorView; readonly by: MatchedBy }
type Found = Try & { readonly result: ComparedPair };

export async function diffCheckpoints(kernel: KernelPort, a: Checkpoint, b: Checkpoint, options: RunOptions): Promise<CheckpointDiff> {
  const started = performance.now();
  const { pairs, onlyA, onlyB, mapping } = matchTensors(a, b);
  const compare = async (tries: readonly Try[]): Promise<Found[]> => {
    if (tries.length === 0) return [];
    const result = await kernel.run('compare', { checkpoint: a.path, other: b.path, pairs: tries.map((each) => ({ a: each.a.name, b: each.b.name, view: each.view })) }, options);
    return tries.map((each, i) => ({ ...each, result: result.pairs[i]! }));
  };

  const first = await compare(pairs.flatMap((pair) => (pair.views.length > 0 ? [{ a: pair.a, b: pair.b, by: pair.by, view: pair.views[0]! }] : [])));
  const best = new Map(first.map((found) => [found.a, found]));
  // Where the first reading differs, the others that the shapes allow: transposed, or rows in llama.cpp's order.
  for (const found of await compare(otherViews(pairs, best, first))) if (better(found.result, best.get(found.a)!.result)) best.set(found.a, found);

  const { matched, tied } = await byValues(a, b, onlyA, onlyB, compare);
  for (const found of matched) best.set(found.a, found);
  const [takenA, takenB] = [new Set([...matched, ...tied.a].map((each) => each.a)), new Set([...matched, ...tied.b].map((each) => each.b))];
  const rows = [
    ...pairs.map((pair): DiffRow => { const found = best.get(pair.a); return found ? rowOf(found) : uncompared(pair); }),
    ...matched.map(rowOf),
  ];
  const notes = [...mapping];
  if (matched.length > 0) notes.push(`${matched.length} ${matched.length === 1 ? 'tensor was' : 'tensors were'} matched by equal values: names say nothing of them`);
  for (const each of tied.a) notes.push(`${each.a.name} of the first is held by ${each.b.name} in the second (tied)`);
  for (const each of tied.b) notes.push(`${each.b.name} of the second is held by ${each.a.name} in the first (tied)`);
  const missingA = onlyA.filter((tensor) => !takenA.has(tensor)).map(side);
  const missingB = onlyB.filter((tensor) => !takenB.has(tensor)).map(side);
  const different = rows.filter(({ equal }) => !equal).length;
  return {
    a: { path: a.path, format: a.format }, b: { path: b.path, format: b.format },
    rows: rows.sort(worstFirst), onlyA: missingA, onlyB: missingB, mapping: notes,
    equal: different === 0 && missingA.length === 0 && missingB.length === 0,
    counts: { equal: rows.length - different, different, onlyA: missingA.length, onlyB: missingB.length },
    seconds: (performance.now() - started) / 1000,
  };
}

function otherViews(pairs: readonly TensorPair[], best: ReadonlyMap<TensorInfo, Found>, first: readonly Found[]): Try[] {
  // A square matrix says nothing of its orientation: it is turned only where another one had to be.
  const turned = first.some(({ view }) => view.kind === 'transposed');
  return pairs.flatMap((pair) => {
    const found = best.get(pair.a);
    if (!found || !found.result.compared || found.result.equal) return [];
    return pair.views.slice(1).filter(({ kind }) => kind !== 'transposed' || turned || pair.a.shape[0] !== pair.a.shape[1]).map((view) => ({ a: pair.a, b: pair.b, by: pair.by, view }));
  });
}

/** Tensors that names do not connect: those of equal shape and equal values are one. An equal one that has its own partner is tied. */
async function byValues(a: Checkpoint, b: Checkpoint, onlyA: readonly TensorInfo[], onlyB: readonly TensorInfo[], compare: (tries: readonly Try[]) => Promise<Found[]>): Promise<{ matched: Found[]; tied: { a: Found[]; b: Found[] } }> {
  const none = { matched: [], tied: { a: [], b: [] } };
  if (onlyA.length === 0 && onlyB.length === 0) return none;
  const [leftA, leftB] = [new Set(onlyA), new Set(onlyB)];
  const candidates = (left: readonly TensorInfo[], right: readonly TensorInfo[]): Try[] => {
    const bySize = new Map<number, TensorInfo[]>();
    for (const tensor of right) bySize.set(elementCount(tensor.shape), [...(bySize.get(elementCount(tensor.shape)) ?? []), tensor]);
    return left.flatMap((tensor) => (bySize.get(elementCount(tensor.shape)) ?? []).flatMap((other) => viewsOf(tensor, other, a, b).filter(({ kind }) => kind !== 'heads').map((view) => ({ a: tensor, b: other, view, by: 'values' as const }))));
  };
  const worth = (tensor: TensorInfo): boolean => elementCount(tensor.shape) > 1;
  const tries = onlyA.length <= MOST_TRIED && onlyB.length <= MOST_TRIED ? candidates(onlyA.filter(worth), onlyB.filter(worth)) : [];
  const matched: Found[] = [];
  const affordable = (list: readonly Try[]): boolean => list.length <= MOST_TRIED && list.reduce((sum, { a: tensor }) => sum + elementCount(tensor.shape), 0) <= MOST_TRIED_ELEMENTS;
  if (affordable(tries)) {
    for (const found of await compare(tries)) {
      if (!found.result.compared || !found.result.equal || !leftA.has(found.a) || !leftB.has(found.b)) continue;
      leftA.delete(found.a);
      leftB.delete(found.b);
      matched.push(found);
    }
  }
  // What is still alone may be another name of a tensor that has its partner (lm_head and the embedding).
  const matrices = (tensors: Iterable<TensorInfo>): TensorInfo[] => [...tensors].filter(({ shape }) => shape.length >= 2);
  const tiedTries = [
    ...candidates(matrices(leftA), b.tensors.filter((tensor) => tensor.shape.length >= 2)),
    ...candidates(a.tensors.filter((tensor) => tensor.shape.length >= 2), matrices(leftB)),
  ];
  const tied: { a: Found[]; b: Found[] } = { a: [], b: [] };
  if (affordable(tiedTries)) {
    for (const found of await compare(tiedTries)) {
      if (!found.result.compared || !found.result.equal) continue;
      if (leftA.delete(found.a)) tied.a.push(found);
      else if (leftB.delete(found.b)) tied.b.push(found);
    }
  }
  return { matched, tied };
}

function better(found: ComparedPair, known: ComparedPair): boolean {
  if (!found.compared) return false;
  if (!known.compared || found.equal) return true;
  return !known.equal && (found.sqnrDb ?? -Infinity) > (known.sqnrDb ?? -Infinity);
}

const side = (tensor: TensorInfo): DiffSide => ({ name: tensor.name, dtype: shownDtype(tensor), shape: tensor.shape });

function rowOf({ a, b, by, view, result }: Found): DiffRow {
  const how = { a: side(a), b: side(b), by, ...(view.kind === 'same' ? {} : { order: view.kind === 'transposed' ? 'transposed' as const : 'heads' as const }) };
  if (!result.compared) return { ...how, equal: false, sqnrDb: null, maxError: null, differing: null, reason: result.reason };
  const { equal, sqnrDb, maxError, differing, nonFinite } = result;
  return { ...how, equal, sqnrDb, maxError, differing, ...(nonFinite > 0 ? { reason: `${nonFinite} ${nonFinite === 1 ? 'value is' : 'values are'} not finite on one side` } : {}) };
}

function uncompared({ a, b, by }: TensorPair): DiffRow {
  return { a: side(a), b: side(b), by, equal: false, sqnrDb: null, maxError: null, differing: null, reason: 'their shapes differ' };
}

/** What cannot be compared, then what differs from the worst on, then what is equal; by name among those. */
function worstFirst(x: DiffRow, y: DiffRow): number {
  const rank = (row: DiffRow): number => (row.equal ? 2 : row.differing === null ? 0 : 1);
  return rank(x) - rank(y) || (rank(x) === 1 ? (x.sqnrDb ?? -Infinity) - (y.sqnrDb ?? -Infinity) || 0 : 0) || (x.a.name < y.a.name ? -1 : x.a.name > y.a.name ? 1 : 0);
}

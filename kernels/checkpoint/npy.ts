import type { ByteSource } from './byte-source';
import { checkedBytes, checkedProduct } from './checked';
import { DTYPE_BITS, type Checkpoint, type TensorInfo, type TensorLocation } from './checkpoint';
import { fortranStrides, isNpy, NPY_PREFIX, npyHeaderEnd, NpyHeaderError, readNpyHeader, type NpyHeader } from './npy-header';
import { ImportList } from './pickle-imports';
import { CallNode, ListNode, sequence, type PickleValue } from './pickle-nodes';
import { PickleInput, runPickle } from './pickle-stream';
import { assemble, placeTensors } from './pickled-checkpoint';
import { counted, FETCH_AGAIN, IS, ProblemList, refuse, SAVE_AGAIN, shown } from './problems';
import { readLong, type CheckpointReader, type ReaderContext } from './reader';
import { TensorMatcher } from './torch-tensors';

/** A numpy array file (.npy): one array, whose tensor has no name. An array of Python objects is a pickle and is read as one. */
export const npyReader: CheckpointReader = {
  name: 'npy',
  match: isNpy,
  open: openNpy,
};

async function openNpy(source: ByteSource, context: ReaderContext): Promise<Checkpoint> {
  const problems = new ProblemList(context.limits.problems);
  const imports = new ImportList(context.limits.imports);
  const header = headerOf(source.path, 'the array', 0, () => {
    const end = npyHeaderEnd(source.read(0, Math.min(NPY_PREFIX, source.size)));
    if (end > source.size) throw new NpyHeaderError(`its header should end at byte ${end}, but the file ends at ${source.size}`, source.size);
    return source.read(0, end);
  });
  const matcher = new TensorMatcher();
  let tensors: TensorInfo[];
  let root: PickleValue | undefined;
  if (header.element.kind === 'object') {
    const length = Math.min(source.size - header.dataStart, context.limits.pickleBytes);
    const pickled = await readObjects(await readLong(source, header.dataStart, length, context), { stream: header.dataStart, at: header.dataStart, prefix: '' }, header, matcher, source, context, problems, imports);
    root = pickled.root;
    tensors = pickled.tensors;
  } else {
    const info = arrayInfo('', header, { file: 0, offset: header.dataStart }, source.path, 0, problems);
    const left = source.size - header.dataStart - storedBytes(header);
    if (left < 0) refuse(source.path, `the array needs ${counted(storedBytes(header), 'byte')}, but ${source.size - header.dataStart} follow its header: ${counted(-left, 'byte', IS)} missing`, FETCH_AGAIN, { offset: source.size });
    if (left > 0) problems.add('questionable', `${counted(left, 'byte', ['follows', 'follow'])} the array, part of none`, 'Save arrays in files of their own, or together with numpy.savez', { offset: source.size - left });
    tensors = [info];
  }
  return assemble('npy', source, context, problems, imports, tensors, root, matcher, [['numpy format version', header.version], ['descr', header.descr]]);
}

/** Reads a header; what is wrong with it becomes a refusal that names the array and the byte. @param at offset of the array in the file */
export function headerOf(path: string, what: string, at: number, bytes: () => Buffer): NpyHeader {
  try {
    return readNpyHeader(bytes());
  } catch (error) {
    if (!(error instanceof NpyHeaderError)) throw error;
    return refuse(path, `${what} cannot be read: ${error.message}`, `${FETCH_AGAIN}, or save it again`, { offset: at + error.offset });
  }
}

/** Bytes of all elements as they are stored. The caller has had {@link arrayInfo} check them. */
export function storedBytes(header: NpyHeader): number {
  const count = checkedProduct(header.shape, Number.MAX_SAFE_INTEGER) ?? Infinity;
  const { element } = header;
  return element.kind === 'object' ? 0 : count * (element.kind === 'opaque' ? element.bytes : DTYPE_BITS[element.dtype] / 8);
}

/**
 * The tensor of an array. Strings, records and other elements without numbers are listed as bytes, without values.
 * @param place of the first element
 * @throws CheckpointError for a shape that is impossible
 */
export function arrayInfo(name: string, header: NpyHeader, place: Pick<TensorLocation, 'file' | 'offset' | 'packed'>, path: string, at: number, problems: ProblemList): TensorInfo {
  const { element } = header;
  const where = { offset: at, tensor: name };
  const label = name === '' ? 'the array' : shown(name);
  if (header.shape.length > 64) refuse(path, `${label} has ${header.shape.length} dimensions, and numpy allows 64`, SAVE_AGAIN, where);
  const count = checkedProduct(header.shape, Number.MAX_SAFE_INTEGER);
  const bits = element.kind === 'plain' ? DTYPE_BITS[element.dtype] : element.kind === 'opaque' ? element.bytes * 8 : 0;
  const bytes = count === null ? null : checkedBytes(count, bits);
  if (bytes === null || header.shape.some((dim) => dim > Number.MAX_SAFE_INTEGER)) return refuse(path, `${label}: its shape [${header.shape.join(', ')}] is larger than 2^53 bytes`, SAVE_AGAIN, where);
  const shape = header.shape.map(Number);
  if (element.kind !== 'plain') {
    const what = element.kind === 'object' ? 'Python objects' : 'elements without numbers';
    problems.add('questionable', `${label} holds ${what} (${shown(header.descr)}), whose values are not shown`, 'Save numbers as plain arrays', where);
    return { name, dtype: 'U8', shape: [...shape, element.kind === 'object' ? 0 : element.bytes], bytes, data: null };
  }
  if (element.note !== undefined) problems.add('information', `${label}: ${element.note}`, 'Save it in another type if that is not meant', where);
  const strides = header.fortran ? fortranStrides(shape) : null;
  return { name, dtype: element.dtype, shape, bytes, data: { ...place, byteOrder: element.byteOrder, ...(strides ? { strides } : {}) } };
}

/**
 * The tensors in a pickled array of objects: numpy's `save` of a dict of arrays is one, and many published weights are
 * such files. The names are the keys of the dict, or places of the array.
 */
export async function readObjects(bytes: Buffer, place: { readonly stream: number | null; readonly at: number; readonly prefix: string }, header: NpyHeader, matcher: TensorMatcher,
  source: ByteSource, context: ReaderContext, problems: ProblemList, imports: ImportList): Promise<{ tensors: TensorInfo[]; root: PickleValue | undefined }> {
  const machine = await runPickle(PickleInput.of(bytes), 0, imports, context);
  if (machine.broken) {
    problems.add('questionable', `the pickle of ${place.prefix === '' ? 'the array' : shown(place.prefix)} breaks: ${machine.broken.message}; what it would import up to there is listed`, FETCH_AGAIN, { offset: place.at });
  }
  const root = machine.broken ? undefined : contentsOf(machine.result ?? null);
  const tensors = root === undefined ? [] : (await placeTensors(root, matcher, { strict: false, stream: place.stream, storage: () => ({ absent: 'its storage is not in this file' }) },
    source, context, problems, bytes.length)).map((tensor) => ({ ...tensor, name: joined(place.prefix, tensor.name), ...(place.prefix === '' ? {} : { container: joined(place.prefix, tensor.container ?? '') }) }));
  if (tensors.length > 0) return { tensors, root };
  return { tensors: [arrayInfo(place.prefix, header, { file: 0, offset: 0 }, source.path, place.at, problems)], root };
}

function joined(prefix: string, name: string): string {
  return prefix === '' || name === '' ? prefix + name : name.startsWith('[') ? prefix + name : `${prefix}.${name}`;
}

/** What an object array holds: the object itself when there is one, else the list of them. */
function contentsOf(value: PickleValue): PickleValue {
  const state = value instanceof CallNode && value.state !== undefined ? sequence(value.state) : null;
  const items = state && state[4] instanceof ListNode ? state[4] : null;
  if (!items) return value;
  return items.items.length === 1 ? items.items[0] : items;
}

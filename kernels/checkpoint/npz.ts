import type { ByteSource } from './byte-source';
import type { Checkpoint, TensorInfo } from './checkpoint';
import { arrayInfo, headerOf, readObjects, storedBytes } from './npy';
import { isNpy, npyHeaderEnd, NpyHeaderError } from './npy-header';
import type { ImportList } from './pickle-imports';
import type { PickleValue } from './pickle-nodes';
import { assemble } from './pickled-checkpoint';
import { counted, FETCH_AGAIN, refuse, SAVE_AGAIN, shown, type ProblemList } from './problems';
import { breathe, type ReaderContext } from './reader';
import { TensorMatcher } from './torch-tensors';
import type { ZipArchive, ZipEntry } from './zip';

/** Bytes of a member that are looked at first: nearly every header is shorter. */
const FIRST_LOOK = 256;

/** Members that are numpy arrays by their bytes, with the start of each. @param most members looked at */
export function arraysIn(zip: ZipArchive, most: number): Map<ZipEntry, Buffer> {
  const found = new Map<ZipEntry, Buffer>();
  for (const entry of zip.entries) {
    if (!/\.npy$/i.test(entry.name) || entry.size < 10) continue;
    const head = zip.peek(entry, FIRST_LOOK);
    if (isNpy(head)) found.set(entry, head);
    if (found.size > most) break;
  }
  return found;
}

/**
 * A numpy archive (.npz): a zip of array files, whose names without `.npy` are the tensors'. Of a compressed member
 * only the header is inflated; its values are inflated when they are read.
 */
export async function openNpz(zip: ZipArchive, arrays: ReadonlyMap<ZipEntry, Buffer>, source: ByteSource, context: ReaderContext, problems: ProblemList, imports: ImportList): Promise<Checkpoint> {
  const tensors: TensorInfo[] = [];
  const names = new Map<string, ZipEntry>();
  const matcher = new TensorMatcher();
  let root: PickleValue | undefined;
  let pickleLeft = context.limits.pickleBytes;
  zip.refuseOverlaps(arrays.keys());
  if (arrays.size > context.limits.tensors) refuse(source.path, `the archive holds ${arrays.size} arrays, more than ${context.limits.tensors}`, SAVE_AGAIN);
  for (const [entry, head] of arrays) {
    if (names.size % 500 === 499) await breathe(context);
    const name = entry.name.replace(/\.npy$/i, '');
    const other = names.get(name);
    if (other) refuse(source.path, `${shown(entry.name)} and ${shown(other.name)} give one name to two arrays`, SAVE_AGAIN, { offset: entry.at });
    names.set(name, entry);
    const place = zip.place(entry);
    const at = place.packed?.start ?? place.offset;
    const header = headerOf(source.path, shown(entry.name), place.packed ? 0 : at, () => {
      const end = npyHeaderEnd(head);
      const bytes = head.length >= end ? head.subarray(0, end) : zip.peek(entry, end);
      if (bytes.length < end) throw new NpyHeaderError(`its header should end at byte ${end}, but the member holds ${bytes.length}`, bytes.length);
      return bytes;
    });
    if (header.element.kind === 'object') {
      const bytes = await zip.contents(entry, pickleLeft, context);
      pickleLeft -= bytes.length;
      const stream = place.packed ? null : at + header.dataStart;
      const read = await readObjects(bytes.subarray(header.dataStart), { stream, at, prefix: name }, header, matcher, source, context, problems, imports);
      tensors.push(...read.tensors);
      if (arrays.size === 1) root = read.root;
      continue;
    }
    const location = { file: 0, offset: place.packed ? header.dataStart : at + header.dataStart, ...(place.packed ? { packed: place.packed } : {}) };
    tensors.push(arrayInfo(name, header, location, source.path, at, problems));
    const left = entry.size - header.dataStart - storedBytes(header);
    if (left < 0) refuse(source.path, `${shown(entry.name)} needs ${counted(storedBytes(header), 'byte')} after its header, but the archive gives it ${entry.size - header.dataStart}`, FETCH_AGAIN, { offset: entry.at, tensor: name });
    if (left > 0) problems.add('questionable', `${counted(left, 'byte', ['follows', 'follow'])} the array in ${shown(entry.name)}, part of none`, SAVE_AGAIN, { offset: entry.at, tensor: name });
  }
  const others = zip.entries.length - arrays.size;
  if (others > 0) problems.add('information', `${counted(others, 'other member', ['of the archive is no array', 'of the archive are no arrays'])}`, 'Nothing needs to be done');
  return assemble('npz', source, context, problems, imports, unique(tensors, problems), root, matcher);
}

/** Objects in an archive may spell out the name of another member. */
function unique(tensors: readonly TensorInfo[], problems: ProblemList): TensorInfo[] {
  const found = new Map<string, TensorInfo>();
  for (const tensor of tensors) {
    if (found.has(tensor.name)) problems.add('questionable', `two tensors have the name ${shown(tensor.name)}; the first one is listed`, 'Save the weights with unique names', { tensor: tensor.name });
    else found.set(tensor.name, tensor);
  }
  return [...found.values()];
}

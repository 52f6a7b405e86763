import type { ByteSource } from '../byte-source';
import type { Checkpoint, TensorInfo } from '../checkpoint';
import { FETCH_AGAIN, ProblemList, refuse, SAVE_AGAIN, shown } from '../problems';
import { breathe, type CheckpointReader, type ReaderContext } from '../reader';
import { isDataset, readDataset } from './dataset';
import { H5File, Hdf5Error, hdf5Start } from './h5-file';
import { isGroup, readLinks } from './links';
import { readMessages, type Message } from './object-header';

/**
 * HDF5 files, as Keras and h5py write them: every dataset is a tensor whose name is its path. Links to other files and
 * values kept in other files are listed and never followed.
 */
export const hdf5Reader: CheckpointReader = {
  name: 'hdf5',
  match: (head) => hdf5Start(head) >= 0,
  open: (source, context) => openHdf5(source, context, { start: Math.max(0, hdf5Start(source.read(0, Math.min(4096, source.size)))), end: source.size, format: 'hdf5', metadata: [] }),
};

const DEEPEST = 100;
/** Chunks of all datasets that are listed. */
const MOST_CHUNKS = 1_000_000;

interface Part { readonly start: number; readonly end: number; readonly format: string; readonly metadata: Checkpoint['metadata'] }

/** @param part of the source that is the HDF5 file (a stored member of a .keras archive) */
export async function openHdf5(source: ByteSource, context: ReaderContext, part: Part): Promise<Checkpoint> {
  const problems = new ProblemList(context.limits.problems);
  try {
    const file = new H5File(source, part.start, part.end);
    const tensors = await new Walker(file, context, problems).walk();
    return {
      format: part.format, path: source.path, files: [{ path: source.path, identity: source.identity }], tensors, problems: problems.list(), imports: [],
      metadata: [['superblock version', String(file.version)], ...part.metadata],
    };
  } catch (error) {
    if (!(error instanceof Hdf5Error)) throw error;
    return refuse(source.path, `the HDF5 file is damaged: ${error.message}`, FETCH_AGAIN, { offset: error.offset });
  }
}

class Walker {
  private readonly tensors: TensorInfo[] = [];
  private readonly groups = new Set<number>();
  private readonly chunks = { chunks: MOST_CHUNKS };

  constructor(private readonly file: H5File, private readonly context: ReaderContext, private readonly problems: ProblemList) {}

  /** Groups from the root on, each once; members in the order of the file's index. */
  async walk(): Promise<TensorInfo[]> {
    const todo = [{ at: this.file.root, name: '', depth: 0 }];
    let links = this.context.limits.tensors;
    let letters = 0;
    for (let count = 0, next = todo.pop(); next; next = todo.pop(), count++) {
      if (count % 500 === 499) await breathe(this.context);
      const { at, name, depth } = next;
      const messages = readMessages(this.file, at);
      if (isDataset(messages)) {
        this.dataset(name, at, messages);
        continue;
      }
      if (!isGroup(messages)) continue;
      if (this.groups.has(at)) {
        this.problems.add('information', `the group ${shown(name)} is a second name of a group that is listed already`, 'Nothing needs to be done', { offset: at });
        continue;
      }
      this.groups.add(at);
      if (depth >= DEEPEST) throw new Hdf5Error(`groups are nested more than ${DEEPEST} deep`, at);
      const members = readLinks(this.file, messages, links);
      links -= members.length;
      for (const link of members.reverse()) {
        const path = name === '' ? link.name : `${name}/${link.name}`;
        letters += path.length;
        if (letters > 64 * 2 ** 20 + 16 * this.file.end) throw new Hdf5Error('the names of groups are longer than the file warrants', at);
        if (link.kind === 'hard') todo.push({ at: link.to, name: path, depth: depth + 1 });
        else if (link.kind === 'external') this.problems.add('questionable', `${shown(path)} is a link to another file (${shown(link.target)}), which is not followed`, 'Copy what it points to into the file', { offset: at });
        else this.problems.add('information', `${shown(path)} is another name of ${shown(link.target)}`, 'Nothing needs to be done', { offset: at });
      }
    }
    return this.tensors;
  }

  private dataset(name: string, at: number, messages: readonly Message[]): void {
    const data = readDataset(this.file, messages, this.chunks);
    const { shape, type, bytes, place } = data;
    const where = { offset: at, tensor: name };
    if (this.tensors.length >= this.context.limits.tensors) throw new Hdf5Error(`the file has more than ${this.context.limits.tensors} datasets`, at);
    const info = { name, dtype: type.dtype ?? 'U8' as const, shape: type.dtype === null ? [...shape, type.size] : shape, bytes };
    if ('absent' in place) {
      this.problems.add(type.dtype === null ? 'information' : 'questionable', `the values of ${shown(name)} are not shown: ${place.absent}`, type.dtype === null ? 'Nothing needs to be done' : SAVE_AGAIN, where);
      this.tensors.push({ ...info, data: null });
    } else {
      this.tensors.push({ ...info, data: { file: 0, offset: 'offset' in place ? place.offset : 0, byteOrder: type.byteOrder, ...('packed' in place ? { packed: place.packed } : {}), storage: String(at) } });
    }
  }
}

import type { ByteSource } from './byte-source';
import { CheckpointError, type Checkpoint } from './checkpoint';
import { openKeras } from './keras';
import { arraysIn, openNpz } from './npz';
import { ImportList } from './pickle-imports';
import type { PickleMachine } from './pickle-machine';
import { looksLikePickle } from './pickle';
import { PickleInput, reportLongFrame, runPickle } from './pickle-stream';
import { assemble, placeTensors, refuseOrList, type Layout, type StoragePlace } from './pickled-checkpoint';
import { counted, FETCH_AGAIN, ProblemList, refuse, SAVE_AGAIN, shown } from './problems';
import { breathe, type CheckpointReader, type ReaderContext } from './reader';
import { TensorMatcher, type StorageRef } from './torch-tensors';
import { ZipArchive, type ZipEntry } from './zip';

/** Members looked at for pickles beside the main one. */
const MOST_SNIFFED = 2_000;

/**
 * Zip archives: PyTorch's form since 1.6 (`<name>/data.pkl` and `<name>/data/<key>`), TorchScript (`constants.pkl` and
 * `code/` as well), numpy's archives of arrays (.npz), Keras's archives (.keras), and any other zip that holds pickles, whose imports are listed.
 */
export const pytorchZipReader: CheckpointReader = {
  name: 'pytorch-zip',

  match(head, source) {
    if (head[0] === 0x50 && head[1] === 0x4b && ((head[2] === 3 && head[3] === 4) || (head[2] === 5 && head[3] === 6))) return true;
    // An archive may stand behind other bytes; loaders find it from its end.
    if (source.size < 22) return false;
    const tail = source.read(source.size - 22, 22);
    return tail.readUInt32LE(0) === 0x06054b50 && tail.readUInt16LE(20) === 0;
  },

  async open(source, context) {
    const imports = new ImportList(context.limits.imports);
    try {
      return await openZip(source, context, imports);
    } catch (error) {
      return refuseOrList(error, 'pytorch-zip', source, context, imports);
    }
  },
};

async function openZip(source: ByteSource, context: ReaderContext, imports: ImportList): Promise<Checkpoint> {
  const problems = new ProblemList(context.limits.problems);
  const zip = await ZipArchive.open(source, context, problems);
  const roots = zip.entries.filter((entry) => /^([^/]+\/)?data\.pkl$/.test(entry.name));
  const weights = roots.length === 0 ? zip.get('model.weights.h5') : undefined;
  if (weights) {
    await scanOthers(zip, undefined, context, imports, problems, new Set([weights]));
    return openKeras(zip, weights, source, context, problems, imports);
  }
  const arrays = roots.length === 0 ? arraysIn(zip, context.limits.tensors) : new Map<ZipEntry, Buffer>();
  if (arrays.size > 0) {
    await scanOthers(zip, undefined, context, imports, problems, new Set(arrays.keys()));
    return openNpz(zip, arrays, source, context, problems, imports);
  }
  if (roots.length > 1) refuse(source.path, `the archive holds ${roots.length} data.pkl, and loaders differ in which they read`, SAVE_AGAIN, { offset: roots[1].at });
  const main = roots.length === 1 ? await readPickle(roots[0], zip, source, context, imports) : null;
  if (main) reportLongFrame(main.machine, problems, (offset) => (main.stream === null ? roots[0].header : main.stream + offset), `${shown(roots[0].name)}: `);
  const pickles = await scanOthers(zip, roots[0], context, imports, problems);
  if (!main) {
    if (pickles === 0) return refuseOther(zip, source);
    problems.add('questionable', 'the zip holds pickles but is not laid out as a PyTorch checkpoint: no tensors are listed', 'Extract it, and open the checkpoint inside', { offset: 0 });
    return assemble('zip', source, context, problems, imports, [], undefined, new TensorMatcher());
  }
  const matcher = new TensorMatcher();
  const used = new Set<ZipEntry>([roots[0]]);
  const byteOrder = await readByteOrder(zip, main.folder, context, source, problems);
  const layout = (folder: string, stream: number | null): Layout => ({
    strict: true, stream, storage: (ref, tensor) => storagePlace(zip, folder, ref, tensor, source, byteOrder, used),
  });
  const tensors = await placeTensors(main.machine.result ?? null, matcher, layout(`${main.folder}data/`, main.stream), source, context, problems, main.length);
  const constants = zip.get(`${main.folder}constants.pkl`);
  const script = constants !== undefined;
  if (constants) {
    const read = await readPickle(constants, zip, source, context, new ImportList(context.limits.imports));
    const listed = await placeTensors(read.machine.result ?? null, matcher, layout(`${main.folder}constants/`, read.stream), source, context, problems, read.length, 'CONSTANTS');
    // TorchScript's own name for entry i of its constants.
    tensors.push(...listed.map((tensor) => ({ ...tensor, name: tensor.name.replace(/^CONSTANTS\[(\d+)\]/, 'CONSTANTS.c$1') })));
  }
  await breathe(context);
  zip.refuseOverlaps(used);
  return assemble(script ? 'torchscript' : 'pytorch-zip', source, context, problems, imports, tensors, main.machine.result, matcher, await readMetadata(zip, main.folder, context));
}

interface ReadPickle { machine: PickleMachine; folder: string; stream: number | null; length: number }

async function readPickle(entry: ZipEntry, zip: ZipArchive, source: ByteSource, context: ReaderContext, imports: ImportList): Promise<ReadPickle> {
  const bytes = await zip.contents(entry, context.limits.pickleBytes, context);
  const machine = await runPickle(PickleInput.of(bytes), 0, imports, context);
  const stream = entry.method === 0 ? zip.dataStart(entry) : null;
  if (machine.broken) {
    refuse(source.path, `${shown(entry.name)} breaks at its byte ${machine.broken.offset}: ${machine.broken.message}`, `${FETCH_AGAIN}, or save it again`,
      { offset: (stream ?? entry.header) + (stream === null ? 0 : machine.broken.offset) });
  }
  return { machine, folder: entry.name.slice(0, -entry.name.split('/').pop()!.length), stream, length: bytes.length };
}

/** Lists the imports of every other pickle in the archive, whatever its name. Returns how many pickles there are. */
async function scanOthers(zip: ZipArchive, root: ZipEntry | undefined, context: ReaderContext, imports: ImportList, problems: ProblemList, known: ReadonlySet<ZipEntry> = new Set()): Promise<number> {
  const others = findPickles(zip, root, problems, known);
  // Overlapping members would make a small file take long to read.
  zip.refuseOverlaps(root ? [root, ...others] : others);
  let left = context.limits.pickleBytes;
  for (const entry of others) {
    let bytes: Buffer;
    try {
      bytes = await zip.contents(entry, left, context);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      problems.add('questionable', `the pickle ${shown(entry.name)} cannot be read: ${error.problem.message}`, SAVE_AGAIN, { offset: entry.at });
      continue;
    }
    left -= bytes.length;
    const machine = await runPickle(PickleInput.of(bytes), 0, imports, context);
    reportLongFrame(machine, problems, () => entry.header, `${shown(entry.name)}: `);
    if (machine.broken) problems.add('questionable', `the pickle ${shown(entry.name)} breaks at its byte ${machine.broken.offset}: ${machine.broken.message}`, SAVE_AGAIN, { offset: entry.header });
  }
  return others.length + (root ? 1 : 0);
}

/** Members that are pickles by their bytes, besides the main one. */
function findPickles(zip: ZipArchive, root: ZipEntry | undefined, problems: ProblemList, known: ReadonlySet<ZipEntry>): ZipEntry[] {
  const folder = root ? root.name.slice(0, -'data.pkl'.length) : null;
  const found: ZipEntry[] = [];
  let looked = 0;
  for (const entry of zip.entries) {
    if (entry === root || known.has(entry) || entry.size < 2) continue;
    if (folder !== null) {
      // Raw storages are numbers: some of them would look like anything. Sources and debug records of TorchScript are read by nobody here.
      if (entry.name.startsWith(`${folder}data/`) || entry.name.startsWith(`${folder}constants/`) || /\.(py|json|txt|md|debug_pkl)$/i.test(entry.name)) continue;
    }
    if (++looked > MOST_SNIFFED) {
      problems.add('questionable', `only ${MOST_SNIFFED} members of the archive were looked at for pickles`, SAVE_AGAIN, { offset: entry.at });
      break;
    }
    if (looksLikePickle(zip.peek(entry, 512), { size: entry.size })) found.push(entry);
  }
  return found;
}

function refuseOther(zip: ZipArchive, source: ByteSource): never {
  const names = zip.entries.slice(0, 5).map((entry) => shown(entry.name, 60)).join(', ');
  const more = zip.entries.length > 5 ? ` and ${zip.entries.length - 5} more` : '';
  return refuse(source.path, zip.entries.length === 0 ? 'this is an empty zip archive' : `this is a zip archive of other files (${names}${more}), not a checkpoint`,
    'Extract it, and open the checkpoint inside', { offset: 0 });
}

function storagePlace(zip: ZipArchive, folder: string, ref: StorageRef, tensor: string, source: ByteSource, byteOrder: 'little' | 'big', used: Set<ZipEntry>): StoragePlace {
  const bytes = Math.ceil(ref.elements * ref.bits / 8);
  const entry = zip.get(folder + ref.key);
  if (!entry) {
    if (bytes === 0) return { offset: 0, bytes: 0, byteOrder };
    return refuse(source.path, `the storage ${shown(ref.key)} of ${shown(tensor)} is not in the archive`, FETCH_AGAIN, { tensor });
  }
  if (entry.size !== bytes) {
    refuse(source.path, `the storage ${shown(ref.key)} of ${shown(tensor)} holds ${counted(entry.size, 'byte')}, but the pickle says ${bytes}`, FETCH_AGAIN, { offset: entry.at, tensor });
  }
  if (entry.method !== 0) return { absent: 'its storage is compressed, which torch.save never does; save the checkpoint again with torch.save' };
  if (entry.compressedSize !== entry.size) refuse(source.path, `the storage ${shown(ref.key)} is stored but gives two sizes, ${entry.compressedSize} and ${entry.size}`, FETCH_AGAIN, { offset: entry.at, tensor });
  used.add(entry);
  return { offset: zip.dataStart(entry), bytes, byteOrder };
}

/** The `byteorder` member of PyTorch 2.1 and later; little-endian without it. */
async function readByteOrder(zip: ZipArchive, folder: string, context: ReaderContext, source: ByteSource, problems: ProblemList): Promise<'little' | 'big'> {
  const entry = zip.get(`${folder}byteorder`);
  if (!entry) return 'little';
  const text = (await zip.contents(entry, 64, context)).toString('latin1').trim();
  if (text === 'little') return text;
  if (text === 'big') {
    problems.add('information', 'the checkpoint was saved on a big-endian machine; its values are turned round while reading', 'Nothing needs to be done', { offset: entry.at });
    return text;
  }
  return refuse(source.path, `the byte order "${shown(text, 20)}" is neither little nor big`, SAVE_AGAIN, { offset: entry.at });
}

/** Small text members that say what wrote the file. */
async function readMetadata(zip: ZipArchive, folder: string, context: ReaderContext): Promise<[string, string][]> {
  const pairs: [string, string][] = [];
  for (const name of ['version', '.format_version', '.storage_alignment', 'byteorder', '.data/serialization_id']) {
    const entry = zip.get(folder + name);
    if (!entry || entry.size > 256) continue;
    pairs.push([name, (await zip.contents(entry, 256, context)).toString('utf8').trim()]);
  }
  return pairs;
}

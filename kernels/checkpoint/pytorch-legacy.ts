import type { ByteSource } from './byte-source';
import type { Checkpoint } from './checkpoint';
import { DTYPE_BITS } from './checkpoint';
import { ImportList } from './pickle-imports';
import type { PickleMachine } from './pickle-machine';
import { dictEntries, entry } from './pickle-views';
import { sequence, type PickleValue } from './pickle-nodes';
import { PickleInput, reportLongFrame, runPickle } from './pickle-stream';
import { assemble, placeTensors, refuseOrList, type StoragePlace } from './pickled-checkpoint';
import { counted, FETCH_AGAIN, IS, ProblemList, refuse, SAVE_AGAIN, shown } from './problems';
import { breathe, type CheckpointReader, type ReaderContext } from './reader';
import { TensorMatcher } from './torch-tensors';
import { storageType } from './torch-types';

/** torch.save's magic number of the legacy form, and its protocol. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
const MAGIC_BYTES = Buffer.from('6cfc9c46f9206aa85019', 'hex');

/**
 * PyTorch's form before 1.6: pickles one behind another (magic number, protocol, system, the object, keys of the
 * storages), then for each key an unsigned 64-bit count of elements and their bytes.
 */
export const pytorchLegacyReader: CheckpointReader = {
  name: 'pytorch-legacy',

  /** LONG1 of the magic number, after an optional protocol mark and frame; or LONG as text. */
  match(head) {
    const start = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, 64));
    const at = start.indexOf(MAGIC_BYTES);
    return (at >= 2 && at <= 16 && start[at - 2] === 0x8a && start[at - 1] === MAGIC_BYTES.length) || start.toString('latin1').startsWith(`L${MAGIC}L\n`);
  },

  async open(source, context) {
    const imports = new ImportList(context.limits.imports);
    try {
      return await openLegacy(source, context, imports);
    } catch (error) {
      return refuseOrList(error, 'pytorch-legacy', source, context, imports);
    }
  },
};

async function openLegacy(source: ByteSource, context: ReaderContext, imports: ImportList): Promise<Checkpoint> {
  const problems = new ProblemList(context.limits.problems);
  const input = PickleInput.from(source, context.limits.pickleBytes);
  let at = 0;
  const next = async (what: string): Promise<PickleMachine> => {
    const machine = await runPickle(input, at, imports, context);
    if (machine.broken) {
      const cut = input.complete && input.bytes.length === source.size && /missing|does not end/.test(machine.broken.message);
      refuse(source.path, `the pickle of ${what} breaks: ${machine.broken.message}`, cut ? FETCH_AGAIN : `${FETCH_AGAIN}, or save it again`, { offset: at + machine.broken.offset });
    }
    const start = at;
    reportLongFrame(machine, problems, (offset) => start + offset);
    at = machine.position;
    return machine;
  };
  const magic = (await next('the magic number')).result;
  if (magic !== MAGIC) refuse(source.path, 'the magic number of torch.save is damaged', FETCH_AGAIN, { offset: 0 });
  const protocol = (await next('the protocol version')).result;
  if (protocol !== PROTOCOL) refuse(source.path, `the legacy protocol is ${String(protocol)}, not ${PROTOCOL}`, SAVE_AGAIN, { offset: 0 });
  const system = (await next('the system description')).result ?? null;
  const object = await next('the object');
  const objectBytes = object.position;
  const keys = sequence((await next('the list of storages')).result ?? null);
  if (!keys || keys.some((key) => typeof key !== 'string' && typeof key !== 'number')) refuse(source.path, 'the list of storages is not a list of keys', FETCH_AGAIN, { offset: at });
  const little = systemIsLittle(system);
  if (!little) {
    problems.add('information', 'the file was saved on a big-endian machine; torch.save stores values little-endian all the same', 'Compare a few values with the source', { offset: 0 });
  }
  const widths = storageWidths(object, source);
  const places = await readStorages(source, context, keys!.map(String), widths, at, problems);
  const matcher = new TensorMatcher();
  const tensors = await placeTensors(object.result ?? null, matcher, {
    strict: true, stream: 0,
    storage: (ref, tensor) => {
      const place = places.get(ref.key);
      if (!place) return refuse(source.path, `the storage ${shown(ref.key)} of ${shown(tensor)} is not in the file`, FETCH_AGAIN, { tensor });
      return place;
    },
  }, source, context, problems, objectBytes);
  return assemble('pytorch-legacy', source, context, problems, imports, tensors, object.result, matcher);
}

function systemIsLittle(system: PickleValue): boolean {
  const entries = dictEntries(system);
  return !entries || entry(entries, 'little_endian') !== false;
}

/** Bits per element and count of every storage the object names, collected from its persistent ids. */
function storageWidths(object: PickleMachine, source: ByteSource): Map<string, { bits: number; elements: number }> {
  const widths = new Map<string, { bits: number; elements: number }>();
  for (const persist of object.persistent) {
    const id = sequence(persist.id);
    if (!id || id[0] !== 'storage' || id.length < 5) continue;
    const type = storageType(id[1]);
    const elements = id[4];
    if (!type || typeof elements !== 'number' || elements < 0) refuse(source.path, 'a storage is not named as torch names one', FETCH_AGAIN);
    const bits = type === 'bytes' ? 8 : DTYPE_BITS[type as Exclude<typeof type, 'bytes' | null>];
    const key = String(id[2]);
    const before = widths.get(key);
    if (before && (before.elements !== elements || before.bits !== bits)) {
      refuse(source.path, `the storage ${shown(key)} is named twice with different sizes`, FETCH_AGAIN);
    }
    widths.set(key, { bits, elements: elements as number });
  }
  return widths;
}

/** Walks the storages by their counts, each of which must be what the pickle said. */
async function readStorages(source: ByteSource, context: ReaderContext, keys: readonly string[], widths: ReadonlyMap<string, { bits: number; elements: number }>, start: number,
  problems: ProblemList): Promise<Map<string, StoragePlace>> {
  const places = new Map<string, StoragePlace>();
  let at = start;
  for (const [index, key] of keys.entries()) {
    if (index % 10_000 === 9_999) await breathe(context);
    const width = widths.get(key);
    if (!width) return refuse(source.path, `the storage ${shown(key)} is in the file, but nothing says of what type it is`, FETCH_AGAIN, { offset: at });
    if (places.has(key)) refuse(source.path, `the storage ${shown(key)} is listed twice`, FETCH_AGAIN, { offset: at });
    if (at + 8 > source.size) refuse(source.path, `the file is cut short: ${keys.length - index} of ${counted(keys.length, 'storage', IS)} missing`, FETCH_AGAIN, { offset: source.size });
    const count = source.read(at, 8).readBigUInt64LE(0);
    if (count !== BigInt(width.elements)) {
      refuse(source.path, `the storage ${shown(key)} has ${counted(count, 'element')}, but the pickle says ${width.elements}`, FETCH_AGAIN, { offset: at });
    }
    const bytes = Math.ceil(width.elements * width.bits / 8);
    const end = at + 8 + bytes;
    if (!Number.isSafeInteger(end) || end > source.size) {
      refuse(source.path, `the file is cut short: the storage ${shown(key)} needs ${counted(bytes, 'byte')}, of which ${end - source.size} are missing`, FETCH_AGAIN, { offset: at + 8 });
    }
    places.set(key, { offset: at + 8, bytes, byteOrder: 'little' });
    at = end;
  }
  if (at < source.size) {
    problems.add('questionable', `${counted(source.size - at, 'byte', ['follows', 'follow'])} the last storage, part of none`, SAVE_AGAIN, { offset: at });
  }
  return places;
}

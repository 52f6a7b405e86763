import type { ByteSource } from './byte-source';
import { CheckpointError, DTYPE_BITS, type Checkpoint, type PickleImport, type TensorInfo, type TensorQuantizer } from './checkpoint';
import type { ImportList } from './pickle-imports';
import type { PickleValue } from './pickle-nodes';
import { plainValues } from './pickle-views';
import { FETCH_AGAIN, ProblemList, refuse, shown } from './problems';
import { breathe, type ReaderContext } from './reader';
import { nameTensors, type NamedRecord } from './state-dict';
import { TensorMatcher, UnknownElementError, type StorageRef } from './torch-tensors';

/** Where a storage's bytes are, or why they cannot be read. */
export type StoragePlace =
  | { readonly offset: number; readonly bytes: number; readonly byteOrder: 'little' | 'big' }
  | { readonly absent: string };

/** What a pickle-based format knows about where values are. */
export interface Layout {
  /** @throws CheckpointError when the storage is missing or has another size than the pickle says. */
  storage(ref: StorageRef, tensor: string): StoragePlace;
  /** Byte offset in the file of the pickle stream, when its ranges can be read in place (arrays pickled in line). */
  readonly stream: number | null;
  /** A record that contradicts itself: refused when true (formats of torch.save), only reported otherwise. */
  readonly strict: boolean;
}

/** Tensors of one pickled object, with their places. `prefix` stands before every name. */
export async function placeTensors(root: PickleValue, matcher: TensorMatcher, layout: Layout, source: ByteSource, context: ReaderContext, problems: ProblemList,
  pickleBytes: number, prefix = ''): Promise<TensorInfo[]> {
  const named = nameTensors(root, matcher, context.limits, problems, pickleBytes, (name, error) => {
    const { message } = error;
    if (error instanceof UnknownElementError) {
      problems.add('questionable', `the tensor ${shown(name)} is left out: ${message}`, 'Convert it to an ordinary element type before saving', { tensor: name });
      return;
    }
    if (layout.strict) refuse(source.path, `the tensor ${shown(name)} is impossible: ${message}`, FETCH_AGAIN, { tensor: name });
    problems.add('questionable', `the tensor ${shown(name)} cannot be read: ${message}`, 'Save the weights with torch.save or as safetensors', { tensor: name });
  });
  const tensors: TensorInfo[] = [];
  for (const { name, record, container } of named) {
    // Each may read the header of its storage.
    if (tensors.length % 5000 === 4999) await breathe(context);
    const info = place({ name: prefix + name, record }, layout, problems);
    const holder = prefix + container;
    tensors.push(holder === '' ? info : { ...info, container: holder });
  }
  return tensors;
}

function place({ name, record }: Omit<NamedRecord, 'container'>, layout: Layout, problems: ProblemList): TensorInfo {
  const { quantizer: given } = record;
  const quantizer: TensorQuantizer | undefined = given && ('scale' in given ? { scheme: 'per_tensor', ...given } : {
    scheme: 'per_channel', axis: given.axis,
    scales: place({ name: `${name}.scales`, record: given.scales }, layout, problems), zeroPoints: place({ name: `${name}.zeroPoints`, record: given.zeroPoints }, layout, problems),
  });
  const info = { name, dtype: record.dtype, shape: record.shape, bytes: record.bytes, ...(quantizer ? { quantizer } : {}) };
  if (record.note) problems.add('information', `${shown(name)}: ${record.note}`, 'Save the full tensors to have them analysed', { tensor: name });
  const absent = (why: string): TensorInfo => {
    problems.add('information', `the values of ${shown(name)} cannot be read: ${why}`, 'Save it as an ordinary dense tensor to have it analysed', { tensor: name });
    return { ...info, data: null };
  };
  if (record.absent !== undefined) return absent(record.absent);
  const strides = record.strides ? { strides: record.strides } : {};
  if (record.inline) {
    if (layout.stream === null) return absent('it is pickled in line in a compressed member');
    const { start, byteOrder } = record.inline;
    return { ...info, data: { file: 0, offset: layout.stream + start, byteOrder, ...strides } };
  }
  if (!record.storage) return absent('it has no storage');
  const where = layout.storage(record.storage, name);
  if ('absent' in where) return absent(where.absent);
  const offset = where.offset + (record.storage.viewOffset * record.storage.bits + record.offset * DTYPE_BITS[record.dtype]) / 8;
  return { ...info, data: { file: 0, offset, byteOrder: where.byteOrder, ...strides, storage: record.storage.key } };
}

/** Puts a pickle-based checkpoint together, with one finding for what it would import. */
export function assemble(format: string, source: ByteSource, context: ReaderContext, problems: ProblemList, imports: ImportList, tensors: readonly TensorInfo[],
  root: PickleValue | undefined, matcher: TensorMatcher, metadata: Checkpoint['metadata'] = []): Checkpoint {
  const listed = imports.list();
  reportImports(listed, imports.dropped, problems);
  const extra = root === undefined ? undefined : plainValues(root, context.limits.extraBytes, (node) => {
    try { return matcher.match(node) !== null; } catch { return true; }
  });
  return {
    format, path: source.path, files: [{ path: source.path, identity: source.identity }], tensors, problems: problems.list(), imports: listed, metadata,
    ...(extra ? { extra } : {}),
  };
}

/** The words are chosen with care: a list that holds nothing unknown is not called safe. */
function reportImports(imports: readonly PickleImport[], dropped: number, problems: ProblemList): void {
  const beyond = imports.filter((item) => item.kind !== 'tensor');
  if (beyond.length === 0) return;
  const code = beyond.filter((item) => item.kind === 'code');
  const names = (items: readonly PickleImport[]): string => items.slice(0, 8).map((item) => `${shown(item.module, 80)}.${shown(item.name, 80)}`).join(', ') + (items.length + dropped > 8 ? `, and ${items.length - Math.min(8, items.length) + dropped} more` : '');
  if (code.length > 0) {
    problems.add('questionable', `loading this file in Python would import names that are known to run code: ${names(code)}`,
      'Do not load it with torch.load or pickle; ask its author for safetensors', { offset: code[0].offset }, 'BL407');
  } else {
    problems.add('questionable', `imports outside the tensor allow-list: ${names(beyond)}`,
      'Save the state_dict alone, or as safetensors, so that loading needs tensor types only', { offset: beyond[0].offset }, 'BL407');
  }
}

/**
 * A checkpoint whose pickle or layout is broken. When it would import names that run code, the list of them is worth more
 * than a refusal: it is opened without tensors and with the reason as a finding. Otherwise it is refused.
 */
export function refuseOrList(error: unknown, format: string, source: ByteSource, context: ReaderContext, imports: ImportList): Checkpoint {
  if (!(error instanceof CheckpointError) || !imports.list().some((item) => item.kind === 'code')) throw error;
  const problems = new ProblemList(context.limits.problems);
  const { message, fix, offset, tensor } = error.problem;
  problems.add('questionable', `${message}; no tensors are listed`, fix, { ...(offset === undefined ? {} : { offset }), ...(tensor === undefined ? {} : { tensor }) });
  return assemble(format, source, context, problems, imports, [], undefined, new TensorMatcher());
}

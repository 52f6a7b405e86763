import type { ByteSource } from './byte-source';
import { checkedBytes, checkedProduct } from './checked';
import { DTYPE_BITS, type Checkpoint, type TensorInfo } from './checkpoint';
import { JsonSyntaxError } from './json-scanner';
import { counted, FETCH_AGAIN, IS, ProblemList, refuse, SAVE_AGAIN, shown } from './problems';
import { readLong, type CheckpointReader, type ReaderContext } from './reader';
import { PREFIX, readHeader, UnknownDtypeError, type Declared } from './safetensors-header';

/**
 * safetensors: u64 length, JSON header, data that the tensors must tile exactly
 * (https://github.com/huggingface/safetensors#format). What the reference implementation refuses is refused here; what
 * it accepts against its own specification is shown with a finding.
 */
export const safetensorsReader: CheckpointReader = {
  name: 'safetensors',

  match(head) {
    // White space before the brace is against the specification, but the reference accepts it.
    let at = PREFIX;
    while (at < head.length && (head[at] === 0x20 || head[at] === 0x09 || head[at] === 0x0a || head[at] === 0x0d)) at++;
    if (head[at] !== 0x7b) return false;
    // Text with a brace in that place is JSON, and a protocol mark with anything but zeros behind it is a pickle.
    const prefix = head.subarray(0, PREFIX);
    if (prefix.every((byte) => byte >= 0x09 && byte < 0x7f)) return false;
    return !(head[0] === 0x80 && head[1] <= 5 && (head[4] | head[5] | head[6] | head[7]) !== 0);
  },

  open: openSafetensors,
};

async function openSafetensors(source: ByteSource, context: ReaderContext): Promise<Checkpoint> {
  const { limits } = context;
  const refuseHere = (message: string, fix: string, offset?: number, tensor?: string): never => refuse(source.path, message, fix, { offset, tensor });
  const declared = source.read(0, PREFIX).readBigUInt64LE(0);
  if (declared > BigInt(limits.safetensorsHeader)) {
    refuseHere(`the header claims ${declared} bytes, more than the ${limits.safetensorsHeader} the format allows`, FETCH_AGAIN, 0);
  }
  const length = Number(declared);
  if (PREFIX + length > source.size) {
    refuseHere(`the header claims ${counted(length, 'byte')}, but its length is followed by ${source.size - PREFIX}: ${counted(PREFIX + length - source.size, 'byte', IS)} missing`, FETCH_AGAIN, 0);
  }
  const header = await readLong(source, PREFIX, length, context);
  const problems = new ProblemList(limits.problems);
  try {
    const { declared, metadata } = await readHeader(header, context, problems);
    const tensors = place(declared, source, problems, PREFIX + length, limits.dims);
    return {
      format: 'safetensors', path: source.path, files: [{ path: source.path, identity: source.identity }],
      tensors, problems: problems.list(), imports: [], metadata,
    };
  } catch (error) {
    if (error instanceof UnknownDtypeError) {
      return refuseHere(error.message, 'Update Bitlens if the format has a new element type, or save the tensor in another one', PREFIX + error.offset, error.tensor);
    }
    if (!(error instanceof JsonSyntaxError)) throw error;
    return refuseHere(`the safetensors header is damaged: ${error.message}`, `${FETCH_AGAIN}, or save it again`, PREFIX + error.offset);
  }
}

/** Checks that the tensors, in order of their bytes, tile the data from its first byte to its last; keeps file order. */
function place(declared: Declared, source: ByteSource, problems: ProblemList, dataStart: number, mostDims: number): TensorInfo[] {
  const { infos, at, end, large } = declared;
  let next = 0;
  let misaligned: TensorInfo | null = null;
  const order = byPosition(declared);
  for (let i = 0; i < infos.length; i++) {
    const index = order ? order[i] : i;
    const info = infos[index];
    if (info === null) continue;
    const begin = info.data!.offset;
    const shape = large.get(index) ?? info.shape;
    const refuseTensor = (message: string): never => refuse(source.path, `${shown(info.name)}: ${message}`, SAVE_AGAIN, { offset: at[index], tensor: info.name });
    const sizes = (): string => `its shape [${shape.slice(0, 16).join(', ')}${shape.length > 16 ? ', ...' : ''}] of ${info.dtype}`;
    if (begin !== next || end[index] < begin) {
      const how = end[index] < begin ? 'ends before it begins' : begin > next ? 'leaves a hole before it' : 'overlaps the tensor before it';
      refuseTensor(`its data [${begin}, ${end[index]}] ${how}; byte ${next} of the data was expected next`);
    }
    if (overflowsInOrder(shape, DTYPE_BITS[info.dtype])) refuseTensor(`${sizes()} is larger than 64 bits can count`);
    const count = checkedProduct(shape, Number.MAX_SAFE_INTEGER);
    const bytes = count === null ? null : checkedBytes(count, DTYPE_BITS[info.dtype]);
    if (bytes === null) return refuseTensor(`${sizes()} does not make whole bytes below 2^53`);
    if (end[index] - begin !== bytes) refuseTensor(`${sizes()} needs ${counted(bytes, 'byte')}, but data_offsets give it ${end[index] - begin}`);
    info.bytes = bytes;
    info.data!.offset = dataStart + begin;
    if (bytes > 0 && (dataStart + begin) % Math.max(1, Math.ceil(DTYPE_BITS[info.dtype] / 8)) !== 0) misaligned ??= info;
    if (shape.length > mostDims) {
      problems.add('questionable', `${shown(info.name)} has ${shape.length} dimensions; with more than ${mostDims} its values are not read`, 'Reshape the tensor before saving', { offset: at[index], tensor: info.name });
      info.data = null;
    }
    if (large.has(index)) {
      problems.add('questionable', `${shown(info.name)} is empty but has a dimension of 2^53 or more, which not every loader accepts`, SAVE_AGAIN, { offset: at[index], tensor: info.name });
    }
    next = end[index];
  }
  const present = source.size - dataStart;
  if (next > present) refuse(source.path, `the tensors need ${counted(next, 'byte')} of data, but the file holds ${present}: ${counted(next - present, 'byte', IS)} missing`, FETCH_AGAIN, { offset: source.size });
  if (next < present) refuse(source.path, `${counted(present - next, 'byte', ['follows', 'follow'])} the last tensor, part of none`, SAVE_AGAIN, { offset: dataStart + next });
  if (misaligned) {
    problems.add('information', `the data of ${shown(misaligned.name)} does not start at a multiple of its element size; some loaders copy such tensors`, 'Save the checkpoint again with a current version of safetensors',
      { offset: misaligned.data?.offset, tensor: misaligned.name });
  }
  return infos.includes(null) ? infos.filter((info) => info !== null) : infos as TensorInfo[];
}

/** Indices of the tensors by begin and then end of their data; null where that is the order they have, as with nearly all writers. */
function byPosition({ infos, end }: Declared): Uint32Array | null {
  const compare = (a: number, b: number): number => {
    const [first, second] = [infos[a], infos[b]];
    // A name that was given again later stands nowhere.
    if (first === null || second === null) return (first === null ? 1 : 0) - (second === null ? 1 : 0);
    return first.data!.offset - second.data!.offset || end[a] - end[b];
  };
  for (let index = 1; index < infos.length; index++) {
    if (compare(index - 1, index) > 0) return Uint32Array.from(infos.keys()).sort(compare);
  }
  return null;
}

/** The reference multiplies the dimensions in order and refuses when a step passes 2^64, even if a later dimension is zero. */
function overflowsInOrder(shape: readonly (number | bigint)[], bits: number): boolean {
  let small = 1;
  for (let i = 0; i < shape.length; i++) {
    small *= Number(shape[i]);
    if (small * bits > Number.MAX_SAFE_INTEGER) {
      let product = 1n;
      for (const dim of shape) {
        product *= BigInt(dim);
        if (product >= 2n ** 64n) return true;
      }
      return product * BigInt(bits) >= 2n ** 64n;
    }
    if (small === 0) return false;
  }
  return false;
}

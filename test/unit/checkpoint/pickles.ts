/**
 * Makes pickles (protocol 2 opcodes and a few later ones) and zips for tests, so that files of programs that are not
 * installed here (PyTorch 2.x) can be built byte by byte.
 */
export type Py =
  | null | boolean | number | bigint | string
  | { readonly op: string; readonly parts: readonly Py[]; readonly text?: readonly string[]; readonly bytes?: Buffer };

export const global = (module: string, name: string): Py => ({ op: 'global', parts: [], text: [module, name] });
export const tuple = (...parts: Py[]): Py => ({ op: 'tuple', parts });
export const list = (...parts: Py[]): Py => ({ op: 'list', parts });
export const call = (fn: Py, ...args: Py[]): Py => ({ op: 'call', parts: [fn, tuple(...args)] });
export const build = (object: Py, state: Py): Py => ({ op: 'build', parts: [object, state] });
export const made = (cls: Py, ...args: Py[]): Py => ({ op: 'new', parts: [cls, tuple(...args)] });
export const persist = (id: Py): Py => ({ op: 'persist', parts: [id] });
export const float = (value: number): Py => ({ op: 'float', parts: [], bytes: (() => { const bytes = Buffer.alloc(8); bytes.writeDoubleBE(value); return bytes; })() });
export const rawBytes = (bytes: Buffer): Py => ({ op: 'bytes', parts: [], bytes });
export const dict = (entries: Iterable<readonly [Py, Py]>): Py => ({ op: 'dict', parts: [...entries].flat() });
/** Sets items on any object, as OrderedDict is pickled. */
export const withItems = (object: Py, entries: Iterable<readonly [Py, Py]>): Py => ({ op: 'items', parts: [object, ...[...entries].flat()] });
export const ordered = (entries: Iterable<readonly [Py, Py]>): Py => withItems(call(global('collections', 'OrderedDict')), entries);

/** Bytes that grow, because large pickles are made of millions of short pieces. */
class Growing {
  private bytes = Buffer.alloc(1024);
  length = 0;
  private room(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    this.bytes = Buffer.concat([this.bytes], Math.max(this.bytes.length * 2, this.length + more));
  }
  op(...codes: number[]): void {
    this.room(codes.length);
    for (const code of codes) this.bytes[this.length++] = code;
  }
  u32(value: number): void {
    this.op(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);
  }
  data(bytes: Buffer): void {
    this.room(bytes.length);
    this.length += bytes.copy(this.bytes, this.length);
  }
  done(): Buffer { return this.bytes.subarray(0, this.length); }
}

/** LONG1: little-endian two's complement, as short as it goes. */
function integer(value: bigint): number[] {
  const out: number[] = [];
  let rest = value;
  for (;;) {
    out.push(Number(rest & 0xffn));
    rest >>= 8n;
    const sign = (out[out.length - 1] & 0x80) !== 0;
    if ((rest === 0n && !sign) || (rest === -1n && sign)) break;
  }
  return [0x8a, out.length, ...out];
}

function put(value: Py, out: Growing, memo: Map<Py, number>): void {
  if (value === null) { out.op(0x4e); return; }
  if (typeof value === 'boolean') { out.op(value ? 0x88 : 0x89); return; }
  if (typeof value === 'number' || typeof value === 'bigint') { out.op(...integer(BigInt(value))); return; }
  if (typeof value === 'string') { const text = Buffer.from(value); out.op(0x58); out.u32(text.length); out.data(text); return; }
  // The same object twice is one object, as pickle keeps it.
  const known = memo.get(value);
  if (known !== undefined) { out.op(0x6a); out.u32(known); return; }
  const remember = (): void => { memo.set(value, memo.size); out.op(0x72); out.u32(memo.size - 1); };
  const all = (parts: readonly Py[]): void => { for (const part of parts) put(part, out, memo); };
  const { parts } = value;
  switch (value.op) {
    case 'global': out.data(Buffer.from(`c${value.text![0]}\n${value.text![1]}\n`)); break;
    case 'tuple': out.op(0x28); all(parts); out.op(0x74); break;
    case 'list': out.op(0x5d); remember(); out.op(0x28); all(parts); out.op(0x65); return;
    case 'dict': out.op(0x7d); remember(); out.op(0x28); all(parts); out.op(0x75); return;
    case 'call': all(parts); out.op(0x52); break;
    case 'new': all(parts); out.op(0x81); break;
    case 'build': put(parts[0], out, memo); put(parts[1], out, memo); out.op(0x62); break;
    case 'items': put(parts[0], out, memo); out.op(0x28); all(parts.slice(1)); out.op(0x75); break;
    case 'persist': all(parts); out.op(0x51); break;
    case 'float': out.op(0x47); out.data(value.bytes!); return;
    case 'bytes': out.op(0x42); out.u32(value.bytes!.length); out.data(value.bytes!); return;
    default: throw new Error(value.op);
  }
  remember();
}

export function pickle(value: Py, protocol = 2): Buffer {
  const out = new Growing();
  out.op(0x80, protocol);
  put(value, out, new Map());
  out.op(0x2e);
  return out.done();
}

/** A storage id as torch.save writes it. */
export const storage = (type: string, key: string, count: number, module = 'torch', ...view: Py[]): Py =>
  persist(tuple('storage', global(module, type), key, 'cpu', count, ...view));

const REBUILD = global('torch._utils', '_rebuild_tensor_v2');
const HOOKS = ordered([]);
const shapeStrides = (shape: readonly number[]): number[] => shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * Math.max(1, b), 1));

export const tensorV2 = (store: Py, offset: number, shape: readonly number[], strides: readonly number[] = shapeStrides(shape)): Py =>
  call(REBUILD, store, offset, tuple(...shape), tuple(...strides), false, HOOKS);

export interface Member { name: string; bytes: Buffer; method?: number; packed?: Buffer; flags?: number; localName?: string; headerShift?: number; size?: number; localSize?: number; crc?: number; localCrc?: number }

/** A zip of stored (or already deflated) members, 64-byte aligned like torch's, with whatever lies the members ask for. */
export function zip(members: readonly Member[], options: { zip64?: boolean; before?: Buffer; comment?: Buffer } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  const push = (bytes: Buffer): void => { parts.push(bytes); at += bytes.length; };
  for (const member of members) {
    const data = member.packed ?? member.bytes;
    const name = Buffer.from(member.name);
    const localName = Buffer.from(member.localName ?? member.name);
    const header = at;
    const pad = (64 - ((at + 30 + localName.length + 4) % 64)) % 64;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(member.flags ?? 0, 6);
    local.writeUInt16LE(member.method ?? 0, 8);
    local.writeUInt32LE((member.localCrc ?? member.crc ?? 0) >>> 0, 14);
    local.writeUInt32LE(data.length, 18);
    local.writeUInt32LE(member.localSize ?? member.bytes.length, 22);
    local.writeUInt16LE(localName.length, 26);
    local.writeUInt16LE(4 + pad, 28);
    const extra = Buffer.alloc(4 + pad, 0x5a);
    extra.writeUInt16LE(0x4246, 0);
    extra.writeUInt16LE(pad, 2);
    push(local); push(localName); push(extra); push(data);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(member.flags ?? 0, 8);
    central.writeUInt16LE(member.method ?? 0, 10);
    central.writeUInt32LE((member.crc ?? 0) >>> 0, 16);
    const size = member.size ?? member.bytes.length;
    const wide = Buffer.alloc(options.zip64 ? 28 : 0);
    if (options.zip64) {
      wide.writeUInt16LE(1, 0);
      wide.writeUInt16LE(24, 2);
      wide.writeBigUInt64LE(BigInt(size), 4);
      wide.writeBigUInt64LE(BigInt(data.length), 12);
      wide.writeBigUInt64LE(BigInt(header + (member.headerShift ?? 0)), 20);
    }
    central.writeUInt32LE(options.zip64 ? 0xffffffff : data.length, 20);
    central.writeUInt32LE(options.zip64 ? 0xffffffff : size, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(wide.length, 30);
    central.writeUInt32LE(options.zip64 ? 0xffffffff : header + (member.headerShift ?? 0), 42);
    directory.push(central, name, wide);
  }
  const start = at;
  for (const piece of directory) push(piece);
  const length = at - start;
  if (options.zip64) {
    const end64 = Buffer.alloc(56);
    end64.writeUInt32LE(0x06064b50, 0);
    end64.writeBigUInt64LE(44n, 4);
    end64.writeBigUInt64LE(BigInt(members.length), 24);
    end64.writeBigUInt64LE(BigInt(members.length), 32);
    end64.writeBigUInt64LE(BigInt(length), 40);
    end64.writeBigUInt64LE(BigInt(start), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(at), 8);
    locator.writeUInt32LE(1, 16);
    push(end64); push(locator);
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(options.zip64 ? 0xffff : members.length, 8);
  end.writeUInt16LE(options.zip64 ? 0xffff : members.length, 10);
  end.writeUInt32LE(options.zip64 ? 0xffffffff : length, 12);
  end.writeUInt32LE(options.zip64 ? 0xffffffff : start, 16);
  end.writeUInt16LE(options.comment?.length ?? 0, 20);
  push(end);
  if (options.comment) push(options.comment);
  return Buffer.concat([options.before ?? Buffer.alloc(0), ...parts]);
}

/** A torch.save zip of an object and its storages. */
export function torchZip(object: Py, storages: ReadonlyMap<string, Buffer> | Record<string, Buffer> = {}, more: readonly Member[] = [], top = 'archive'): Buffer {
  const entries = storages instanceof Map ? [...storages] as [string, Buffer][] : Object.entries(storages);
  return zip([
    { name: `${top}/data.pkl`, bytes: pickle(object) },
    ...entries.map(([key, bytes]) => ({ name: `${top}/data/${key}`, bytes })),
    { name: `${top}/version`, bytes: Buffer.from('3\n') },
    ...more.map((member) => ({ ...member, name: `${top}/${member.name}` })),
  ]);
}

/** A torch.save file of the legacy form. */
export function torchLegacy(object: Py, storages: readonly (readonly [string, number, Buffer])[]): Buffer {
  const parts = [
    pickle(0x1950a86a20f9469cfc6cn), pickle(1001), pickle(dict([['protocol_version', 1001], ['little_endian', true], ['type_sizes', dict([['short', 2], ['int', 4], ['long', 4]])]])),
    pickle(object), pickle(list(...storages.map(([key]) => key))),
  ];
  for (const [, count, bytes] of storages) {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(count));
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

export function floats(...values: number[]): Buffer {
  return Buffer.from(new Float32Array(values).buffer);
}

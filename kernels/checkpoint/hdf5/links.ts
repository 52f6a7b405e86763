/** The members of a group: old ones in a B-tree with symbol tables, new ones as messages or in a heap with a B-tree of names. */
import { Hdf5Error, type H5File } from './h5-file';
import type { Message } from './object-header';

export type Link =
  | { readonly kind: 'hard'; readonly name: string; readonly to: number }
  | { readonly kind: 'soft' | 'external'; readonly name: string; readonly target: string };

const SYMBOL_TABLE = 0x11, LINK_INFO = 0x02, LINK = 0x06;
const LONGEST_NAME = 65_536;
/** Nodes of one tree, against trees that lead back into themselves. */
const MOST_NODES = 1_000_000;

export function isGroup(messages: readonly Message[]): boolean {
  return messages.some(({ type }) => type === SYMBOL_TABLE || type === LINK_INFO || type === LINK);
}

/** @param most links that are read; one more is an error */
export function readLinks(file: H5File, messages: readonly Message[], most: number): Link[] {
  const links: Link[] = [];
  const add = (link: Link, at: number): void => {
    if (links.length >= most) throw new Hdf5Error(`the file has more than ${most} links`, at);
    links.push(link);
  };
  for (const { type, start, length } of messages) {
    if (type === SYMBOL_TABLE) symbolTable(file, start, add);
    else if (type === LINK) add(linkMessage(file, start, start + length), start);
    else if (type === LINK_INFO) denseLinks(file, start, add);
  }
  return links;
}

type Add = (link: Link, at: number) => void;

function symbolTable(file: H5File, start: number, add: Add): void {
  const tree = file.address(start);
  const heap = file.address(start + file.addressSize);
  if (tree === null || heap === null) return;
  file.expect(heap, 'HEAP');
  const size = file.length(heap + 8);
  const segment = file.address(heap + 8 + 2 * file.lengthSize);
  if (segment === null || segment + size > file.end) throw new Hdf5Error('the names of a group lie outside the file', heap);
  const text = (offset: number | null, at: number): string => {
    if (offset === null || offset >= size) throw new Hdf5Error('a name lies outside the names of its group', at);
    // In pieces: names end with a zero.
    let bytes = file.bytes(segment + offset, Math.min(64, size - offset));
    for (let want = 64; !bytes.includes(0) && want < size - offset && want < LONGEST_NAME; ) {
      want *= 4;
      bytes = file.bytes(segment + offset, Math.min(want, size - offset));
    }
    const end = bytes.indexOf(0);
    return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
  };
  const entrySize = 2 * file.addressSize + 24;
  for (const node of leaves(file, tree, 0)) {
    file.expect(node, 'SNOD');
    const count = file.u16(node + 6);
    for (let i = 0, at = node + 8; i < count; i++, at += entrySize) {
      const name = text(file.number(at, file.addressSize), at);
      if (file.u32(at + 2 * file.addressSize) === 2) add({ kind: 'soft', name, target: text(file.u32(at + 2 * file.addressSize + 8), at) }, at);
      else {
        const to = file.address(at + file.addressSize);
        if (to !== null) add({ kind: 'hard', name, to }, at);
      }
    }
  }
}

/** Children of the lowest nodes of a version 1 B-tree of groups, in order. */
function* leaves(file: H5File, root: number, type: number): Generator<number> {
  const todo = [{ at: root, level: Infinity }];
  const seen = new Set<number>();
  for (let node = todo.pop(); node; node = todo.pop()) {
    const { at } = node;
    file.expect(at, 'TREE');
    const level = file.u8(at + 5);
    if (file.u8(at + 4) !== type || level >= node.level || seen.has(at) || seen.size >= MOST_NODES) throw new Hdf5Error('a B-tree leads where it cannot', at);
    seen.add(at);
    const count = file.u16(at + 6);
    const first = at + 8 + 2 * file.addressSize;
    const children: number[] = [];
    for (let i = 0; i < count; i++) {
      const to = file.address(first + i * (file.lengthSize + file.addressSize) + file.lengthSize);
      if (to !== null) children.push(to);
    }
    if (level === 0) yield* children;
    else for (const child of children.reverse()) todo.push({ at: child, level });
  }
}

function linkMessage(file: H5File, start: number, end: number): Link {
  if (file.u8(start) !== 1) throw new Hdf5Error(`a link has version ${file.u8(start)}`, start);
  const flags = file.u8(start + 1);
  let at = start + 2;
  const kind = flags & 8 ? file.u8(at++) : 0;
  if (flags & 4) at += 8;
  if (flags & 0x10) at += 1;
  const width = 1 << (flags & 3);
  const length = file.number(at, width) ?? Infinity;
  at += width;
  if (at + length > end) throw new Hdf5Error('a link runs over its end', start);
  const name = file.bytes(at, length).toString('utf8');
  at += length;
  if (kind === 0) {
    const to = file.address(at);
    if (to === null) throw new Hdf5Error('a link leads nowhere', start);
    return { kind: 'hard', name, to };
  }
  const size = file.u16(at);
  if (at + 2 + size > end) throw new Hdf5Error('a link runs over its end', start);
  const value = file.bytes(at + 2, size);
  if (kind === 1) return { kind: 'soft', name, target: value.toString('utf8') };
  // A byte of flags, then the file and the path in it, each ended by a zero.
  return { kind: 'external', name, target: kind === 64 ? value.toString('utf8', 1).split('\0').filter((part) => part !== '').join(':') : `type ${kind}` };
}

function denseLinks(file: H5File, start: number, add: Add): void {
  const flags = file.u8(start + 1);
  const at = start + 2 + (flags & 1 ? 8 : 0);
  const heapAt = file.address(at);
  const tree = file.address(at + file.addressSize);
  if (heapAt === null || tree === null) return;
  const heap = new FractalHeap(file, heapAt);
  // Records of links by name: a hash, then the place in the heap.
  for (const record of records(file, tree, 5)) {
    const { start: from, end } = heap.object(record + 4);
    add(linkMessage(file, from, end), from);
  }
}

/** Positions of the records of a version 2 B-tree, in order. */
export function* records(file: H5File, header: number, type: number): Generator<number> {
  file.expect(header, 'BTHD');
  if (file.u8(header + 5) !== type) throw new Hdf5Error('a B-tree is of another kind than is expected', header + 5);
  const nodeSize = file.u32(header + 6);
  const recordSize = file.u16(header + 10);
  const depth = file.u16(header + 12);
  const root = file.address(header + 16);
  const inRoot = file.u16(header + 16 + file.addressSize);
  if (root === null || inRoot === 0) return;
  if (recordSize === 0 || nodeSize < 16 || depth > 16) throw new Hdf5Error('a B-tree has impossible sizes', header);
  // Widths of the counts in inner nodes follow from how many records fit below them.
  const widths = [0];
  let most = Math.floor((nodeSize - 10) / recordSize);
  let below = most;
  const countWidth = bytesFor(most);
  for (let level = 1; level <= depth; level++) {
    const pointer = file.addressSize + countWidth + (level > 1 ? widths[level - 1] : 0);
    most = Math.floor((nodeSize - 10 - pointer) / (recordSize + pointer));
    below = (most + 1) * below + most;
    widths.push(bytesFor(below));
  }
  let nodes = 0;
  const todo: { at: number; level: number; count: number; record?: number }[] = [{ at: root, level: depth, count: inRoot }];
  for (let node = todo.pop(); node; node = todo.pop()) {
    if (node.record !== undefined) { yield node.record; continue; }
    const { at, level, count } = node;
    if (++nodes > MOST_NODES) throw new Hdf5Error('a B-tree leads where it cannot', at);
    file.expect(at, level === 0 ? 'BTLF' : 'BTIN');
    if (6 + count * recordSize > nodeSize) throw new Hdf5Error('a node of a B-tree claims more records than fit', at);
    if (level === 0) {
      for (let i = 0; i < count; i++) yield at + 6 + i * recordSize;
      continue;
    }
    const totals = level > 1 ? widths[level - 1] : 0;
    const pointers = at + 6 + count * recordSize;
    for (let i = count; i >= 0; i--) {
      const pointer = pointers + i * (file.addressSize + countWidth + totals);
      const child = file.address(pointer);
      if (child === null) throw new Hdf5Error('a B-tree leads nowhere', pointer);
      if (i < count) todo.push({ at, level, count, record: at + 6 + i * recordSize });
      todo.push({ at: child, level: level - 1, count: file.number(pointer + file.addressSize, countWidth) ?? 0 });
    }
  }
}

const bytesFor = (most: number): number => Math.max(1, Math.ceil(Math.log2(most + 1) / 8));

/** A fractal heap: objects by their place in a space of blocks whose sizes double. */
class FractalHeap {
  private readonly offsetSize: number;
  private readonly lengthSize: number;
  private readonly width: number;
  private readonly firstSize: number;
  private readonly mostDirect: number;
  private readonly root: number | null;
  private readonly rows: number;
  private readonly entrySize: number;

  constructor(private readonly file: H5File, at: number) {
    file.expect(at, 'FRHP');
    const filters = file.u16(at + 7);
    if (filters > 0) throw new Hdf5Error('a heap of names is compressed, which is not read', at + 7);
    const table = at + 14 + 10 * file.lengthSize + 2 * file.addressSize;
    const mostObject = file.u32(at + 10);
    this.width = file.u16(table);
    this.firstSize = file.length(table + 2);
    this.mostDirect = file.length(table + 2 + file.lengthSize);
    const bits = file.u16(table + 2 + 2 * file.lengthSize);
    this.root = file.address(table + 6 + 2 * file.lengthSize);
    this.rows = file.u16(table + 6 + 2 * file.lengthSize + file.addressSize);
    this.offsetSize = Math.ceil(bits / 8);
    this.lengthSize = bytesFor(Math.min(this.mostDirect, mostObject));
    this.entrySize = file.addressSize;
    if (this.width === 0 || this.firstSize === 0 || bits === 0 || bits > 64 || this.rows > 64) throw new Hdf5Error('a heap has impossible sizes', at);
  }

  /** The bytes of an object. @param id position of its identifier */
  object(id: number): { start: number; end: number } {
    const { file } = this;
    const kind = file.u8(id) >> 4 & 3;
    if (kind !== 0) throw new Hdf5Error('a name is kept outside the blocks of its heap, which is not read', id);
    const offset = file.number(id + 1, this.offsetSize) ?? Infinity;
    const length = file.number(id + 1 + this.offsetSize, this.lengthSize) ?? Infinity;
    let block = this.root;
    let from = 0;
    let { rows } = this;
    for (let depth = 0; rows > 0; depth++) {
      if (block === null || depth > 16) throw new Hdf5Error('a heap leads where it cannot', id);
      file.expect(block, 'FHIB');
      const first = block + 5 + file.addressSize + this.offsetSize;
      // The row, and the block in it, that holds the offset.
      let row = 0;
      let start = from;
      while (row < rows && start + this.width * this.size(row) <= offset) start += this.width * this.size(row++);
      if (row >= rows) throw new Hdf5Error('a name lies outside its heap', id);
      const column = Math.floor((offset - start) / this.size(row));
      from = start + column * this.size(row);
      block = file.address(first + (row * this.width + column) * this.entrySize);
      if (this.size(row) <= this.mostDirect) break;
      rows = this.rowsOf(this.size(row));
    }
    if (block === null) throw new Hdf5Error('a name lies in a part of its heap that was never written', id);
    const at = block + (offset - from);
    if (!(at + length <= file.end)) throw new Hdf5Error('a name lies outside the file', id);
    return { start: at, end: at + length };
  }

  /** Bytes of a block in a row: the first two rows have the smallest. */
  private size(row: number): number { return this.firstSize * 2 ** Math.max(0, row - 1); }

  /** Rows of an indirect block that covers so many bytes. */
  private rowsOf(bytes: number): number { return Math.max(1, Math.round(Math.log2(bytes / (this.firstSize * this.width))) + 1); }
}

/** Where the chunks of a dataset are: the indexes of old files (B-tree) and of new ones (single, implicit, fixed array). */
import { checkedProduct } from '../checked';
import type { ChunkedRange } from '../checkpoint';
import { Hdf5Error, Hdf5Unsupported, type H5File } from './h5-file';

interface ChunkFacts {
  readonly shape: readonly number[];
  readonly chunk: readonly number[];
  readonly chunkBytes: number;
  readonly width: number;
  readonly bytes: number;
  readonly filters: ChunkedRange['filters'];
  /** Root of a version 1 B-tree; null when undefined, or with an index of another kind. */
  readonly tree: number | null;
  /** Kind of the index of a version 4 layout, and where its description begins; 0 for a B-tree. */
  readonly index: number;
  readonly indexAt: number;
  readonly messageEnd: number;
}

const MOST_NODES = 1_000_000;

/** @throws Hdf5Error for chunks outside the file or the dataset, or more than the budget. @throws Hdf5Unsupported */
export function chunkTable(file: H5File, facts: ChunkFacts, budget: { chunks: number }): ChunkedRange {
  const { shape, chunk } = facts;
  const grid = shape.map((dim, i) => Math.ceil(dim / chunk[i]));
  const count = checkedProduct(grid, budget.chunks);
  if (count === null) throw new Hdf5Unsupported('it has more chunks than are listed');
  budget.chunks -= count;
  // Position, stored bytes and left-out filters of each chunk, in row-major order of the grid; 0 bytes where none was written.
  const table = new Array<number>(3 * count).fill(0);
  const put = (at: number, position: number | null, bytes: number, mask: number): void => {
    if (position === null) return;
    if (at >= count) return;
    if (position + bytes > file.end) throw new Hdf5Error(`a chunk of ${bytes} bytes at byte ${position} runs over the end of the file at ${file.end}`, position);
    if (facts.filters.length === 0 && bytes !== facts.chunkBytes) throw new Hdf5Error(`a chunk has ${bytes} bytes and no filters, but needs ${facts.chunkBytes}`, position);
    table[3 * at] = position;
    table[3 * at + 1] = bytes;
    table[3 * at + 2] = mask;
  };
  if (facts.index === 0) {
    if (facts.tree !== null) byTree(file, facts, grid, put);
  } else indexed(file, facts, count, put);
  return { method: 'chunks', start: 0, length: 0, size: facts.bytes, shape, chunk, width: facts.width, filters: facts.filters, table };
}

type Put = (at: number, position: number | null, bytes: number, mask: number) => void;

/** Version 1 B-tree: keys are size, filter mask and offsets of a chunk. */
function byTree(file: H5File, { shape, chunk, tree }: ChunkFacts, grid: readonly number[], put: Put): void {
  const keySize = 8 + 8 * (shape.length + 1);
  const todo = [{ at: tree!, level: Infinity }];
  const seen = new Set<number>();
  for (let node = todo.pop(); node; node = todo.pop()) {
    const { at } = node;
    file.expect(at, 'TREE');
    const level = file.u8(at + 5);
    if (file.u8(at + 4) !== 1 || level >= node.level || seen.has(at) || seen.size >= MOST_NODES) throw new Hdf5Error('a B-tree leads where it cannot', at);
    seen.add(at);
    const entries = file.u16(at + 6);
    let key = at + 8 + 2 * file.addressSize;
    for (let i = 0; i < entries; i++, key += keySize + file.addressSize) {
      const to = file.address(key + keySize);
      if (to === null) continue;
      if (level > 0) { todo.push({ at: to, level }); continue; }
      let place = 0;
      for (let axis = 0; axis < shape.length; axis++) {
        const offset = file.number(key + 8 + 8 * axis, 8) ?? Infinity;
        const step = offset / chunk[axis];
        if (!Number.isInteger(step)) throw new Hdf5Error('a chunk does not start where chunks do', key);
        // Chunks left over from a larger dataset lie outside.
        if (step >= grid[axis]) { place = Infinity; break; }
        place = place * grid[axis] + step;
      }
      if (place !== Infinity) put(place, to, file.u32(key), file.u32(key + 4));
    }
  }
}

function indexed(file: H5File, facts: ChunkFacts, count: number, put: Put): void {
  const { index, indexAt, chunkBytes } = facts;
  const filtered = facts.filters.length > 0;
  if (index === 1) {
    const single = filtered ? { bytes: file.length(indexAt), mask: file.u32(indexAt + file.lengthSize) } : { bytes: chunkBytes, mask: 0 };
    const at = indexAt + (filtered ? file.lengthSize + 4 : 0);
    if (at + file.addressSize > facts.messageEnd) throw new Hdf5Error('a layout runs over its end', indexAt);
    put(0, file.address(at), single.bytes, single.mask);
  } else if (index === 2) {
    const first = file.address(indexAt);
    if (first !== null) for (let i = 0; i < count; i++) put(i, first + i * chunkBytes, chunkBytes, 0);
  } else if (index === 3) fixedArray(file, file.address(indexAt + 1), count, chunkBytes, put);
  else if (index === 4 || index === 5) throw new Hdf5Unsupported('its chunks are indexed for growing, which is not read');
  else throw new Hdf5Error(`an index of chunks of kind ${index} is not known`, indexAt);
}

function fixedArray(file: H5File, header: number | null, count: number, chunkBytes: number, put: Put): void {
  if (header === null) return;
  file.expect(header, 'FAHD');
  const filtered = file.u8(header + 5) === 1;
  const entry = file.u8(header + 6);
  const pageBits = file.u8(header + 7);
  const entries = file.length(header + 8);
  const block = file.address(header + 8 + file.lengthSize);
  if (block === null) return;
  file.expect(block, 'FADB');
  const sizeWidth = entry - file.addressSize - 4;
  if (entries !== count || pageBits > 32 || (filtered ? sizeWidth < 1 || sizeWidth > 8 : entry !== file.addressSize)) throw new Hdf5Error('an index of chunks does not fit its dataset', header);
  const perPage = 2 ** pageBits;
  const paged = entries > perPage;
  const pages = Math.ceil(entries / perPage);
  const first = block + 6 + file.addressSize;
  // With pages: a bit for each that was written, a checksum, then the pages with a checksum each.
  const pagesAt = first + Math.ceil(pages / 8) + 4;
  for (let i = 0; i < entries; i++) {
    let at = first + i * entry;
    if (paged) {
      const page = Math.floor(i / perPage);
      if ((file.u8(first + (page >> 3)) & (0x80 >> (page & 7))) === 0) { i = (page + 1) * perPage - 1; continue; }
      at = pagesAt + page * (perPage * entry + 4) + (i % perPage) * entry;
    }
    const position = file.address(at);
    if (filtered) put(i, position, file.number(at + file.addressSize, sizeWidth) ?? 0, file.u32(at + file.addressSize + sizeWidth));
    else put(i, position, chunkBytes, 0);
  }
}

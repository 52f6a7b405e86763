import { inflateSync } from 'node:zlib';
import type { ChunkedRange } from './checkpoint';
import { FETCH_AGAIN, refuse } from './problems';

/** Unpacked chunks that are kept, in bytes; the one in use always is. */
const MOST_KEPT = 16 * 2 ** 20;
/** A chunk that unpacks to more than this is not read: it would have to be held whole. */
export const MOST_CHUNK = 256 * 2 ** 20;

/**
 * Reads a tensor that is stored in rectangular chunks (HDF5), by position in its row-major bytes. Each chunk is read and
 * unpacked as a whole; a few stay at hand, because neighbours in a row lie in several chunks.
 */
export class ChunkReader {
  private readonly chunks = new Map<number, Uint8Array>();
  private kept = 0;
  private readonly grid: readonly number[];
  private readonly steps: readonly number[];

  /**
   * @param path of the file, for messages
   * @param read fills its argument from a position of the file
   */
  constructor(private readonly path: string, private readonly range: ChunkedRange, private readonly read: (into: Uint8Array, offset: number) => void) {
    this.grid = range.shape.map((dim, i) => Math.ceil(dim / range.chunk[i]));
    const steps = new Array<number>(range.shape.length).fill(1);
    for (let i = steps.length - 2; i >= 0; i--) steps[i] = steps[i + 1] * range.shape[i + 1];
    this.steps = steps;
  }

  get held(): number { return this.kept + 10_000; }

  /** @throws CheckpointError for a chunk that is missing or cannot be unpacked */
  readInto(into: Uint8Array, offset: number): void {
    const { shape, chunk, width } = this.range;
    const last = shape.length - 1;
    for (let done = 0; done < into.length;) {
      const element = Math.floor((offset + done) / width);
      const skip = (offset + done) % width;
      // Where the element is, and how many of its row lie in the same chunk.
      let [place, inside] = [0, 0];
      for (let axis = 0; axis <= last; axis++) {
        const index = Math.floor(element / this.steps[axis]) % shape[axis];
        place = place * this.grid[axis] + Math.floor(index / chunk[axis]);
        inside = inside * chunk[axis] + (index % chunk[axis]);
      }
      const index = last < 0 ? 0 : element % shape[last];
      const run = last < 0 ? 1 : Math.min(chunk[last] - (index % chunk[last]), shape[last] - index);
      const count = Math.min(into.length - done, run * width - skip);
      const from = inside * width + skip;
      into.set(this.chunk(place).subarray(from, from + count), done);
      done += count;
    }
  }

  private chunk(place: number): Uint8Array {
    const known = this.chunks.get(place);
    if (known) return known;
    const made = this.load(place);
    this.chunks.set(place, made);
    this.kept += made.length;
    for (const [oldest, other] of this.chunks) {
      if (this.kept <= MOST_KEPT || oldest === place) break;
      this.kept -= other.length;
      this.chunks.delete(oldest);
    }
    return made;
  }

  private load(place: number): Uint8Array {
    const { chunk, width, filters, table } = this.range;
    const size = chunk.reduce((product, dim) => product * dim, width);
    const [position, length, mask] = table.slice(3 * place, 3 * place + 3);
    const wrong = (message: string): never => refuse(this.path, `the chunk at byte ${position} cannot be read: ${message}`, FETCH_AGAIN, { offset: position });
    if (length === 0) return refuse(this.path, 'a part of the dataset was never written', 'Save the file again with all its values');
    if (size > MOST_CHUNK || length > MOST_CHUNK + 65_536) wrong(`it holds ${size} bytes, more than the ${MOST_CHUNK} that are read at once`);
    let bytes: Uint8Array = new Uint8Array(length);
    this.read(bytes, position);
    for (let i = filters.length - 1; i >= 0; i--) {
      if ((mask >> i) & 1) continue;
      if (filters[i] === 'fletcher32') bytes = bytes.subarray(0, Math.max(0, bytes.length - 4));
      else if (filters[i] === 'shuffle') bytes = unshuffle(bytes, width);
      else {
        try {
          // A checksum of four bytes may follow what is inflated.
          bytes = inflateSync(bytes, { maxOutputLength: size + 4 });
        } catch (error) {
          wrong(`its compressed data is damaged (${(error as Error).message})`);
        }
      }
    }
    if (bytes.length !== size) wrong(`it unpacks to ${bytes.length} bytes where ${size} are expected`);
    return bytes;
  }
}

/** Undoes the shuffle filter: all first bytes of the elements, then all second ones, and so on; what is left over at the end. */
function unshuffle(bytes: Uint8Array, width: number): Uint8Array {
  const count = Math.floor(bytes.length / width);
  const out = new Uint8Array(bytes.length);
  for (let byte = 0, from = 0; byte < width; byte++) for (let i = 0; i < count; i++) out[i * width + byte] = bytes[from++];
  out.set(bytes.subarray(count * width), count * width);
  return out;
}

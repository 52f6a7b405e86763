import { rowMajorStrides } from './checked';

/** A rectangular part of a tensor in row-major order: `from[i] <= index[i] < from[i] + size[i]`. */
interface Box { from: number[]; size: number[] }

/**
 * Splits the logical range [first, first + count) of a row-major shape into at most 2 x dims + 1 boxes, in order.
 */
export function rangeBoxes(shape: readonly number[], first: number, count: number): Box[] {
  const boxes: Box[] = [];
  const steps = rowMajorStrides(shape);
  const end = first + count;
  let at = first;
  while (at < end) {
    // The widest dimension at which `at` stands on a boundary and at least one whole slice is left.
    let axis = shape.length - 1;
    while (axis > 0 && at % steps[axis - 1] === 0 && at + steps[axis - 1] <= end) axis--;
    const index = steps.map((step, i) => Math.floor(at / step) % shape[i]);
    const slices = Math.min(shape[axis] - index[axis], Math.floor((end - at) / steps[axis]));
    boxes.push({ from: index, size: shape.map((dim, i) => (i < axis ? 1 : i === axis ? slices : dim)) });
    at += slices * steps[axis];
  }
  return boxes;
}

/**
 * Gathers a logical range of a strided tensor into row-major order, reading storage in its own order so that each byte
 * of a window is read once, whatever the strides (a transposed matrix is not read element by element).
 *
 * @param width bytes of one element
 * @param base byte offset of element [0, 0, ...] in the file
 * @param read fills its argument from a byte offset of the file
 * @param window bytes read at once, at most
 */
export function gather(shape: readonly number[], strides: readonly number[], width: number, base: number, first: number, count: number,
  target: Uint8Array, read: (into: Uint8Array, offset: number) => void, window: number): void {
  if (count === 0) return;
  if (shape.length === 0) { read(target.subarray(0, width), base); return; }
  const steps = rowMajorStrides(shape);
  for (const box of rangeBoxes(shape, first, count)) {
    const start = box.from.reduce((sum, index, i) => sum + index * steps[i], 0) - first;
    const storage = box.from.reduce((sum, index, i) => sum + index * strides[i], 0);
    // Dimensions in the order of storage: the longest stride outermost, repeated ones (stride 0) innermost.
    const axes = box.size.map((_, i) => i).filter((i) => box.size[i] > 1).sort((a, b) => strides[b] - strides[a]);
    copyBox(axes.map((i) => box.size[i]), axes.map((i) => strides[i]), axes.map((i) => steps[i]), width, base + storage * width, start * width, target, read, window);
  }
}

function copyBox(size: readonly number[], strides: readonly number[], steps: readonly number[], width: number, base: number, start: number,
  target: Uint8Array, read: (into: Uint8Array, offset: number) => void, window: number): void {
  const elements = size.reduce((product, dim) => product * dim, 1);
  const span = size.reduce((sum, dim, i) => sum + (dim - 1) * strides[i], 1) * width;
  const inner = size.length - 1;
  const runSpan = inner < 0 ? width : ((size[inner] - 1) * strides[inner] + 1) * width;
  // A dense box is read through wide windows; a thin one (few bytes wanted of many) run by run, by the page.
  const chunk = Math.max(width, Math.min(span, window, elements * width * 8 >= span ? window : Math.max(runSpan, 4096)));
  const cache = new Uint8Array(chunk);
  let cachedFrom = 0;
  let cachedTo = 0;
  const limit = base + span;
  const index = new Array<number>(size.length).fill(0);
  const run = inner < 0 ? 1 : size[inner];
  const stride = inner < 0 ? 0 : strides[inner] * width;
  const step = inner < 0 ? 0 : steps[inner] * width;
  let from = base;
  let to = start;
  for (;;) {
    for (let i = 0, source = from, place = to; i < run; i++, source += stride, place += step) {
      if (source < cachedFrom || source + width > cachedTo) {
        cachedFrom = source;
        cachedTo = Math.min(source + chunk, limit);
        read(cache.subarray(0, cachedTo - cachedFrom), cachedFrom);
      }
      const at = source - cachedFrom;
      for (let byte = 0; byte < width; byte++) target[place + byte] = cache[at + byte];
    }
    let axis = inner - 1;
    for (; axis >= 0; axis--) {
      from += strides[axis] * width;
      to += steps[axis] * width;
      if (++index[axis] < size[axis]) break;
      from -= size[axis] * strides[axis] * width;
      to -= size[axis] * steps[axis] * width;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

/** Images as bytes of red, green and blue. PNG and JPEG, told apart by their first bytes. */
import { readFileSync } from 'node:fs';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';

export interface Image { readonly width: number; readonly height: number; /** Four bytes a pixel: red, green, blue, and one that does not matter. */ readonly data: Uint8Array }

/** Values of an image that are decoded, at most: a bomb is refused, a photograph is not. */
const MOST_PIXELS = 100e6;
const MOST_MEMORY_MB = 1024;

/** @throws Error naming the file and what is wrong with it */
export function decodeImage(file: string): Image {
  const bytes = readFileSync(file);
  try {
    if (bytes.length > 24 && bytes.readUInt32BE(0) === 0x89504e47) {
      const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
      if (width * height > MOST_PIXELS) throw new Error(`${width} x ${height} pixels are more than the limit of ${MOST_PIXELS}`);
      return PNG.sync.read(bytes);
    }
    if (bytes.length > 2 && bytes.readUInt16BE(0) === 0xffd8) return jpeg.decode(bytes, { useTArray: true, formatAsRGBA: true, maxResolutionInMP: MOST_PIXELS / 1e6, maxMemoryUsageInMB: MOST_MEMORY_MB });
  } catch (error) {
    throw new Error(`${file} cannot be decoded: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  throw new Error(`${file} is neither a PNG nor a JPEG image`);
}

/**
 * Resizes so that the shorter side has `resize` pixels (bilinear, antialiased when it shrinks: each output pixel is the triangle-weighted
 * mean of what it covers, as PIL does) and takes the center crop.
 * @returns [height, width, 3], row-major
 */
export function fitted({ width, height, data }: Image, crop: readonly [number, number], resize: number): Float32Array {
  const ratio = resize / Math.min(width, height);
  const [scaledWidth, scaledHeight] = width <= height ? [resize, Math.trunc(ratio * height)] : [Math.trunc(ratio * width), resize];
  const [rows, cols] = crop;
  const [top, left] = [toEven((scaledHeight - rows) / 2), toEven((scaledWidth - cols) / 2)];
  const across = weightsOf(width, scaledWidth, left, cols);
  const down = weightsOf(height, scaledHeight, top, rows);
  const first = Math.min(...down.map(({ from }) => from));
  const last = Math.max(...down.map(({ from, weights }) => from + weights.length));
  const narrow = new Float32Array((last - first) * cols * 3);
  for (let y = first; y < last; y += 1) {
    for (let x = 0; x < cols; x += 1) {
      const { from, weights } = across[x]!;
      for (let c = 0; c < 3; c += 1) {
        let sum = 0;
        for (let k = 0; k < weights.length; k += 1) sum += weights[k]! * data[(y * width + from + k) * 4 + c]!;
        narrow[((y - first) * cols + x) * 3 + c] = Math.round(sum);
      }
    }
  }
  const out = new Float32Array(rows * cols * 3);
  for (let y = 0; y < rows; y += 1) {
    const { from, weights } = down[y]!;
    for (let i = 0; i < cols * 3; i += 1) {
      let sum = 0;
      for (let k = 0; k < weights.length; k += 1) sum += weights[k]! * narrow[(from - first + k) * cols * 3 + i]!;
      out[y * cols * 3 + i] = Math.min(255, Math.max(0, Math.round(sum)));
    }
  }
  return out;
}

/** Of each output position: the first input it covers, and the weights of those from there on. Positions outside the image repeat its edge. */
function weightsOf(inputs: number, outputs: number, offset: number, count: number): { from: number; weights: number[] }[] {
  const scale = inputs / outputs;
  const reach = Math.max(1, scale);
  return Array.from({ length: count }, (_, i) => {
    const centre = (Math.min(outputs - 1, Math.max(0, i + offset)) + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - reach + 0.5));
    const to = Math.min(inputs, Math.trunc(centre + reach + 0.5));
    const weights = Array.from({ length: Math.max(1, to - from) }, (__, k) => Math.max(0, 1 - Math.abs((from + k - centre + 0.5) / reach)));
    const total = weights.reduce((a, b) => a + b, 0);
    return { from, weights: total > 0 ? weights.map((weight) => weight / total) : weights.map(() => 1 / weights.length) };
  });
}

/** Rounds halves to the even neighbour, as Python does. */
const toEven = (value: number): number => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

/** A folder of images: one folder for each class, in the order of their names, or images without classes. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Preprocess, SampleSource } from './data';
import { decodeImage, fitted } from './decode-image';

const IMAGE = /\.(png|jpe?g)$/i;
const MOST_FILES = 2e6;
/** Decoded images that are kept: recipes are judged on the same ones again and again, and decoding takes longer than many a model. */
const KEPT_BYTES = 2 ** 28;

/** Files and, where folders name them, the class of each. Depends on names alone. */
function listed(folder: string): { files: string[]; classes: number[] | null } {
  const below = (where: string): string[] => readdirSync(where, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && IMAGE.test(entry.name)).map((entry) => path.join(entry.parentPath ?? entry.path, entry.name)).sort(byName);
  const entries = readdirSync(folder, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name).sort(byName);
  const loose = entries.filter((entry) => entry.isFile() && IMAGE.test(entry.name)).map(({ name }) => path.join(folder, name)).sort(byName);
  if (loose.length > 0 || folders.length === 0) return { files: loose, classes: null };
  const perClass = folders.map((name) => below(path.join(folder, name)));
  return { files: perClass.flat(), classes: perClass.flatMap((files, label) => files.map(() => label)) };
}
const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Images are decoded when they are asked for. Samples come in an order that takes from all classes alike, so that the first N are
 * a fair draw.
 * @throws Error when there are none, or they differ in size and none is named
 */
export function openImages(folder: string, preprocess: Preprocess | undefined): SampleSource {
  const { files, classes } = listed(folder);
  if (files.length === 0) throw new Error(`${folder} holds no PNG or JPEG image; name a folder of images, or one with a folder for each class`);
  if (files.length > MOST_FILES) throw new Error(`${folder} holds ${files.length} images; at most ${MOST_FILES} are read`);
  const order = fairOrder(files.length, classes);
  const size = preprocess?.crop ?? sizeOf(files[order[0]!]!);
  const resize = preprocess?.resize ?? (preprocess?.crop ? Math.round((Math.max(...size) * 8) / 7) : null);
  // Whole grey levels, so that a byte holds each exactly.
  const kept = new Map<number, Uint8Array>();
  return {
    name: folder, count: files.length, shape: [...size, 3], whole: true, ids: false, classes: classes ? order.map((i) => classes[i]!) : null,
    usual: { scale: 1 / 255, layout: 'NHWC' },
    sample(index, out) {
      const known = kept.get(index);
      if (known) { out.set(known); return; }
      const file = files[order[index]!]!;
      const image = decodeImage(file);
      if (resize === null && (image.height !== size[0] || image.width !== size[1])) throw new Error(`${file} has ${image.width} x ${image.height} pixels, and others have ${size[1]} x ${size[0]}; name "crop" (and "resize") under "preprocess"`);
      if (resize !== null) out.set(fitted(image, size, resize));
      else for (let i = 0, pixels = size[0] * size[1]; i < pixels; i += 1) for (let c = 0; c < 3; c += 1) out[i * 3 + c] = image.data[i * 4 + c]!;
      if ((kept.size + 1) * out.length <= KEPT_BYTES) kept.set(index, Uint8Array.from(out));
    },
    close: () => kept.clear(),
  };
}

function sizeOf(file: string): [number, number] {
  const { width, height } = decodeImage(file);
  return [height, width];
}

/** The first of every class, then the second of each, and so on. */
function fairOrder(count: number, classes: readonly number[] | null): number[] {
  const all = Array.from({ length: count }, (_, i) => i);
  if (!classes) return all;
  const rank = new Map<number, number>();
  const ranks = classes.map((label) => { const at = rank.get(label) ?? 0; rank.set(label, at + 1); return at; });
  return all.sort((a, b) => ranks[a]! - ranks[b]! || a - b);
}

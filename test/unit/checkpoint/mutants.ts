/** Seeded mutations of files: half of raw bytes, half by what the bytes mean. */
type Random = (below: number) => number;

const EXTREMES = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0xffffn, 0x10000n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n,
  2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];

export function rawMutation(bytes: Buffer, random: Random, other: Buffer): Buffer {
  const at = random(bytes.length + 1);
  switch (random(7)) {
    case 0: { const copy = Buffer.from(bytes); for (let i = 0; i <= random(4); i++) if (copy.length > 0) copy[random(copy.length)] ^= 1 << random(8); return copy; }
    case 1: { const copy = Buffer.from(bytes); for (let i = 0; i <= random(4); i++) if (copy.length > 0) copy[random(copy.length)] = random(256); return copy; }
    case 2: return Buffer.concat([bytes.subarray(0, at), Buffer.from(Array.from({ length: 1 + random(9) }, () => random(256))), bytes.subarray(at)]);
    case 3: return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random(16)))]);
    case 4: return bytes.subarray(0, at);
    case 5: { const from = random(bytes.length + 1); return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, from + 1 + random(64)), bytes.subarray(at)]); }
    default: return Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length + 1))]);
  }
}

/** Overwrites a little-endian field of 2, 4 or 8 bytes with an extreme value. */
function extremeField(bytes: Buffer, at: number, width: number, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  if (at < 0 || at + width > copy.length) return copy;
  const value = EXTREMES[random(EXTREMES.length)] & ((1n << BigInt(width * 8)) - 1n);
  for (let i = 0; i < width; i++) copy[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return copy;
}

/** Replaces a number, a string or a mark of JSON text; the length in front of a safetensors header is set right again. */
export function jsonMutation(text: string, random: Random): string {
  const tokens = [...text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+|[{}[\],:]/g)];
  if (tokens.length === 0) return text;
  const token = tokens[random(tokens.length)];
  const donor = tokens[random(tokens.length)][0];
  const numbers = [...EXTREMES.map(String), String(2n ** 64n), '-1', '-0', '01', '1.0', '1e0', '1e400', 'NaN', 'null', 'true', '"1"', '[]', '{}'];
  const strings = ['"__proto__"', '"constructor"', '""', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"dtype"', '"shape"', '"data_offsets"', '"__metadata__"', '"../x"', '"F4"', '"F64"', '"weight_map"', `"${'n'.repeat(300)}"`];
  const kind = token[0][0];
  const pick = random(3) === 0 ? donor : /[-\d]/.test(kind) ? numbers[random(numbers.length)] : kind === '"' ? strings[random(strings.length)] : ['{', '}', '[', ']', ',', ':', '', '[['.repeat(40), '{"a":'.repeat(70)][random(9)];
  return text.slice(0, token.index) + pick + text.slice(token.index + token[0].length);
}

export function safetensorsMutation(bytes: Buffer, random: Random): Buffer {
  if (random(6) === 0) return extremeField(bytes, 0, 8, random);
  const length = Number(bytes.readBigUInt64LE(0));
  let header = bytes.toString('utf8', 8, 8 + length);
  for (let i = 0; i <= random(3); i++) header = jsonMutation(header, random);
  const json = Buffer.from(header);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([prefix, json, bytes.subarray(8 + length)]);
}

/** Fields of the records of a zip: [signature, [offset, width]...]. */
const ZIP_FIELDS: readonly (readonly [number, readonly (readonly [number, number])[]])[] = [
  [0x04034b50, [[6, 2], [8, 2], [14, 4], [18, 4], [22, 4], [26, 2], [28, 2]]],
  [0x02014b50, [[8, 2], [10, 2], [16, 4], [20, 4], [24, 4], [28, 2], [30, 2], [32, 2], [42, 4]]],
  [0x06054b50, [[4, 2], [8, 2], [10, 2], [12, 4], [16, 4], [20, 2]]],
  [0x06064b50, [[4, 8], [24, 8], [32, 8], [40, 8], [48, 8]]],
  [0x07064b50, [[8, 8]]],
];

export function zipMutation(bytes: Buffer, random: Random): Buffer {
  if (random(3) === 0) return pickleMutation(bytes, random, bytes.indexOf('\x80\x02', 'latin1'));
  const places: [number, number][] = [];
  for (let at = bytes.indexOf('PK'); at >= 0 && at + 4 <= bytes.length; at = bytes.indexOf('PK', at + 2)) {
    const fields = ZIP_FIELDS.find(([signature]) => bytes.readUInt32LE(at) === signature)?.[1] ?? [];
    for (const [offset, width] of fields) places.push([at + offset, width]);
  }
  let result = bytes;
  for (let i = 0; i <= random(2) && places.length > 0; i++) {
    const [at, width] = places[random(places.length)];
    result = extremeField(result, at, width, random);
  }
  return result;
}

const OPCODES = Buffer.from('().012FGIJKLMNPQRSTUVXabcdeghijloqprstu}]{\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98B', 'latin1');

/** Changes opcodes, counts and memo indices of the pickle that starts at `start`. Sizes of what holds it are left as they are. */
export function pickleMutation(bytes: Buffer, random: Random, start = 0): Buffer {
  const copy = Buffer.from(bytes);
  if (start < 0 || copy.length <= start) return copy;
  const at = start + random(Math.min(copy.length - start, 1500));
  switch (random(5)) {
    case 0: copy[at] = OPCODES[random(OPCODES.length)]; return copy;
    case 1: return extremeField(copy, at, [1, 2, 4, 8][random(4)], random);
    case 2: {
      // A small integer, wherever one stands: sizes, strides, offsets, counts.
      const ints = [...copy.keys()].filter((i) => i >= start && (copy[i] === 0x4b || copy[i] === 0x8a) && i + 2 < copy.length);
      if (ints.length > 0) { const place = ints[random(ints.length)]; copy[place + (copy[place] === 0x8a ? 2 : 1)] = random(256); }
      return copy;
    }
    case 3: {
      const swap = start + random(copy.length - start);
      [copy[at], copy[swap]] = [copy[swap], copy[at]];
      return copy;
    }
    default: return Buffer.concat([copy.subarray(0, at), Buffer.from([OPCODES[random(OPCODES.length)], ...(random(2) ? [random(256)] : [])]), copy.subarray(at)]);
  }
}

/** Overwrites the lengths, counts, types and offsets of a GGUF header: any field of 4 or 8 bytes before the data. */
export function ggufMutation(bytes: Buffer, random: Random): Buffer {
  let result = bytes;
  for (let i = 0; i <= random(2); i++) {
    const at = 4 + random(Math.min(bytes.length, 1000));
    result = random(3) > 0 ? extremeField(result, at, [4, 8][random(2)], random) : smallField(result, at, random);
  }
  return result;
}

/** A small number where a small number stands. */
function smallField(bytes: Buffer, at: number, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let i = at; i + 4 <= copy.length; i++) {
    if (copy.readUInt32LE(i) < 64) {
      copy.writeUInt32LE(random(64), i);
      break;
    }
  }
  return copy;
}

const NPY_WORDS = ["'<f4'", "'|O'", "'|S5'", "'>c16'", "'<M8[s]'", "'|V2'", "'descr'", "'shape'", 'True', 'None', '0', '-1', '3', '9223372036854775807', '99999999',
  '()', '(0,)', '[', ')', ',', '', '"', '('.repeat(40), "[('a', '<f4'), ('b', '|O')]"];

/** Changes a word, a number or a mark of the first dict literal in the bytes, or the length before it. */
export function npyMutation(bytes: Buffer, random: Random): Buffer {
  const mark = bytes.indexOf('\x93NUMPY', 'latin1');
  const open = bytes.indexOf('{', Math.max(0, mark));
  const close = bytes.indexOf('}', Math.max(0, open));
  if (mark < 0 || open < 0 || close < 0) return bytes;
  if (random(5) === 0) return extremeField(bytes, mark + 8, [2, 4][random(2)], random);
  if (random(8) === 0) return pickleMutation(bytes, random, close + 1);
  const tokens = [...bytes.toString('latin1', open, close + 1).matchAll(/'[^']*'|\w+|[{}()[\],:]/g)];
  const token = tokens[random(tokens.length)];
  return Buffer.concat([bytes.subarray(0, open + token.index), Buffer.from(NPY_WORDS[random(NPY_WORDS.length)]), bytes.subarray(open + token.index + token[0].length)]);
}

const varintBytes = (value: bigint): Buffer => {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, value); bytes.length === 0 || rest > 0n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
  return Buffer.from(bytes);
};

/** Tags, lengths and numbers of protobuf bytes, as ranges; what reads as a message is looked into. */
function protobufPlaces(bytes: Buffer, from: number, to: number, depth: number, places: [number, number][]): boolean {
  let at = from;
  const mine: [number, number][] = [];
  const number = (): number | null => {
    const start = at;
    for (let value = 0, scale = 1; at < to && at - start < 10; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) { mine.push([start, at]); return value; }
    }
    return null;
  };
  while (at < to) {
    const tag = number();
    if (tag === null || tag < 8) return false;
    if ((tag & 7) === 0) { if (number() === null) return false; } else if ((tag & 7) === 2) {
      const length = number();
      if (length === null || at + length > to) return false;
      if (depth > 0) protobufPlaces(bytes, at, at + length, depth - 1, mine);
      at += length;
    } else if ((tag & 7) === 5) at += 4;
    else if ((tag & 7) === 1) at += 8;
    else return false;
  }
  if (at !== to) return false;
  places.push(...mine);
  return true;
}

/** Puts another number where a tag, a length or a value of protobuf stands; lengths around it are set right half of the time. */
export function protobufMutation(bytes: Buffer, random: Random): Buffer {
  let result = bytes;
  for (let i = 0; i <= random(3); i++) {
    const places: [number, number][] = [];
    protobufPlaces(result, 0, result.length, 8, places);
    if (places.length === 0) return rawMutation(result, random, bytes);
    const [start, end] = places[random(places.length)];
    const value = random(2) === 0 ? EXTREMES[random(EXTREMES.length)] : BigInt(random(40));
    const replacement = varintBytes(value);
    // A number of the same length leaves every length around it right.
    const fitted = random(2) === 0 && replacement.length <= end - start ? Buffer.concat([...[...replacement].map((byte, j) => Buffer.from([j < end - start - 1 ? byte | 0x80 : byte])), Buffer.alloc(Math.max(0, end - start - replacement.length - 1), 0x80), Buffer.alloc(end - start > replacement.length ? 1 : 0)]) : replacement;
    result = Buffer.concat([result.subarray(0, start), fitted, result.subarray(end)]);
  }
  return result;
}

/** Fields of 1 to 8 bytes of a file of addresses: extremes, small numbers, and other addresses of the file. */
export function addressMutation(bytes: Buffer, random: Random): Buffer {
  let result: Buffer = Buffer.from(bytes);
  for (let i = 0; i <= random(3); i++) {
    // Where structures are: most bytes of such files are zero or values.
    let at = random(result.length);
    for (let tries = 0; tries < 50 && result[at] === 0; tries++) at = random(result.length);
    const kind = random(4);
    if (kind === 0) result = extremeField(result, at - (at % 8), 8, random);
    else if (kind === 1) result = extremeField(result, at, [1, 2, 4][random(3)], random);
    else if (kind === 2) result[at] = random(16);
    else { const from = random(result.length - 8); result.copyWithin(at - (at % 8), from - (from % 8), from - (from % 8) + 8); }
  }
  return result;
}

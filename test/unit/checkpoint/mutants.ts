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

/**
 * The header of a numpy array file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): a mark, a
 * version, a length, and a Python dict literal with the keys descr, fortran_order and shape. Read with a grammar of its
 * own for exactly that; nothing is evaluated.
 */
import { isContiguous } from './checked';
import type { DType } from './checkpoint';
import { pythonLiteral } from './pickle-text';
import { numpyType } from './torch-types';

export class NpyHeaderError extends Error {
  /** @param offset byte within the array file */
  constructor(message: string, readonly offset: number) { super(message); }
}

/** numpy's own limit for a header it has not been told to trust. */
export const MOST_NPY_HEADER = 10_000;
/** Bytes that tell the length of the header, in every version. */
export const NPY_PREFIX = 12;
/** Nesting of records within records. */
const DEEPEST = 16;

/** What one element is. */
export type NpyElement =
  | { readonly kind: 'plain'; readonly dtype: DType; readonly byteOrder: 'little' | 'big'; readonly note?: string }
  /** Bytes of a type that has no numbers to show: strings, records, long doubles. */
  | { readonly kind: 'opaque'; readonly bytes: number }
  /** Python objects: a pickle follows the header. */
  | { readonly kind: 'object' };

export interface NpyHeader {
  readonly version: string;
  /** Byte offset of the first element. */
  readonly dataStart: number;
  /** The element type as the header writes it. */
  readonly descr: string;
  readonly element: NpyElement;
  readonly fortran: boolean;
  readonly shape: readonly (number | bigint)[];
}

export function isNpy(head: Uint8Array): boolean {
  return head.length >= 8 && head[0] === 0x93 && head[1] === 0x4e && head[2] === 0x55 && head[3] === 0x4d && head[4] === 0x50 && head[5] === 0x59;
}

/**
 * Bytes from the start of the file to the first element.
 * @param head at least {@link NPY_PREFIX} bytes where the file has them
 * @throws NpyHeaderError for a version or length that is not read
 */
export function npyHeaderEnd(head: Buffer): number {
  const [major, minor] = [head[6], head[7]];
  if (major < 1 || major > 3 || minor !== 0) throw new NpyHeaderError(`its format version is ${major}.${minor}, and 1.0 to 3.0 are known`, 6);
  const prefix = major === 1 ? 10 : 12;
  if (head.length < prefix) throw new NpyHeaderError('it ends before the length of its header', head.length);
  const length = major === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  if (length > MOST_NPY_HEADER) throw new NpyHeaderError(`its header claims ${length} bytes, more than the ${MOST_NPY_HEADER} that numpy reads`, 8);
  return prefix + length;
}

/** @param bytes the file up to {@link npyHeaderEnd} @throws NpyHeaderError for a header that is not numpy's */
export function readNpyHeader(bytes: Buffer): NpyHeader {
  const from = bytes[6] === 1 ? 10 : 12;
  const text = bytes.toString(bytes[6] === 3 ? 'utf8' : 'latin1', from);
  const scanner = new LiteralScanner(text, from);
  const fields = new Map<string, { value: Literal; text: string }>();
  scanner.expect('{');
  while (!scanner.taken('}')) {
    const at = scanner.at;
    const key = scanner.value(0);
    if (typeof key !== 'string') throw new NpyHeaderError('its header has a key that is no string', from + at);
    if (fields.has(key)) throw new NpyHeaderError(`its header gives ${key.slice(0, 40)} twice`, from + at);
    scanner.expect(':');
    scanner.space();
    const start = scanner.at;
    const value = scanner.value(0);
    fields.set(key, { value, text: text.slice(start, scanner.at) });
    if (!scanner.taken(',')) {
      scanner.expect('}');
      break;
    }
  }
  scanner.end();
  const descr = fields.get('descr');
  const fortran = fields.get('fortran_order')?.value;
  const shape = fields.get('shape')?.value;
  if (!descr || fields.size !== 3 || typeof fortran !== 'boolean' || !(shape instanceof Tuple)) {
    throw new NpyHeaderError('its header does not have exactly the keys descr, fortran_order and shape with their types', from);
  }
  const dims = shape.items.map((dim) => {
    if ((typeof dim !== 'number' && typeof dim !== 'bigint') || dim < 0) throw new NpyHeaderError(`its shape ${fields.get('shape')!.text.slice(0, 100)} is impossible`, from);
    return dim;
  });
  const element = elementOf(descr.value, 0);
  if (!element) throw new NpyHeaderError(`its element type ${descr.text.slice(0, 100)} is none of numpy's`, from);
  return { version: `${bytes[6]}.${bytes[7]}`, dataStart: bytes.length, descr: descr.text.length > 200 ? `${descr.text.slice(0, 200)}...` : descr.text, element, fortran, shape: dims };
}

/** Strides, in elements, of an array that stands in Fortran order; null when that is row-major as well. */
export function fortranStrides(shape: readonly number[]): number[] | null {
  let step = 1;
  const strides = shape.map((dim) => {
    const stride = step;
    step *= Math.max(1, dim);
    return stride;
  });
  return isContiguous(shape, strides) ? null : strides;
}

function elementOf(descr: Literal, depth: number): NpyElement | null {
  if (typeof descr === 'string') return simpleElement(descr);
  if (!(descr instanceof List) || depth > DEEPEST) return null;
  let bytes = 0;
  for (const field of descr.items) {
    if (!(field instanceof Tuple) || field.items.length < 2 || field.items.length > 3) return null;
    const inner = elementOf(field.items[1], depth + 1);
    if (!inner) return null;
    if (inner.kind === 'object') return inner;
    const dims = field.items[2] === undefined ? [] : field.items[2] instanceof Tuple ? field.items[2].items : [field.items[2]];
    let count = 1;
    for (const dim of dims) {
      if (typeof dim !== 'number' || dim < 0) return null;
      count *= dim;
    }
    bytes += sizeOf(inner) * count;
    if (bytes > Number.MAX_SAFE_INTEGER) return null;
  }
  return { kind: 'opaque', bytes };
}

const PLAIN_BYTES: Readonly<Partial<Record<DType, number>>> = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1, C64: 8, C128: 16 };

function sizeOf(element: Exclude<NpyElement, { kind: 'object' }>): number {
  return element.kind === 'opaque' ? element.bytes : PLAIN_BYTES[element.dtype]!;
}

function simpleElement(code: string): NpyElement | null {
  const parts = /^([<>=|])?([a-zA-Z?])(\d{0,9})(\[[\w/ ]{1,30}\])?$/.exec(code);
  if (!parts) return null;
  const [, order, kind, digits, unit] = parts;
  const byteOrder = order === '>' ? 'big' : 'little';
  const plain = kind === '?' ? 'BOOL' : numpyType(kind + digits);
  if (plain && unit === undefined) return { kind: 'plain', dtype: plain, byteOrder };
  const size = digits === '' ? 0 : Number(digits);
  switch (kind) {
    case 'O': return { kind: 'object' };
    case 'M': case 'm': return size === 8 ? { kind: 'plain', dtype: 'I64', byteOrder, note: 'it holds dates or spans of time, shown as whole numbers' } : null;
    // bfloat16 of ml_dtypes (JAX, TensorFlow) has no letter of its own: numpy writes it as two bytes without a type.
    case 'V': return size === 2 ? { kind: 'plain', dtype: 'BF16', byteOrder, note: 'numpy has no bfloat16 and stored two bytes without a type (V2): they are read as bfloat16' } : { kind: 'opaque', bytes: size };
    case 'S': case 'a': return { kind: 'opaque', bytes: size };
    case 'U': return { kind: 'opaque', bytes: 4 * size };
    // Long doubles of other machines.
    case 'f': case 'c': return size > 8 ? { kind: 'opaque', bytes: size } : null;
    default: return null;
  }
}

class Tuple { constructor(readonly items: readonly Literal[]) {} }
class List { constructor(readonly items: readonly Literal[]) {} }
type Literal = string | number | bigint | boolean | null | Tuple | List;

/** The part of Python's literals that numpy writes: strings, integers, True, False, None, tuples and lists. */
class LiteralScanner {
  at = 0;
  constructor(private readonly text: string, private readonly base: number) {}

  space(): void {
    while (/[ \t\r\n\f]/.test(this.text[this.at] ?? '')) this.at++;
  }

  taken(mark: string): boolean {
    this.space();
    if (this.text[this.at] !== mark) return false;
    this.at++;
    return true;
  }

  expect(mark: string): void {
    if (!this.taken(mark)) this.fail(`"${mark}" is expected`);
  }

  end(): void {
    this.space();
    if (this.at < this.text.length) this.fail('something follows the dict');
  }

  value(depth: number): Literal {
    this.space();
    const first = this.text[this.at] ?? '';
    if (first === '(' || first === '[') return this.items(first, depth);
    const rest = this.text.slice(this.at, this.at + MOST_NPY_HEADER);
    const text = /^[uUbB]?('(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*")/.exec(rest);
    if (text) {
      this.at += text[0].length;
      return pythonLiteral(text[1]) ?? this.fail('a string is not closed');
    }
    const word = /^(True|False|None)\b/.exec(rest)?.[1];
    if (word) {
      this.at += word.length;
      return word === 'None' ? null : word === 'True';
    }
    // Python 2 wrote long integers with an L.
    const digits = /^([-+]?\d{1,40})L?(?![\w.])/.exec(rest);
    if (!digits) return this.fail('a value is expected');
    this.at += digits[0].length;
    const exact = BigInt(digits[1]);
    return exact >= BigInt(Number.MIN_SAFE_INTEGER) && exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact;
  }

  private items(open: string, depth: number): Literal {
    if (depth >= DEEPEST) this.fail('it is nested too deep');
    const close = open === '(' ? ')' : ']';
    this.at++;
    const items: Literal[] = [];
    let comma = false;
    while (!this.taken(close)) {
      items.push(this.value(depth + 1));
      comma = this.taken(',');
      if (!comma) {
        this.expect(close);
        break;
      }
    }
    // A value in parentheses without a comma is that value.
    if (open === '(' && items.length === 1 && !comma) return items[0];
    return open === '(' ? new Tuple(items) : new List(items);
  }

  private fail(message: string): never {
    throw new NpyHeaderError(`its header is damaged: ${message}`, this.base + this.at);
  }
}

/** Text forms of the pickle opcodes of protocol 0. */

/** Undoes Python's raw-unicode-escape: only \uXXXX and \UXXXXXXXX are escapes, other bytes are Latin-1. */
export function rawUnicodeEscape(text: string): string {
  if (!text.includes('\\')) return text;
  // A backslash is an escape only when it is not itself escaped: an even run before it.
  return text.replace(/(\\+)(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})/g, (whole, slashes: string, code: string) => {
    if (slashes.length % 2 === 0) return whole;
    const point = parseInt(code.slice(1), 16);
    return point > 0x10ffff ? whole : slashes.slice(1) + String.fromCodePoint(point);
  });
}

const SIMPLE: ReadonlyMap<string, string> = new Map([
  ['n', '\n'], ['r', '\r'], ['t', '\t'], ['b', '\b'], ['f', '\f'], ['a', '\x07'], ['v', '\v'], ['\\', '\\'], ['\'', '\''], ['"', '"'], ['\n', ''],
]);

/** The contents of a Python string literal as repr writes it, or null when it is not quoted. */
export function pythonLiteral(text: string): string | null {
  const quote = text[0];
  if ((quote !== '\'' && quote !== '"') || text.length < 2 || text[text.length - 1] !== quote) return null;
  return text.slice(1, -1).replace(/\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|[\s\S])/g, (whole, code: string) => {
    if (code[0] === 'x' && code.length === 3) return String.fromCharCode(parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(parseInt(code, 8) & 0xff);
    return SIMPLE.get(code) ?? whole;
  });
}

/** Little-endian two's complement, as LONG1 and LONG4 store integers. */
export function twosComplement(bytes: Buffer): number | bigint {
  if (bytes.length === 0) return 0;
  if (bytes.length <= 6) return bytes.readIntLE(0, bytes.length);
  const hex = Buffer.from(bytes).reverse().toString('hex');
  let value = BigInt(`0x${hex}`);
  if (bytes[bytes.length - 1] & 0x80) value -= 1n << BigInt(bytes.length * 8);
  return small(value);
}

/** A bigint as a number when it is exact. */
export function small(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

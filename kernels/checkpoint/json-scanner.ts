import { isUtf8 } from 'node:buffer';

/** A place where JSON is not what the grammar or the format allows. Callers turn it into a CheckpointError with a path. */
export class JsonSyntaxError extends Error {
  constructor(message: string, readonly offset: number) {
    super(message);
    this.name = 'JsonSyntaxError';
  }
}

const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN_OBJECT = 0x7b, CLOSE_OBJECT = 0x7d, OPEN_ARRAY = 0x5b, CLOSE_ARRAY = 0x5d, COMMA = 0x2c, COLON = 0x3a;

/** A word that a document is full of, with its bytes. */
export interface KnownWord { readonly text: string; readonly codes: Buffer }

/** @param words plain ASCII, without anything that JSON escapes */
export function knownWords(words: Iterable<string>): readonly KnownWord[] {
  return [...words].map((text) => ({ text, codes: Buffer.from(text, 'latin1') }));
}

/**
 * Pull scanner over the bytes of a JSON document (RFC 8259). Unlike JSON.parse it keeps duplicate keys, the order of
 * integer-like keys and the exact digits of integers, refuses lone surrogates, and never recurses.
 */
export class JsonScanner {
  position = 0;

  /** @throws JsonSyntaxError when the bytes are not UTF-8. */
  constructor(private readonly bytes: Buffer, private readonly deepest: number) {
    if (!isUtf8(bytes)) throw new JsonSyntaxError('the text is not valid UTF-8', firstInvalidUtf8(bytes));
  }

  fail(message: string, offset = this.position): never {
    throw new JsonSyntaxError(message, offset);
  }

  skipSpace(): void {
    const { bytes } = this;
    let at = this.position;
    for (;;) {
      const byte = bytes[at];
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) at++;
      else break;
    }
    this.position = at;
  }

  /** The next byte that is not white space, or -1 at the end. */
  peek(): number {
    this.skipSpace();
    return this.position < this.bytes.length ? this.bytes[this.position] : -1;
  }

  private expect(byte: number): void {
    if (this.peek() !== byte) this.fail(`${byte === QUOTE ? 'a string' : `"${String.fromCharCode(byte)}"`} is expected${this.position >= this.bytes.length ? ' before the end' : ''}`);
    this.position++;
  }

  /** Refuses anything but white space after the document. */
  end(): void {
    if (this.peek() !== -1) this.fail('there is something after the end of the JSON document');
  }

  /** Walks an object: `visit` is called with each key, its byte offset, and must consume the value. */
  object(visit: (key: string, offset: number) => void): void {
    for (let more = this.openObject(); more; more = this.nextMember()) {
      const offset = (this.skipSpace(), this.position);
      visit(this.key(), offset);
    }
  }

  /** Enters an object, for a walk that pauses between members: key(), the value, nextMember(), ... False when it is empty. */
  openObject(): boolean {
    this.expect(OPEN_OBJECT);
    if (this.peek() !== CLOSE_OBJECT) return true;
    this.position++;
    return false;
  }

  /** After a value: true when another member follows, false at the end of the object, which is consumed. */
  nextMember(): boolean {
    const more = this.peek() === COMMA;
    if (more) this.position++;
    else this.expect(CLOSE_OBJECT);
    return more;
  }

  /** The key of a member with the colon after it. @param known words that are recognised without making a string of them */
  key(known: readonly KnownWord[] = []): string {
    const key = this.word(known);
    this.expect(COLON);
    return key;
  }

  /** A string, of which the known words cost no new string: documents repeat the same few a million times. */
  word(known: readonly KnownWord[]): string {
    if (this.peek() !== QUOTE) return this.string();
    const { bytes } = this;
    const start = this.position + 1;
    for (const { text, codes } of known) {
      let at = 0;
      while (at < codes.length && bytes[start + at] === codes[at]) at++;
      if (at < codes.length || bytes[start + at] !== QUOTE) continue;
      this.position = start + at + 1;
      return text;
    }
    return this.string();
  }

  /** Walks an array: `visit` is called with each index and must consume the value. */
  array(visit: (index: number) => void): void {
    this.expect(OPEN_ARRAY);
    if (this.peek() === CLOSE_ARRAY) { this.position++; return; }
    for (let index = 0; ; index++) {
      visit(index);
      if (this.peek() === COMMA) { this.position++; continue; }
      this.expect(CLOSE_ARRAY);
      return;
    }
  }

  /** A string with its escapes undone. Control characters are refused. */
  string(): string {
    this.expect(QUOTE);
    const { bytes } = this;
    const start = this.position;
    let at = start;
    let high = 0;
    let escaped = false;
    for (; ; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) { escaped = true; at++; continue; }
      if (byte === undefined) this.fail('a string does not end', start - 1);
      if (byte < 0x20) this.fail('a control character stands unescaped in a string', at);
      high |= byte;
    }
    if (at >= bytes.length) this.fail('a string does not end', start - 1);
    this.position = at + 1;
    if (escaped) return this.unescape(start, at);
    return bytes.toString(high < 0x80 ? 'latin1' : 'utf8', start, at);
  }

  private unescape(start: number, end: number): string {
    const { bytes } = this;
    const parts: string[] = [];
    let from = start;
    for (let at = start; at < end;) {
      if (bytes[at] !== BACKSLASH) { at++; continue; }
      parts.push(bytes.toString('utf8', from, at));
      const kind = String.fromCharCode(bytes[at + 1]);
      if (kind === 'u') {
        const high = this.hex(at + 2, end);
        at += 6;
        if (high >= 0xd800 && high <= 0xdbff) {
          if (bytes[at] !== BACKSLASH || bytes[at + 1] !== 0x75) this.fail('half of a surrogate pair stands alone', at - 6);
          const low = this.hex(at + 2, end);
          if (low < 0xdc00 || low > 0xdfff) this.fail('half of a surrogate pair stands alone', at - 6);
          parts.push(String.fromCharCode(high, low));
          at += 6;
        } else if (high >= 0xdc00 && high <= 0xdfff) {
          this.fail('half of a surrogate pair stands alone', at - 6);
        } else parts.push(String.fromCharCode(high));
      } else {
        const plain = ESCAPES.get(kind) ?? this.fail('an escape in a string is not one of JSON', at);
        parts.push(plain);
        at += 2;
      }
      from = at;
    }
    parts.push(bytes.toString('utf8', from, end));
    return parts.join('');
  }

  private hex(at: number, end: number): number {
    const digits = at + 4 <= end ? this.bytes.toString('latin1', at, at + 4) : '';
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('a \\u escape needs four hexadecimal digits', at);
    return parseInt(digits, 16);
  }

  /**
   * A non-negative integer below 2^64 without sign, fraction or exponent; a bigint when it is not below 2^53.
   * @param what, of name the number in the error message.
   */
  unsigned(what: string, of: string): number | bigint {
    this.skipSpace();
    const { bytes } = this;
    const start = this.position;
    let at = start;
    let value = 0;
    while (at < bytes.length && bytes[at] >= 0x30 && bytes[at] <= 0x39) value = value * 10 + bytes[at++] - 0x30;
    const next = bytes[at];
    if (at === start || next === 0x2e || next === 0x65 || next === 0x45) this.fail(`${what} of ${of} must be a whole number that is not negative`, start);
    if (bytes[start] === 0x30 && at > start + 1) this.fail(`${what} of ${of} has a leading zero`, start);
    this.position = at;
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    if (at - start > 20) this.fail(`${what} of ${of} does not fit in 64 bits`, start);
    const exact = BigInt(bytes.toString('latin1', start, at));
    if (exact >= 2n ** 64n) this.fail(`${what} of ${of} does not fit in 64 bits`, start);
    return exact;
  }

  /** True when the next value is `null`, which is consumed. */
  takeNull(): boolean {
    if (this.peek() !== 0x6e) return false;
    this.literal();
    return true;
  }

  private literal(): void {
    for (const word of ['null', 'true', 'false']) {
      if (this.bytes.toString('latin1', this.position, this.position + word.length) === word) { this.position += word.length; return; }
    }
    this.fail('a value is expected');
  }

  /** Moves past one value of any kind, checking its grammar. Nesting is counted, not recursed. */
  skipValue(): void {
    const closers: number[] = [];
    for (;;) {
      const byte = this.peek();
      if (byte === QUOTE) { this.string(); }
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (closers.length >= this.deepest) this.fail(`values are nested more than ${this.deepest} deep`);
        this.position++;
        const closer = byte === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY;
        if (this.peek() !== closer) {
          closers.push(closer);
          if (closer === CLOSE_OBJECT) { this.string(); this.expect(COLON); }
          continue;
        }
        this.position++;
      } else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) this.number();
      else if (byte === -1) this.fail('the document ends in the middle of a value');
      else this.literal();
      for (;;) {
        if (closers.length === 0) return;
        if (this.peek() === COMMA) {
          this.position++;
          if (closers[closers.length - 1] === CLOSE_OBJECT) { this.skipSpace(); this.string(); this.expect(COLON); }
          break;
        }
        this.expect(closers[closers.length - 1]);
        closers.pop();
      }
    }
  }

  private number(): void {
    const text = this.bytes.toString('latin1', this.position, this.position + 400);
    const match = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/.exec(text);
    if (!match || /[0-9.eE+-]/.test(text[match[0].length] ?? '')) this.fail('a number is not written as JSON allows, or has more than 400 digits');
    this.position += match![0].length;
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([['"', '"'], ['\\', '\\'], ['/', '/'], ['b', '\b'], ['f', '\f'], ['n', '\n'], ['r', '\r'], ['t', '\t']]);

/** Offset of the first byte that is not UTF-8, by halving: a prefix cut inside a character is never longer than three bytes off. */
function firstInvalidUtf8(bytes: Buffer): number {
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    let cut = middle;
    // A prefix may end inside a character that is fine: step back to where that character starts.
    for (let back = 0; back < 3 && cut > good && (bytes[cut] & 0xc0) === 0x80; back++) cut--;
    if (cut > good && isUtf8(bytes.subarray(good, cut))) good = cut;
    else if (cut > good) bad = cut;
    else break;
  }
  return good;
}

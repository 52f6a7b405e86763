/**
 * The YAML that configurations of models are written in: block and flow collections, plain and quoted scalars, anchors and
 * merge keys, by YAML 1.1's rules for plain scalars as PyYAML's SafeLoader resolves them. Text blocks are read as text;
 * tags and several documents in one file are not read. Null when the text is something else: nothing is guessed.
 */

/** Mappings are Maps, so that names in files stay data. Floats are wrapped: 1.0 is no integer in Python. */
export type Yaml = null | boolean | number | string | YamlFloat | Yaml[] | Map<Yaml, Yaml>;
export class YamlFloat { constructor(readonly value: number) {} }

const MAX_DEPTH = 48;
const MAX_NODES = 50_000;

interface Line { readonly indent: number; readonly text: string }
class NotRead extends Error {}

export function parseYaml(text: string): Yaml | undefined {
  try { return new Reader(text).document(); } catch (error) {
    if (error instanceof NotRead) return undefined;
    throw error;
  }
}

/** A plain scalar by YAML 1.1. `1e-5` without a dot is text there. */
export function plainScalar(text: string): Yaml {
  if (/^(?:~|null|Null|NULL|)$/.test(text)) return null;
  if (/^(?:true|True|TRUE|yes|Yes|YES|on|On|ON)$/.test(text)) return true;
  if (/^(?:false|False|FALSE|no|No|NO|off|Off|OFF)$/.test(text)) return false;
  if (/^[-+]?(?:0|[1-9][\d_]*)$/.test(text)) return Number(text.replaceAll('_', ''));
  if (/^[-+]?0x[\da-fA-F_]+$/.test(text)) return Number(text.replaceAll('_', ''));
  if (/^[-+]?(?:\d[\d_]*)\.[\d_]*(?:[eE][-+]\d+)?$/.test(text) || /^[-+]?\.\d[\d_]*(?:[eE][-+]\d+)?$/.test(text)) return new YamlFloat(Number(text.replaceAll('_', '')));
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(text)) return new YamlFloat(text.startsWith('-') ? -Infinity : Infinity);
  return text;
}

class Reader {
  private readonly lines: Line[] = [];
  private at = 0;
  private nodes = 0;
  private readonly anchors = new Map<string, Yaml>();

  constructor(text: string) {
    for (const raw of text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)) {
      if (/^---\s*(?:#.*)?$/.test(raw) && this.lines.every(({ text: line }) => line === '')) continue;
      if (/^(?:---|\.\.\.|%)/.test(raw)) throw new NotRead();
      if (/^ *\t/.test(raw) && raw.trim() !== '') throw new NotRead();
      const stripped = uncommented(raw);
      this.lines.push({ indent: raw.length - raw.trimStart().length, text: stripped.trim() });
    }
  }

  document(): Yaml {
    const value = this.block(0, 0);
    this.skip();
    if (this.at < this.lines.length) throw new NotRead();
    return value;
  }

  private skip(): void { while (this.at < this.lines.length && this.lines[this.at]!.text === '') this.at += 1; }
  private count(depth: number): void { if (++this.nodes > MAX_NODES || depth > MAX_DEPTH) throw new NotRead(); }

  /** The node that starts on the next line, when it is indented by at least `indent`; else null. */
  private block(indent: number, depth: number): Yaml {
    this.count(depth);
    this.skip();
    const line = this.lines[this.at];
    if (!line || line.indent < indent) return null;
    if (line.text === '-' || line.text.startsWith('- ')) return this.sequence(line.indent, depth);
    if (keyOf(line.text)) return this.mapping(line.indent, depth);
    this.at += 1;
    return this.value(line.text, line.indent, depth);
  }

  private sequence(indent: number, depth: number): Yaml {
    const items: Yaml[] = [];
    for (;;) {
      this.skip();
      const line = this.lines[this.at];
      if (!line || line.indent < indent) return items;
      if (line.indent > indent || !(line.text === '-' || line.text.startsWith('- '))) { if (line.indent === indent) return items; throw new NotRead(); }
      const rest = line.text.slice(1).trimStart();
      if (rest === '') { this.at += 1; items.push(this.block(indent + 1, depth + 1)); continue; }
      // What follows the dash is a block of its own, indented to where it starts.
      const inner = indent + line.text.length - rest.length;
      if (rest.startsWith('- ') || keyOf(rest)) { this.lines[this.at] = { indent: inner, text: rest }; items.push(this.block(inner, depth + 1)); continue; }
      this.at += 1;
      items.push(this.value(rest, indent, depth + 1));
    }
  }

  private mapping(indent: number, depth: number): Yaml {
    const made = new Map<Yaml, Yaml>();
    const merged: Map<Yaml, Yaml>[] = [];
    for (;;) {
      this.skip();
      const line = this.lines[this.at];
      if (!line || line.indent < indent) break;
      const key = line.indent === indent ? keyOf(line.text) : null;
      if (!key) { if (line.indent === indent && line.text.startsWith('- ')) break; throw new NotRead(); }
      this.at += 1;
      const value = this.entry(key.rest, indent, depth + 1);
      if (key.text === '<<' && !key.quoted) { if (!(value instanceof Map)) throw new NotRead(); merged.push(value); continue; }
      made.set(key.quoted ? key.text : plainKey(key.text), value);
    }
    for (const source of merged) for (const [name, value] of source) if (!made.has(name)) made.set(name, value);
    return made;
  }

  /** What stands behind `key:`. */
  private entry(rest: string, indent: number, depth: number): Yaml {
    const anchor = /^&(\S+)\s*/.exec(rest);
    const own = anchor ? rest.slice(anchor[0].length) : rest;
    let value: Yaml;
    if (own === '') {
      this.skip();
      const next = this.lines[this.at];
      // A sequence may stand at the indentation of its key.
      value = next && next.indent === indent && (next.text === '-' || next.text.startsWith('- ')) ? this.sequence(indent, depth) : this.block(indent + 1, depth);
    } else value = this.value(own, indent, depth);
    if (anchor) this.anchors.set(anchor[1]!, value);
    return value;
  }

  /** A value that starts on a line; flow collections and text may go on in the lines below. */
  private value(text: string, indent: number, depth: number): Yaml {
    this.count(depth);
    if (text.startsWith('!')) throw new NotRead();
    if (/^[|>][-+\d]*$/.test(text)) return this.textBlock(indent, text.startsWith('>'));
    if (text.startsWith('*')) { const known = this.anchors.get(text.slice(1)); if (known === undefined) throw new NotRead(); return known; }
    if (text.startsWith('[') || text.startsWith('{')) {
      let all = text;
      while (!balanced(all) && this.at < this.lines.length) all += ` ${this.lines[this.at++]!.text}`;
      return new Flow(all, (level) => this.count(depth + level), this.anchors).whole();
    }
    if (text.startsWith('"') || text.startsWith("'")) return unquoted(text);
    const parts = [text];
    while (this.at < this.lines.length && this.lines[this.at]!.text !== '' && this.lines[this.at]!.indent > indent) parts.push(this.lines[this.at++]!.text);
    if (parts.slice(1).some((part) => keyOf(part))) throw new NotRead();
    return parts.length === 1 ? plainScalar(text) : parts.join(' ');
  }

  private textBlock(indent: number, folded: boolean): string {
    const parts: string[] = [];
    while (this.at < this.lines.length && (this.lines[this.at]!.text === '' || this.lines[this.at]!.indent > indent)) parts.push(this.lines[this.at++]!.text);
    return parts.join(folded ? ' ' : '\n');
  }
}

/** A flow collection on one line. */
class Flow {
  private at = 0;
  constructor(private readonly text: string, private readonly count: (depth: number) => void, private readonly anchors: ReadonlyMap<string, Yaml>) {}

  whole(): Yaml {
    const value = this.node(1);
    this.space();
    if (this.at < this.text.length) throw new NotRead();
    return value;
  }
  private space(): void { while (this.text[this.at] === ' ') this.at += 1; }

  private node(depth: number): Yaml {
    this.count(depth);
    this.space();
    const start = this.text[this.at];
    if (start === '[') {
      const items: Yaml[] = [];
      this.at += 1;
      for (;;) {
        this.space();
        if (this.text[this.at] === ']') { this.at += 1; return items; }
        items.push(this.node(depth + 1));
        this.separator(']');
      }
    }
    if (start === '{') {
      const made = new Map<Yaml, Yaml>();
      this.at += 1;
      for (;;) {
        this.space();
        if (this.text[this.at] === '}') { this.at += 1; return made; }
        const key = this.scalar(true);
        this.space();
        let value: Yaml = null;
        if (this.text[this.at] === ':') { this.at += 1; this.space(); value = /[,}]/.test(this.text[this.at] ?? '') ? null : this.node(depth + 1); }
        made.set(key, value);
        this.separator('}');
      }
    }
    return this.scalar(false);
  }
  private separator(end: string): void {
    this.space();
    if (this.text[this.at] === ',') { this.at += 1; return; }
    if (this.text[this.at] !== end) throw new NotRead();
  }
  private scalar(key: boolean): Yaml {
    const quote = this.text[this.at];
    if (quote === '"' || quote === "'") {
      let end = this.at + 1;
      while (end < this.text.length && !(this.text[end] === quote && !(quote === "'" && this.text[end + 1] === "'") )) end += quote === '"' && this.text[end] === '\\' ? 2 : quote === "'" && this.text[end] === "'" ? 2 : 1;
      const value = unquoted(this.text.slice(this.at, end + 1));
      this.at = end + 1;
      return value;
    }
    const from = this.at;
    while (this.at < this.text.length && !/[,[\]{}]/.test(this.text[this.at]!)) {
      if (this.text[this.at] === ':' && (key || /[\s,\]}]/.test(this.text[this.at + 1] ?? ' ')) && /[\s,\]}[{"']|$/.test(this.text[this.at + 1] ?? ' ')) break;
      this.at += 1;
    }
    const text = this.text.slice(from, this.at).trim();
    if (text.startsWith('*')) { const known = this.anchors.get(text.slice(1)); if (known === undefined) throw new NotRead(); return known; }
    if (text === '' || text.startsWith('!') || text.startsWith('&')) throw new NotRead();
    return plainScalar(text);
  }
}

/** `key:` at the start of a line: the key and what follows. */
function keyOf(text: string): { text: string; rest: string; quoted: boolean } | null {
  const quoted = /^(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)')\s*:(?:\s+|$)/.exec(text);
  if (quoted) return { text: quoted[1] ?? quoted[2]!.replaceAll("''", "'"), rest: text.slice(quoted[0].length), quoted: true };
  if (/^["'[{&*!|>%@`#]/.test(text)) return null;
  const at = text.search(/:(?:\s|$)/);
  if (at <= 0) return null;
  return { text: text.slice(0, at).trimEnd(), rest: text.slice(at + 1).trim(), quoted: false };
}
const plainKey = (text: string): Yaml => plainScalar(text);

/** The line without its comment: a `#` at the start or behind a space, outside quotes. */
function uncommented(line: string): string {
  if (!line.includes('#')) return line;
  let quote = '';
  for (let i = 0; i < line.length; i += 1) {
    const c = line[i]!;
    if (quote !== '') { if (c === quote) quote = ''; else if (c === '\\' && quote === '"') i += 1; }
    else if ((c === '"' || c === "'") && /[\s[{,:(-]|^$/.test(line[i - 1] ?? '')) quote = c;
    else if (c === '#' && (i === 0 || /\s/.test(line[i - 1]!))) return line.slice(0, i);
  }
  return line;
}

function balanced(text: string): boolean {
  let [open, quote] = [0, ''];
  for (const c of text) {
    if (quote !== '') { if (c === quote) quote = ''; }
    else if (c === '"' || c === "'") quote = c;
    else if (c === '[' || c === '{') open += 1;
    else if (c === ']' || c === '}') open -= 1;
  }
  return open <= 0;
}

function unquoted(text: string): string {
  if (text.length < 2 || !text.endsWith(text[0]!)) throw new NotRead();
  if (text.startsWith("'")) return text.slice(1, -1).replaceAll("''", "'");
  try { return JSON.parse(text) as string; } catch { throw new NotRead(); }
}

/** Plain JSON values of a YAML or JSON file's mapping, or null when it is something else. Names stay own properties. */
export function parseConfiguration(file: string, text: string): Readonly<Record<string, unknown>> | null {
  if (!/\.(?:ya?ml|json)$/i.test(file)) return null;
  let value: unknown;
  if (/\.json$/i.test(file)) { try { value = JSON.parse(text); } catch { return null; } } else { const read = parseYaml(text); value = read === undefined ? null : plainYaml(read); }
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : null;
}
function plainYaml(value: Yaml): unknown {
  if (value instanceof YamlFloat) return value.value;
  if (Array.isArray(value)) return value.map(plainYaml);
  if (!(value instanceof Map)) return value;
  const made = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of value) made[String(key instanceof YamlFloat ? key.value : key)] = plainYaml(item);
  return made;
}

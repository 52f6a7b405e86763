/** `str`, `repr`, `format`, and the three ways of formatting strings. Undefined when part of the text is not known. */
import { Choice, Instance, PyClass, PyDict, PyFloat, PyFunction, PyList, PyTuple, PyRange, UnknownValue, Opaque, Tensor, Builtin, PySet, BoundMethod, type Value } from '../values/values';
import { callValue } from './calls';
import type { Machine } from './machine';

export function toText(machine: Machine, value: Value): string | undefined {
  if (typeof value === 'string') return value;
  if (value instanceof Instance) {
    if (value.cls.kind === 'enum') {
      const own = value.attributes.get('value');
      if (value.cls.mro.some((base) => base.name === 'StrEnum') && typeof own === 'string') return own;
      return `${value.cls.name}.${String(value.attributes.get('name'))}`;
    }
    const method = value.cls.lookup('__str__') ?? value.cls.lookup('__repr__');
    if (method instanceof PyFunction) {
      const result = callValue(machine, new BoundMethod(method, value), { positional: [], keywords: new Map() }, value.span);
      return typeof result === 'string' ? result : undefined;
    }
  }
  return toRepr(machine, value);
}

export function toRepr(machine: Machine, value: Value): string | undefined {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  if (value instanceof PyFloat) return floatText(value.value);
  if (typeof value === 'string') return value.includes("'") && !value.includes('"') ? `"${value}"` : `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;
  if (value instanceof PyTuple || value instanceof PyList) {
    if (value instanceof PyList && value.rest !== undefined) return undefined;
    const items = value.items.map((item) => toRepr(machine, item));
    if (items.includes(undefined)) return undefined;
    return value instanceof PyList ? `[${items.join(', ')}]` : items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
  }
  if (value instanceof PyDict) {
    if (value.rest !== undefined) return undefined;
    const items = [...value.entries.values()].map((entry) => [toRepr(machine, entry.key), toRepr(machine, entry.value)] as const);
    return items.some(([k, v]) => k === undefined || v === undefined) ? undefined : `{${items.map(([k, v]) => `${k}: ${v}`).join(', ')}}`;
  }
  if (value instanceof PyRange) return `range(${value.start}, ${value.stop})`;
  if (value instanceof PyClass) return `<class '${value.qualifiedName}'>`;
  if (value instanceof UnknownValue || value instanceof Choice || value instanceof Opaque || value instanceof Tensor || value instanceof Builtin || value instanceof PySet) return undefined;
  return undefined;
}

/** Python's shortest float text: 1.0, 1e-06, 1e+16. */
export function floatText(n: number): string {
  if (n === Infinity) return 'inf';
  if (n === -Infinity) return '-inf';
  if (Number.isNaN(n)) return 'nan';
  const magnitude = Math.abs(n);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
    const [mantissa, exponent] = n.toExponential().split('e');
    const sign = exponent!.startsWith('-') ? '-' : '+';
    return `${mantissa}e${sign}${exponent!.replace(/^[+-]/, '').padStart(2, '0')}`;
  }
  return Number.isInteger(n) ? `${n}.0` : String(n);
}

export function formatValue(machine: Machine, value: Value, spec: string, conversion = ''): string | undefined {
  if (conversion === 'r') { const text = toRepr(machine, value); return text === undefined ? undefined : pad(text, spec); }
  if (spec === '') return toText(machine, value);
  const match = /^(?:(.)?([<>^=]))?([+\- ]?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?([a-zA-Z%]?)$/.exec(spec);
  if (!match) return undefined;
  const [, fill, align, sign, , zero, width, comma, precision, type] = match;
  const number = typeof value === 'boolean' ? Number(value) : value instanceof PyFloat ? value.value : typeof value === 'number' ? value : undefined;
  let text: string;
  if (number === undefined) {
    const plain = toText(machine, value);
    if (plain === undefined) return undefined;
    text = precision ? plain.slice(0, Number(precision)) : plain;
    return fit(text, Number(width || 0), fill ?? ' ', align ?? '<');
  }
  const digits = precision === undefined ? 6 : Number(precision);
  const magnitude = Math.abs(number);
  switch (type) {
    case 'd': text = String(Math.trunc(magnitude)); break;
    case 'f': case 'F': text = magnitude.toFixed(Math.min(digits, 100)); break;
    case '%': text = `${(magnitude * 100).toFixed(Math.min(digits, 100))}%`; break;
    case 'e': case 'E': text = magnitude.toExponential(Math.min(digits, 100)).replace(/e([+-])(\d)$/, 'e$10$2'); break;
    case 'x': text = magnitude.toString(16); break;
    case 'X': text = magnitude.toString(16).toUpperCase(); break;
    case 'b': text = magnitude.toString(2); break;
    case 'o': text = magnitude.toString(8); break;
    case 'g': text = String(Number(magnitude.toPrecision(Math.max(1, Math.min(digits, 100))))); break;
    default: text = value instanceof PyFloat ? (precision === undefined ? floatText(magnitude) : String(Number(magnitude.toPrecision(Math.max(1, digits))))) : String(magnitude);
  }
  if (comma) { const [whole, part] = text.split('.'); text = whole!.replace(/\B(?=(\d{3})+$)/g, comma) + (part === undefined ? '' : `.${part}`); }
  const prefix = number < 0 ? '-' : sign === '+' || sign === ' ' ? sign : '';
  if (zero && !align) return prefix + text.padStart(Number(width || 0) - prefix.length, '0');
  return fit(prefix + text, Number(width || 0), fill ?? ' ', align ?? '>');
}
const pad = (text: string, spec: string): string => { const match = /^(?:(.)?([<>^]))?(\d*)/.exec(spec); return match ? fit(text, Number(match[3] || 0), match[1] ?? ' ', match[2] ?? '<') : text; };
function fit(text: string, width: number, fill: string, align: string): string {
  if (width > 10_000 || text.length >= width) return text;
  if (align === '<') return text.padEnd(width, fill);
  if (align === '^') return text.padStart(text.length + Math.floor((width - text.length) / 2), fill).padEnd(width, fill);
  return text.padStart(width, fill);
}

/** `'layer%d' % i`. */
export function formatPercent(machine: Machine, template: string, value: Value): string | undefined {
  const values = value instanceof PyTuple ? value.items : [value];
  let next = 0;
  let unknown = false;
  const text = template.replace(/%(?:\((\w+)\))?([-+ 0#]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/g, (_, key: string | undefined, flags: string, width: string, precision: string | undefined, type: string) => {
    if (type === '%') return '%';
    const item = key !== undefined ? (value instanceof PyDict ? value.get(key) : undefined) : values[next++];
    if (item === undefined) { unknown = true; return ''; }
    const spec = `${flags.includes('-') ? '<' : ''}${flags.includes('+') ? '+' : ''}${flags.includes('0') && !flags.includes('-') ? '0' : ''}${width}${precision === undefined ? '' : `.${precision}`}${type === 's' || type === 'r' || type === 'i' ? '' : type}`;
    const formatted = formatValue(machine, type === 's' ? toText(machine, item) ?? item : item, spec, type === 'r' ? 'r' : '');
    if (formatted === undefined) unknown = true;
    return formatted ?? '';
  });
  return unknown ? undefined : text;
}

/** `'{}.{name}'.format(...)`. */
export function formatMethod(machine: Machine, template: string, positional: readonly Value[], keywords: ReadonlyMap<string, Value>): string | undefined {
  let next = 0;
  let unknown = false;
  const text = template.replace(/\{\{|\}\}|\{([^{}:!]*)(?:!([rsa]))?(?::([^{}]*))?\}/g, (whole, field: string | undefined, conversion: string | undefined, spec: string | undefined) => {
    if (whole === '{{') return '{';
    if (whole === '}}') return '}';
    const [, head, path] = /^(\w*)(.*)$/.exec(field ?? '') ?? [];
    let item: Value | undefined = head === '' ? positional[next++] : /^\d+$/.test(head!) ? positional[Number(head)] : keywords.get(head!);
    for (const step of (path ?? '').matchAll(/\[(\w+)\]|\.(\w+)/g)) {
      if (item instanceof PyDict) item = item.get(step[1] ?? '');
      else if (item instanceof PyList || item instanceof PyTuple) item = item.items[Number(step[1])];
      else if (item instanceof Instance && step[2]) item = item.attributes.get(step[2]);
      else item = undefined;
    }
    const formatted = item === undefined ? undefined : formatValue(machine, item, spec ?? '', conversion ?? '');
    if (formatted === undefined) unknown = true;
    return formatted ?? '';
  });
  return unknown ? undefined : text;
}

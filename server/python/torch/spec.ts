/**
 * What the table says about one class, and the small language it is written in.
 *
 * A family file lists its classes as `module(name, signature, content)`. The signature is the Python one as text, so
 * that a reader can hold it against the PyTorch documentation; the content is a function from bound arguments to the
 * parameters, buffers and children in state_dict order. Unknown arguments are `undefined` and travel through every
 * helper here: an unknown dimension becomes null, an unknown condition makes a tensor optional, never a guess.
 */

export type Dim = number | null;

export interface TorchParameter {
  readonly name: string;
  readonly kind: 'parameter' | 'buffer';
  /** Null when not even the number of dimensions is known. */
  readonly shape: readonly Dim[] | null;
  /** False for buffers that state_dict leaves out. Absent means true. */
  readonly persistent?: boolean;
  /** True when the arguments do not decide whether it exists. */
  readonly optional?: boolean;
}

export type TorchArgs = Readonly<Record<string, unknown>>;

/** A submodule that is another row of the table; `args` need not name every parameter (defaults apply). */
export interface TorchSpecChild {
  readonly name: string;
  readonly spec: string;
  readonly args: Record<string, unknown>;
  readonly optional?: boolean;
}

/**
 * A submodule that the caller passed in as an opaque handle; `undefined` means that nothing is known about it.
 * `copied`: PyTorch deep-copies it, so its tensors are separate and not tied. `call`: the handle is a class or factory
 * (`norm_layer=`), and the submodule is what it returns for these positional arguments.
 */
export interface TorchHandleChild {
  readonly name: string;
  readonly module: unknown;
  readonly copied?: boolean;
  readonly call?: readonly unknown[];
  readonly optional?: boolean;
}

/** A name of `*` stands for an unknown number of them. A name may be dotted where PyTorch has a plain container between. */
export type TorchChild = TorchSpecChild | TorchHandleChild;

export interface TorchSignatureParameter {
  readonly name: string;
  /** Absent = required. None is null, a tuple an array; see {@link PythonName} for defaults that are objects. */
  readonly default?: unknown;
  /** Absent = positional or keyword. */
  readonly kind?: 'positional' | 'keyword' | 'varargs' | 'kwargs';
}

export interface TorchContent {
  readonly parameters: readonly TorchParameter[];
  readonly children: readonly TorchChild[];
}

export type TorchRole =
  | 'linear' | 'conv' | 'conv-transpose' | 'embedding' | 'norm' | 'recurrent' | 'attention' | 'activation' | 'other';

export interface TorchModuleSpec {
  readonly qualifiedName: string;
  readonly className: string;
  readonly signature: readonly TorchSignatureParameter[];
  /**
   * What the module holds. `args` has every parameter of the signature bound, defaults applied: plain JSON values,
   * `undefined` when unknown, opaque handles for module-valued arguments. Never throws.
   */
  build(args: TorchArgs): TorchContent;
  /**
   * Attributes of an instance that differ from the constructor argument of the same name, or have none: the tuple that
   * `kernel_size=3` becomes, `num_patches` of a patch embedding. An attribute not listed has the argument's value.
   */
  attributes?(args: TorchArgs): Readonly<Record<string, unknown>>;
  /** Which dimension of `weight` is the output channel: 0 when absent, 1 for transposed convolutions and Conv1D of GPT-2. */
  readonly outputAxis?: number;
  /** Absent = it never holds a tensor of its own. */
  readonly role?: TorchRole;
}

/** A default that is a Python object and not a JSON value: `F.relu`, `nn.LayerNorm`. */
export interface PythonName { readonly python: string }

/** A module described by the table itself, used where PyTorch builds a submodule and hands it on. */
export interface TableModule { readonly spec: string; readonly args: Record<string, unknown> }

export const isTableModule = (value: unknown): value is TableModule =>
  typeof value === 'object' && value !== null && 'spec' in value && 'args' in value
  && typeof (value as TableModule).spec === 'string' && Object.keys(value).length === 2;

/** A child from a module-valued argument, whichever of the two forms it has. */
export const childFrom = (name: string, module: unknown, copied = false): TorchChild =>
  isTableModule(module) ? { name, spec: module.spec, args: module.args } : { name, module, ...(copied ? { copied } : {}) };

/**
 * A child made by calling a class-valued argument such as `norm_layer`. The default of the signature is a
 * {@link PythonName}, which must itself be a row of the table (`nn.LayerNorm` means `torch.nn.LayerNorm`).
 */
export function called(name: string, factory: unknown, positional: readonly unknown[], firstParameter: string): TorchChild {
  if (typeof factory === 'object' && factory !== null && 'python' in factory && Object.keys(factory).length === 1) {
    const spec = String((factory as PythonName).python).replace(/^nn\./, 'torch.nn.');
    return { name, spec, args: { [firstParameter]: positional[0] } };
  }
  return { name, module: factory, call: positional };
}

export type Content = (args: TorchArgs) => Partial<TorchContent>;

/** One row of the table. `signature` is the text between the parentheses of `__init__`, without self and annotations. */
export function module(
  qualifiedName: string, signature: string, content?: Content, extra: Pick<TorchModuleSpec, 'role' | 'outputAxis' | 'attributes'> = {},
): TorchModuleSpec {
  return {
    qualifiedName,
    className: qualifiedName.slice(qualifiedName.lastIndexOf('.') + 1),
    signature: parseSignature(signature),
    build: (args) => {
      const made = content?.(args);
      return { parameters: made?.parameters ?? [], children: made?.children ?? [] };
    },
    ...extra,
  };
}

/** A whole family of weightless rows: `Name(signature)` one per line. */
export function weightless(prefix: string, lines: string, role?: TorchRole): TorchModuleSpec[] {
  return lines.trim().split('\n').map((line) => {
    const text = line.trim();
    const open = text.indexOf('(');
    return module(`${prefix}.${text.slice(0, open)}`, text.slice(open + 1, -1), undefined, role ? { role } : {});
  });
}

/** Reads `a, b=1, *args, c=(1, 2), **kwargs` into parameters. The table is ours, so a mistake in it throws at start. */
export function parseSignature(text: string): TorchSignatureParameter[] {
  const parameters: TorchSignatureParameter[] = [];
  let keywordOnly = false;
  for (const piece of splitTop(text)) {
    if (piece === '*') { keywordOnly = true; continue; }
    if (piece.startsWith('**')) { parameters.push({ name: piece.slice(2), kind: 'kwargs' }); continue; }
    if (piece.startsWith('*')) { keywordOnly = true; parameters.push({ name: piece.slice(1), kind: 'varargs' }); continue; }
    const equals = piece.indexOf('=');
    const name = equals < 0 ? piece : piece.slice(0, equals).trim();
    parameters.push({
      name,
      ...(equals < 0 ? {} : { default: parseLiteral(piece.slice(equals + 1).trim()) }),
      ...(keywordOnly ? { kind: 'keyword' as const } : {}),
    });
  }
  return parameters;
}

function splitTop(text: string): string[] {
  const pieces: string[] = [];
  let depth = 0;
  let piece = '';
  for (const char of text) {
    if (char === '(' || char === '[') depth += 1;
    if (char === ')' || char === ']') depth -= 1;
    if (char === ',' && depth === 0) { pieces.push(piece.trim()); piece = ''; } else piece += char;
  }
  if (piece.trim() !== '') pieces.push(piece.trim());
  return pieces;
}

function parseLiteral(text: string): unknown {
  if (text === 'None') return null;
  if (text === 'True') return true;
  if (text === 'False') return false;
  if (/^'.*'$/.test(text)) return text.slice(1, -1);
  if (/^[([].*[)\]]$/.test(text)) return splitTop(text.slice(1, -1)).map(parseLiteral);
  if (/^[\d.+-]/.test(text)) {
    const factors = text.split('/').map(Number);
    const value = factors.slice(1).reduce((a, b) => a / b, factors[0]!);
    if (Number.isNaN(value)) throw new Error(`not a number in a table signature: ${text}`);
    return value;
  }
  return { python: text } satisfies PythonName;
}

// ---- dimensions ----

/** The value as a dimension; null when unknown or not a whole number. */
export const dim = (value: unknown): Dim =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : typeof value === 'boolean' ? Number(value) : null;

/** Product, null when a factor is unknown. */
export const times = (...factors: unknown[]): Dim => {
  let product = 1;
  for (const factor of factors) {
    const value = dim(factor);
    if (value === null) return null;
    product *= value;
  }
  return product;
};

/** Python's `a // b`; null when unknown or b is zero. */
export const over = (a: unknown, b: unknown): Dim => {
  const [top, bottom] = [dim(a), dim(b)];
  return top === null || bottom === null || bottom === 0 ? null : Math.floor(top / bottom);
};

export const plus = (...terms: unknown[]): Dim => {
  let sum = 0;
  for (const term of terms) {
    const value = typeof term === 'number' && Number.isInteger(term) ? term : null;
    if (value === null) return null;
    sum += value;
  }
  return sum;
};

/** PyTorch's `_ntuple(n)`: a number repeated, or the sequence as it is. Nulls when unknown. */
export function tuple(value: unknown, n: number): Dim[] {
  if (Array.isArray(value)) return value.map(dim);
  return Array.from({ length: n }, () => dim(value));
}

/** The shape of a tensor-valued argument when the caller knows it (`{ shape }`), else null. */
export function tensorShape(value: unknown): Dim[] | null {
  const shape = typeof value === 'object' && value !== null && 'shape' in value ? (value as { shape: unknown }).shape : undefined;
  return Array.isArray(shape) ? shape.map(dim) : null;
}

/** {@link tuple} as an attribute value, where an unknown is undefined and a string (`padding='same'`) stays itself. */
export const attributeTuple = (value: unknown, n: number): unknown =>
  (value === undefined || typeof value === 'string' ? value : tuple(value, n).map((item) => item ?? undefined));

/** A size given as one number or a sequence of them (`normalized_shape`). Null when even the rank is unknown. */
export function shapeOf(value: unknown): Dim[] | null {
  if (Array.isArray(value)) return value.map(dim);
  return typeof value === 'number' ? [dim(value)] : null;
}

// ---- conditions ----

/** Python truth of a bound argument; undefined when unknown. Handles and objects are true. */
export function truth(value: unknown): boolean | undefined {
  if (value === undefined) return undefined;
  if (value === null || value === false || value === 0 || value === '') return false;
  return !(Array.isArray(value) && value.length === 0);
}

/** `value is not None`; undefined when unknown. */
export const given = (value: unknown): boolean | undefined => (value === undefined ? undefined : value !== null);

export const not = (value: boolean | undefined): boolean | undefined => (value === undefined ? undefined : !value);

export const both = (a: boolean | undefined, b: boolean | undefined): boolean | undefined =>
  a === false || b === false ? false : a === undefined || b === undefined ? undefined : true;

/** Python's `a == b`; undefined when either is unknown. */
export const equal = (a: unknown, b: unknown): boolean | undefined => (a === undefined || b === undefined ? undefined : a === b);

/** The items when the condition holds, none when it does not, and all of them as optional when it is unknown. */
export function when<T extends TorchParameter | TorchChild>(condition: boolean | undefined, ...items: T[]): T[] {
  if (condition === false) return [];
  return condition === true ? items : items.map((item) => ({ ...item, optional: true }));
}

// ---- tensors ----

export const parameter = (name: string, shape: readonly Dim[] | null): TorchParameter => ({ name, kind: 'parameter', shape });
export const buffer = (name: string, shape: readonly Dim[] | null, persistent = true): TorchParameter =>
  ({ name, kind: 'buffer', shape, ...(persistent ? {} : { persistent }) });

/** A child made from another row. */
export const child = (name: string, spec: string, args: Record<string, unknown>): TorchChild => ({ name, spec, args });

/** Children `0..count-1`, or one `*` when the count is unknown. */
export function repeated(count: unknown, make: (name: string) => TorchChild): TorchChild[] {
  const known = dim(count);
  if (known === null) return [make('*')];
  return Array.from({ length: Math.min(known, MAX_REPEATS) }, (_, index) => make(String(index)));
}

/** More repeats than any real network has: a typing slip must not fill the memory. */
const MAX_REPEATS = 4096;

/**
 * Whole numbers that stay free while a model is traced: polynomials over the free dimensions (`batch`, `sequence`) and over
 * what cannot be written as one (a quotient that need not be whole). Each has an example value, which decides comparisons.
 */

/** A number, or a polynomial over free dimensions. */
export type Whole = number | Symbolic;

/** An indivisible part of a polynomial: a free dimension, or an operation on whole numbers that is none. */
export interface Atom {
  readonly key: string;
  readonly hint: number;
  readonly of: 'free' | 'floor' | 'mod' | 'max' | 'min';
  /** Operands; empty for a free dimension. */
  readonly operands: readonly Whole[];
}
interface Term { readonly coefficient: number; readonly atoms: readonly Atom[] }

/** A size whose polynomial has grown beyond use: the free dimension had better be a number. */
export class TooComplex extends Error {
  constructor(readonly dimension: string) { super(`sizes that follow from ${dimension} grow too long`); }
}
/** Sizes of real models are far below: nested quotients of the height of a picture take a few hundred characters. */
const MAX_KEY = 3000;
const MAX_TERMS = 256;

/** Which of several free dimensions had better be a number: the batch last. */
export const toFix = (names: readonly string[]): string => names.find((name) => name !== 'batch') ?? names[0] ?? 'size';

export class Symbolic {
  /** Equal numbers have equal keys. */
  readonly key: string;
  readonly hint: number;
  constructor(readonly terms: readonly Term[]) {
    this.key = terms.map(textOfTerm).join(' + ').replaceAll('+ -', '- ');
    if (this.key.length > MAX_KEY) throw new TooComplex(toFix(this.free));
    this.hint = terms.reduce((sum, { coefficient, atoms }) => sum + coefficient * atoms.reduce((product, atom) => product * atom.hint, 1), 0);
  }
  /** Names of the free dimensions it depends on. */
  get free(): string[] {
    const names = new Set<string>();
    const visit = (value: Whole): void => {
      if (typeof value === 'number') return;
      for (const { atoms } of value.terms) for (const atom of atoms) { if (atom.of === 'free') names.add(atom.key); else atom.operands.forEach(visit); }
    };
    visit(this);
    return [...names];
  }
}
const monomial = (atoms: readonly Atom[]): string => atoms.map((atom) => atom.key).join('*');
function textOfTerm({ coefficient, atoms }: Term): string {
  if (atoms.length === 0) return String(coefficient);
  return coefficient === 1 ? monomial(atoms) : coefficient === -1 ? `-${monomial(atoms)}` : `${coefficient}*${monomial(atoms)}`;
}

const termsOf = (value: Whole): readonly Term[] => (typeof value === 'number' ? (value === 0 ? [] : [{ coefficient: value, atoms: [] }]) : value.terms);

function collect(terms: readonly Term[]): Whole {
  const sums = new Map<string, Term>();
  for (const term of terms) {
    const key = monomial(term.atoms);
    const known = sums.get(key);
    sums.set(key, known ? { ...known, coefficient: known.coefficient + term.coefficient } : term);
  }
  const kept = [...sums].filter(([, term]) => term.coefficient !== 0).sort(([a], [b]) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1)).map(([, term]) => term);
  if (kept.length === 0) return 0;
  return kept.length === 1 && kept[0]!.atoms.length === 0 ? kept[0]!.coefficient : new Symbolic(kept);
}
const sorted = (atoms: readonly Atom[]): Atom[] => [...atoms].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
const ofAtom = (atom: Atom): Symbolic => new Symbolic([{ coefficient: 1, atoms: [atom] }]);

/** A free dimension with an example value. */
export const freeSize = (name: string, hint: number): Symbolic => ofAtom({ key: name, hint, of: 'free', operands: [] });

export const hintOf = (value: Whole): number => (typeof value === 'number' ? value : value.hint);
export const wholeText = (value: Whole): string => (typeof value === 'number' ? String(value) : value.key);
export const sameWhole = (a: Whole, b: Whole): boolean => (typeof a === 'number' || typeof b === 'number' ? a === b : a.key === b.key);

export function plus(a: Whole, b: Whole): Whole {
  return typeof a === 'number' && typeof b === 'number' ? a + b : collect([...termsOf(a), ...termsOf(b)]);
}
export function times(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  if (termsOf(a).length * termsOf(b).length > MAX_TERMS) throw new TooComplex(toFix([a, b].flatMap((side) => (typeof side === 'number' ? [] : side.free))));
  return collect(termsOf(a).flatMap((x) => termsOf(b).map((y) => ({ coefficient: x.coefficient * y.coefficient, atoms: sorted([...x.atoms, ...y.atoms]) }))));
}
export const minus = (a: Whole, b: Whole): Whole => plus(a, times(-1, b));
export const product = (values: readonly Whole[]): Whole => values.reduce<Whole>(times, 1);

/** The quotient when it is a polynomial, else undefined. */
export function exactQuotient(a: Whole, b: Whole): Whole | undefined {
  if (typeof a === 'number' && typeof b === 'number') return b !== 0 && a % b === 0 ? a / b : undefined;
  if (sameWhole(a, b)) return 1;
  const divisor = termsOf(b);
  if (divisor.length !== 1) {
    // A multiple of the divisor by a number.
    const [first] = divisor;
    const match = first && termsOf(a).find((term) => monomial(term.atoms) === monomial(first.atoms));
    if (!match || match.coefficient % first.coefficient !== 0) return undefined;
    const ratio = match.coefficient / first.coefficient;
    return sameWhole(times(b, ratio), a) ? ratio : undefined;
  }
  const [by] = divisor;
  const result: Term[] = [];
  for (const term of termsOf(a)) {
    if (term.coefficient % by!.coefficient !== 0) return undefined;
    const rest = [...term.atoms];
    for (const atom of by!.atoms) {
      const at = rest.findIndex((other) => other.key === atom.key);
      if (at < 0) return undefined;
      rest.splice(at, 1);
    }
    result.push({ coefficient: term.coefficient / by!.coefficient, atoms: rest });
  }
  return collect(result);
}

function compound(of: Exclude<Atom['of'], 'free'>, operands: readonly Whole[], hint: number): Whole {
  const key = of === 'floor' ? `floor((${wholeText(operands[0]!)})/(${wholeText(operands[1]!)}))` : `${of}(${operands.map(wholeText).join(', ')})`;
  return ofAtom({ key, hint, of, operands });
}
/** Python's `a // b`. */
export function floorQuotient(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') return Math.floor(a / b);
  return exactQuotient(a, b) ?? compound('floor', [a, b], Math.floor(hintOf(a) / hintOf(b)));
}
/** Python's `a % b`. */
export function remainder(a: Whole, b: Whole): Whole {
  const [x, y] = [hintOf(a), hintOf(b)];
  if (typeof a === 'number' && typeof b === 'number') return x - y * Math.floor(x / y);
  return exactQuotient(a, b) === undefined ? compound('mod', [a, b], x - y * Math.floor(x / y)) : 0;
}
export function largest(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') return Math.max(a, b);
  return sameWhole(a, b) ? a : compound('max', [a, b], Math.max(hintOf(a), hintOf(b)));
}
export function smallest(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') return Math.min(a, b);
  return sameWhole(a, b) ? a : compound('min', [a, b], Math.min(hintOf(a), hintOf(b)));
}

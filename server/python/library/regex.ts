/** The little of `re` that block descriptions such as `'ds_r1_k3_s1'` are split with. */
import { PyList, type Namespace, type Value } from '../values/values';
import { builtin, openNamespace } from './support';

/** Only patterns that cannot backtrack exponentially: no repeated group, nothing long. Null for all others. */
function safePattern(source: Value | undefined, flags: string): RegExp | null {
  if (typeof source !== 'string' || source.length > 60 || /\)[*+{?]|\(\?/.test(source)) return null;
  try { return new RegExp(source, flags); } catch { return null; }
}
const MAX_TEXT = 500;
const groups = (match: readonly (string | undefined)[]): Value[] => match.map((item) => item ?? null);

export const regex: Namespace = openNamespace('re', {
  split: builtin('split', (m, args) => {
    const [source, text] = args.positional;
    const pattern = safePattern(source, 'u');
    return pattern && typeof text === 'string' && text.length < MAX_TEXT ? new PyList(groups(text.split(pattern))) : m.unknown('re.split(…) is not evaluated');
  }),
  findall: builtin('findall', (m, args) => {
    const [source, text] = args.positional;
    const pattern = safePattern(source, 'gu');
    if (!pattern || (source as string).includes('(') || typeof text !== 'string' || text.length >= MAX_TEXT) return m.unknown('re.findall(…) is not evaluated');
    return new PyList([...text.matchAll(pattern)].map((match) => match[0]));
  }),
});

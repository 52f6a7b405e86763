/** `--formats`: ids, shorthands, family names, `all`. */
import { FormatIdError } from '../../kernels/formats/format';
import { families, listedFormats, parseFormat } from '../../kernels/formats/registry';
import { didYouMean, UserError } from '../analysis/user-error';

export interface AskedFormat {
  /** What the user typed, for naming it in the answer. */
  readonly asked: string;
  readonly id: string;
}

/** @throws UserError naming the grammar when an item is neither an id nor a family. */
export function readFormats(items: readonly string[]): AskedFormat[] {
  const found = items.flatMap((item): AskedFormat[] => {
    if (item === 'all') return listedFormats().map(({ id }) => ({ asked: id, id }));
    const family = families.find(({ name }) => name === item);
    if (family) return family.listed.map((id) => ({ asked: parseFormat(id).id, id: parseFormat(id).id }));
    try {
      return [{ asked: item, id: parseFormat(item).id }];
    } catch (error) {
      if (!(error instanceof FormatIdError)) throw error;
      // An id whose family is right needs its parameters put right, which the message says already.
      const known = families.some(({ name }) => item.startsWith(name));
      throw new UserError(`--formats: ${error.message}.${known ? '' : didYouMean(item, families.map(({ name }) => name))}`);
    }
  });
  const seen = new Set<string>();
  return found.filter(({ asked, id }) => {
    const key = `${asked} ${id}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

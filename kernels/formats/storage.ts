/** From stored fields to the storage cost that is shown and budgeted. */
import { fieldBits, type StoredField } from './fields';
import type { StorageCost, WeightView } from './format';

export function storageOfFields(fields: readonly StoredField[], view: WeightView): StorageCost {
  const of = (part: StoredField['part']): number => fieldBits(fields.filter((field) => field.part === part));
  const weights = view.rows * view.cols;
  const totalBits = fieldBits(fields);
  return { codeBits: of('code'), scaleBits: of('scale'), zeroPointBits: of('zeroPoint'), otherBits: of('other'), totalBits, bitsPerWeight: weights === 0 ? 0 : totalBits / weights };
}

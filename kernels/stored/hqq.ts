/** HQQ: see kernels/checkpoint/layouts/hqq.ts. Value = (code - zero) x scale with a real zero, in float32. */
import { HQQ_PER_ELEMENT } from '../checkpoint/layouts/hqq';
import { numberOption, Part, partOf } from './parts';
import { rowPanels } from './row-panels';
import type { StoredLayout } from './stored-layout';

const fround = Math.fround;

export const hqqLayout: StoredLayout = {
  id: 'hqq',
  open(tensor, reader) {
    const [bits, axis, rows, cols] = [numberOption(tensor, 'bits'), numberOption(tensor, 'axis'), numberOption(tensor, 'rows'), numberOption(tensor, 'cols')];
    const codes = new Part(reader, partOf(tensor, 'codes'));
    const scales = new Part(reader, partOf(tensor, 'scales'));
    const zeros = new Part(reader, partOf(tensor, 'zeros'));
    const per = HQQ_PER_ELEMENT[bits]!;
    const step = Math.ceil(rows / per);
    const mask = 2 ** bits - 1;
    return rowPanels(rows, cols, (first, count, out) => {
      const byRow = axis === 1;
      const scale = byRow ? scales.floats(first, count) : scales.floats(0, cols);
      const zero = byRow ? zeros.floats(first, count) : zeros.floats(0, cols);
      for (let row = 0; row < count;) {
        // Rows that share their place in the byte lie one after another.
        const slot = Math.floor((first + row) / step);
        const run = Math.min(count - row, (slot + 1) * step - (first + row));
        const packed = codes.ints((first + row - slot * step) * cols, run * cols);
        const shift = bits * (per - 1 - slot);
        for (let i = 0; i < run * cols; i += 1) {
          const block = byRow ? row + Math.floor(i / cols) : i % cols;
          out[row * cols + i] = fround(((packed[i]! >>> shift) & mask) - zero[block]!) * scale[block]!;
        }
        row += run;
      }
    });
  },
};

/** Values of a matrix that is decoded some rows at a time, the last rows kept. */
import type { ValueReader } from './stored-layout';

/** Values decoded together, at most: 4 MiB. A single longer row is decoded whole. */
const PANEL_VALUES = 2 ** 20;

/**
 * @param decode fills the start of `out` with rows [first, first + count), row-major
 * @param values most values decoded together; tests set it low
 */
export function rowPanels(_rows: number, cols: number, decode: (first: number, count: number, out: Float32Array) => void, values = PANEL_VALUES): ValueReader {
  const together = Math.max(1, Math.floor(values / Math.max(1, cols)));
  let panel = new Float32Array(0);
  let from = -1;
  let held = 0;
  return {
    read(first, count, out) {
      for (let done = 0; done < count;) {
        const row = Math.floor((first + done) / cols);
        if (from < 0 || row < from || row >= from + held) {
          // The rows that are asked for and no more: a worker's next task may be anywhere.
          const wanted = Math.min(together, Math.ceil((first + count) / cols) - row);
          from = -1;
          held = wanted;
          if (panel.length < wanted * cols) panel = new Float32Array(wanted * cols);
          decode(row, wanted, panel);
          from = row;
        }
        const at = first + done - from * cols;
        const piece = Math.min(count - done, held * cols - at);
        out.set(panel.subarray(at, at + piece), done);
        done += piece;
      }
    },
  };
}

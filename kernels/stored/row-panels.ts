/** Values of a matrix that is decoded some rows at a time, the last rows kept. */
import type { ValueReader } from './stored-layout';

/** Values decoded together: 4 MiB. A single longer row is decoded whole. */
const PANEL_VALUES = 2 ** 20;

/**
 * @param decode fills the start of `out` with rows [first, first + count), row-major
 * @param values most values decoded together; tests set it low
 */
export function rowPanels(rows: number, cols: number, decode: (first: number, count: number, out: Float32Array) => void, values = PANEL_VALUES): ValueReader {
  // Codes of neighbouring rows may share a word: whole words where rows are short.
  const fitting = Math.max(1, Math.floor(values / Math.max(1, cols)));
  const together = fitting >= 32 ? fitting - (fitting % 32) : fitting;
  const panel = new Float32Array(Math.min(together, Math.max(1, rows)) * cols);
  let from = -1;
  let held = 0;
  return {
    read(first, count, out) {
      for (let done = 0; done < count;) {
        const row = Math.floor((first + done) / cols);
        if (from < 0 || row < from || row >= from + held) {
          from = -1;
          const start = row - (row % together);
          held = Math.min(together, rows - start);
          decode(start, held, panel);
          from = start;
        }
        const at = first + done - from * cols;
        const piece = Math.min(count - done, held * cols - at);
        out.set(panel.subarray(at, at + piece), done);
        done += piece;
      }
    },
  };
}

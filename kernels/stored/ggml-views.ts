/** What llama.cpp did to a tensor when it converted it, undone while values are read. */
import type { ValueReader } from './stored-layout';

/**
 * Rows in the order of the model. In the file, row 2 i + j of a head is the model's row j (rows of a head / 2) + i: the two halves that
 * a rotary embedding turns together lie side by side.
 */
export function unpermutedRows(stored: ValueReader, rows: number, cols: number, heads: number): ValueReader {
  const size = rows / heads;
  return rowsInOrder(stored, cols, (model) => {
    const within = model % size;
    const j = Math.floor(within / (size / 2));
    return model - within + 2 * (within - j * (size / 2)) + j;
  });
}

/** Inverse of {@link unpermutedRows}: rows of a model in the order of the file. */
export function permutedRows(model: ValueReader, rows: number, cols: number, heads: number): ValueReader {
  const size = rows / heads;
  return rowsInOrder(model, cols, (stored) => {
    const within = stored % size;
    return stored - within + (within % 2) * (size / 2) + Math.floor(within / 2);
  });
}

function rowsInOrder(stored: ValueReader, cols: number, row: (index: number) => number): ValueReader {
  return {
    read(first, count, out) {
      for (let done = 0; done < count;) {
        const at = first + done;
        const col = at % cols;
        const length = Math.min(cols - col, count - done);
        stored.read(row(Math.floor(at / cols)) * cols + col, length, out.subarray(done, done + length));
        done += length;
      }
    },
  };
}

/** Values less `amount`, in float32. */
export function lessen(stored: ValueReader, amount: number): ValueReader {
  return {
    read(first, count, out) {
      stored.read(first, count, out);
      for (let i = 0; i < count; i += 1) out[i] = out[i]! - amount;
    },
  };
}

/**
 * The transpose of a stored matrix of `rows` x `cols`: a panel of columns is decoded at once and kept.
 * @param width columns of a panel, whole blocks
 */
export function transposed(stored: ValueReader, rows: number, cols: number, width: number): ValueReader {
  const panel = new Float32Array(rows * Math.min(width, cols));
  let loaded = -1;
  const load = (first: number, length: number): void => {
    for (let r = 0; r < rows; r += 1) stored.read(r * cols + first, length, panel.subarray(r * length, (r + 1) * length));
    loaded = first;
  };
  return {
    read(first, count, out) {
      for (let i = 0; i < count; i += 1) {
        const col = Math.floor((first + i) / rows);
        const start = col - (col % width);
        const length = Math.min(width, cols - start);
        if (loaded !== start) load(start, length);
        out[i] = panel[((first + i) % rows) * length + col - start]!;
      }
    },
  };
}

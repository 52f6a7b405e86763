/**
 * SparseTensorProto of ONNX: the values that are not zero, and for each its place, as one number or as one index for each
 * dimension, in ascending order (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
 */
import { CheckpointError, elementCount, type TensorInfo } from '../checkpoint';
import { PartNumbers } from './part-numbers';
import type { StoredLayout } from './stored-layout';

export const onnxSparse: StoredLayout = {
  id: 'onnx-sparse',
  open(tensor, reader) {
    const { values, indices } = tensor.encoding!.parts as Readonly<Record<string, TensorInfo>>;
    const value = new PartNumbers(values!, reader);
    const index = new PartNumbers(indices!, reader);
    const rank = indices!.shape.length === 2 ? tensor.shape.length : 0;
    const total = elementCount(tensor.shape);
    const wrong = (entry: number): never => {
      throw new CheckpointError({ code: 'BL406', grade: 'malformed', message: `entry ${entry} of the sparse tensor ${tensor.name.slice(0, 200)} lies outside its shape or out of order`, fix: 'Save the model again with the program that wrote it', tensor: tensor.name }, tensor.name);
    };
    const place = (entry: number): number => {
      let at = 0;
      if (rank === 0) at = index.get(entry);
      else {
        for (let axis = 0; axis < rank; axis += 1) {
          const each = index.get(entry * rank + axis);
          if (!(each >= 0 && each < tensor.shape[axis]!)) wrong(entry);
          at = at * tensor.shape[axis]! + each;
        }
      }
      return at >= 0 && at < total ? at : wrong(entry);
    };
    /** The first entry at or behind a place. */
    const firstFrom = (at: number): number => {
      let [low, high] = [0, value.count];
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        if (place(middle) < at) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    return {
      read(first, count, out) {
        out.fill(0, 0, count);
        let before = -1;
        for (let entry = firstFrom(first); entry < value.count; entry += 1) {
          const at = place(entry);
          if (at <= before || at < first) wrong(entry);
          if (at >= first + count) break;
          out[at - first] = value.get(entry);
          before = at;
        }
      },
    };
  },
};

/** MXFP4 experts: see kernels/checkpoint/layouts/mxfp4-experts.ts. Value = E2M1 code x 2^(scale - 127). */
import { E2M1 } from './block-floats';
import { numberOption, Part, partOf } from './parts';
import { rowPanels } from './row-panels';
import { powersOfTwo } from './scaled';
import type { StoredLayout } from './stored-layout';

/** Values of one panel of columns, for weights whose inputs come first. */
const PANEL_VALUES = 2 ** 20;

export const mxfp4ExpertsLayout: StoredLayout = {
  id: 'mxfp4-experts',
  open(tensor, reader) {
    const [outputs, groups] = [numberOption(tensor, 'outputs'), numberOption(tensor, 'groups')];
    const codes = new Part(reader, partOf(tensor, 'codes'));
    const scales = new Part(reader, partOf(tensor, 'scales'));
    const inputs = groups * 32;
    const rows = tensor.shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
    const decode = (bytes: Uint8Array, at: number, scale: number, put: (i: number, value: number) => void): void => {
      for (let i = 0; i < 16; i += 1) {
        put(2 * i, E2M1[bytes[at + i]! & 15]! * scale);
        put(2 * i + 1, E2M1[bytes[at + i]! >> 4]! * scale);
      }
    };
    if (tensor.encoding!.options!.inputsFirst !== true) {
      return rowPanels(rows, inputs, (first, count, out) => {
        const scale = powersOfTwo(scales, first * groups, count * groups);
        const bytes = codes.bytes(first * groups * 16, count * groups * 16);
        for (let b = 0; b < count * groups; b += 1) decode(bytes, b * 16, scale[b]!, (i, value) => { out[b * 32 + i] = value; });
      });
    }
    // A row is one input of an expert: whole groups of 32 inputs are decoded for all outputs together.
    const groupsTogether = Math.max(1, Math.floor(PANEL_VALUES / (32 * outputs)));
    let held = { expert: -1, from: 0, count: 0, values: new Float32Array(0) };
    const panel = (expert: number, group: number): typeof held => {
      if (held.expert === expert && group >= held.from && group < held.from + held.count) return held;
      const from = group - (group % groupsTogether);
      const count = Math.min(groupsTogether, groups - from);
      const values = held.values.length >= count * 32 * outputs ? held.values : new Float32Array(count * 32 * outputs);
      held = { expert: -1, from, count, values };
      for (let n = 0; n < outputs; n += 1) {
        const block = (expert * outputs + n) * groups + from;
        const scale = powersOfTwo(scales, block, count);
        const bytes = codes.bytes(block * 16, count * 16);
        for (let b = 0; b < count; b += 1) decode(bytes, b * 16, scale[b]!, (i, value) => { values[(b * 32 + i) * outputs + n] = value; });
      }
      held = { expert, from, count, values };
      return held;
    };
    return {
      read(first, count, out) {
        for (let done = 0; done < count;) {
          const row = Math.floor((first + done) / outputs);
          const [expert, input] = [Math.floor(row / inputs), row % inputs];
          const { from, count: groupCount, values } = panel(expert, input >> 5);
          const at = (input - from * 32) * outputs + ((first + done) % outputs);
          const piece = Math.min(count - done, groupCount * 32 * outputs - at);
          out.set(values.subarray(at, at + piece), done);
          done += piece;
        }
      },
    };
  },
};

/** `--input`: an input of forward with its sizes. */
import type { OnnxType } from '../../kernels/graph/onnx-types';
import type { InputSpec } from '../trace/inputs';
import { UsageError, type Flag } from './arguments';

export const INPUT: Flag = { name: 'input', value: 'NAME=SIZES', help: 'an input of forward, in order: x=batch,3,32,32 or ids=batch,sequence:int64; else read off the source', repeated: true };

const TYPES: Readonly<Record<string, OnnxType>> = { float32: 'F32', int64: 'I64', bool: 'BOOL', f32: 'F32', i64: 'I64' };

/** `x=batch,3,32,32` or `ids=batch,sequence:int64`. */
export function readInput(text: string): InputSpec {
  const match = /^([^=]+)=([^:]*)(?::(\w+))?$/.exec(text);
  if (!match) throw new UsageError(`--input ${JSON.stringify(text)} is not NAME=SIZES or NAME=SIZES:TYPE, such as x=batch,3,32,32 or ids=batch,sequence:int64`);
  const [, name, sizes, type] = match;
  const shape = sizes!.split(',').map((size) => size.trim()).filter((size) => size !== '').map((size) => {
    if (/^\d+$/.test(size)) return Number(size);
    if (/^[A-Za-z_]\w*$/.test(size)) return size;
    throw new UsageError(`--input ${JSON.stringify(text)}: ${JSON.stringify(size)} is neither a number nor the name of a free dimension`);
  });
  const known = type === undefined ? 'F32' : TYPES[type.toLowerCase()];
  if (!known) throw new UsageError(`--input ${JSON.stringify(text)}: the type is one of float32, int64, bool`);
  return { name: name!.trim(), type: known, shape };
}

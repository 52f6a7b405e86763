/** Makes TensorFlow Lite files by hand: a flatbuffer whose children stand behind their parents. */

type Field = { readonly u8: number } | { readonly u32: number } | { readonly i32: number } | { readonly u64: number } | { readonly to: Node };
type Node = { readonly table: readonly (Field | null)[] } | { readonly vector: Buffer; readonly count: number } | { readonly tables: readonly Node[] };

export const bytesOf = (data: Buffer, width = 1): Node => ({ vector: data, count: data.length / width });
export const text = (value: string): Node => ({ vector: Buffer.from(`${value}\0`), count: Buffer.byteLength(value) });
const ints = (values: readonly number[]): Node => { const data = Buffer.alloc(4 * values.length); values.forEach((value, i) => data.writeInt32LE(value, 4 * i)); return bytesOf(data, 4); };

export function flatbuffer(root: Node, mark = 'TFL3'): Buffer {
  let out: Buffer = Buffer.alloc(8);
  out.write(mark, 4);
  const todo: { node: Node; from: number }[] = [{ node: root, from: 0 }];
  const append = (bytes: Buffer, align = 8): number => {
    const pad = (align - (out.length % align)) % align;
    const at = out.length + pad;
    out = Buffer.concat([out, Buffer.alloc(pad), bytes]);
    return at;
  };
  for (let next = todo.shift(); next; next = todo.shift()) {
    const { node, from } = next;
    let at: number;
    if ('table' in node) {
      const size = (field: Field): number => ('u64' in field ? 8 : 'u8' in field ? 1 : 4);
      const vtable = Buffer.alloc(4 + 2 * node.table.length);
      let inline = 4;
      const places = node.table.map((field) => {
        if (!field) return 0;
        inline = Math.ceil(inline / size(field)) * size(field);
        const place = inline;
        inline += size(field);
        return place;
      });
      vtable.writeUInt16LE(vtable.length, 0);
      vtable.writeUInt16LE(inline, 2);
      places.forEach((place, i) => vtable.writeUInt16LE(place, 4 + 2 * i));
      const layout = append(vtable);
      at = append(Buffer.alloc(inline));
      out.writeInt32LE(at - layout, at);
      node.table.forEach((field, i) => {
        if (!field) return;
        const place = at + places[i]!;
        if ('u8' in field) out.writeUInt8(field.u8, place);
        else if ('u32' in field) out.writeUInt32LE(field.u32, place);
        else if ('i32' in field) out.writeInt32LE(field.i32, place);
        else if ('u64' in field) out.writeBigUInt64LE(BigInt(field.u64), place);
        else todo.push({ node: field.to, from: place });
      });
    } else if ('tables' in node) {
      const head = Buffer.alloc(4 + 4 * node.tables.length);
      head.writeUInt32LE(node.tables.length, 0);
      at = append(head);
      node.tables.forEach((child, i) => { todo.push({ node: child, from: at + 4 + 4 * i }); });
    } else {
      const count = Buffer.alloc(4);
      count.writeUInt32LE(node.count, 0);
      // The elements, not the count, stand on a border of eight bytes.
      out = Buffer.concat([out, Buffer.alloc((12 - (out.length % 8)) % 8)]);
      at = append(Buffer.concat([count, node.vector]), 4);
    }
    out.writeUInt32LE(at - from, from);
  }
  return out;
}

export interface TfliteTensor {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly number[];
  readonly data: Buffer | null;
  readonly scales?: readonly number[];
  readonly zeros?: readonly number[];
  readonly axis?: number;
}

/** A model of one graph. @param operators by built-in code, with the tensors they take */
export function tfliteModel(tensors: readonly TfliteTensor[], operators: readonly { readonly code: number; readonly inputs: readonly number[] }[] = []): Buffer {
  const quantization = ({ scales, zeros, axis }: TfliteTensor): Field | null => {
    if (!scales) return null;
    const floats = Buffer.alloc(4 * scales.length);
    scales.forEach((value, i) => floats.writeFloatLE(value, 4 * i));
    const longs = Buffer.alloc(8 * (zeros?.length ?? 0));
    (zeros ?? []).forEach((value, i) => longs.writeBigInt64LE(BigInt(value), 8 * i));
    return { to: { table: [null, null, { to: bytesOf(floats, 4) }, { to: bytesOf(longs, 8) }, null, null, { i32: axis ?? 0 }] } };
  };
  const graph: Node = { table: [
    { to: { tables: tensors.map((tensor, i) => ({ table: [{ to: ints(tensor.shape) }, { u8: tensor.type }, { u32: tensor.data ? i + 1 : 0 }, { to: text(tensor.name) }, quantization(tensor)] })) } },
    null, null, { to: { tables: operators.map(({ inputs }, i) => ({ table: [{ u32: i }, { to: ints(inputs) }] })) } }, { to: text('main') },
  ] };
  const buffers: Node[] = [{ table: [] }, ...tensors.map((tensor): Node => (tensor.data ? { table: [{ to: bytesOf(tensor.data) }] } : { table: [] }))];
  return flatbuffer({ table: [{ u32: 3 }, { to: { tables: operators.map(({ code }) => ({ table: [{ u8: code }, null, null, { i32: code }] })) } }, { to: { tables: [graph] } }, { to: text('made by hand') }, { to: { tables: buffers } }] });
}

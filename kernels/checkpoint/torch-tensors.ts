import { checkedBytes, checkedExtent, checkedProduct, isContiguous, rowMajorStrides } from './checked';
import { DTYPE_BITS, type DType } from './checkpoint';
import { BytesNode, CallNode, FloatNode, GlobalNode, isFilled, NewNode, PersistNode, sequence, TextNode, type PickleNode, type PickleValue } from './pickle-nodes';
import { attributes, classOf, dictEntries, entry } from './pickle-views';
import { counted } from './problems';
import { dtypeOf, numpyType, storageType } from './torch-types';

/** A storage as a persistent id names it. */
export interface StorageRef {
  readonly key: string;
  /** Bits of one of its elements. */
  readonly bits: number;
  /** Elements of the whole storage. */
  readonly elements: number;
  /** The view that the id names (legacy checkpoints), in elements of the storage; the whole of it otherwise. */
  readonly viewOffset: number;
  readonly viewElements: number;
}

/** A tensor that the pickle describes. */
export interface TensorRecord {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** In elements; null when row-major. */
  readonly strides: readonly number[] | null;
  /** First element within the storage (or its view). */
  readonly offset: number;
  readonly storage: StorageRef | null;
  /** Range of the pickle stream that holds the values, for arrays that are pickled in line. */
  readonly inline?: { readonly start: number; readonly length: number; readonly byteOrder: 'little' | 'big' };
  /** Why there are no readable values, when there are none. */
  readonly absent?: string;
  readonly quantizer?: { readonly scale: number; readonly zeroPoint: number } | { readonly axis: number; readonly scales: TensorRecord; readonly zeroPoints: TensorRecord };
  /** Worth saying although the values can be read. */
  readonly note?: string;
}

/** A record that looks like a tensor but contradicts itself. */
export class TensorRecordError extends Error {}

/** A tensor whose element type is not among ours: nothing is wrong with the file, but nothing can be said of the values. */
export class UnknownElementError extends TensorRecordError {}

/**
 * Tells which records are tensors, by the shape of the record: a call of one of PyTorch's rebuild functions, or a pickled
 * numpy array. Nothing is called. Each record is looked at once.
 */
export class TensorMatcher {
  private readonly known = new Map<PickleNode, TensorRecord | null>();

  /** @throws TensorRecordError when a rebuild call has impossible arguments. */
  match(value: PickleValue, depth = 0): TensorRecord | null {
    if (!(value instanceof CallNode || value instanceof NewNode)) return null;
    const known = this.known.get(value);
    if (known !== undefined) return known;
    const record = depth > 16 ? null : value instanceof CallNode ? this.matchCall(value, depth) : this.matchNew(value, depth);
    this.known.set(value, record);
    return record;
  }

  private matchCall(call: CallNode, depth: number): TensorRecord | null {
    const fn = classOf(call.fn);
    const args = sequence(call.args);
    if (!fn || !args) return null;
    if (/^(torch\._utils|torch\._tensor|torch\.tensor)$/.test(fn.module)) return this.rebuild(fn.name, args, depth);
    if (/^numpy\.(_?core\.)?(multiarray|numeric)$/.test(fn.module)) {
      if (fn.name === '_reconstruct') return numpyArray(call);
      if (fn.name === '_frombuffer') return numpyBuffer(args);
    }
    if (fn.name === 'Parameter' && fn.module.startsWith('torch.nn')) return this.match(args[0] ?? null, depth + 1);
    return null;
  }

  /** `Parameter` and `Buffer` made by __new__, with the tensor as argument or in their state. */
  private matchNew(made: NewNode, depth: number): TensorRecord | null {
    const cls = classOf(made.cls);
    if (!cls || !/^torch\.(nn\.parameter|nn|autograd\.variable)$/.test(cls.module)) return null;
    const args = sequence(made.args) ?? [];
    const state = made.state === undefined ? null : sequence(made.state)?.[0] ?? null;
    return this.match(args[0] ?? null, depth + 1) ?? this.match(state, depth + 1);
  }

  private rebuild(name: string, args: readonly PickleValue[], depth: number): TensorRecord | null {
    switch (name) {
      case '_rebuild_tensor': case '_rebuild_tensor_v2':
        return lazily(dense(args[0], args[1], args[2], args[3], null), args[6]);
      case '_rebuild_qtensor': {
        const record = dense(args[0], args[1], args[2], args[3], null);
        const quantizer = this.quantizer(sequence(args[4] ?? null), depth);
        return record && (quantizer ? { ...record, quantizer } : { ...record, note: 'its scale is not stored in a form that is known' });
      }
      case '_rebuild_tensor_v3': {
        const dtype = dtypeOf(args[6] ?? null);
        if (!dtype) throw unknownElement(args[6]);
        return lazily(dense(args[0], args[1], args[2], args[3], dtype), args[7]);
      }
      case '_rebuild_parameter': case '_rebuild_parameter_with_state':
        return this.match(args[0] ?? null, depth + 1);
      case '_rebuild_from_type_v2': case '_rebuild_from_type': {
        const inner = sequence(args[2] ?? null);
        if (!inner || args[0] === undefined) return null;
        const record = this.match(new CallNode(args[0], args[2]), depth + 1);
        return record ? this.subclass(record, args[3] ?? null, depth) : null;
      }
      case '_rebuild_meta_tensor_no_storage':
        return without(dtypeOf(args[0] ?? null), args[1], 'it is a meta tensor, which has a shape but no values');
      case '_rebuild_wrapper_subclass':
        return without(dtypeOf(args[1] ?? null), args[2], 'its values are kept in a tensor subclass that is not read');
      case '_rebuild_sparse_tensor': case '_rebuild_sparse_csr_tensor': return this.sparse(args, depth);
      case '_rebuild_nested_tensor': { const buffer = this.match(args[0] ?? null, depth + 1); return buffer && { ...buffer, note: 'it is a nested tensor: its buffer is listed flat' }; }
      case '_rebuild_device_tensor_from_numpy': case '_rebuild_xla_tensor': return this.match(args[0] ?? null, depth + 1);
      case '_rebuild_device_tensor_from_cpu_tensor': return this.match(args[0] ?? null, depth + 1);
      default: return null;
    }
  }

  /** (per_tensor_affine, scale, zero point) or (per_channel_affine, scales, zero points, axis). */
  private quantizer(parts: readonly PickleValue[] | null, depth: number): TensorRecord['quantizer'] | null {
    const scheme = parts?.[0];
    if (!parts || !(scheme instanceof GlobalNode)) return null;
    const [, scale, zero, axis] = parts;
    if (scheme.name === 'per_tensor_affine' && scale instanceof FloatNode && typeof zero === 'number') return { scale: scale.value, zeroPoint: zero };
    if (!scheme.name.startsWith('per_channel_affine') || typeof axis !== 'number') return null;
    const scales = this.match(scale, depth + 1);
    const zeroPoints = this.match(zero, depth + 1);
    return scales && zeroPoints ? { axis, scales, zeroPoints } : null;
  }

  /** A tensor subclass: a distributed tensor keeps its own part of the values in `_local_tensor`. */
  private subclass(record: TensorRecord, state: PickleValue, depth: number): TensorRecord {
    const entries = dictEntries(state) ?? (sequence(state) ? dictEntries(sequence(state)![0] ?? null) : null);
    const local = entries && entry(entries, '_local_tensor');
    const part = local === undefined || local === null ? null : this.match(local, depth + 1);
    if (!part) return record;
    const whole = record.shape.length === part.shape.length && record.shape.every((dim, i) => dim === part.shape[i]);
    return whole ? part : { ...part, note: `it is one part of a distributed tensor of shape [${record.shape.join(', ')}]` };
  }

  /** (layout, (indices, values, size, ...)): the parts are dense, the tensor itself has no row-major values. */
  private sparse(args: readonly PickleValue[], depth: number): TensorRecord | null {
    const parts = sequence(args[1] ?? null);
    if (!parts) return null;
    // COO: indices, values, size. CSR and its kin: two index tensors, values, size.
    const values = [...parts].reverse().map((part) => this.match(part, depth + 1)).find((record) => record !== null);
    const size = parts.map(sizeOf).filter((dims) => dims !== null).pop();
    if (!values || !size) return null;
    return { ...described(values.dtype, size), absent: 'it is sparse: only dense tensors are read' };
  }
}

/** `torch.Size((3, 4))` or a plain tuple of integers. */
function sizeOf(value: PickleValue): (number | bigint)[] | null {
  if (value instanceof CallNode && value.fn instanceof GlobalNode && value.fn.name === 'Size') return sizeOf(sequence(value.args)?.[0] ?? null);
  const items = sequence(value);
  return items && items.every((item) => typeof item === 'number' || typeof item === 'bigint') ? items as (number | bigint)[] : null;
}

/** Shape and byte count, checked. */
function described(dtype: DType, dims: readonly (number | bigint)[]): Pick<TensorRecord, 'dtype' | 'shape' | 'bytes' | 'strides' | 'offset' | 'storage'> {
  if (dims.length > 64) throw new TensorRecordError(`it has ${dims.length} dimensions, more than 64`);
  if (dims.some((dim) => dim < 0 || dim > Number.MAX_SAFE_INTEGER)) throw new TensorRecordError(`its shape [${dims.join(', ')}] is impossible`);
  const count = checkedProduct(dims, Number.MAX_SAFE_INTEGER);
  const bytes = count === null ? null : checkedBytes(count, DTYPE_BITS[dtype]);
  if (bytes === null) throw new TensorRecordError(`its shape [${dims.join(', ')}] is too large`);
  return { dtype, shape: dims.map(Number), bytes, strides: null, offset: 0, storage: null };
}

/** Metadata of a tensor whose values PyTorch negates or conjugates as they are read: what is stored is not what they are. */
function lazily(record: TensorRecord | null, metadata: PickleValue | undefined): TensorRecord | null {
  const flags = metadata === undefined ? null : dictEntries(metadata);
  if (!record || !flags) return record;
  const view = entry(flags, 'neg') === true ? 'negated' : entry(flags, 'conj') === true ? 'conjugated' : null;
  if (!view) return record;
  return { ...record, strides: null, storage: null, offset: 0, absent: `it was saved as a ${view} view, whose stored values are not its own; call resolve_${view === 'negated' ? 'neg' : 'conj'}() before saving` };
}

function unknownElement(type: PickleValue | undefined): UnknownElementError {
  return new UnknownElementError(type instanceof GlobalNode ? `its element type ${type.module}.${type.name} is not known` : 'its element type is not known');
}

function without(dtype: DType | null, size: PickleValue | undefined, absent: string): TensorRecord | null {
  const dims = size === undefined ? null : sizeOf(size);
  return dtype && dims ? { ...described(dtype, dims), absent } : null;
}

function dense(storage: PickleValue | undefined, offset: PickleValue | undefined, size: PickleValue | undefined, stride: PickleValue | undefined, dtype: DType | null): TensorRecord | null {
  if (storage === undefined || size === undefined || stride === undefined) throw new TensorRecordError('its record lacks arguments');
  const dims = sizeOf(size);
  const steps = sizeOf(stride);
  if (!dims || !steps || typeof offset !== 'number') throw new TensorRecordError('its offset, shape or strides are not whole numbers');
  const { ref, type } = storageOf(storage);
  const element = dtype ?? (type === 'bytes' ? null : type);
  if (!element && !ref) throw new TensorRecordError('its storage was pickled by Python itself (pickle.dump), and only storages saved by torch.save are read');
  if (!element) throw new TensorRecordError('its element type is not known');
  const basic = described(element, dims);
  if (!ref) return { ...basic, absent: 'its storage was pickled by Python itself; only storages saved by torch.save are read' };
  if (steps.length !== dims.length) throw new TensorRecordError(`it has ${counted(dims.length, 'dimension')} but ${counted(steps.length, 'stride')}`);
  if (steps.some((step) => step < 0 || step > Number.MAX_SAFE_INTEGER)) throw new TensorRecordError(`its strides [${steps.join(', ')}] are impossible`);
  const strides = steps.map(Number);
  if (element === 'QU4X2' || element === 'QU2X4') return { ...basic, absent: 'it holds several quantized values a byte, which are not read' };
  const extent = checkedExtent(basic.shape, strides, offset);
  // An untyped storage counts bytes; the view counts elements of its own type.
  const elements = Math.floor(ref.viewElements * ref.bits / DTYPE_BITS[element]);
  if (extent === null || (extent > elements && basic.bytes > 0)) {
    throw new TensorRecordError(`it reaches element ${extent === null ? 'beyond 2^53' : extent - 1} of a storage of ${elements}`);
  }
  // An empty view may stand anywhere: it is put where the storage begins.
  return { ...basic, storage: ref, offset: basic.bytes === 0 ? 0 : offset, strides: isContiguous(basic.shape, strides) ? null : strides };
}

/** ('storage', class, key, location, numel[, view]); null ref for a storage that is not a persistent id. */
function storageOf(value: PickleValue): { ref: StorageRef | null; type: DType | 'bytes' | null } {
  // torch.storage.TypedStorage wraps an untyped one: (wrap_storage, dtype) in its state or arguments.
  if (value instanceof CallNode || value instanceof NewNode) {
    const inner = [...(sequence(value.args) ?? []), ...(attributes(value) ?? [])];
    const wrapped = inner.find((item) => item instanceof PersistNode);
    const dtype = inner.map(dtypeOf).find((type) => type !== null) ?? null;
    if (!(wrapped instanceof PersistNode)) return { ref: null, type: dtype };
    return { ref: storageOf(wrapped).ref, type: dtype };
  }
  if (!(value instanceof PersistNode)) return { ref: null, type: null };
  const id = sequence(value.id);
  if (!id || id[0] !== 'storage' || id.length < 5) throw new TensorRecordError('its storage is not named as torch names one');
  const type = storageType(id[1]);
  const key = typeof id[2] === 'string' || typeof id[2] === 'number' ? String(id[2]) : null;
  const elements = id[4];
  if (!type) throw new TensorRecordError('the type of its storage is not known');
  if (key === null || typeof elements !== 'number' || elements < 0) throw new TensorRecordError('its storage is not named as torch names one');
  let viewOffset = 0;
  const view = id[5] === undefined || id[5] === null ? null : sequence(id[5]);
  let count = elements;
  if (view) {
    // (key of the view, offset, size), in elements of the storage.
    if (typeof view[1] !== 'number' || typeof view[2] !== 'number' || view[1] < 0 || view[2] < 0 || view[1] + view[2] > elements) throw new TensorRecordError('the view of its storage lies outside it');
    viewOffset = view[1];
    count = view[2];
  }
  const bits = type === 'bytes' ? 8 : DTYPE_BITS[type];
  return { ref: { key, bits, elements, viewOffset, viewElements: count }, type };
}

/** `_reconstruct(ndarray, (0,), b'b')` with the state (version, shape, dtype, is_fortran, data). */
function numpyArray(call: CallNode): TensorRecord | null {
  const state = call.state === undefined ? null : sequence(call.state);
  if (!state || state.length < 5) return null;
  const [, shape, dtype, fortran, data] = state;
  return numpyDense(dtype, shape, fortran === true || fortran === 1, data);
}

/** `_frombuffer(buffer, dtype, shape, order)` of protocol 5. */
function numpyBuffer(args: readonly PickleValue[]): TensorRecord | null {
  return args.length < 4 ? null : numpyDense(args[1], args[2], args[3] === 'F', args[0]);
}

function numpyDense(dtype: PickleValue, shape: PickleValue, fortran: boolean, data: PickleValue): TensorRecord | null {
  const type = numpyDtype(dtype);
  const dims = sizeOf(shape);
  if (!type || !dims) return null;
  const basic = described(type.dtype, dims);
  const range = data instanceof BytesNode || (data instanceof TextNode && data.raw) ? data : null;
  if (!range) return { ...basic, absent: 'its values stand as text inside the pickle; save it as a tensor to have them read' };
  if (range.length !== basic.bytes) throw new TensorRecordError(`its array holds ${counted(range.length, 'byte')}, but its shape needs ${basic.bytes}`);
  const columns = fortran && basic.shape.length > 1 ? [...rowMajorStrides([...basic.shape].reverse())].reverse() : null;
  return { ...basic, strides: columns && !isContiguous(basic.shape, columns) ? columns : null, inline: { start: range.start, length: range.length, byteOrder: type.byteOrder } };
}

/** `dtype('f4', ...)` with the state (version, byte order, ...). */
function numpyDtype(value: PickleValue): { dtype: DType; byteOrder: 'little' | 'big' } | null {
  if (!(value instanceof CallNode) || classOf(value.fn)?.name !== 'dtype') return null;
  const code = sequence(value.args)?.[0];
  const dtype = typeof code === 'string' ? numpyType(code.replace(/^[<>|=]/, '')) : null;
  if (!dtype) return null;
  const order = isFilled(value) && value.state !== undefined ? sequence(value.state)?.[1] : undefined;
  return { dtype, byteOrder: order === '>' ? 'big' : 'little' };
}

/**
 * Every bound a reader keeps, in one table. Each is checked before memory is taken or work is done, and each can be
 * overridden through {@link OpenOptions} (tests set them low to stand at the edge).
 */
export interface Limits {
  /** Bytes of a safetensors header; the reference implementation's own value. */
  readonly safetensorsHeader: number;
  /** Bytes of an index of shards. */
  readonly indexBytes: number;
  /** Shards of one checkpoint. */
  readonly shards: number;
  readonly tensors: number;
  /** Entries of text metadata. */
  readonly metadataEntries: number;
  /** Bytes of metadata values that are kept; the rest stays in the file. */
  readonly metadataBytes: number;
  /** Dimensions of a tensor whose values are read; one with more is listed without its data. */
  readonly dims: number;
  /** Nesting of JSON. */
  readonly jsonDepth: number;
  /** Bytes of one pickle stream. */
  readonly pickleBytes: number;
  readonly pickleOps: number;
  readonly pickleNodes: number;
  /** Items on the pickle stack. */
  readonly pickleStack: number;
  /** Characters of a string that is kept; a longer one is kept as a range of the file. */
  readonly stringKept: number;
  /** Containers walked again because a pickle refers to them from several places. */
  readonly sharedVisits: number;
  readonly zipEntries: number;
  /** Bytes of a zip's central directory. */
  readonly zipDirectory: number;
  /** Bytes of {@link Checkpoint.extra} as JSON. */
  readonly extraBytes: number;
  /** Imports and problems listed; the rest is counted. */
  readonly imports: number;
  readonly problems: number;
  /** Bytes of one read. */
  readonly readBytes: number;
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  safetensorsHeader: 100_000_000,
  indexBytes: 250_000_000,
  shards: 10_000,
  tensors: 2_000_000,
  metadataEntries: 100_000,
  metadataBytes: 16 * 2 ** 20,
  dims: 64,
  jsonDepth: 64,
  pickleBytes: 256 * 2 ** 20,
  pickleOps: 50_000_000,
  pickleNodes: 10_000_000,
  pickleStack: 1_000_000,
  stringKept: 65_536,
  sharedVisits: 10_000,
  zipEntries: 1_000_000,
  zipDirectory: 256 * 2 ** 20,
  extraBytes: 65_536,
  imports: 10_000,
  problems: 200,
  readBytes: 8 * 2 ** 20,
});

/** An array file of any header text. */
export function npy(header: string, data: Buffer = Buffer.alloc(0), version = 1): Buffer {
  const text = Buffer.from(header, version === 3 ? 'utf8' : 'latin1');
  const prefix = Buffer.from([0x93, ...Buffer.from('NUMPY'), version, 0, 0, 0, ...(version === 1 ? [] : [0, 0])]);
  if (version === 1) prefix.writeUInt16LE(text.length, 8);
  else prefix.writeUInt32LE(text.length, 8);
  return Buffer.concat([prefix, text, data]);
}

import { Hdf5Error, type H5File } from './h5-file';

/** One message of an object header. */
export interface Message { readonly type: number; readonly start: number; readonly length: number; readonly flags: number }

const MOST_MESSAGES = 65_536;
const MOST_BLOCKS = 4096;
const CONTINUATION = 0x10;

/**
 * The messages of an object header of either version, through its continuation blocks.
 * @throws Hdf5Error for a header that contradicts itself; blocks that lead to one another end at a limit.
 */
export function readMessages(file: H5File, at: number): Message[] {
  const messages: Message[] = [];
  const newer = file.bytes(at, 4).toString('latin1') === 'OHDR';
  const blocks: { start: number; end: number }[] = [];
  let ordered = false;
  if (newer) {
    if (file.u8(at + 4) !== 2) throw new Hdf5Error(`an object header has version ${file.u8(at + 4)}`, at + 4);
    const flags = file.u8(at + 5);
    ordered = (flags & 4) !== 0;
    let position = at + 6;
    if (flags & 0x20) position += 16;
    if (flags & 0x10) position += 4;
    const width = 1 << (flags & 3);
    const size = file.number(position, width) ?? Infinity;
    blocks.push({ start: position + width, end: position + width + size });
  } else {
    if (file.u8(at) !== 1) throw new Hdf5Error(`an object header has version ${file.u8(at)}`, at);
    blocks.push({ start: at + 16, end: at + 16 + file.u32(at + 8) });
  }
  const headSize = newer ? (ordered ? 6 : 4) : 8;
  for (let next = 0; next < blocks.length; next++) {
    const { start, end } = blocks[next];
    if (end > file.end) throw new Hdf5Error('an object header runs over the end of the file', start);
    // A gap smaller than a message may stand at the end.
    for (let position = start; position + headSize <= end;) {
      const type = newer ? file.u8(position) : file.u16(position);
      const length = file.u16(position + (newer ? 1 : 2));
      const flags = file.u8(position + (newer ? 3 : 4));
      const body = position + headSize;
      if (body + length > end) throw new Hdf5Error('a message runs over the end of its header', position);
      if (messages.length >= MOST_MESSAGES) throw new Hdf5Error(`an object header has more than ${MOST_MESSAGES} messages`, position);
      if (type === CONTINUATION) {
        const to = file.address(body);
        const size = file.length(body + file.addressSize);
        if (to === null || blocks.length >= MOST_BLOCKS || blocks.some((block) => block.start === to || block.start === to + 4)) throw new Hdf5Error('an object header goes on where it cannot', position);
        if (newer) {
          file.expect(to, 'OCHK');
          if (size < 8) throw new Hdf5Error('an object header goes on in too few bytes', position);
          blocks.push({ start: to + 4, end: to + size - 4 });
        } else blocks.push({ start: to, end: to + size });
      } else messages.push({ type, start: body, length, flags });
      position = body + length;
    }
  }
  return messages;
}

/** The message of a type, or where it is kept when it is shared (a committed datatype); null without one. */
export function messageOf(file: H5File, messages: readonly Message[], type: number): Message | null {
  const found = messages.find((message) => message.type === type);
  if (!found || (found.flags & 2) === 0) return found ?? null;
  const version = file.u8(found.start);
  const kind = file.u8(found.start + 1);
  if (version > 3 || (version === 3 && kind !== 2)) throw new Hdf5Error('a shared message is kept in a heap, which is not read', found.start);
  const to = file.address(found.start + (version === 1 ? 8 : 2));
  if (to === null) throw new Hdf5Error('a shared message leads nowhere', found.start);
  const inner = readMessages(file, to).find((message) => message.type === type);
  if (!inner || (inner.flags & 2) !== 0) throw new Hdf5Error('a shared message leads to none of its kind', found.start);
  return inner;
}

import { basename } from 'node:path';
import type { ByteSource } from './byte-source';
import { counted, FETCH_AGAIN, refuse, shown } from './problems';

/** Files that people take for checkpoints: each has a message of its own. Throws CheckpointError, or returns when it is none of them. */
export function refuseFamiliarStrangers(head: Buffer, source: ByteSource): void {
  const { path } = source;
  const start = head.toString('latin1', 0, 1024);
  if (source.size === 0) refuse(path, 'the file is empty', 'Download or save it again', { offset: 0 });
  if (start.startsWith('version https://git-lfs.github.com/spec/')) {
    const size = /^size (\d{1,15})\s*$/m.exec(start)?.[1];
    const wanted = size ? ` of ${size} bytes` : '';
    refuse(path, `this is a Git LFS pointer; the checkpoint itself${wanted} has not been fetched`, `Run: git lfs pull --include="${basename(path)}"`, { offset: 0 });
  }
  if (/^(\ufeff|ï»¿)?\s*(<!doctype html|<html|<head|<\?xml|<!--|<error)/i.test(start)) {
    refuse(path, `this is a web page or XML text${pageTitle(start)}, most likely what a server answered instead of the file`, 'Download the file again, signed in if the server wants it', { offset: 0 });
  }
  for (const [name, matches, fix] of ARCHIVES) {
    if (matches(head)) refuse(path, `this is ${name}, not a checkpoint`, fix, { offset: 0 });
  }
}

function pageTitle(start: string): string {
  const title = /<title>([^<]{1,80})<\/title>/i.exec(start)?.[1].trim();
  return title ? ` ("${title.replace(/[^\x20-\x7e]/g, '?')}")` : '';
}

const starts = (...bytes: number[]) => (head: Buffer): boolean => bytes.every((byte, i) => head[i] === byte);
const EXTRACT = 'Extract it, and open the checkpoint inside';
const ARCHIVES: readonly (readonly [string, (head: Buffer) => boolean, string])[] = [
  ['a tar archive (PyTorch before 0.1.10 saved so)', (head) => head.toString('latin1', 257, 262) === 'ustar', 'Extract it, or load it once with an old PyTorch and save it again'],
  ['a gzip archive', starts(0x1f, 0x8b), EXTRACT],
  ['a 7z archive', starts(0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c), EXTRACT],
  ['an xz archive', starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), EXTRACT],
  ['a bzip2 archive', (head) => head.toString('latin1', 0, 3) === 'BZh' && head.toString('latin1', 4, 10) === '1AY&SY', EXTRACT],
  ['a zstd archive', starts(0x28, 0xb5, 0x2f, 0xfd), EXTRACT],
  ['a RAR archive', (head) => head.toString('latin1', 0, 4) === 'Rar!', EXTRACT],
  ['a PNG picture', starts(0x89, 0x50, 0x4e, 0x47), 'Name the checkpoint'],
  ['a JPEG picture', starts(0xff, 0xd8, 0xff), 'Name the checkpoint'],
  ['a PDF document', (head) => head.toString('latin1', 0, 5) === '%PDF-', 'Name the checkpoint'],
];

/** The first line of what is text to its last byte, or null. */
function plainText(head: Buffer): string | null {
  if (!head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d))) return null;
  // The head may end inside a character.
  const text = head.toString('utf8').replace(/\ufffd$/, '');
  return text.includes('\ufffd') ? null : text.trim().split(/[\r\n]/, 1)[0]!;
}

/** Bytes that no reader knows. The message says what the name promised, and what kind of damage shows. */
export function refuseUnknown(head: Buffer, source: ByteSource): never {
  const { path, size } = source;
  const shownBytes = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  if (head.includes(Buffer.from([0xef, 0xbf, 0xbd])) && head.indexOf(0) >= 0) {
    refuse(path, 'the file was treated as text and damaged: it holds replacement characters (ef bf bd) where bytes were', 'Copy or download it again in binary mode', { offset: head.indexOf(Buffer.from([0xef, 0xbf, 0xbd])) });
  }
  if (size < 9) refuse(path, `the file has ${counted(size, 'byte')}, too few for any checkpoint`, FETCH_AGAIN, { offset: 0 });
  const text = plainText(head);
  if (text !== null) refuse(path, `this is text and no checkpoint: it begins with "${shown(text, 60)}"`, 'If a server or a script wrote it in place of the file, fetch the file again', { offset: 0 });
  const declared = head.length >= 8 ? head.readBigUInt64LE(0) : 0n;
  if (/\.safetensors$/i.test(path)) {
    refuse(path, `this is not safetensors although the name says so: a header length and "{" are expected, the file starts with ${shownBytes} (length ${declared})`, FETCH_AGAIN, { offset: declared <= BigInt(size) ? 8 : 0 });
  }
  refuse(path, `no reader knows this file: it starts with ${shownBytes}`, 'Open a safetensors, GGUF, ONNX, HDF5 or TensorFlow Lite file, an index of shards (*.index.json), a PyTorch checkpoint, or numpy arrays', { offset: 0 });
}

/** Text out of GGUF files: UTF-8 by the specification, whatever a program wrote in practice. */
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8, or one character for each byte where the bytes are none, so that different bytes stay different text. */
export function decodeText(bytes: Uint8Array): { text: string; valid: boolean } {
  try {
    return { text: strict.decode(bytes), valid: true };
  } catch {
    return { text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'), valid: false };
  }
}

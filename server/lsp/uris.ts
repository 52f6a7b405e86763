/** Between the URIs of the protocol and the paths that the analysis works with. */
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Path of a document. Documents that are no files (unsaved, virtual) get a path that exists nowhere, so that nothing is
 * found beside them, and that leads back to them.
 */
export function pathOfUri(uri: string): string {
  if (uri.startsWith('file:')) {
    try {
      return path.normalize(fileURLToPath(uri));
    } catch {
      // A host part, an encoded slash: not a file of this machine.
    }
  }
  return path.join(path.parse(process.cwd()).root, '.bitlens-virtual', encodeURIComponent(uri).slice(0, 200), 'document.py');
}

export function uriOfPath(file: string): string {
  return pathToFileURL(file).href;
}

export const isFileUri = (uri: string): boolean => uri.startsWith('file:');

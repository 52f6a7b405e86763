/** The tree-sitter runtime and the Python grammar, loaded once per process. */
import { Language, Parser, type Tree } from 'web-tree-sitter';
import { assetPath } from '../../../kernels/assets';

let parser: Parser | null = null;
let loading: Promise<void> | null = null;

/**
 * Loads the parser. Call once before anything else of this folder; further calls wait for the first.
 *
 * @throws Error when the WebAssembly files are not beside the program.
 */
export function initParser(): Promise<void> {
  loading ??= (async () => {
    await Parser.init({ locateFile: (name: string) => assetPath(name) });
    const language = await Language.load(assetPath('tree-sitter-python.wasm'));
    parser = new Parser();
    parser.setLanguage(language);
  })();
  return loading;
}

/** Parses text, reusing what `old` (already edited) still describes. The caller deletes both trees. */
export function parse(text: string, old?: Tree): Tree {
  if (!parser) throw new Error('initParser() has not finished');
  const tree = parser.parse(text, old);
  if (!tree) throw new Error('the parser gave no tree');
  return tree;
}

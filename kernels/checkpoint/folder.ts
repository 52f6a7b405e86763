import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { refuse } from './problems';

/** Names that loaders look for, best first. */
const WELL_KNOWN = ['model.safetensors.index.json', 'model.safetensors', 'diffusion_pytorch_model.safetensors.index.json', 'diffusion_pytorch_model.safetensors',
  'adapter_model.safetensors', 'pytorch_model.bin.index.json', 'pytorch_model.bin', 'diffusion_pytorch_model.bin', 'adapter_model.bin'];

/** Kinds of weights file, best first. Only a folder is searched by name; what is found is still recognised by its bytes. */
const KINDS = [/\.(safetensors|bin)\.index\.json$/i, /\.safetensors$/i, /\.gguf$/i, /\.(pt|pth|bin|th|ckpt|pkl)$/i, /\.onnx$/i, /\.(h5|hdf5|keras)$/i, /\.tflite$/i, /\.npz$/i];

/** Files beside the weights that have a weights file's ending. */
const NOT_WEIGHTS = /^(training_args|optimizer|scheduler|scaler|rng_state(_\d+)?|random_states_\d+)\.(bin|pt|pth|pkl)$/i;

/**
 * The checkpoint in a folder: an index of shards or the one weights file. A path that is not a folder is returned as it is.
 * @throws CheckpointError when the folder holds none, or several that nothing tells apart.
 */
export function chooseInFolder(path: string): string {
  if (!statSync(path).isDirectory()) return path;
  const snapshot = snapshotIn(path);
  if (snapshot) return chooseInFolder(snapshot);
  const names = readdirSync(path).filter((name) => !NOT_WEIGHTS.test(name)).sort();
  const known = WELL_KNOWN.find((name) => names.includes(name));
  if (known) return join(path, known);
  for (const kind of KINDS) {
    const found = names.filter((name) => kind.test(name));
    if (found.length === 1) return join(path, found[0]);
    if (found.length > 1) {
      // The parts of one GGUF model name each other.
      const first = found.find((name) => /-00001-of-\d{5}\.gguf$/i.test(name));
      if (first !== undefined && found.every((name) => samePlaceInSet(name) === samePlaceInSet(first))) return join(path, first);
      const listed = found.slice(0, 5).join(', ') + (found.length > 5 ? ` and ${found.length - 5} more` : '');
      const shards = found.every((name) => /-\d{5,6}-of-\d{5,6}\./.test(name));
      return refuse(path, shards ? `the folder holds ${found.length} shards (${listed}) but no index of them` : `the folder holds ${found.length} checkpoints: ${listed}`,
        shards ? 'Fetch the *.index.json that belongs to them, or open one shard by its own path' : 'Name one of them');
    }
  }
  return refuse(path, 'the folder holds no checkpoint', 'Name a .safetensors or .gguf file, an index of shards, or a PyTorch checkpoint');
}

/** The name of a part without its number. */
const samePlaceInSet = (name: string): string => name.replace(/-\d{5}(?=-of-\d{5}\.gguf$)/i, '');

/** In a Hugging Face cache (`models--x--y`), the folder of the revision that `refs/main` names, or of the only one there is. */
function snapshotIn(path: string): string | null {
  if (!/^models--/.test(basename(path))) return null;
  const folder = join(path, 'snapshots');
  try {
    const revisions = readdirSync(folder);
    if (revisions.length === 1) return join(folder, revisions[0]);
    const main = readFileSync(join(path, 'refs', 'main'), 'latin1').trim();
    return revisions.includes(main) ? join(folder, main) : null;
  } catch {
    return null;
  }
}

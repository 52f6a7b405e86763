import type { ByteSource } from './byte-source';
import type { Checkpoint } from './checkpoint';
import { openHdf5 } from './hdf5/hdf5';
import type { ImportList } from './pickle-imports';
import { assemble } from './pickled-checkpoint';
import { refuse, shown, type ProblemList } from './problems';
import type { ReaderContext } from './reader';
import { TensorMatcher } from './torch-tensors';
import type { ZipArchive, ZipEntry } from './zip';

const MOST_METADATA = 4096;

/** Keras 3's archive (.keras): a zip with the weights as an HDF5 file, which Keras stores without compressing it. */
export async function openKeras(zip: ZipArchive, weights: ZipEntry, source: ByteSource, context: ReaderContext, problems: ProblemList, imports: ImportList): Promise<Checkpoint> {
  const place = zip.place(weights);
  if (place.packed) return refuse(source.path, `${shown(weights.name)} is compressed in the archive, which Keras does not do`, 'Extract it, and open the HDF5 file itself', { offset: weights.at });
  const inner = await openHdf5(source, context, { start: place.offset, end: place.offset + weights.size, format: 'keras', metadata: await metadataOf(zip, context) });
  // With what was found in the archive around it: problems, and imports of pickles.
  problems.addAll(inner.problems);
  const around = assemble('keras', source, context, problems, imports, inner.tensors, undefined, new TensorMatcher(), inner.metadata);
  return { ...around, files: inner.files };
}

async function metadataOf(zip: ZipArchive, context: ReaderContext): Promise<[string, string][]> {
  const entry = zip.get('metadata.json');
  if (!entry || entry.size > MOST_METADATA) return [];
  const text = (await zip.contents(entry, MOST_METADATA, context)).toString('utf8');
  return [...text.matchAll(/"(keras_version|date_saved)"\s*:\s*"([^"\\]{1,100})"/g)].map((match) => [match[1], match[2]]);
}

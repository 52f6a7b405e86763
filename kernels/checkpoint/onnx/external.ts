import { closeSync, statSync } from 'node:fs';
import { openRegularFile, sameIdentity } from '../byte-source';
import type { CheckpointFile } from '../checkpoint';
import { counted, FETCH_AGAIN, refuse, SAVE_AGAIN, shown, type ProblemList } from '../problems';
import { externalPath } from '../shard-path';
import type { TensorProto } from './tensor-proto';

const KNOWN_KEYS: ReadonlySet<string> = new Set(['location', 'offset', 'length', 'checksum', 'basepath']);

/** The files beside a model that hold values of its tensors (https://github.com/onnx/onnx/blob/main/docs/ExternalData.md). */
export class ExternalFiles {
  private readonly byLocation = new Map<string, number>();

  /** @param files of the checkpoint, the model first; grows */
  constructor(private readonly model: string, private readonly files: CheckpointFile[], private readonly most: number, private readonly problems: ProblemList) {}

  /**
   * Where the values of a tensor are.
   * @param bytes that its shape needs
   * @throws CheckpointError when the entries make no sense, lead out of the folder, or the file does not hold the bytes.
   */
  place(tensor: TensorProto, name: string, bytes: number): { file: number; offset: number } {
    const { model } = this;
    const where = { offset: tensor.at, tensor: name };
    const label = shown(name);
    const found = new Map<string, string>();
    for (const [key, value] of tensor.external) {
      if (!KNOWN_KEYS.has(key)) {
        this.problems.add('questionable', `${label} has the unknown entry ${shown(key, 60)} of external data, which is not looked at`, SAVE_AGAIN, where);
        continue;
      }
      if (found.has(key)) refuse(model, `${label} gives ${key} of its external data twice`, SAVE_AGAIN, where);
      found.set(key, value);
    }
    const location = found.get('location');
    if (location === undefined) return refuse(model, `${label} has its values in another file, but does not say in which`, SAVE_AGAIN, where);
    const offset = this.number(found.get('offset'), 'offset', label, where) ?? 0;
    const length = this.number(found.get('length'), 'length', label, where);
    const file = this.file(location, label, where);
    const { size } = this.files[file].identity;
    if (length !== null && length !== bytes) refuse(model, `${label} has ${counted(length, 'byte')} of external data, but its shape needs ${bytes}`, SAVE_AGAIN, where);
    if (offset + bytes > size) {
      refuse(model, `${label} needs ${counted(bytes, 'byte')} at byte ${offset} of ${shown(location)}, which ends at ${size}`, FETCH_AGAIN, where);
    }
    return { file, offset };
  }

  private number(text: string | undefined, key: string, label: string, where: { offset: number; tensor: string }): number | null {
    if (text === undefined) return null;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (!Number.isSafeInteger(value)) return refuse(this.model, `${label} gives "${shown(text, 40)}" as the ${key} of its external data, which is no number of bytes`, SAVE_AGAIN, where);
    return value;
  }

  private file(location: string, label: string, where: { offset: number; tensor: string }): number {
    const known = this.byLocation.get(location);
    if (known !== undefined) return known;
    const path = externalPath(this.model, location);
    if (path === null) return refuse(this.model, `the values of ${label} should be in ${shown(location)}, and there is no such file beside the model`, 'Fetch the files that belong to the model, and put them into its folder', where);
    // Opened and looked at, so that nothing that is no plain file passes.
    const { descriptor, identity } = openRegularFile(path);
    closeSync(descriptor);
    const same = this.files.findIndex((file) => sameIdentity(file.identity, identity));
    const links = statSync(path).nlink;
    if (links > 1 && same < 0) {
      this.problems.add('questionable', `${shown(location)} has ${links} names on this disk, one of which may be outside the folder of the model; onnx refuses such files`, 'Copy the file instead of linking it', where);
    }
    const index = same >= 0 ? same : this.files.push({ path, identity }) - 1;
    if (index > this.most) refuse(this.model, `the model keeps its values in more than ${this.most} files`, SAVE_AGAIN, where);
    this.byLocation.set(location, index);
    return index;
  }
}

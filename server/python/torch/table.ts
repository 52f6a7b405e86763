/**
 * Every module that PyTorch brings, and the third-party ones whose content is common knowledge: what they are called,
 * how they are constructed, and which tensors they hold in which order. Up to PyTorch 2.9.
 */
import { attentionFamily } from './attention';
import { containers } from './containers';
import { conv } from './conv';
import { embedding } from './embedding';
import { linear } from './linear';
import { losses } from './loss';
import { norm } from './norm';
import { recurrent } from './recurrent';
import type { TorchModuleSpec } from './spec';
import { activationFamily } from './weightless';

export type {
  PythonName, TableModule, TorchArgs, TorchChild, TorchContent, TorchHandleChild, TorchModuleSpec, TorchParameter, TorchRole,
  TorchSignatureParameter, TorchSpecChild,
} from './spec';

const rows: readonly TorchModuleSpec[] = [
  linear, conv, norm, embedding, recurrent, attentionFamily, activationFamily, losses, containers,
].flat();

const byName = new Map<string, TorchModuleSpec>();
for (const row of rows) byName.set(row.qualifiedName, row);

/** `torch.nn.modules.conv.Conv2d` and `torch.nn.Conv2d` are one class: the documented name is the one in the table. */
function canonical(name: string): string {
  return name.replace(/^torch\.nn\.modules\.(?:\w+\.)?(?=[A-Z])/, 'torch.nn.');
}

/** The row of a class by any of its import names, or undefined when the table does not know it. */
export function torchModule(qualifiedName: string): TorchModuleSpec | undefined {
  return byName.get(qualifiedName) ?? byName.get(canonical(qualifiedName));
}

/** All rows, each once. */
export function torchModules(): readonly TorchModuleSpec[] {
  return rows;
}

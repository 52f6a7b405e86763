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
import { quantizedFamily } from './quantized';
import { recurrent } from './recurrent';
import { module, type TorchModuleSpec } from './spec';
import { thirdParty } from './third-party';
import { activationFamily } from './weightless';

export { torchReparametrization, torchReparametrizations, type TorchReparametrization } from './reparametrize';
export type {
  PythonName, TableModule, TorchArgs, TorchChild, TorchContent, TorchHandleChild, TorchModuleSpec, TorchParameter, TorchRole,
  TorchSignatureParameter, TorchSpecChild,
} from './spec';

const rows: readonly TorchModuleSpec[] = [
  linear, conv, norm, embedding, recurrent, attentionFamily, activationFamily, losses, containers,
  quantizedFamily, thirdParty,
].flat();

const byName = new Map<string, TorchModuleSpec>();
for (const row of rows) byName.set(row.qualifiedName, row);

/**
 * Where a class can be imported from besides the documented place that the table uses: submodules of torch.nn
 * (`torch.nn.modules.conv.Conv2d`), places it moved from or to between releases.
 */
const homes: readonly (readonly [RegExp, string])[] = [
  [/^torch\.nn\.modules\.(?:\w+\.)?(?=\w+$)/, 'torch.nn.'],
  [/^torch\.nn\.parallel\.(?:data_parallel\.)?(?=DataParallel$)/, 'torch.nn.'],
  [/^torch\.nn\.parallel\.distributed\./, 'torch.nn.parallel.'],
  [/^torch\.distributed\.fsdp\.\w+\./, 'torch.distributed.fsdp.'],
  [/^torch\.(?:ao\.)?quantization\.(?:stubs\.)?(?=(?:De)?Quant(?:Stub|Wrapper)$)/, 'torch.ao.quantization.'],
  [/^torch\.nn\.(qat|quantized|quantizable|intrinsic)\./, 'torch.ao.nn.$1.'],
  [/^timm\.models\.layers\.(?:\w+\.)?(?=\w+$)/, 'timm.layers.'],
  [/^timm\.layers\.\w+\.(?=\w+$)/, 'timm.layers.'],
  [/^timm\.models\.vision_transformer\.(?=(?:Mlp|PatchEmbed|DropPath|LayerScale)$)/, 'timm.layers.'],
  [/^timm\.models\.\w+\.(?=(?:DropPath|PatchEmbed)$)/, 'timm.layers.'],
  [/^torchvision\.ops\.\w+\.(?=\w+$)/, 'torchvision.ops.'],
  [/^apex\.normalization\.fused_layer_norm\./, 'apex.normalization.'],
  [/^bitsandbytes\.nn\.modules\./, 'bitsandbytes.nn.'],
];

/** Whole packages whose modules keep nothing in state_dict: metrics (their states are not persistent). */
const stateless = /^torchmetrics\.(?!image\b|text\b|multimodal\b)(?:\w+\.)*[A-Z]\w*$/;

/** The row of a class by any of its import names, or undefined when the table does not know it. */
export function torchModule(qualifiedName: string): TorchModuleSpec | undefined {
  const found = byName.get(qualifiedName);
  if (found) return found;
  let name = qualifiedName;
  for (const [place, home] of homes) {
    name = name.replace(place, home);
    const moved = name === qualifiedName ? undefined : byName.get(name);
    if (moved) return moved;
  }
  return stateless.test(qualifiedName) ? module(qualifiedName, '*args, **kwargs') : undefined;
}

/** Mappings of which every value is a module without a tensor: `ACT2FN[config.hidden_act]`. */
export const weightlessMappings: ReadonlySet<string> = new Set([
  'transformers.activations.ACT2FN', 'transformers.activations.ACT2CLS', 'transformers.pytorch_utils.ACT2FN',
]);

/** All rows, each once. */
export function torchModules(): readonly TorchModuleSpec[] {
  return rows;
}

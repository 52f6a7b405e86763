/** Import statements: the libraries the interpreter knows, then the workspace, else unknown with the package's name. */
import type { SourceSpan } from '../module-tree';
import { spanOf, type Stmt } from '../syntax/ast';
import { UnknownValue, type Value } from '../values/values';
import { libraryModule, libraryMember, thirdPartyMember } from '../library/libraries';
import { autoClass } from '../library/auto-classes';
import { subConfigSpec } from '../library/pretrained';
import { findAttribute } from './attributes';
import { PyRaise, type Machine } from './machine';
import type { Environment, ModuleScope } from './scope';

/** `import a.b.c`: the top package, or with an alias the module itself. */
export function importModule(machine: Machine, name: string, wantLeaf: boolean, env: Environment, span: SourceSpan): Value {
  const top = name.split('.')[0]!;
  const wanted = wantLeaf ? name : top;
  const library = libraryModule(wanted);
  if (library !== undefined && !libraryIsShadowed(top)) return library;
  const module = machine.finder.find(wanted, env.module);
  if (module) {
    if (!wantLeaf && name !== top) machine.finder.find(name, env.module);
    return module;
  }
  return external(machine, wanted, '', span);
}
const libraryIsShadowed = (_name: string): boolean => false;

function external(machine: Machine, packageName: string, member: string, span: SourceSpan): Value {
  if (machine.catches('ImportError')) throw new PyRaise('ImportError', `No module named ${packageName}`, span);
  return externalValue(packageName, member, span);
}
export function externalValue(packageName: string, member: string, span: SourceSpan | undefined): UnknownValue {
  return new UnknownValue(`imported from ${packageName}, which is not in the workspace`, span, { package: packageName, name: member });
}

/**
 * The machinery of transformers: base classes that add no module, caches, masks, outputs, decorators. What it does to a
 * model's tree is known, as with torch, so that its own source, where it is in the workspace, is not run for every model.
 */
const MACHINERY = /^transformers\.(?:modeling_utils|configuration_utils|generation|utils|cache_utils|masking_utils|modeling_outputs|modeling_attn_mask_utils|modeling_flash_attention_utils|processing_utils|integrations|initialization|loss|quantizers|distributed|backbone_utils|image_processing\w*|image_utils|feature_extraction\w*|tokenization\w*|core_model_loading|conversion_mapping)(?:\.|$)/;

/** `from a.b import c as d`, relative ones included. */
export function importFrom(machine: Machine, node: Extract<Stmt, { kind: 'from' }>, env: Environment, bind: (name: string, value: Value) => void): void {
  const name = node.level > 0 ? relativeName(env.module, node.level, node.module) : node.module;
  const span = spanOf(node);
  const module = node.level === 0 && libraryModule(name) !== undefined ? undefined : machine.finder.find(name, env.module);
  if (node.names === '*') {
    if (module) { env.module.addStar(module, env.index); return; }
    const library = libraryModule(name);
    if (library === undefined) external(machine, name, '*', span);
    return;
  }
  for (const { name: member, alias } of node.names) {
    bind(alias ?? member, importMember(machine, name, member, module, node.level > 0 ? env.module : null, span));
  }
}

function importMember(machine: Machine, packageName: string, member: string, module: ModuleScope | undefined, from: ModuleScope | null, span: SourceSpan): Value {
  if (module && MACHINERY.test(`${packageName}.${member}`)) {
    if (member === 'SubConfigSpec') return subConfigSpec;
    return thirdPartyMember(packageName, member) ?? new UnknownValue(`${member} is machinery of transformers that is not evaluated`, span, { package: packageName, name: member });
  }
  // The package's own __init__ loads these lazily.
  const auto = module && /^transformers(?:\.models\.auto(?:\.modeling_auto)?)?$/.test(packageName) && /^AutoModel\w*$/.test(member) ? autoClass(machine, member) : undefined;
  if (auto) return auto;
  if (module) {
    const value = machine.guardCycle(`${module.file}\0${member}`, () => findAttribute(machine, module, member));
    if (value !== undefined) return value;
    const sub = machine.finder.find(packageName === '' ? member : `${packageName}.${member}`, from ?? module);
    if (sub) return sub;
    if (module.builtIn) return beyondBuiltIn(module, member, span);
    if (machine.catches('ImportError')) throw new PyRaise('ImportError', `cannot import ${member} from ${packageName}`, span);
    return machine.unknown(`${packageName} does not define ${member}`, span);
  }
  if (FASTER_EQUALS.has(packageName.split('.')[0]!) && machine.catches('ImportError')) return external(machine, packageName, member, span);
  const known = libraryMember(packageName, member) ?? thirdPartyMember(packageName, member);
  if (known !== undefined) return known;
  // A folder without __init__.py holds modules all the same.
  const sub = machine.finder.find(packageName === '' ? member : `${packageName}.${member}`, from);
  if (sub) return sub;
  return external(machine, packageName, member, span);
}

/** A member of a package that is built in only in part: as if nothing of it were here. */
export const beyondBuiltIn = (module: ModuleScope, member: string, span: SourceSpan | undefined): Value => thirdPartyMember(module.name, member) ?? externalValue(module.name, member, span);

/** `torchvision.ops.SqueezeExcitation`: a dotted name of a package that is not here, one name further. */
export const foreignMember = ({ package: home, name }: { readonly package: string; readonly name: string }, member: string, span: SourceSpan | undefined): Value =>
  thirdPartyMember(name ? `${home}.${name}` : home, member) ?? externalValue(home, name ? `${name}.${member}` : member, span);

/** Packages of faster layers with the names of PyTorch's own: code that can do without them is read as if they were not there. */
const FASTER_EQUALS = new Set(['apex']);

export function relativeName(module: ModuleScope, level: number, rest: string): string {
  const parts = module.package === '' ? [] : module.package.split('.');
  const base = parts.slice(0, Math.max(0, parts.length - (level - 1))).join('.');
  return base === '' ? rest : rest === '' ? base : `${base}.${rest}`;
}

/** Auto classes of transformers: which class a configuration's `model_type` stands for, by the tables of the package's own source. */
import { Builtin, Instance, PyClass, PyDict, PyTuple, type Value } from '../values/values';
import { findAttribute } from '../evaluation/attributes';
import { callValue, noArguments } from '../evaluation/calls';
import type { Machine } from '../evaluation/machine';
import { nativeClass } from './types';

const AUTO = 'transformers.models.auto';

/**
 * An auto class whose table of model types is in the source: `_model_mapping = MODEL_MAPPING`, made of `MODEL_MAPPING_NAMES`.
 * Only the table is read: making the mapping itself goes over every model of the package.
 */
export function autoClass(machine: Machine, name: string): PyClass | undefined {
  const module = machine.finder.find(`${AUTO}.modeling_auto`, null);
  const definition = module?.chunks.filter((chunk) => chunk.names.has(name)).flatMap((chunk) => chunk.statements()).find((node) => node.kind === 'class' && node.name === name);
  if (!module || definition?.kind !== 'class') return undefined;
  const table = definition.body.flatMap((node) => (node.kind === 'assign' && node.targets[0]?.kind === 'name' && node.targets[0].name === '_model_mapping' && node.value.kind === 'name' ? [node.value.name] : []))[0];
  if (table === undefined) return undefined;
  const made = nativeClass(name);
  made.dict.set('from_config', new Builtin('from_config', (m, args, site) => {
    const config = args.positional[0] ?? args.keywords.get('config') ?? null;
    const type = modelType(m, config);
    const names = module.lookup(m, `${table}_NAMES`);
    const found = type !== null && names instanceof PyDict ? classOf(m, type, names.get(type), 'modeling') : null;
    return found ? callValue(m, found, { ...noArguments, positional: [config] }, site) : m.unknown(`which model ${name} takes is not known`, site);
  }));
  for (const method of ['from_pretrained', '_from_config']) made.dict.set(method, new Builtin(method, (m, _, site) => m.unknown(`which model ${name} takes is not known`, site)));
  return made;
}

function modelType(machine: Machine, config: Value): string | null {
  const type = config instanceof PyDict ? config.get('model_type') : config instanceof Instance ? findAttribute(machine, config, 'model_type') : null;
  return typeof type === 'string' ? type : null;
}

/** The configuration class of a model type, when the package's source is in the workspace. */
export function configurationClass(machine: Machine, type: string): PyClass | null {
  const names = machine.finder.find(`${AUTO}.configuration_auto`, null)?.lookup(machine, 'CONFIG_MAPPING_NAMES');
  return names instanceof PyDict ? classOf(machine, type, names.get(type), 'configuration') : null;
}

/** A class by its name in a table: it lies in the folder of its model type. */
function classOf(machine: Machine, type: string, entry: Value | undefined, kind: 'modeling' | 'configuration'): PyClass | null {
  const name = entry instanceof PyTuple ? entry.items[0] : entry;
  if (typeof name !== 'string') return null;
  const special = machine.finder.find(`${AUTO}.configuration_auto`, null)?.lookup(machine, 'SPECIAL_MODEL_TYPE_TO_MODULE_NAME');
  const other = special instanceof PyDict ? special.get(type) : undefined;
  const folder = typeof other === 'string' ? other : type.replaceAll('-', '_');
  const found = machine.finder.find(`transformers.models.${folder}.${kind}_${folder}`, null)?.lookup(machine, name);
  return found instanceof PyClass ? found : null;
}

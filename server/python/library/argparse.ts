/** `argparse.ArgumentParser` as far as defaults go: `parse_args()` gives what a run without arguments would. */
import { Instance, type PyClass, PyList, type Arguments, type Value } from '../values/values';
import { callValue, noArguments } from '../evaluation/calls';
import type { Machine } from '../evaluation/machine';
import { simpleNamespace } from './dataclasses';
import { method } from './support';
import { nativeClass } from './types';

export const argumentParser: PyClass = nativeClass('ArgumentParser');

/** Defaults are kept on the parser itself, under the names the namespace will have. */
function addArgument(machine: Machine, args: Arguments): Value {
  const [parser, ...flags] = args.positional;
  if (!(parser instanceof Instance)) return null;
  const names = flags.filter((flag): flag is string => typeof flag === 'string');
  const long = names.find((name) => name.startsWith('--')) ?? names[0];
  const destination = args.keywords.get('dest') ?? long?.replace(/^-+/, '').replaceAll('-', '_');
  if (typeof destination !== 'string' || long === undefined) return null;
  const action = args.keywords.get('action');
  const given = args.keywords.get('default');
  const positional = !long.startsWith('-');
  machine.touch(parser);
  parser.attributes.set(`arg:${destination}`, given !== undefined ? convert(machine, given, args.keywords.get('type'))
    : action === 'store_true' ? false : action === 'store_false' ? true
    : positional || args.keywords.get('required') === true ? machine.unknown(`command line argument ${destination} is not given`) : null);
  return null;
}
/** A text default goes through `type`, as argparse does. */
function convert(machine: Machine, value: Value, type: Value | undefined): Value {
  return typeof value === 'string' && type !== undefined ? callValue(machine, type, { ...noArguments, positional: [value] }, machine.site!) : value;
}
function parse(args: Arguments): Value {
  const [parser] = args.positional;
  const made = new Instance(simpleNamespace, (parser as Instance).span);
  if (parser instanceof Instance) for (const [name, value] of parser.attributes) if (name.startsWith('arg:')) made.attributes.set(name.slice(4), value);
  return made;
}

argumentParser.dict.set('__init__', method('__init__', () => null));
argumentParser.dict.set('add_argument', method('add_argument', addArgument));
argumentParser.dict.set('parse_args', method('parse_args', (_, args) => parse(args)));
argumentParser.dict.set('parse_known_args', method('parse_known_args', (_, args) => new PyList([parse(args), new PyList([])])));
for (const name of ['add_argument_group', 'add_mutually_exclusive_group']) argumentParser.dict.set(name, method(name, (_, args) => args.positional[0] ?? null));
argumentParser.dict.set('set_defaults', method('set_defaults', (machine, args) => {
  const [parser] = args.positional;
  if (parser instanceof Instance) { machine.touch(parser); for (const [name, value] of args.keywords) parser.attributes.set(`arg:${name}`, value); }
  return null;
}));

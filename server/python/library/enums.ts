/** `enum.Enum`: class attributes become members. */
import { Builtin, Instance, PyClass, PyFunction, PropertyValue, type Value } from '../values/values';
import type { Machine } from '../evaluation/machine';
import { equals } from '../evaluation/operators';
import { builtinTypes, nativeClass } from './types';

export const enumClass = nativeClass('Enum');
enumClass.kind = 'enum';
export const enumClasses: Readonly<Record<string, PyClass>> = {
  Enum: enumClass,
  Flag: nativeClass('Flag', {}, [enumClass]),
  IntEnum: nativeClass('IntEnum', {}, [builtinTypes.int, enumClass]),
  StrEnum: nativeClass('StrEnum', {}, [builtinTypes.str, enumClass]),
  IntFlag: nativeClass('IntFlag', {}, [builtinTypes.int, enumClass]),
};
/** The class of enum classes. */
export const enumMeta = nativeClass('EnumMeta', { isInstance: (value) => value instanceof PyClass && value.mro.includes(enumClass) });
/** What `enum.auto()` gives; replaced by 1, 2, … */
export const automatic: Builtin = new Builtin('auto', (): Value => automatic);

/** Replaces the plain values of an enum class by members. */
export function finishEnum(cls: PyClass): void {
  let count = 0;
  for (const [name, value] of cls.dict) {
    if (name.startsWith('_') || value instanceof PyFunction || (value instanceof Builtin && value !== automatic) || value instanceof PropertyValue || value instanceof PyClass) continue;
    count += 1;
    const member = new Instance(cls, cls.span!);
    const isText = cls.mro.some((base) => base.name === 'StrEnum');
    member.attributes.set('name', name);
    member.attributes.set('value', value === automatic ? (isText ? name.toLowerCase() : count) : value);
    member.attributes.set('_value_', member.attributes.get('value')!);
    cls.dict.set(name, member);
  }
}

/** `Kind('a')`. */
export function enumMember(machine: Machine, cls: PyClass, value: Value): Value {
  for (const member of cls.dict.values()) {
    if (!(member instanceof Instance) || member.cls !== cls) continue;
    if (member === value || equals(machine, member.attributes.get('value') ?? null, value)) return member;
  }
  return machine.soft('ValueError', `not a member of ${cls.name}`);
}

/** `contextlib.suppress`: a `with` that is a `try` whose handlers do nothing. */
import { Instance, PyClass, PyTuple, type Value } from '../values/values';
import { nativeClass } from './types';

const suppressClass = nativeClass('suppress', { construct: (_, args, site) => {
  const made = new Instance(suppressClass, site);
  made.attributes.set('types', new PyTuple(args.positional));
  return made;
} });
export const suppress: Value = suppressClass;

/** Names of the exceptions that a context swallows; null when it is another kind of context. */
export function suppressed(context: Value): string[] | null {
  if (!(context instanceof Instance) || context.cls !== suppressClass) return null;
  const types = context.attributes.get('types');
  return types instanceof PyTuple ? types.items.flatMap((type) => (type instanceof PyClass ? [type.name] : [])) : [];
}

/** A registry: either shape, so that registries may be written as literals. */
export type Table<Value> = ReadonlyMap<string, Value> | { readonly [name: string]: Value | undefined };

/** Own entries only: a name that came over the wire must not find `constructor`. */
export function lookup<Value>(table: Table<Value>, name: string): Value | undefined {
  if (table instanceof Map) return (table as ReadonlyMap<string, Value>).get(name);
  return Object.hasOwn(table, name) ? (table as { readonly [name: string]: Value | undefined })[name] : undefined;
}

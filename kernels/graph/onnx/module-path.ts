/** Which module a node of an ONNX file comes from, as exporters write it down; '' where nothing says it. */

/** Bitlens writes the path itself; torch.export the scopes that lead to the operator, as a list in Python's notation. */
const OWN = 'module';
const SCOPES = 'pkg.torch.onnx.name_scopes';

/**
 * @param name of the node: `/layer1/layer1.0/conv1/Conv` of torch.onnx.export, `StatefulPartitionedCall/net/conv1/Conv2D` of tf2onnx
 * @param metadata of the node
 */
export function modulePath(name: string, metadata: readonly (readonly [string, string])[]): string {
  for (const [key, value] of metadata) {
    if (key === OWN) return value;
    if (key === SCOPES) {
      const scopes = [...value.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) => single ?? double ?? '');
      // The last one is the operator itself.
      if (scopes.length > 1) return /^[\w.]*$/.test(scopes.at(-2)!) ? scopes.at(-2)! : '';
    }
  }
  if (!name.includes('/')) return '';
  const scopes: string[] = [];
  for (const scope of name.split('/').slice(0, -1)) {
    if (scope === '') continue;
    const last = scopes.at(-1);
    // A module in a container is called by the container's name and its own: layer1, then layer1.0.
    if (last !== undefined && scope.startsWith(`${last}.`)) scopes[scopes.length - 1] = scope;
    else scopes.push(scope);
  }
  return scopes.join('.');
}

/** The version in package.json, which lies above the bundle. */
import { readFileSync } from 'node:fs';
import { assetPath } from '../../kernels/assets';

export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(assetPath('package.json'), 'utf8'));
  return (manifest as { version?: string }).version ?? '0.0.0';
}

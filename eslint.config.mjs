import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * The doors of the house (docs/architecture.md). A folder may import only through the doors named here:
 * data flows source + checkpoint -> layers -> measurements -> recipe -> trial, and nothing upstream asks downstream.
 */
const door = (files, forbidden) => ({
  files,
  rules: {
    'no-restricted-imports': ['error', { patterns: forbidden.map(([group, message]) => ({ group: [group].flat(), message })) }],
  },
});
const noVscode = [['vscode'], 'Only extension/ may import vscode.'];
const noNetwork = [['http', 'https', 'net', 'node:http', 'node:https', 'node:net', 'undici'], 'Nothing goes to the network.'];

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.test-host/**', 'test-results/**', 'test/fixtures/**', 'examples/**', 'kernels/wasm/assembly/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // node:test's own calls return promises that the runner waits for.
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach'] }] }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
    },
  },
  { files: ['scripts/**/*.mjs', '*.mjs'], languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly', setTimeout: 'readonly', clearTimeout: 'readonly', setInterval: 'readonly', clearInterval: 'readonly', fetch: 'readonly', Buffer: 'readonly', performance: 'readonly' } } },
  door(['kernels/**/*.ts'], [noVscode, noNetwork, [['**/server/**', '**/extension/**', '**/media/**', 'vscode-languageserver*', 'web-tree-sitter'], 'kernels/ understands numbers only.']]),
  door(['server/**/*.ts'], [noVscode, noNetwork, [['**/extension/**', '**/media/**'], 'server/ knows no client.'],
    [['**/kernels/wasm/**', '**/kernels/process/**', '**/kernels/numerics/**'], 'server/ has no numerics: ask the kernel process (server/kernel).']]),
  door(['extension/**/*.ts'], [noNetwork, [['**/kernels/**'], 'extension/ talks to the server only.'],
    [['**/server/*/**'], 'extension/ imports messages (server/protocol, server/report-csv) only.']]),
  door(['media/**/*.ts'], [noVscode, noNetwork, [['**/kernels/**', '**/extension/**', '**/server/*/**'], 'media/ imports message types only.']]),
  {
    // Nothing goes to the network, by a global either.
    files: ['extension/**/*.ts', 'server/**/*.ts', 'kernels/**/*.ts', 'media/**/*.ts'],
    rules: { 'no-restricted-globals': ['error', 'fetch', 'WebSocket', 'XMLHttpRequest', 'EventSource'] },
  },
);

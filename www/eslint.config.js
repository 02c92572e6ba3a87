import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const only = (message, ...group) => ({ 'no-restricted-imports': ['error', { patterns: [{ group, message }] }] });
const noPackage = 'Only www/worker knows the wasm package; use the client.';

export default tseslint.config(
  { ignores: ['worker/pkg/**', 'dist/**', '**/output/**', '**/node_modules/**'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: ['tsconfig.json', 'worker/tsconfig.json'], tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  { files: ['client/**/*.ts'], rules: only(noPackage, '**/pkg/**') },
  { files: ['client/*.ts'], ignores: ['client/*.test.ts'], rules: only('The client knows the worker by its protocol alone.', '**/pkg/**', '../worker/*', '!../worker/protocol', './testing/*') },
  { files: ['site/**/*.ts', 'widget/**/*.ts'], rules: only('The page and the widget know the client alone.', '**/pkg/**', '**/worker/**', '**/client/*', '!**/client/index') },
  { files: ['worker/**/*.ts'], rules: only('The worker knows nothing of the page.', '**/site/**', '**/widget/**', '**/client/*', '!**/client/generated') },
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly', Buffer: 'readonly', Blob: 'readonly', location: 'readonly', globalThis: 'readonly', setTimeout: 'readonly', clearTimeout: 'readonly', fetch: 'readonly', document: 'readonly', window: 'readonly', navigator: 'readonly', self: 'readonly', performance: 'readonly', TextEncoder: 'readonly', TextDecoder: 'readonly', WebAssembly: 'readonly', Cache: 'readonly', DOMException: 'readonly', customElements: 'readonly', requestAnimationFrame: 'readonly', Worker: 'readonly', MessageChannel: 'readonly', queueMicrotask: 'readonly', localStorage: 'readonly', indexedDB: 'readonly', FileSystemFileHandle: 'readonly', FileSystemWritableFileStream: 'readonly' } },
  },
);

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const platform = fileURLToPath(new URL('./src/platform/node.ts', import.meta.url));

export default defineConfig({
  resolve: { alias: { '#platform': platform } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/compat/**', 'test/native/**', 'test/browser/**', 'test/screenshot/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
});

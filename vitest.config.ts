import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const platform = fileURLToPath(new URL('./src/platform/node.ts', import.meta.url));

/** On CI a report that .ci/run counts, beside the one for people. */
export const reportersFor = (suite: string) =>
  process.env.CI ? ['default', ['json', { outputFile: `artifacts/test-reports/${suite}.json` }] as const] : ['default'];

export default defineConfig({
  resolve: { alias: { '#platform': platform } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/compat/**', 'test/native/**', 'test/browser/**', 'test/screenshot/**'],
    reporters: reportersFor('unit'),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
});

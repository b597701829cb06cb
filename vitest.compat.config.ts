import { defineConfig, mergeConfig } from 'vitest/config';
import base, { reportersFor } from './vitest.config.js';

/** What only a real TensorBoard can answer; npm run test:compat makes it a Python environment of its own. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [], reporters: [] } },
  defineConfig({
    test: {
      reporters: reportersFor('compat'),
      include: ['test/compat/**/*.test.ts'],
      globalSetup: ['test/compat/harness-setup.ts'],
      testTimeout: 120_000,
      hookTimeout: 120_000,
      maxWorkers: 2,
    },
  }),
);

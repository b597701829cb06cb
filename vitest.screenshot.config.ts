import { defineConfig, mergeConfig } from 'vitest/config';
import base, { reportersFor } from './vitest.config.js';

/** The demo's run in a real TensorBoard in a real browser; the pictures stay in artifacts/. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [], reporters: [] } },
  defineConfig({
    test: {
      reporters: reportersFor('screenshot'),
      include: ['test/screenshot/**/*.test.ts'],
      globalSetup: ['test/compat/harness-setup.ts'],
      testTimeout: 120_000,
      hookTimeout: 300_000,
      maxWorkers: 1,
    },
  }),
);

import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig, mergeConfig } from 'vitest/config';
import base, { reportersFor } from './vitest.config.js';

/** Every test that takes its TensorFlow.js backends from test/support/backends.ts. */
const onBackends = readdirSync('test', { encoding: 'utf8', recursive: true })
  .filter((name) => name.endsWith('.test.ts') && !/^(browser|compat|native|screenshot)\//.test(name))
  .map((name) => `test/${name}`)
  .filter((path) => readFileSync(path, 'utf8').includes('/support/backends.js'));

/** The tests that hook models, on the native TensorFlow backend; npm run setup:native adds it. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [], reporters: [] } },
  defineConfig({
    test: {
      reporters: reportersFor('native'),
      include: ['test/native/**/*.test.ts', ...onBackends],
      env: { DELVE_TEST_BACKENDS: 'tensorflow' },
      testTimeout: 300_000,
      maxWorkers: 2,
    },
  }),
);

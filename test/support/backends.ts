import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';

const require = createRequire(import.meta.url);

/** The backends to test on: DELVE_TEST_BACKENDS as a comma list out of cpu, wasm, tensorflow; default cpu and wasm. */
export const backends: readonly string[] = (process.env.DELVE_TEST_BACKENDS ?? 'cpu,wasm').split(',').filter(Boolean);

/** Makes a backend the current one. */
export async function useBackend(name: string): Promise<void> {
  if (name === 'wasm') {
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    setWasmPaths(`${join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'dist')}/`);
  }
  if (name === 'tensorflow') require('@tensorflow/tfjs-node');
  if (!(await tf.setBackend(name))) throw new Error(`the backend '${name}' is not available here`);
  await tf.ready();
}

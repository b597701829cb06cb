import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-webgpu';
import { describe } from 'vitest';

/** Whether this page's browser has a GPU for WebGPU, even one in software. */
const hasWebGpu = (await (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu?.requestAdapter()) != null;

/** A suite for each backend; that of WebGPU is skipped if the browser has none. */
export function describeOn(names: readonly string[], title: string, suite: (backend: string) => void): void {
  for (const name of names) {
    describe.skipIf(name === 'webgpu' && !hasWebGpu)(`${title} on ${name}`, () => suite(name));
  }
}

/** Makes a backend the page's. */
export async function useBackend(name: string): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`the backend '${name}' is not available in this page`);
  await tf.ready();
}

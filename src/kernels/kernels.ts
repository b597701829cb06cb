import type { NumericKernels } from './numeric-kernels.js';
import { typescriptKernels } from './typescript/kernels.js';
import { createWasmKernels } from './wasm/kernels.js';

/*
 * The door of the kernels: everything numeric asks here for the implementation that runs on this platform.
 */

let chosen: NumericKernels | undefined;

/**
 * The kernels of this thread, chosen once: WebAssembly, or TypeScript if WebAssembly or its SIMD is missing or forbidden.
 */
export function kernels(): NumericKernels {
  chosen ??= choose();
  return chosen;
}

function choose(): NumericKernels {
  try {
    return createWasmKernels();
  } catch {
    return typescriptKernels; // an old browser, or a content security policy without 'wasm-unsafe-eval'
  }
}

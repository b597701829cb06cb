import type { NumericKernels } from './numeric-kernels.js';
import { typescriptKernels } from './typescript/kernels.js';
import { createWasmKernels } from './wasm/kernels.js';

let chosen: NumericKernels | undefined;

/** The kernels of this thread, chosen once: WebAssembly, or TypeScript where that or its SIMD is missing or forbidden. */
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

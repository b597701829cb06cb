import { createWasmKernels } from '../../src/kernels/wasm/kernels.js';

/** The builds of the WebAssembly kernels that run here: relaxed SIMD from Node 22 on, on processors that fuse. */
export const wasmBuilds: readonly ('wasm' | 'wasm-fma')[] = (['wasm', 'wasm-fma'] as const).filter((name) => {
  try {
    return createWasmKernels(name);
  } catch {
    return false;
  }
});

import type { KernelsName } from './moments.js';
import type { NumericKernels, SharedWork } from './numeric-kernels.js';
import { typescriptKernels } from './typescript/kernels.js';
import { createWasmKernels } from './wasm/kernels.js';

/*
 * The door of the kernels: everything numeric asks here for the implementation that runs on this platform.
 */

/** From fast to slow, and from few engines to all. */
const names: readonly KernelsName[] = ['wasm-fma', 'wasm', 'typescript'];

let chosen: NumericKernels | undefined;

/** The kernels of this thread, chosen once: those that `useKernels` named, else the fastest that run here. */
export function kernels(): NumericKernels {
  chosen ??= find('wasm-fma') ?? find('wasm') ?? typescriptKernels;
  return chosen;
}

/** The name of the kernels that compute on this thread: what is measured with others differs from theirs by rounding. */
export function kernelsName(): KernelsName {
  return kernels().name;
}

/**
 * Computes with certain kernels from now on, so that results are the same to the bit on engines that would choose
 * different ones. Threads that run already go on with those they have: call it before anything is measured.
 *
 * @param name `'wasm'` runs on every engine with WebAssembly SIMD
 * @throws RangeError if there are no such kernels, or they do not run here
 */
export function useKernels(name: KernelsName): void {
  const found = find(name);
  if (!found) {
    const here = names.filter((other) => other !== name && find(other)).map((other) => `'${other}'`);
    throw new RangeError(
      `useKernels: expected kernels that run here (${here.join(', ')}), got ${JSON.stringify(name)}`,
    );
  }
  chosen = found;
}

/** Sends the thread that assists with this work away, soon. The one that has offered it goes on alone. */
export function dismiss({ memory, meeting }: SharedWork): void {
  Atomics.store(new Int32Array(memory.buffer), meeting / 4, 1);
}

function find(name: string): NumericKernels | undefined {
  if (name === 'typescript') return typescriptKernels;
  if (name !== 'wasm' && name !== 'wasm-fma') return undefined;
  try {
    return createWasmKernels(name);
  } catch {
    return undefined; // an old browser, or a content security policy without 'wasm-unsafe-eval'
  }
}

import type { NumericKernels } from './numeric-kernels.js';
import { typescriptKernels } from './typescript-kernels.js';

let chosen: NumericKernels | undefined;

/** The kernels of this thread, chosen once. */
export function kernels(): NumericKernels {
  chosen ??= typescriptKernels;
  return chosen;
}

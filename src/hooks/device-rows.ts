import { reshape, slice, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { sampleSize } from './activations.js';
import type { Pass } from './moments.js';

/** A pass's samples as a tensor of rows x features, on the device; for outputs that are a plain matrix of samples. */
export function sampleRows({ output, view, items, rows: wanted }: Pass): Tensor2D {
  const batch = output.shape[0] ?? 0;
  const { rows, features } = sampleSize(output.shape, view, items);
  const used: Tensor = items < batch ? slice(output, 0, items) : output;
  const all = reshape(used, [rows, features]) as Tensor2D;
  if (wanted === undefined || wanted >= rows) return all;
  // Whole steps apart, so that one slice does it: rows of every n-th column of a wider matrix.
  const step = Math.max(1, Math.floor(rows / wanted));
  const kept = Math.min(wanted, Math.floor(rows / step));
  const wide = reshape(slice(all, [0, 0], [kept * step, features]), [kept, step * features]) as Tensor2D;
  return slice(wide, [0, Math.floor(step / 2) * features], [kept, features]) as Tensor2D;
}

/** @throws RangeError when a layer's output changed its width within a period */
export function checkFeatures(expected: number, found: number, shape: readonly number[]): void {
  if (expected === found) return;
  throw new RangeError(
    `expected ${expected} features as in earlier passes, got ${found} from an output of shape [${shape}]`,
  );
}

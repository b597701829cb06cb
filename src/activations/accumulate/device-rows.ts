import { reshape, slice, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { sampleSize } from '../samples.js';
import type { Pass } from './moments.js';

/** A pass's samples as a tensor of rows x features, on the device; for outputs that are a plain matrix of samples. */
export function sampleRows({ output, view, items, thinning }: Pass): Tensor2D {
  const batch = output.shape[0] ?? 0;
  const { rows, features } = sampleSize(output.shape, view, items);
  const used: Tensor = items < batch ? slice(output, 0, items) : output;
  const all = reshape(used, [rows, features]) as Tensor2D;
  if (thinning === undefined || thinning.rows >= rows) return all;
  // Whole steps apart, so that one slice does it: some columns of a wider matrix.
  const kept = thinning.rows;
  const step = Math.floor(rows / kept);
  const first = Math.floor(thinning.offset * (rows - (kept - 1) * step));
  const start = Math.min(first, rows - kept * step);
  const wide = reshape(slice(all, [start, 0], [kept * step, features]), [kept, step * features]) as Tensor2D;
  return slice(wide, [0, (first - start) * features], [kept, features]) as Tensor2D;
}

/** @throws RangeError when a layer's output changed its width within a period */
export function checkFeatures(expected: number, found: number, shape: readonly number[]): void {
  if (expected === found) return;
  throw new RangeError(
    `expected ${expected} features as in earlier passes, got ${found} from an output of shape [${shape}]`,
  );
}

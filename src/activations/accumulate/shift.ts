import { reshape, slice, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { sampleSize } from '../samples.js';
import type { Pass } from './accumulator.js';

/** What rows are reduced to: the sums and the product of the rows, each row less a shift (or less nothing). */
export interface ShiftedMoments {
  sums: ArrayLike<number>;
  /** features x features, row-major. */
  product: ArrayLike<number>;
}

/** The same about the mean of the rows. */
export interface CentredMoments {
  /** Mean of the rows less the shift. */
  offset: Float64Array;
  /** Sum of (x - mean)(x - mean)^T, features x features: its lower triangle. */
  scatter: Float64Array;
  /** Square of the mean's distance from the shift; not finite where a row held a NaN or Infinity. */
  distance: number;
  /** Largest variance of a feature. */
  widest: number;
}

/** Moves moments from the shift to the mean, in float64. */
export function centre({ sums, product }: ShiftedMoments, rows: number): CentredMoments {
  const features = sums.length;
  const offset = Float64Array.from(sums, (sum) => sum / rows);
  const scatter = new Float64Array(features * features);
  let distance = 0;
  let widest = 0;
  for (let i = 0; i < features; i++) {
    const start = i * features;
    for (let j = 0; j <= i; j++) scatter[start + j] = product[start + j] - sums[i] * offset[j];
    distance += offset[i] * offset[i];
    widest = Math.max(widest, scatter[start + i] / rows);
  }
  return { offset, scatter, distance, widest };
}

/** How far from the shift a mean may be so that nothing is lost when the shift is zero: see suitsNoShift. */
export interface Reach {
  /** Of the squares of all means, in largest eigenvalues. */
  distance: number;
  /** Of the square of one mean, in variances of that feature. */
  constancy: number;
}

/**
 * Whether moments without a shift are as exact as they need to be: the means are not far from zero, and no feature is so
 * nearly constant that rounding could be all of its variance. A feature that is zero throughout is exact.
 */
export function suitsNoShift(
  { offset, scatter, distance, widest }: CentredMoments,
  rows: number,
  reach: Reach,
): boolean {
  for (let i = 0, features = offset.length; i < features; i++) {
    const square = offset[i] * offset[i];
    if (square > 0 && !(square <= (reach.constancy * scatter[i * features + i]) / rows)) return false;
  }
  if (distance <= reach.distance * widest) return true;
  return distance <= (reach.distance * largestAtLeast(scatter, offset.length)) / rows;
}

/** A lower bound of the largest eigenvalue: the Rayleigh quotient of the column of the largest diagonal entry. */
function largestAtLeast(scatter: Float64Array, features: number): number {
  const at = (i: number, j: number) => (i < j ? scatter[j * features + i] : scatter[i * features + j]);
  let widest = 0;
  for (let i = 1; i < features; i++) if (at(i, i) > at(widest, widest)) widest = i;
  let image = 0;
  let length = 0;
  for (let i = 0; i < features; i++) {
    let sum = 0;
    for (let j = 0; j < features; j++) sum += at(i, j) * at(j, widest);
    image += sum * at(i, widest);
    length += at(i, widest) ** 2;
  }
  return length > 0 ? image / length : 0;
}

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

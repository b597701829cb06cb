import { joinMeans } from './merge-weights.js';
import type { MomentSums } from './numeric-kernels.js';

/** Numbers in the lower triangle of a features x features matrix. */
export function packedLength(features: number): number {
  return (features * (features + 1)) / 2;
}

/** Moments of no rows. */
export function newMoments(features: number): MomentSums {
  return {
    features,
    count: 0,
    shift: new Float64Array(features),
    offset: new Float64Array(features),
    scatter: new Float64Array(packedLength(features)),
  };
}

/** Adds the rows behind `other` to `moments` (Chan, Golub & LeVeque 1983); the two may have different shifts. */
export function mergeMoments(moments: MomentSums, other: MomentSums): void {
  if (other.count === 0) return;
  const { features, scatter } = moments;
  // Both differences are exactly zero for a feature that is one and the same constant on both sides.
  const offset = new Float64Array(features);
  for (let j = 0; j < features; j++) offset[j] = other.shift[j] - moments.shift[j] + other.offset[j];
  const gain = joinMeans(moments, offset, other.count);
  for (let i = 0, p = 0; i < features; i++) {
    for (let j = 0; j <= i; j++, p++) scatter[p] += other.scatter[p] + gain[i] * gain[j];
  }
}

/** The full features x features matrix, row-major, of a packed lower triangle times `factor`. */
export function unpack(packed: Float64Array, features: number, factor = 1): Float64Array {
  const full = new Float64Array(features * features);
  for (let i = 0, p = 0; i < features; i++) {
    for (let j = 0; j <= i; j++, p++) full[i * features + j] = full[j * features + i] = packed[p] * factor;
  }
  return full;
}

import type { MomentSums } from './numeric-kernels.js';

/**
 * Moves the mean of `moments` to that of the union with `batchCount` more rows whose mean is `batchOffset` (relative
 * to the same shift), and returns the row whose outer product with itself the union's scatter gains:
 * sqrt(n m / (n + m)) times the difference of the means (Chan, Golub & LeVeque 1983, eq. 2.1b).
 */
export function joinMeans(moments: MomentSums, batchOffset: Float64Array, batchCount: number): Float64Array {
  const { features, offset, count } = moments;
  const total = count + batchCount;
  const share = batchCount / total;
  const weight = Math.sqrt(count * share);
  const gain = new Float64Array(features);
  for (let j = 0; j < features; j++) {
    const difference = batchOffset[j] - offset[j];
    gain[j] = weight * difference;
    offset[j] += difference * share;
  }
  moments.count = total;
  return gain;
}

/** Moves the rows that hold only finite numbers to the front of `rows`; returns how many they are. */
export function keepFiniteRows(rows: Float32Array | Float64Array, count: number, features: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const start = i * features;
    let finite = true;
    for (let j = start; j < start + features && finite; j++) finite = Number.isFinite(rows[j]);
    if (!finite) continue;
    if (kept !== i) rows.copyWithin(kept * features, start, start + features);
    kept++;
  }
  return kept;
}

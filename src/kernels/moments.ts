/*
 * The moments of a stream of rows: number, mean and scatter. A kernel adds rows block by block; what is the same for both
 * kernels stands here: starting, merging, and the packed triangle.
 */

/** Rows of samples as a kernel reads them. */
export type Rows = Float32Array | Float64Array;

/**
 * Kernels by name: WebAssembly whose products and sums round once (`wasm-fma`: Node 22 and later, Chrome 114 and later, on
 * processors that have the instruction), WebAssembly that rounds as every machine does (`wasm`), or TypeScript, which runs
 * where WebAssembly or its SIMD is missing or forbidden. Their numbers differ by rounding.
 */
export type KernelsName = 'wasm-fma' | 'wasm' | 'typescript';

/**
 * What is known of a stream of rows: their number, their mean and their scatter about that mean.
 *
 * The scatter is always centered (merged batch by batch, Chan, Golub & LeVeque 1983, "Algorithms for computing the
 * sample variance", eq. 2.1), so neither a mean far from zero nor a drifting one cancels digits.
 */
export interface MomentSums {
  readonly features: number;
  /** Rows used. */
  count: number;
  /**
   * The first finite row. Means are relative to it, which makes a feature that never varies exactly zero everywhere
   * instead of zero up to rounding.
   */
  readonly shift: Float64Array;
  /** Mean of the rows minus `shift`. */
  readonly offset: Float64Array;
  /** Sum of (x - mean)(x - mean)^T over the rows: lower triangle by rows, features * (features + 1) / 2 numbers. */
  readonly scatter: Float64Array;
  /** Whose rounding the scatter has; undefined before the first row, and for sums that came from elsewhere. */
  kernels: SummedBy | undefined;
}

/** The kernels that summed, or `'several'`. */
export type SummedBy = KernelsName | 'several';

/** Who has summed two parts of one sum. */
export function summedBy(one: SummedBy | undefined, other: SummedBy | undefined): SummedBy | undefined {
  return one === undefined || one === other ? other : other === undefined ? one : 'several';
}

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
    kernels: undefined,
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
  moments.kernels = summedBy(moments.kernels, other.kernels);
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
export function keepFiniteRows(rows: Rows, count: number, features: number): number {
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

import { CovarianceAccumulator } from './covariance.js';
import { weightAlphaOf } from './spectrum-measures.js';
import { solveInBackground } from './threads/solver.js';

/*
 * What the weights of a layer say by themselves, without data, as WeightWatcher measures it
 * (https://github.com/CalculatedContent/WeightWatcher; Martin & Mahoney 2021, https://jmlr.org/papers/v22/20-410.html).
 */

/** What WeightWatcher says of a layer's weights. Its eigenvalues are the squared singular values x of the kernel. */
export interface WeightMeasures {
  /** Rows and columns of the kernel's matrices: what a unit takes, and units, or the other way around. */
  readonly shape: readonly [number, number];
  /** How many matrices the kernel is: of a convolution, one for each of its places. */
  readonly matrices: number;
  /**
   * Exponent of a power law fitted to the eigenvalues: 2 to 6 is healthy; below, over-trained, above, under-trained. NaN if fewer
   * than 8 of them lie above 1e-5.
   */
  readonly alpha: number;
  /** alpha times log10 of the largest eigenvalue; smaller is better within a family of models. */
  readonly alphaWeighted: number;
  /** log10 of the sum of all x ^ alpha: the alpha-norm. */
  readonly logAlphaNorm: number;
  /** log10 of the sum of the eigenvalues: the squared Frobenius norm. */
  readonly logNorm: number;
  /** log10 of the largest eigenvalue: the squared spectral norm. */
  readonly logSpectralNorm: number;
  /** The sum of the eigenvalues over the largest one. */
  readonly stableRank: number;
  /** The singular values, descending. */
  readonly singularValues: Float64Array;
}

/**
 * The singular values of a kernel, those of all its matrices together, descending.
 *
 * @param values matrices of rows x columns numbers, one after the other
 */
export async function kernelSingularValuesOf(
  values: ArrayLike<number> & { subarray(from: number, to: number): ArrayLike<number> },
  columns: number,
  size: number,
): Promise<Float64Array> {
  const parts: Float64Array[] = [];
  for (let at = 0; at < values.length; at += size) {
    const matrix = new CovarianceAccumulator(columns);
    matrix.update(values.subarray(at, at + size));
    const { singularValues } = await solveInBackground(matrix, { singularValues: true }, true).result;
    if (singularValues !== undefined) parts.push(singularValues);
  }
  return Float64Array.from(parts.flatMap((part) => [...part]))
    .sort()
    .reverse();
}

/** What a kernel's singular values say. */
export function weightMeasuresOf(
  singularValues: Float64Array,
  shape: readonly [number, number],
  matrices: number,
): WeightMeasures {
  const squares = singularValues.map((value) => value * value);
  const alpha = weightAlphaOf(singularValues);
  const largest = squares.reduce((most, value) => Math.max(most, value), 0);
  const sum = squares.reduce((total, value) => total + value, 0);
  return {
    shape,
    matrices,
    alpha,
    alphaWeighted: alpha * Math.log10(largest),
    logAlphaNorm: Math.log10(squares.reduce((total, value) => total + value ** alpha, 0)),
    logNorm: Math.log10(sum),
    logSpectralNorm: Math.log10(largest),
    stableRank: sum / largest,
    singularValues,
  };
}

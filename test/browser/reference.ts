import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { twoPassCovariance } from '../support/random.js';

/** Eigenvalues of the two-pass float64 covariance of rows, by ml-matrix, descending, those below 0 from rounding set to it. */
export function covarianceEigenvalues(rows: ArrayLike<number>, features: number): Float64Array {
  const covariance = Matrix.from1DArray(features, features, twoPassCovariance(rows, features));
  const { realEigenvalues } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  return Float64Array.from(realEigenvalues, (value) => Math.max(0, value))
    .sort()
    .reverse();
}

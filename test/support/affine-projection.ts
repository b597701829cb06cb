import { EigenvalueDecomposition, type Matrix } from 'ml-matrix';

/** A reference in float64 through ml-matrix: the exact affine projection of rows on their leading k principal axes. */
export interface Reference {
  mean: number[];
  /** Descending. */
  eigenvalues: number[];
  /** Smallest k whose cumulative share of the variance reaches the threshold. */
  dimensions(threshold: number): number;
  /** y = (x - m) E E^T + m, or about the origin. */
  project(rows: Matrix, k: number): Matrix;
  /** (x - m) E E^T, squared and summed over a row: lengths do not depend on the signs of eigenvectors. */
  axes(k: number): Matrix;
}

/** Two passes over the rows: the mean, then the (co)variance about it, or about the origin. */
export function principalReference(rows: Matrix, centering = true): Reference {
  const mean = centering ? rows.mean('column') : Array.from({ length: rows.columns }, () => 0);
  const centered = rows.clone().subRowVector(mean);
  const covariance = centered.transpose().mmul(centered).div(rows.rows);
  const decomposition = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const eigenvalues = decomposition.realEigenvalues.slice().reverse();
  const columns = Array.from({ length: rows.columns }, (_, k) => rows.columns - 1 - k);
  const vectors = decomposition.eigenvectorMatrix.subMatrixColumn(columns);
  const axes = (k: number) => vectors.subMatrix(0, rows.columns - 1, 0, k - 1);
  return {
    mean,
    eigenvalues,
    axes,
    dimensions(threshold) {
      const total = eigenvalues.reduce((sum, value) => sum + value, 0);
      let sum = 0;
      return eigenvalues.findIndex((value) => (sum += value) / total >= threshold) + 1;
    },
    project(x, k) {
      const coordinates = x.clone().subRowVector(mean).mmul(axes(k));
      return coordinates.mmul(axes(k).transpose()).addRowVector(mean);
    },
  };
}

/** Largest difference over the largest number of the reference. */
export function relativeError(values: ArrayLike<number>, reference: Matrix): number {
  const expected = reference.to1DArray();
  let difference = 0;
  let scale = 0;
  for (const [k, value] of expected.entries()) {
    difference = Math.max(difference, Math.abs(values[k] - value));
    scale = Math.max(scale, Math.abs(value));
  }
  return difference / scale;
}

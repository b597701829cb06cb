import { Matrix, QrDecomposition } from 'ml-matrix';
import type { CovarianceAccumulator } from '../statistics/covariance.js';
import { symmetricEigen } from '../statistics/eigenvalues.js';

/*
 * The linear algebra of PCA layers: the principal axes of accumulated rows, and random axes to compare them with.
 */

/** The axes along which a layer's output varies, in the precision of a model's weights. */
export interface PrincipalAxes {
  /** The point from which the axes start, d numbers: the mean, or zeros for the second moment about the origin. */
  center: Float32Array;
  /** d x d numbers, row-major; column k is the axis with the k-th largest eigenvalue. */
  axes: Float32Array;
  /** d numbers, descending and not negative. */
  eigenvalues: Float32Array;
  /** How many rows they rest on. */
  samples: number;
}

/**
 * The principal axes of the rows an accumulator has seen.
 *
 * @param centering whether the axes are those of the covariance; if not, they are those of the second moment about the
 *   origin, C + m m^T, which Delve's convolutional layers use
 */
export function principalAxes(rows: CovarianceAccumulator, centering: boolean): PrincipalAxes {
  const size = rows.features;
  const mean = rows.mean();
  const moment = rows.covariance();
  if (!centering) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) moment[i * size + j] += mean[i] * mean[j];
    }
  }
  const { values, vectors } = symmetricEigen(moment);
  return {
    center: centering ? Float32Array.from(mean) : new Float32Array(size),
    axes: transposed(vectors, size),
    eigenvalues: Float32Array.from(values, (value) => Math.max(0, value)),
    samples: rows.count,
  };
}

/**
 * A random orthonormal basis of `size` dimensions, distributed uniformly (Haar): the Q of a QR factorization of a
 * matrix of independent normal numbers (Stewart 1980, doi:10.1137/0717034). O(size^3).
 *
 * @param normal size x size independent normal numbers, row-major
 * @returns size x size numbers, row-major, one basis vector per column
 */
export function orthonormalBasis(normal: ArrayLike<number>, size: number): Float32Array {
  return size <= libraryWidth ? libraryBasis(normal, size) : gramSchmidtBasis(normal, size);
}

/** Largest size for ml-matrix' QR, which takes a fifth of a second here and 14 seconds at 1,024. */
const libraryWidth = 256;

function libraryBasis(normal: ArrayLike<number>, size: number): Float32Array {
  const matrix = Matrix.from1DArray(
    size,
    size,
    Array.from({ length: size * size }, (_, at) => normal[at]),
  );
  const { orthogonalMatrix, upperTriangularMatrix } = new QrDecomposition(matrix);
  const basis = new Float32Array(size * size);
  for (let k = 0; k < size; k++) {
    // With a positive diagonal of R, the factorization is unique and Q is uniformly distributed (Stewart).
    const sign = upperTriangularMatrix.get(k, k) < 0 ? -1 : 1;
    for (let j = 0; j < size; j++) basis[j * size + k] = sign * orthogonalMatrix.get(j, k);
  }
  return basis;
}

function gramSchmidtBasis(normal: ArrayLike<number>, size: number): Float32Array {
  const rows = Array.from({ length: size }, (_, k) =>
    Float64Array.from({ length: size }, (_, j) => normal[k * size + j]),
  );
  const dot = (a: Float64Array, b: Float64Array) => {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += a[j] * b[j];
    return sum;
  };
  for (let k = 0; k < size; k++) {
    // One pass leaves errors that grow with the condition of the matrix; a second pass removes them.
    for (let pass = 0; pass < 2; pass++) {
      for (let i = 0; i < k; i++) {
        const along = dot(rows[k], rows[i]);
        for (let j = 0; j < size; j++) rows[k][j] -= along * rows[i][j];
      }
    }
    const length = Math.sqrt(dot(rows[k], rows[k]));
    for (let j = 0; j < size; j++) rows[k][j] /= length;
  }
  const basis = new Float32Array(size * size);
  for (const [k, row] of rows.entries()) for (let j = 0; j < size; j++) basis[j * size + k] = row[j];
  return basis;
}

function transposed(matrix: Float64Array, size: number): Float32Array {
  const result = new Float32Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) result[j * size + i] = matrix[i * size + j];
  }
  return result;
}

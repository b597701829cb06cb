import { Matrix, QrDecomposition } from 'ml-matrix';
import type { CovarianceAccumulator } from '../statistics/covariance.js';
import { symmetricEigen } from '../statistics/eigenvalues.js';

/** The axes on which a layer's output varies, in the precision a model's weights have. */
export interface PrincipalAxes {
  /** What the axes start from, d numbers: the mean, or zeros where the second moment about the origin was asked for. */
  center: Float32Array;
  /** d x d numbers, row-major; column k is the axis with the k-th largest eigenvalue. */
  axes: Float32Array;
  /** Descending, not negative. */
  eigenvalues: Float32Array;
  /** Rows they rest on. */
  samples: number;
}

/**
 * The principal axes of the rows an accumulator has seen.
 *
 * @param centering About the mean (the covariance), or about the origin (the second moment C + m m^T, as Delve's
 *   convolutional layers have it).
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
 * A random orthonormal basis of `size` dimensions, distributed uniformly (Haar): the Q of a QR factorisation of a
 * matrix of independent normal numbers (Stewart 1980, doi:10.1137/0717034). O(size^3).
 *
 * @param normal size x size independent normal numbers, row-major.
 * @returns size x size numbers, row-major, a basis vector per column.
 */
export function orthonormalBasis(normal: ArrayLike<number>, size: number): Float32Array {
  return size <= libraryWidth ? libraryBasis(normal, size) : gramSchmidtBasis(normal, size);
}

/** Up to here ml-matrix' QR takes at most a fifth of a second; at 1,024 it takes fourteen. */
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
    // With R's diagonal positive the factorisation is unique, and Q uniformly distributed (Stewart).
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
    // Twice: once leaves errors that grow with the matrix's condition, a second time takes them away.
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

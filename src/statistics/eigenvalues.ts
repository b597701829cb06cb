import { checkAttached } from '../errors.js';
import { kernels } from '../kernels/kernels.js';
import type { SymmetricEigen, SymmetricMatrix } from '../kernels/symmetric.js';

/*
 * Eigenvalues and eigenvectors of a covariance that is given as plain numbers, and how far eigenvectors moved between two
 * decompositions.
 */

/**
 * All eigenvalues of a symmetric matrix, descending, in float64; negative values from rounding are kept.
 *
 * @param covariance d x d numbers, row-major, of which the lower triangle is read
 * @throws RangeError if the length is not a square, or a number is NaN or infinite
 */
export function eigenvalues(covariance: Float64Array): Float64Array {
  return kernels().eigenvalues(squareMatrix(covariance));
}

/**
 * All eigenvalues of a symmetric matrix, descending, with one eigenvector per eigenvalue, in float64.
 *
 * @param covariance d x d numbers, row-major, of which the lower triangle is read
 * @throws RangeError if the length is not a square, or a number is NaN or infinite
 */
export function symmetricEigen(covariance: Float64Array): SymmetricEigen {
  return kernels().eigen(squareMatrix(covariance));
}

/** A full square matrix as the kernels read it. @throws RangeError if its length is not a square */
export function squareMatrix(covariance: Float64Array): SymmetricMatrix {
  checkAttached(covariance, 'covariance');
  const size = Math.sqrt(covariance.length);
  if (!Number.isInteger(size) || size === 0) {
    throw new RangeError(`covariance: expected a square matrix of d x d numbers, got ${covariance.length} numbers`);
  }
  return { size, entries: covariance, packed: false };
}

/**
 * How far the leading k-dimensional eigenspace moved between two decompositions: sqrt(1 - |V W^T|_F^2 / k), which is the
 * chordal distance of the two subspaces divided by its largest value, sqrt(k) (Ye & Lim 2016, "Schubert varieties and
 * distances between subspaces of different dimensions", table 2). 0: the same space. 1: orthogonal spaces.
 *
 * @param previous Eigenvectors by rows of `size` numbers, the one of the largest eigenvalue first, as `symmetricEigen`
 *   returns them
 * @param vectors Those of the later decomposition
 * @param size Length of one eigenvector
 * @param k How many leading eigenvectors span the space
 * @throws RangeError if k is not a positive integer, or either side has fewer eigenvectors
 */
export function driftOf(previous: Float64Array, vectors: Float64Array, size: number, k: number): number {
  if (!Number.isInteger(k) || k < 1 || k * size > Math.min(previous.length, vectors.length)) {
    throw new RangeError(`driftOf: expected k from 1 to the number of eigenvectors of length ${size}, got ${k}`);
  }
  let residue = 0;
  const rest = new Float64Array(size);
  for (let i = 0; i < k; i++) {
    // What is left of each new axis outside the old space: exact near 0, where 1 - cos^2 would cancel.
    rest.set(vectors.subarray(i * size, (i + 1) * size));
    for (let j = 0; j < k; j++) {
      const axis = previous.subarray(j * size, (j + 1) * size);
      let inner = 0;
      for (let p = 0; p < size; p++) inner += rest[p] * axis[p];
      for (let p = 0; p < size; p++) rest[p] -= inner * axis[p];
    }
    for (const x of rest) residue += x * x;
  }
  return Math.min(1, Math.sqrt(residue / k));
}

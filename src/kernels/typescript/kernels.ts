import type { NumericKernels } from '../numeric-kernels.js';
import {
  largestEntry,
  rowStart,
  type SymmetricMatrix,
  scaleFor,
  sortDescending,
  sortPairsDescending,
} from '../symmetric.js';
import { addOuterProducts, addRows } from './moments.js';
import { project } from './project.js';
import { qlEigenvalues, qlEigenvectors } from './ql.js';
import { reflectorRows, tridiagonalize } from './tridiagonal.js';
import { addUnits, sumByClass } from './units.js';

/**
 * The kernels for platforms on which WebAssembly SIMD is missing or forbidden: the same algorithms, three to seven times
 * slower.
 */
export const typescriptKernels: NumericKernels = {
  name: 'typescript',
  addRows,
  addOuterProducts,
  addUnits,
  project,
  sumByClass,
  eigenvalues(matrix) {
    const { square, scale } = scaledSquare(matrix);
    const { diagonal, offDiagonal } = tridiagonalize(square, matrix.size);
    qlEigenvalues(diagonal, offDiagonal);
    return sortDescending(diagonal, scale);
  },
  assist: () => 0, // nothing is offered
  eigen(matrix) {
    const { square, scale } = scaledSquare(matrix);
    const { diagonal, offDiagonal, tau } = tridiagonalize(square, matrix.size);
    const vectors = reflectorRows(square, matrix.size, tau);
    qlEigenvectors(diagonal, offDiagonal, vectors);
    return sortPairsDescending(diagonal, vectors, scale);
  },
};

/** A copy of the lower triangle as size x size numbers, scaled to a harmless magnitude. */
function scaledSquare(matrix: SymmetricMatrix): { square: Float64Array; scale: number } {
  const { size, entries } = matrix;
  const scale = scaleFor(largestEntry(matrix));
  const square = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const start = rowStart(matrix, i);
    square.set(entries.subarray(start, start + i + 1), i * size);
  }
  if (scale !== 1) for (let p = 0; p < square.length; p++) square[p] *= scale;
  return { square, scale };
}

import { rowStart, type SymmetricEigen, type SymmetricMatrix } from './numeric-kernels.js';

/** Largest absolute value of the lower triangle. Throws RangeError on a NaN or an Infinity. */
export function largestEntry(matrix: SymmetricMatrix): number {
  let largest = 0;
  let check = 0; // x * 0 is NaN for NaN and Infinity alone
  for (let i = 0; i < matrix.size; i++) {
    const start = rowStart(matrix, i);
    for (let p = start; p <= start + i; p++) {
      const x = matrix.entries[p];
      check += x * 0;
      const magnitude = Math.abs(x);
      if (magnitude > largest) largest = magnitude;
    }
  }
  if (check !== 0) throw nonFinite(matrix);
  return largest;
}

function nonFinite(matrix: SymmetricMatrix): RangeError {
  for (let i = 0; i < matrix.size; i++) {
    const start = rowStart(matrix, i);
    for (let j = 0; j <= i; j++) {
      const x = matrix.entries[start + j];
      if (!Number.isFinite(x)) {
        return new RangeError(`The matrix must hold finite numbers only, but entry (${i}, ${j}) is ${x}.`);
      }
    }
  }
  return new RangeError('The matrix must hold finite numbers only.');
}

/**
 * A power of two that brings `largest` to between 1e-100 and 1e100, where products of two entries neither overflow nor
 * lose digits to subnormal numbers; 1 where it is there already. Undo it by dividing.
 */
export function scaleFor(largest: number): number {
  if (largest === 0 || (largest > 1e-100 && largest < 1e100)) return 1;
  // 2 ** 1000 at most: a subnormal entry is lifted to about 1e-23, and the factor stays a double.
  return 2 ** Math.max(-1000, Math.min(1000, -Math.floor(Math.log2(largest))));
}

/** Sorts the eigenvalues in place, largest first, and divides them by `scale`. */
export function sortDescending(values: Float64Array, scale: number): Float64Array {
  values.sort().reverse();
  if (scale !== 1) for (let i = 0; i < values.length; i++) values[i] /= scale;
  return values;
}

/** Copies of the eigenvalues, largest first and divided by `scale`, and of the eigenvectors (rows) in the same order. */
export function sortPairsDescending(values: Float64Array, vectors: Float64Array, scale: number): SymmetricEigen {
  const size = values.length;
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
  const sorted = new Float64Array(size * size);
  order.forEach((from, to) => {
    sorted.set(vectors.subarray(from * size, (from + 1) * size), to * size);
  });
  return { values: Float64Array.from(order, (k) => values[k] / scale), vectors: sorted };
}

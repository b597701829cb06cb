/*
 * Symmetric matrices and their eigenvalues, as both kernels take and return them: a matrix comes in, is checked and scaled
 * to a harmless magnitude; what the kernel found leaves sorted and scaled back.
 */

/** A symmetric matrix of size x size numbers, of which only the lower triangle is read. */
export interface SymmetricMatrix {
  /** Rows, and columns. */
  readonly size: number;
  /** The numbers, by rows. */
  readonly entries: Float64Array;
  /** Whether `entries` is the lower triangle alone. Otherwise it holds size x size numbers. */
  readonly packed: boolean;
}

/** Eigenvalues, descending, with one eigenvector of unit length per eigenvalue. */
export interface SymmetricEigen {
  /** Descending; not clipped, so a covariance may show tiny negative values from rounding. */
  readonly values: Float64Array;
  /** Row k (size numbers from k * size) is the eigenvector of `values[k]`. */
  readonly vectors: Float64Array;
}

/** Where row `row` of a symmetric matrix starts among its entries. */
export function rowStart(matrix: SymmetricMatrix, row: number): number {
  return matrix.packed ? (row * (row + 1)) / 2 : row * matrix.size;
}

/** Largest absolute value of the lower triangle. Throws RangeError if an entry is NaN or infinite. */
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
        return new RangeError(`covariance: expected finite numbers, got ${x} at entry (${i}, ${j})`);
      }
    }
  }
  return new RangeError('covariance: expected finite numbers, got others');
}

/**
 * A power of two that brings `largest` to between 1e-100 and 1e100, where products of two entries neither overflow nor
 * lose digits to subnormal numbers; 1 if it lies there already. Undo it by dividing.
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

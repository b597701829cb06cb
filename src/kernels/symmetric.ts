import { rowStart, type SymmetricMatrix } from './numeric-kernels.js';

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

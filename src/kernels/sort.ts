import type { SymmetricEigen } from './numeric-kernels.js';

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

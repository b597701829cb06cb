import { kernels } from '../kernels/kernels.js';
import { packedLength } from '../kernels/moments.js';

/** Fraction of the rows that is left out: those whose second neighbor is farthest compared with the first one. */
const discarded = 0.1;

/**
 * Intrinsic dimension by TwoNN (Facco et al. 2017, "Estimating the intrinsic dimension of datasets by a minimal neighborhood
 * information", doi:10.1038/s41598-017-11873-y): the slope through 0 of -ln(1 - F) on ln(r2 / r1), where r1 and r2 are a row's
 * distances to its two nearest neighbors, F = i / n is the empirical distribution (i from 1), and the tenth of the rows with the
 * largest ratio is left out. Unlike saturation it counts the dimensions of a curved surface, too. It takes n^2 d / 2 steps.
 *
 * @param rows n x features numbers, row-major; rows that are the same as another one are left out
 * @returns NaN if fewer than 10 rows have two neighbors
 */
export function twoNNOf(rows: Float32Array, features: number): number {
  const logs = logRatios(rows, features).filter(Number.isFinite).sort();
  const n = logs.length;
  if (n < 10) return Number.NaN;
  let products = 0;
  let squares = 0;
  for (let i = 0; i < Math.floor(n * (1 - discarded)); i++) {
    products -= logs[i] * Math.log(1 - (i + 1) / n);
    squares += logs[i] * logs[i];
  }
  return squares === 0 ? Number.NaN : products / squares;
}

/** How many neighbors of a row are compared exactly: those whose distance by inner products is least. */
const candidates = 3;

/** ln(r2 / r1) of each row; not finite for one that is the same as another one. */
function logRatios(rows: Float32Array, features: number): Float64Array {
  const count = Math.floor(rows.length / features);
  const products = innerProducts(rows, features, count);
  return Float64Array.from({ length: count }, (_, i) => {
    // |a - b|^2 = |a|^2 - 2 a b + |b|^2 finds the neighbors, and loses digits of small distances: these are computed anew.
    const near = new Array<number>(candidates).fill(-1);
    const least = new Array<number>(candidates).fill(Number.POSITIVE_INFINITY);
    for (let j = 0; j < count; j++) {
      const product = i < j ? products[packedLength(j) + i] : products[packedLength(i) + j];
      const square = products[packedLength(j + 1) - 1] - 2 * product;
      if (j === i || square >= least[candidates - 1]) continue;
      let at = candidates - 1;
      for (; at > 0 && square < least[at - 1]; at--) {
        least[at] = least[at - 1];
        near[at] = near[at - 1];
      }
      least[at] = square;
      near[at] = j;
    }
    const [first, second] = near
      .filter((j) => j >= 0)
      .map((j) => squaredDistance(rows, features, i, j))
      .sort((a, b) => a - b);
    return Math.log(second / first) / 2;
  });
}

/** The inner products of the rows about their mean, as a packed lower triangle. */
function innerProducts(rows: Float32Array, features: number, count: number): Float64Array {
  const columns = new Float64Array(count * features);
  for (let j = 0; j < features; j++) {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += rows[i * features + j];
    for (let i = 0; i < count; i++) columns[j * count + i] = rows[i * features + j] - sum / count;
  }
  const packed = new Float64Array(packedLength(count));
  // The kernel sums outer products of rows: those of the transposed matrix are the inner products.
  if (count > 0) kernels().addOuterProducts(packed, columns, features, count);
  return packed;
}

function squaredDistance(rows: Float32Array, features: number, i: number, j: number): number {
  let square = 0;
  for (let a = i * features, b = j * features, end = a + features; a < end; a++, b++) {
    square += (rows[a] - rows[b]) ** 2;
  }
  return square;
}

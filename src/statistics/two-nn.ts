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
  const count = Math.floor(rows.length / features);
  const nearest = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  const second = nearest.slice();
  const note = (i: number, square: number) => {
    if (square < nearest[i]) {
      second[i] = nearest[i];
      nearest[i] = square;
    } else if (square < second[i]) second[i] = square;
  };
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < i; j++) {
      let square = 0;
      for (let a = i * features, b = j * features, end = a + features; a < end; a++, b++) {
        const difference = rows[a] - rows[b];
        square += difference * difference;
      }
      note(i, square);
      note(j, square);
    }
  }
  // Half the logarithm of a ratio of squares is that of the ratio.
  const logs = nearest.map((square, i) => Math.log(second[i] / square) / 2).filter(Number.isFinite);
  const n = logs.length;
  if (n < 10) return Number.NaN;
  logs.sort();
  let products = 0;
  let squares = 0;
  for (let i = 0; i < Math.floor(n * (1 - discarded)); i++) {
    products -= logs[i] * Math.log(1 - (i + 1) / n);
    squares += logs[i] * logs[i];
  }
  return squares === 0 ? Number.NaN : products / squares;
}

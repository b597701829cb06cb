import { describe } from '../errors.js';
import { kernels } from '../kernels/kernels.js';
import { packedLength } from '../kernels/moments.js';

/** One of the two layers that are compared: 0 is x, 1 is y. */
type Side = 0 | 1;

/*
 * z is a row of x followed by the row of y, both minus a shift; a is |x|^2 and b is |y|^2. The sums of z, z z^T, a z, b z and of
 * the products of a and b give the estimate of the whole set exactly: it is invariant to shifts, which keep the sums small.
 */
interface Sums {
  count: number;
  /** The first row. */
  shift: Float64Array;
  sum: Float64Array;
  /** Sum of z z^T: the lower triangle, packed by rows. */
  products: Float64Array;
  /** Sums of a z and b z. */
  weighted: [Float64Array, Float64Array];
  /** Sums of a a, a b and b b. */
  squares: [number, number, number];
}

/**
 * Linear centered kernel alignment of two layers (Kornblith et al. 2019, arXiv:1905.00414) without the bias of few rows (Nguyen
 * et al. 2020, arXiv:2010.15327, eq. 3), exactly over all rows: 1 if the layers have the same geometry, near 0 if nothing of one
 * is in the other, a little negative by chance. Others average over mini-batches.
 *
 * The layers may be two of one network, one at two epochs, or of two networks: what matters is that the rows of a pair are of the
 * same sample. Mergeable: shards of the samples give what the whole gives. It takes (x + y)^2 / 2 float64 numbers.
 */
export class LinearCka {
  /** Columns of x and of y. */
  readonly features: readonly [number, number];
  readonly #sums: Sums;

  /** @throws RangeError if a number of features is not a positive integer */
  constructor(xFeatures: number, yFeatures: number) {
    for (const features of [xFeatures, yFeatures]) {
      if (!Number.isSafeInteger(features) || features < 1) {
        throw new RangeError(`LinearCka: expected positive integers of features, got ${describe(features)}`);
      }
    }
    this.features = [xFeatures, yFeatures];
    const zeros = () => new Float64Array(xFeatures + yFeatures);
    const products = new Float64Array(packedLength(xFeatures + yFeatures));
    this.#sums = {
      count: 0,
      shift: zeros(),
      sum: zeros(),
      products,
      weighted: [zeros(), zeros()],
      squares: [0, 0, 0],
    };
  }

  /** Pairs of rows used; pairs with a NaN or an Infinity are left out. */
  get count(): number {
    return this.#sums.count;
  }

  /**
   * Adds pairs of rows.
   *
   * @param x row-major, features[0] numbers per row
   * @param y of the same samples, features[1] numbers per row
   * @throws RangeError if these are not as many rows
   */
  update(x: ArrayLike<number>, y: ArrayLike<number>): void {
    const [dx, dy] = this.features;
    const rows = x.length / dx;
    if (!Number.isInteger(rows) || y.length !== rows * dy) {
      throw new RangeError(
        `update: expected as many rows of ${dx} and of ${dy} features, got ${x.length} and ${y.length} numbers`,
      );
    }
    const sums = this.#sums;
    const width = dx + dy;
    const block = new Float64Array(rows * width);
    let used = 0;
    for (let i = 0; i < rows; i++) {
      const row = block.subarray(used * width, (used + 1) * width);
      for (let j = 0; j < dx; j++) row[j] = x[i * dx + j];
      for (let j = 0; j < dy; j++) row[dx + j] = y[i * dy + j];
      if (!row.every(Number.isFinite)) continue;
      if (sums.count + used === 0) sums.shift.set(row);
      used++;
      let [a, b] = [0, 0];
      for (let j = 0; j < width; j++) {
        row[j] -= sums.shift[j];
        if (j < dx) a += row[j] * row[j];
        else b += row[j] * row[j];
      }
      for (let j = 0; j < width; j++) {
        sums.sum[j] += row[j];
        sums.weighted[0][j] += a * row[j];
        sums.weighted[1][j] += b * row[j];
      }
      sums.squares[0] += a * a;
      sums.squares[1] += a * b;
      sums.squares[2] += b * b;
    }
    sums.count += used;
    if (used > 0) kernels().addOuterProducts(sums.products, block.subarray(0, used * width), used, width);
  }

  /** Adds all pairs of another one, which stays as it is. @throws RangeError if it has other features */
  merge(other: LinearCka): void {
    const [dx, dy] = this.features;
    if (other.features[0] !== dx || other.features[1] !== dy) {
      throw new RangeError(`merge: expected one of ${dx} and ${dy} features, got ${other.features.join(' and ')}`);
    }
    const [sums, added] = [this.#sums, other.#sums];
    if (added.count === 0) return;
    if (sums.count === 0) sums.shift.set(added.shift);
    const moved = shifted(added, sums.shift, dx);
    sums.count += moved.count;
    addTo(sums.sum, moved.sum);
    addTo(sums.products, moved.products);
    for (const k of [0, 1] as const) addTo(sums.weighted[k], moved.weighted[k]);
    for (const k of [0, 1, 2] as const) sums.squares[k] += moved.squares[k];
  }

  /** The alignment, at most 1; NaN below 4 pairs, and if one of the layers does not vary. */
  value(): number {
    return this.#hsic(0, 1) / Math.sqrt(this.#hsic(0, 0) * this.#hsic(1, 1));
  }

  /** The Hilbert-Schmidt independence criterion of two sides, without bias. */
  #hsic(one: Side, other: Side): number {
    const { count: n, sum, weighted, products, squares } = this.#sums;
    if (n < 4) return Number.NaN;
    const [first, second] = [this.#range(one), this.#range(other)];
    let [cross, across] = [0, 0];
    for (let i = first[0]; i < first[1]; i++) {
      for (let j = second[0]; j < second[1]; j++) {
        const product = products[packedIndex(i, j)];
        cross += product * product;
        across += sum[i] * product * sum[j];
      }
    }
    const square = squares[one + other];
    const offDiagonal = this.#offDiagonal(one) * this.#offDiagonal(other);
    const right = across - dot(weighted[one], sum, second) - dot(weighted[other], sum, first) + square;
    return (cross - square + offDiagonal / ((n - 1) * (n - 2)) - (2 / (n - 2)) * right) / (n * (n - 3));
  }

  /** The sum over pairs of different rows of their inner products. */
  #offDiagonal(side: Side): number {
    const range = this.#range(side);
    return dot(this.#sums.sum, this.#sums.sum, range) - trace(this.#sums.products, range);
  }

  #range(side: Side): Range {
    const [dx, dy] = this.features;
    return side === 0 ? [0, dx] : [dx, dx + dy];
  }
}

/** Columns from the first one up to and without the last one. */
type Range = readonly [number, number];

/** The sums about another shift. */
function shifted(sums: Sums, shift: Float64Array, dx: number): Sums {
  const { count: n, sum, products, weighted, squares } = sums;
  const width = sum.length;
  const delta = sums.shift.map((x, j) => x - shift[j]);
  const ranges: [Range, Range] = [
    [0, dx],
    [dx, width],
  ];
  // a grows by 2 (delta . x) + |delta|^2, each over the columns of x; b likewise.
  const grown = ranges.map((range) => {
    const times = new Float64Array(width);
    for (let i = 0; i < width; i++) {
      for (let j = range[0]; j < range[1]; j++) times[i] += products[packedIndex(i, j)] * delta[j];
    }
    return { range, times, total: trace(products, range), along: dot(delta, sum, range), by: dot(delta, delta, range) };
  });
  const square = (k: Side, l: Side) => {
    const [one, other] = [grown[k], grown[l]];
    return (
      squares[k + l] +
      2 * dot(delta, weighted[k], other.range) +
      2 * dot(delta, weighted[l], one.range) +
      4 * dot(delta, other.times, one.range) +
      other.by * (one.total + 2 * one.along) +
      one.by * (other.total + 2 * other.along) +
      n * one.by * other.by
    );
  };
  const moved = (k: Side) => {
    const { times, total, along, by } = grown[k];
    return weighted[k].map((x, j) => x + 2 * times[j] + by * sum[j] + (total + 2 * along + n * by) * delta[j]);
  };
  const products2 = products.slice();
  for (let i = 0, p = 0; i < width; i++) {
    for (let j = 0; j <= i; j++, p++) products2[p] += sum[i] * delta[j] + delta[i] * sum[j] + n * delta[i] * delta[j];
  }
  return {
    count: n,
    shift,
    sum: sum.map((x, j) => x + n * delta[j]),
    products: products2,
    weighted: [moved(0), moved(1)],
    squares: [square(0, 0), square(0, 1), square(1, 1)],
  };
}

function addTo(total: Float64Array, added: Float64Array): void {
  for (let i = 0; i < total.length; i++) total[i] += added[i];
}

function packedIndex(i: number, j: number): number {
  return i < j ? packedLength(j) + i : packedLength(i) + j;
}

function dot(a: Float64Array, b: Float64Array, [from, to]: Range): number {
  let sum = 0;
  for (let j = from; j < to; j++) sum += a[j] * b[j];
  return sum;
}

function trace(packed: Float64Array, [from, to]: Range): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += packed[packedIndex(i, i)];
  return sum;
}

import { describe } from '../errors.js';
import { kernels } from '../kernels/kernels.js';
import { keepFiniteRows, packedLength, type Rows } from '../kernels/moments.js';
import type { Directions } from '../kernels/projection.js';
import { CovarianceAccumulator } from './covariance.js';
import { pack, unpack } from './packed-numbers.js';
import { noiseOf, type Solved, solveAccumulator } from './threads/solve.js';

/*
 * The covariance of wide rows, of which only a part is computed: what the leading directions of the first rows see of all rows, and
 * exactly how much variance they do not see.
 *
 * Let C be the covariance, P the projection on the directions, A = P C P and r = tr C - tr A, which is known. Then for every k
 *
 *   a_1 + ... + a_k  <=  l_1 + ... + l_k  <=  a_1 + ... + a_k + r
 *
 * where l and a are the eigenvalues of C and A: the first is interlacing, and the best approximation of rank k of X is no further from X
 * than that of X P is from X P, which is the second. So the number of directions that explain a share of the variance lies in an
 * interval, however the rows after the first ones are distributed.
 */

/** Directions that a sketch follows. */
const DIRECTIONS = 128;
/** Rows from which the directions are found; as many as that are solved exactly. More of them would show them better and take longer. */
const FIRST_ROWS = DIRECTIONS + 16;
/** Rows that are projected at a time. */
const CHUNK_ROWS = 384;
/** Features whose columns are gathered at a time. */
const CHUNK_FEATURES = 1024;
/** Relative to the largest eigenvalue of the first rows: directions below are rounding. */
const NEGLIGIBLE = 1e-9;
/** What float32 products leave uncertain of the variance. */
const ROUNDING = 2 ** -20;

/** Less than this part of the variance is not seen by directions that are good enough for the next rows, too. */
const GOOD_ENOUGH = 1e-3;

/** How many numbers of a batch a sketch is made of, so that a batch costs about 20 ms at most: 62 rows of 20,000 features. */
const BATCH_NUMBERS = 1_250_000;

/** How many rows of a batch a sketch is made of. */
export function sketchedRows(features: number): number {
  return Math.max(16, Math.floor(BATCH_NUMBERS / features));
}

/** The widest rows that a sketch is made of: it holds 1.5 KB per feature at most, which is 200 MB for these. */
export const WIDEST_SKETCH = 131_072;

const KIND = 'dtbskt01';

/** What follows the directions. */
interface Followed {
  on: Directions;
  /** Inner products of the directions, packed: rounding leaves them not quite orthonormal. */
  gram: Float64Array;
  /** Of the rows' products with the directions. */
  products: CovarianceAccumulator;
  /** Sums of the rows less the shift, per feature. */
  sums: Float64Array;
  squares: number;
}

/** A streaming covariance of wide rows: exact trace, leading eigenvalues, and bounds for what it does not know. */
export class CovarianceSketch {
  /** Columns of the sample matrix. */
  readonly features: number;
  /** The first rows, until there are enough of them. */
  #first: CovarianceAccumulator | undefined;
  #followed: Followed | undefined;
  #count = 0;
  #rejected = 0;

  /** @throws RangeError if `features` is not a positive integer */
  constructor(features: number) {
    if (!Number.isSafeInteger(features) || features < 1) {
      throw new RangeError(`features: expected a positive integer, got ${describe(features)}`);
    }
    this.features = features;
    this.#first = new CovarianceAccumulator(features);
  }

  /** Whether no row was added. */
  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** Rows used. */
  get count(): number {
    return this.#count + (this.#first?.count ?? 0);
  }

  /** Rows left out because they held a NaN or an Infinity. */
  get rejected(): number {
    return this.#rejected + (this.#first?.rejected ?? 0);
  }

  /**
   * An empty sketch of the rows that follow: along the same directions, which takes no search, if they have seen nearly all variance.
   */
  next(): CovarianceSketch {
    const next = new CovarianceSketch(this.features);
    if (!this.#followed || this.#unresolvedShare() > GOOD_ENOUGH) return next;
    next.#first = undefined;
    next.#followed = following(this.#followed.on, this.#followed.gram);
    return next;
  }

  /** Adds rows, row-major. They are rounded to float32 once directions are followed. */
  update(rows: Rows): void {
    const { features } = this;
    const count = rows.length / features;
    for (let done = 0; done < count; ) {
      // Of so few features that all directions are found in the first rows, the covariance itself is kept.
      const most = !this.#first || features <= FIRST_ROWS ? CHUNK_ROWS : FIRST_ROWS - this.#first.count;
      const size = Math.min(most, count - done);
      const part = rows.subarray(done * features, (done + size) * features);
      if (this.#first) this.#keep(this.#first, part);
      else this.#add(this.#followed!, part instanceof Float32Array ? part : Float32Array.from(part));
      done += size;
    }
  }

  /**
   * Adds the rows of another sketch, which stays as it is. That is possible while one of them has its first rows only, or if
   * both follow the same directions.
   *
   * @throws RangeError if it has other features or directions
   */
  merge(other: CovarianceSketch): void {
    this.checkMerge(other);
    if (other.#first) {
      this.#addFirst(other.#first);
    } else if (this.#first) {
      const first = this.#first;
      this.#become(CovarianceSketch.fromBytes(other.toBytes()));
      this.#addFirst(first);
    } else {
      const [own, added] = [this.#followed!, other.#followed!];
      own.products.merge(added.products);
      own.squares += added.squares;
      for (let j = 0; j < own.sums.length; j++) own.sums[j] += added.sums[j];
      this.#count += other.#count;
      this.#rejected += other.#rejected;
    }
  }

  /** @throws RangeError if another cannot be merged into this */
  checkMerge(other: CovarianceSketch): void {
    if (other.features !== this.features) {
      throw new RangeError(`expected a sketch of ${this.features} features, got one of ${other.features}`);
    }
    const [own, added] = [this.#followed?.on, other.#followed?.on];
    if (!own || !added || (isSame(own.vectors, added.vectors) && isSame(own.shift, added.shift))) return;
    throw new RangeError(
      "expected a sketch along the same directions, got one that follows rows of its own: wideLayers: 'leaveOut' leaves such layers out, and a larger maxWidth sums them exactly",
    );
  }

  #addFirst(first: CovarianceAccumulator): void {
    // Of so few features, no directions are ever followed.
    if (this.#first && this.features <= FIRST_ROWS) {
      this.#first.merge(first);
      return;
    }
    const { rejected } = first; // leaves rows with a NaN out of the waiting ones
    this.#rejected += rejected;
    const { rows } = first.copyState();
    if (rows) this.update(rows);
  }

  #become(other: CovarianceSketch): void {
    this.#first = other.#first;
    this.#followed = other.#followed;
    this.#count = other.#count;
    this.#rejected = other.#rejected;
  }

  /** Everything that `fromBytes` needs, in a versioned little-endian format with a checksum. */
  toBytes(): Uint8Array {
    const numbers = [this.features, this.#count, this.#rejected];
    if (this.#first) return pack(KIND, [...numbers, 0, 0], [this.#first.toBytes(), ...noArrays]);
    const { on, gram, products, sums, squares } = this.#followed!;
    return pack(KIND, [...numbers, on.rank, squares], [products.toBytes(), on.vectors, on.shift, gram, sums]);
  }

  /** What it was at `toBytes`. @throws RangeError if the bytes are not from there, or damaged */
  static fromBytes(bytes: Uint8Array): CovarianceSketch {
    const types = [Uint8Array, Float32Array, Float32Array, Float64Array, Float64Array] as const;
    const { numbers, arrays } = unpack(KIND, bytes, 5, types);
    const [features, count, rejected, rank, squares] = numbers;
    const [summed, vectors, shift, gram, sums] = arrays;
    const sketch = new CovarianceSketch(features);
    const products = CovarianceAccumulator.fromBytes(summed);
    const isPossible =
      [count, rejected, rank].every((each) => Number.isSafeInteger(each) && each >= 0) &&
      (rank === 0
        ? products.features === features
        : products.features === rank && products.count + products.rejected === count) &&
      vectors.length === rank * features &&
      gram.length === packedLength(rank) &&
      [shift, sums].every(({ length }) => length === (rank === 0 ? 0 : features)) &&
      [vectors, shift, gram, sums].every((array) => array.every(Number.isFinite)) &&
      squares >= 0;
    if (!isPossible) throw new RangeError('fromBytes: expected a sketch, got other numbers');
    sketch.#count = count;
    sketch.#rejected = rejected;
    if (rank === 0) {
      sketch.#first = products;
    } else {
      sketch.#first = undefined;
      sketch.#followed = { on: { features, rank, vectors, shift }, gram, products, sums, squares };
    }
    return sketch;
  }

  /** Eigenvalues and what is not known of them; exact of few rows. */
  solve(): Solved {
    if (this.#first) {
      const solved = solveAccumulator(this.#first);
      return { ...solved, rejected: solved.rejected + this.#rejected };
    }
    const { features } = this;
    const count = this.#count;
    const rejected = this.#rejected;
    if (count === 0) return { features, count, rejected, eigenvalues: new Float64Array(0), noise: 0 };
    const { resolved, trace, unresolved } = this.#measured(this.#followed!);
    // What is not resolved may be spread over all other directions, which is the most of them that it can need.
    const others = Math.max(0, Math.min(count - 1, features) - resolved.length);
    const eigenvalues = new Float64Array(features);
    eigenvalues.set(resolved);
    if (others > 0) eigenvalues.fill(unresolved / others, resolved.length, resolved.length + others);
    eigenvalues.sort().reverse();
    const noise = noiseOf(eigenvalues, 'float32 products');
    const sketch = { resolved, unresolved, rounding: ROUNDING * trace, directions: resolved.length + others };
    return { features, count, rejected, eigenvalues, noise, sketch };
  }

  #measured({ products, sums, squares, gram }: Followed): {
    resolved: Float64Array;
    trace: number;
    unresolved: number;
  } {
    const count = this.#count;
    let mean = 0;
    for (const sum of sums) mean += (sum / count) ** 2;
    const trace = Math.max(0, squares / count - mean);
    const resolved = kernels().eigenvalues({
      size: products.features,
      entries: orthonormalized(products.covariance(), gram, products.features),
      packed: false,
    });
    let captured = 0;
    for (let i = 0; i < resolved.length; i++) captured += resolved[i] = Math.max(0, resolved[i]);
    return { resolved, trace, unresolved: Math.max(0, trace - captured) };
  }

  /** Which part of the variance the directions do not see; 1 if nothing is known of it. */
  #unresolvedShare(): number {
    if (!this.#followed || this.#count < FIRST_ROWS) return 1;
    const { trace, unresolved } = this.#measured(this.#followed);
    return trace > 0 ? unresolved / trace : 1;
  }

  #keep(first: CovarianceAccumulator, rows: Rows): void {
    first.update(rows);
    if (first.count < FIRST_ROWS || first.features <= FIRST_ROWS) return;
    this.#rejected += first.rejected;
    const { vectors, values } = kernels().eigen(first.spectralMatrix());
    const state = first.takeState().rows!;
    const kept = state instanceof Float32Array ? state : Float32Array.from(state);
    this.#first = undefined;
    this.#followed = followed(kept, values, vectors, this.features);
    this.#add(this.#followed, kept);
  }

  #add(to: Followed, rows: Float32Array): void {
    const { features } = this;
    let count = rows.length / features;
    let projected = kernels().project(rows, count, to.on);
    if (!Number.isFinite(projected.squares)) {
      const copy = rows.slice();
      const finite = keepFiniteRows(copy, count, features);
      this.#rejected += count - finite;
      count = finite;
      if (count === 0) return;
      projected = kernels().project(copy, count, to.on);
    }
    this.#count += count;
    to.products.update(projected.products);
    to.squares += projected.squares;
    for (let j = 0; j < features; j++) to.sums[j] += projected.sums[j];
  }
}

const noArrays = [new Float32Array(0), new Float32Array(0), new Float64Array(0), new Float64Array(0)];

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/** Directions of the rows' largest eigenvalues, given those of their Gram matrix. */
function followed(rows: Float32Array, values: Float64Array, vectors: Float64Array, features: number): Followed {
  const count = rows.length / features;
  let rank = 0;
  while (rank < Math.min(DIRECTIONS, count - 1) && values[rank] > NEGLIGIBLE * values[0]) rank++;
  const combining = new Float32Array(Math.max(1, rank) * count);
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < count; i++) combining[k * count + i] = vectors[k * count + i] / Math.sqrt(values[k]);
  }
  const directions = new Float32Array(Math.max(1, rank) * features);
  const gram = new Float64Array(packedLength(Math.max(1, rank)));
  // Features that never vary stay exactly zero if a row is subtracted.
  const shift = rows.slice(0, features);
  const on = { features: count, rank, vectors: combining, shift: new Float32Array(count) };
  for (let from = 0; rank > 0 && from < features; from += CHUNK_FEATURES) {
    const size = Math.min(CHUNK_FEATURES, features - from);
    const columns = new Float32Array(size * count);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < size; j++) columns[j * count + i] = rows[i * features + from + j] - shift[from + j];
    }
    const { products } = kernels().project(columns, size, on);
    for (let j = 0; j < size; j++) {
      for (let k = 0; k < rank; k++) {
        directions[k * features + from + j] = products[j * rank + k];
        products[j * rank + k] = directions[k * features + from + j];
      }
    }
    kernels().addOuterProducts(gram, products, size, rank);
  }
  if (rank === 0) directions[0] = gram[0] = 1; // there is no variance yet
  return following({ features, rank: Math.max(1, rank), vectors: directions, shift }, gram);
}

function following(on: Directions, gram: Float64Array): Followed {
  const { rank, features } = on;
  return { on, gram, products: new CovarianceAccumulator(rank), sums: new Float64Array(features), squares: 0 };
}

/** L^-1 A L^-T where L L^T is the Gram matrix of the directions: A in an orthonormal basis of theirs. */
function orthonormalized(covariance: Float64Array, gram: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(size * size);
  for (let i = 0, p = 0; i < size; i++) {
    for (let j = 0; j <= i; j++, p++) {
      let sum = gram[p];
      for (let k = 0; k < j; k++) sum -= lower[i * size + k] * lower[j * size + k];
      lower[i * size + j] = i === j ? Math.sqrt(sum) : sum / lower[j * size + j];
    }
  }
  // Both times: rows of L^-1 A, then the same of its transpose.
  let result = covariance;
  for (let pass = 0; pass < 2; pass++) {
    const solved = new Float64Array(size * size);
    for (let column = 0; column < size; column++) {
      for (let i = 0; i < size; i++) {
        let sum = result[i * size + column];
        for (let k = 0; k < i; k++) sum -= lower[i * size + k] * solved[column * size + k];
        solved[column * size + i] = sum / lower[i * size + i];
      }
    }
    result = solved; // transposed
  }
  return result;
}

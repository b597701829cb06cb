import { kernels } from '../kernels/kernels.js';
import { keepFiniteRows } from '../kernels/merge-weights.js';
import type { MomentSums, Rows, SymmetricMatrix } from '../kernels/numeric-kernels.js';
import { type AccumulatorState, decodeAccumulator, encodeAccumulator } from './accumulator-bytes.js';
import { mergeMoments, newMoments, packedLength, unpack } from './moments.js';

/** Rows collected before they are folded into the scatter, once the scatter exists: one kernel call per so many rows. */
const FOLD_ROWS = 256;

/**
 * Streaming mean and covariance in float64.
 *
 * - Exact for any mean: the scatter is kept about the running mean, never as a difference of large sums.
 * - Mergeable: shards of the samples give what the whole gives.
 * - A feature that never varied has exactly zero variance, whatever its value, also after `merge` and `fromBytes`.
 * - Rows with a NaN or an Infinity are left out and counted in `rejected`.
 * - Memory: while there are no more rows than features the rows themselves are kept (the Gram matrix then gives the
 *   spectrum for less); after that features * (features + 1) / 2 float64 numbers and at most 256 rows.
 */
export class CovarianceAccumulator {
  /** Columns of the sample matrix. */
  readonly features: number;
  #moments: MomentSums | undefined;
  #rows: Rows | undefined;
  #pending = 0;
  #rejected = 0;

  /** @param features Columns of the sample matrix: a positive integer, else RangeError. */
  constructor(features: number) {
    if (!Number.isSafeInteger(features) || features < 1) {
      throw new RangeError(`features must be a positive integer, got ${String(features)}.`);
    }
    this.features = features;
  }

  /** Rows used. */
  get count(): number {
    this.#checkPending();
    return (this.#moments?.count ?? 0) + this.#pending;
  }

  /** Rows left out because they held a NaN or an Infinity. */
  get rejected(): number {
    this.#checkPending();
    return this.#rejected;
  }

  /**
   * Adds rows.
   *
   * @param samples Row-major numbers, `features` per row. Float32Array and Float64Array are read without conversion.
   *   The numbers are copied: the array may be reused at once.
   * @param rows How many rows to take from the front; by default all. RangeError when the length does not fit.
   */
  update(samples: ArrayLike<number>, rows?: number): void {
    const { features } = this;
    const count = rows ?? samples.length / features;
    if (!Number.isInteger(count) || count < 0 || count * features > samples.length) {
      throw new RangeError(
        rows === undefined
          ? `Expected rows of ${features} features, but ${samples.length} numbers do not divide into such rows.`
          : `Expected ${rows} rows of ${features} features, got ${samples.length} numbers.`,
      );
    }
    if (count === 0) return;
    const source: Rows =
      samples instanceof Float32Array || samples instanceof Float64Array ? samples : Float64Array.from(samples);
    if (count >= FOLD_ROWS && (this.#moments || count > this.#rowLimit(source))) {
      this.#fold();
      this.#foldRows(source, 0, count);
      return;
    }
    this.#append(source, count);
  }

  /**
   * Adds moments computed elsewhere, on a GPU for example: `count` rows, their mean, and their scatter
   * sum (x - mean)(x - mean)^T as features x features numbers (row-major, lower triangle read) or packed lower triangle.
   * A feature whose mean carries rounding (a constant summed in float32) is no longer exactly constant; subtract one of
   * its own rows before summing and it stays so. RangeError when a length does not fit or a number is not finite.
   */
  updateCentered(count: number, mean: ArrayLike<number>, scatter: ArrayLike<number>, rejected = 0): void {
    const { features } = this;
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new RangeError(`count must be a non-negative integer, got ${String(count)}.`);
    }
    if (mean.length !== features) {
      throw new RangeError(`Expected a mean of ${features} features, got ${mean.length} numbers.`);
    }
    const packed = scatter.length === packedLength(features) && features > 1;
    if (!packed && scatter.length !== features * features) {
      throw new RangeError(
        `Expected a scatter of ${features} x ${features} numbers or its packed lower triangle ` +
          `(${packedLength(features)}), got ${scatter.length} numbers.`,
      );
    }
    this.#rejected += rejected;
    if (count === 0) return;
    const incoming = newMoments(features);
    incoming.count = count;
    incoming.shift.set(mean);
    for (let i = 0, p = 0; i < features; i++) {
      const start = packed ? p : i * features;
      for (let j = 0; j <= i; j++, p++) incoming.scatter[p] = scatter[start + j];
    }
    if (!incoming.shift.every(Number.isFinite) || !incoming.scatter.every(Number.isFinite)) {
      throw new RangeError('The mean and the scatter must hold finite numbers only.');
    }
    this.#fold();
    this.#mergeIn(incoming);
  }

  /** Adds all rows of another accumulator, which stays as it is. RangeError when its features differ. */
  merge(other: CovarianceAccumulator): void {
    if (other.features !== this.features) {
      throw new RangeError(`Cannot merge an accumulator of ${other.features} features into one of ${this.features}.`);
    }
    const pending = other.#pending;
    const rows = pending > 0 ? other.#rows?.slice(0, pending * this.features) : undefined;
    const moments = other.#moments;
    const rejected = other.#rejected;
    if (moments) {
      this.#fold();
      this.#mergeIn(moments);
    }
    if (rows) this.update(rows);
    this.#rejected += rejected;
  }

  /** Forgets all rows. */
  reset(): void {
    this.#moments = undefined;
    this.#rows = undefined;
    this.#pending = 0;
    this.#checked = 0;
    this.#rejected = 0;
  }

  /** Mean of each feature; NaN where no row was used. */
  mean(): Float64Array {
    const mean = new Float64Array(this.features).fill(Number.NaN);
    const moments = this.#folded();
    if (moments) for (let j = 0; j < mean.length; j++) mean[j] = moments.shift[j] + moments.offset[j];
    return mean;
  }

  /** Population covariance (divided by n), features x features, row-major; NaN where no row was used. */
  covariance(): Float64Array {
    const moments = this.#folded();
    const { features } = this;
    if (!moments) return new Float64Array(features * features).fill(Number.NaN);
    return unpack(moments.scatter, features, 1 / moments.count);
  }

  /** Variance of each feature (divided by n), without the rest of the covariance; NaN where no row was used. */
  variances(): Float64Array {
    const variances = new Float64Array(this.features).fill(Number.NaN);
    const moments = this.#folded();
    if (moments) {
      for (let i = 0; i < variances.length; i++)
        variances[i] = moments.scatter[packedLength(i + 1) - 1] / moments.count;
    }
    return variances;
  }

  /** Trace of the covariance; NaN where no row was used. */
  trace(): number {
    return this.variances().reduce((sum, x) => sum + x, 0);
  }

  /** Largest absolute mean of a feature; 0 where no row was used. Folds nothing: kept rows stay kept. */
  largestMean(): number {
    this.#checkPending();
    const { features } = this;
    const moments = this.#moments;
    let largest = 0;
    for (let j = 0; j < features; j++) {
      if (moments) largest = Math.max(largest, Math.abs(moments.shift[j] + moments.offset[j]));
      else if (this.#rows && this.#pending > 0) {
        let sum = 0;
        for (let p = j; p < this.#pending * features; p += features) sum += this.#rows[p];
        largest = Math.max(largest, Math.abs(sum / this.#pending));
      }
    }
    return largest;
  }

  /**
   * The smaller of two matrices with the same eigenvalues other than zero: the scatter itself or, while the rows are
   * still kept and fewer than the features, their Gram matrix. Divide its eigenvalues by `count`.
   */
  spectralMatrix(): SymmetricMatrix {
    this.#checkPending();
    if (!this.#moments && this.#rows && this.#pending < this.features) {
      return gramMatrix(this.#rows, this.#pending, this.features);
    }
    return this.scatterMatrix();
  }

  /** Sum of (x - mean)(x - mean)^T over the rows: the covariance times `count`. Valid until the next change. */
  scatterMatrix(): SymmetricMatrix {
    const { features } = this;
    const entries = this.#folded()?.scatter ?? new Float64Array(packedLength(features));
    return { size: features, entries, packed: true };
  }

  /** Everything that `fromBytes` needs, in a versioned little-endian format; numbers survive bit by bit. */
  toBytes(): Uint8Array {
    this.#checkPending();
    return encodeAccumulator(this.#state());
  }

  /** An accumulator as it was at `toBytes`. RangeError when the bytes are not from there or were cut. */
  static fromBytes(bytes: Uint8Array): CovarianceAccumulator {
    return CovarianceAccumulator.fromState(decodeAccumulator(bytes));
  }

  /** @internal A copy of what this consists of; its rows may hold numbers that are not finite. */
  copyState(): AccumulatorState {
    const { moments, rows, ...rest } = this.#state();
    return {
      ...rest,
      rows: rows?.slice(),
      moments: moments && {
        ...moments,
        shift: moments.shift.slice(),
        offset: moments.offset.slice(),
        scatter: moments.scatter.slice(),
      },
    };
  }

  /** @internal Hands over what this consists of and starts afresh: nothing is copied, checked or computed. */
  takeState(): AccumulatorState {
    const state = this.#state();
    this.reset();
    return state;
  }

  /** @internal An accumulator that owns the arrays of a state. */
  static fromState(state: AccumulatorState): CovarianceAccumulator {
    const accumulator = new CovarianceAccumulator(state.features);
    accumulator.#rejected = state.rejected;
    accumulator.#moments = state.moments;
    accumulator.#rows = state.rows;
    accumulator.#pending = state.rows ? state.rows.length / state.features : 0;
    return accumulator;
  }

  #state(): AccumulatorState {
    return {
      features: this.features,
      rejected: this.#rejected,
      moments: this.#moments,
      rows: this.#pending > 0 ? this.#rows?.subarray(0, this.#pending * this.features) : undefined,
    };
  }

  /** How many of the pending rows are known to be finite. */
  #checked = 0;

  /** Rows kept before the scatter is made: never more memory than the scatter itself would take. */
  #rowLimit(rows: Rows): number {
    const limit = rows.BYTES_PER_ELEMENT === 4 ? this.features : this.features >> 1;
    return this.#moments ? FOLD_ROWS : Math.max(FOLD_ROWS, limit);
  }

  #append(source: Rows, count: number): void {
    const { features } = this;
    let done = 0;
    while (done < count) {
      const kept = this.#rowsFor(source);
      const limit = this.#rowLimit(kept);
      const room = limit - this.#pending;
      if (room === 0) {
        this.#fold();
        continue;
      }
      const size = Math.min(room, count - done);
      const target = this.#grow(kept, this.#pending + size, limit);
      target.set(source.subarray(done * features, (done + size) * features), this.#pending * features);
      this.#pending += size;
      done += size;
    }
  }

  /** The pending rows, as float64 as soon as one batch came as float64. */
  #rowsFor(source: Rows): Rows {
    let rows = this.#rows;
    if (!rows) rows = source.BYTES_PER_ELEMENT === 4 ? new Float32Array(0) : new Float64Array(0);
    else if (rows.BYTES_PER_ELEMENT < source.BYTES_PER_ELEMENT) {
      rows = Float64Array.from(rows.subarray(0, this.#pending * this.features));
    }
    this.#rows = rows;
    if (this.#pending > this.#rowLimit(rows)) {
      this.#fold();
      return this.#rowsFor(source);
    }
    return rows;
  }

  #grow(rows: Rows, needed: number, limit: number): Rows {
    const { features } = this;
    if (rows.length >= needed * features) return rows;
    const capacity = Math.min(limit, Math.max(needed, 2 * (rows.length / features))) * features;
    const grown = rows.BYTES_PER_ELEMENT === 4 ? new Float32Array(capacity) : new Float64Array(capacity);
    grown.set(rows.subarray(0, this.#pending * features));
    this.#rows = grown;
    return grown;
  }

  /** Takes rows that are not finite out of the pending ones, so that they can be counted and the Gram matrix used. */
  #checkPending(): void {
    const { features } = this;
    if (!this.#rows || this.#checked >= this.#pending) return;
    const fresh = this.#rows.subarray(this.#checked * features, this.#pending * features);
    let check = 0;
    for (let p = 0; p < fresh.length; p++) check += fresh[p] * 0; // NaN for NaN and Infinity alone
    if (check !== 0) {
      const count = this.#pending - this.#checked;
      const kept = keepFiniteRows(fresh, count, features);
      this.#rejected += count - kept;
      this.#pending = this.#checked + kept;
    }
    this.#checked = this.#pending;
  }

  #folded(): MomentSums | undefined {
    this.#fold();
    return this.#moments;
  }

  #fold(): void {
    const rows = this.#rows;
    const count = this.#pending;
    this.#pending = 0;
    this.#checked = 0;
    if (!rows || count === 0) return;
    if (rows.length > FOLD_ROWS * this.features) this.#rows = undefined; // the scatter takes over
    this.#foldRows(rows, 0, count);
  }

  #foldRows(rows: Rows, first: number, count: number): void {
    const { features } = this;
    let start = first;
    if (!this.#moments) {
      const end = first + count;
      while (start < end && !rows.subarray(start * features, (start + 1) * features).every(Number.isFinite)) start++;
      this.#rejected += start - first;
      if (start === end) return;
      this.#moments = newMoments(features);
      this.#moments.shift.set(rows.subarray(start * features, (start + 1) * features));
    }
    this.#rejected += kernels().addRows(this.#moments, rows, start, first + count - start);
  }

  #mergeIn(incoming: MomentSums): void {
    if (!this.#moments) {
      this.#moments = newMoments(this.features);
      this.#moments.shift.set(incoming.shift);
    }
    mergeMoments(this.#moments, incoming);
  }
}

/** Inner products of the rows about their mean: count x count, packed. */
function gramMatrix(rows: Rows, count: number, features: number): SymmetricMatrix {
  const centred = Float64Array.from(rows.subarray(0, count * features));
  for (let j = 0; j < features; j++) {
    const shift = centred[j];
    let sum = 0;
    for (let p = j; p < centred.length; p += features) sum += centred[p] - shift;
    const centre = shift + sum / count;
    for (let p = j; p < centred.length; p += features) centred[p] -= centre;
  }
  // The kernel sums outer products of rows; the Gram matrix is that of the transposed matrix.
  const columns = new Float64Array(centred.length);
  for (let i = 0, p = 0; i < count; i++) for (let j = 0; j < features; j++, p++) columns[j * count + i] = centred[p];
  const entries = new Float64Array(packedLength(count));
  kernels().addOuterProducts(entries, columns, features, count);
  return { size: count, entries, packed: true };
}

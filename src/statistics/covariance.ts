import { kernels } from '../kernels/kernels.js';
import { mergeMoments, newMoments, packedLength, unpack } from '../kernels/moments.js';
import type { MomentSums, Rows, SymmetricMatrix } from '../kernels/numeric-kernels.js';
import { BLOCK_ROWS } from '../kernels/wasm/moments.js';
import { type AccumulatorState, decodeAccumulator, encodeAccumulator } from './accumulator-bytes.js';
import { PendingRows } from './pending-rows.js';

/** Rows collected before they are folded into the scatter, once the scatter exists: wide ones take memory. */
function foldRowsOf(features: number): number {
  return features > 768 ? BLOCK_ROWS : 2 * BLOCK_ROWS;
}

/**
 * Streaming mean and covariance in float64.
 *
 * - Exact for any mean: the scatter is kept about the running mean, never as a difference of large sums.
 * - Mergeable: shards of the samples give what the whole gives.
 * - A feature that never varied has exactly zero variance, whatever its value, also after `merge` and `fromBytes`.
 * - Rows with a NaN or an Infinity are left out and counted in `rejected`.
 * - Memory: while there are no more rows than features the rows themselves are kept (the Gram matrix then gives the
 *   spectrum for less); after that features * (features + 1) / 2 float64 numbers and at most 384 rows (192 of
 *   more than 768 features).
 */
export class CovarianceAccumulator {
  /** Columns of the sample matrix. */
  readonly features: number;
  #moments: MomentSums | undefined;
  #pending: PendingRows;
  #rejected = 0;
  readonly #float32Products: boolean;
  readonly #foldAt: number;

  /**
   * @param features Columns of the sample matrix: a positive integer, else RangeError.
   * @param options.float32Products Float32Array rows are centred in float64 and then multiplied in float32, twice as
   *   fast: eigenvalues stay within 1e-7 of the largest, whatever the mean and however it drifts. Default false.
   */
  constructor(features: number, options: { float32Products?: boolean } = {}) {
    if (!Number.isSafeInteger(features) || features < 1) {
      throw new RangeError(`features must be a positive integer, got ${String(features)}.`);
    }
    this.features = features;
    this.#float32Products = options.float32Products ?? false;
    this.#foldAt = foldRowsOf(features);
    this.#pending = new PendingRows(features);
  }

  /** Rows used. */
  get count(): number {
    this.#checkPending();
    return (this.#moments?.count ?? 0) + this.#pending.count;
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
    if (count >= this.#foldAt && (this.#moments || count > this.#rowLimit(source.BYTES_PER_ELEMENT))) {
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
    const rows = other.#pending.rows?.slice();
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
    this.#pending = new PendingRows(this.features);
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
    const moments = this.#moments;
    if (!moments) return this.#pending.count > 0 ? this.#pending.largestMean() : 0;
    return moments.shift.reduce((largest, x, j) => Math.max(largest, Math.abs(x + moments.offset[j])), 0);
  }

  /**
   * The smaller of two matrices with the same eigenvalues other than zero: the scatter itself or, while the rows are
   * still kept and fewer than the features, their Gram matrix. Divide its eigenvalues by `count`.
   */
  spectralMatrix(): SymmetricMatrix {
    this.#checkPending();
    const { count } = this.#pending;
    if (!this.#moments && count > 0 && count < this.features) return this.#pending.gramMatrix();
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
  static fromState(state: AccumulatorState, options?: { float32Products?: boolean }): CovarianceAccumulator {
    const accumulator = new CovarianceAccumulator(state.features, options);
    accumulator.#rejected = state.rejected;
    accumulator.#moments = state.moments;
    accumulator.#pending = new PendingRows(state.features, state.rows);
    return accumulator;
  }

  #state(): AccumulatorState {
    return {
      features: this.features,
      rejected: this.#rejected,
      moments: this.#moments,
      rows: this.#pending.rows,
    };
  }

  /** Rows kept before the scatter is made: never more memory than the scatter itself would take. */
  #rowLimit(width: number): number {
    if (this.#moments) return this.#foldAt;
    return Math.max(this.#foldAt, width === 4 ? this.features : this.features >> 1);
  }

  #append(source: Rows, count: number): void {
    const { features } = this;
    for (let done = 0; done < count; ) {
      this.#pending.widenFor(source);
      const limit = this.#rowLimit(this.#pending.width);
      const size = Math.min(limit - this.#pending.count, count - done);
      if (size > 0) this.#pending.append(source.subarray(done * features, (done + size) * features), limit);
      else this.#fold();
      done += Math.max(0, size);
    }
  }

  #checkPending(): void {
    this.#rejected += this.#pending.rejectNonFinite();
  }

  #folded(): MomentSums | undefined {
    this.#fold();
    return this.#moments;
  }

  #fold(): void {
    const { rows } = this.#pending;
    if (!rows) return;
    this.#foldRows(rows, 0, this.#pending.count);
    this.#pending.clear(this.#foldAt);
  }

  #foldRows(rows: Rows, first: number, count: number): void {
    const { features } = this;
    const end = first + count;
    let start = first;
    if (!this.#moments) {
      while (start < end && !rows.subarray(start * features, (start + 1) * features).every(Number.isFinite)) start++;
      this.#rejected += start - first;
      if (start === end) return;
      this.#moments = newMoments(features);
      this.#moments.shift.set(rows.subarray(start * features, (start + 1) * features));
    }
    // The rounding of float32 products averages out over many rows; few take no time.
    const float32Products = this.#float32Products && count >= BLOCK_ROWS;
    this.#rejected += kernels().addRows(this.#moments, rows, start, end - start, float32Products);
  }

  #mergeIn(incoming: MomentSums): void {
    if (!this.#moments) {
      this.#moments = newMoments(this.features);
      this.#moments.shift.set(incoming.shift);
    }
    mergeMoments(this.#moments, incoming);
  }
}

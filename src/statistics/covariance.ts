import { checkAttached, describe } from '../errors.js';
import { kernels } from '../kernels/kernels.js';
import {
  type MomentSums,
  mergeMoments,
  newMoments,
  packedLength,
  type Rows,
  type SummedBy,
  unpack,
} from '../kernels/moments.js';
import type { SymmetricMatrix } from '../kernels/symmetric.js';
import { mergeUnits, newUnitSums, type UnitSums } from '../kernels/units.js';
import { BLOCK_ROWS } from '../kernels/wasm/moments.js';
import {
  type AccumulatorOptions,
  type AccumulatorState,
  type BytesOptions,
  coarser,
  decode,
  encode,
  type Precision,
} from './accumulator-state.js';
import { addClasses, type ClassSums, classesAbout, mergeClasses } from './class-sums.js';
import { type UnitMeasures, unitMeasuresOf } from './unit-sums.js';
import { WaitingRows } from './waiting-rows.js';

/*
 * Rows of samples come in, their mean and covariance come out, at any time and without keeping all rows.
 *
 * Rows first wait in a buffer. They are folded into the moments (mean and scatter, kernels/moments.ts) when so many wait
 * that the buffer would outgrow the scatter, or when someone asks for the mean or the covariance. Whether a waiting row
 * is finite is checked only when that matters, so that adding rows costs no more than a copy.
 */

function checkBoolean(option: string, value: boolean): void {
  if (typeof value !== 'boolean') throw new TypeError(`${option}: expected true or false, got ${describe(value)}`);
}

/** How many rows may wait once there is a scatter. Rows of many features take more memory, so fewer of them wait. */
function foldRowsOf(features: number): number {
  return features > 768 ? BLOCK_ROWS : 2 * BLOCK_ROWS;
}

/**
 * Streaming mean and covariance in float64.
 *
 * - Exact for any mean: the scatter is summed about the running mean, never as a difference of large sums.
 * - Mergeable: shards of the samples give what the whole gives.
 * - A feature that never varied has exactly zero variance, whatever its value, also after `merge` and `fromBytes`.
 * - Rows with a NaN or an Infinity are left out and counted in `rejected`.
 * - Memory: while there are no more rows than features, the rows themselves are kept (their Gram matrix then gives the
 *   spectrum for less). After that, features * (features + 1) / 2 float64 numbers and at most 384 rows (192 rows if there
 *   are more than 768 features) are kept.
 *
 * @example
 * ```js
 * import { CovarianceAccumulator, Spectrum } from 'delve-tensorboard';
 *
 * const accumulator = new CovarianceAccumulator(3);
 * accumulator.update([1, 2, 3, 2, 4, 6.5, 3, 5, 9]); // three rows
 * console.log(Spectrum.of(accumulator).saturation(0.99));
 * ```
 */
export class CovarianceAccumulator {
  /** Columns of the sample matrix. */
  readonly features: number;
  readonly #float32Products: boolean;
  readonly #foldRows: number;
  #rejected = 0;
  #precision: Precision = 'float64';
  /** Mean and scatter of the rows folded so far. */
  #moments: MomentSums | undefined;
  #waiting: WaitingRows;
  /** Sums per unit over all rows, if they were asked for. */
  #units: UnitSums | undefined;
  /** Sums per class over the rows whose class is known. */
  #classes: ClassSums | undefined;

  /**
   * An accumulator without rows.
   *
   * @param features Columns of the sample matrix, a positive integer
   * @throws RangeError if `features` is not a positive integer
   */
  constructor(features: number, options: AccumulatorOptions = {}) {
    if (!Number.isSafeInteger(features) || features < 1) {
      throw new RangeError(`features: expected a positive integer, got ${describe(features)}`);
    }
    this.features = features;
    this.#float32Products = options.float32Products ?? false;
    this.#foldRows = foldRowsOf(features);
    this.#waiting = new WaitingRows(features);
    if (options.units) this.#units = newUnitSums(features);
  }

  /** Rows used. */
  get count(): number {
    this.#checkWaiting();
    return (this.#moments?.count ?? 0) + this.#waiting.count;
  }

  /** Rows left out because they held a NaN or an Infinity. */
  get rejected(): number {
    this.#checkWaiting();
    return this.#rejected;
  }

  /** The coarsest precision of what was added: see Precision. */
  get precision(): Precision {
    return this.#precision;
  }

  /** Whose rounding the sums have: they are the same to the bit if the same kernels sum. Undefined until rows are summed. */
  get kernels(): SummedBy | undefined {
    return this.#moments?.kernels;
  }

  // Adding rows.

  /**
   * Adds rows.
   *
   * @param samples Row-major numbers, `features` per row. Float32Array and Float64Array are read without conversion.
   *   The numbers are copied: the array may be reused at once.
   * @param rows How many rows to take from the front; all by default
   * @throws RangeError if the numbers are not that many rows
   */
  update(samples: ArrayLike<number>, rows?: number): void {
    this.updateMoments(samples, rows, this.#units);
  }

  /** @internal As update, but the sums per unit are another's or nobody's. */
  updateMoments(samples: ArrayLike<number>, rows?: number, units?: UnitSums): void {
    const { features } = this;
    const count = rows ?? samples.length / features;
    if (!Number.isInteger(count) || count < 0 || count * features > samples.length) {
      throw new RangeError(
        `update: expected ${rows === undefined ? '' : `${rows} `}rows of ${features} features, got ${samples.length} numbers`,
      );
    }
    if (count === 0) {
      checkAttached(samples, 'update');
      return;
    }
    const source: Rows =
      samples instanceof Float32Array || samples instanceof Float64Array ? samples : Float64Array.from(samples);
    if (source instanceof Float32Array) this.#precision = coarser(this.#precision, 'float32 rows');
    if (units) kernels().addUnits(units, source, count);
    if (count >= this.#foldRows && (this.#moments || count > this.#waitingLimit(source.BYTES_PER_ELEMENT))) {
      this.#fold();
      this.#foldIn(source, count);
      return;
    }
    for (let done = 0; done < count; ) {
      this.#waiting.widenFor(source);
      const limit = this.#waitingLimit(this.#waiting.bytesPerNumber);
      const size = Math.min(limit - this.#waiting.count, count - done);
      if (size > 0) this.#waiting.append(source.subarray(done * features, (done + size) * features), limit);
      else this.#fold();
      done += Math.max(0, size);
    }
  }

  /**
   * Adds rows whose mean and scatter were computed elsewhere, on a GPU for example.
   *
   * A feature whose mean carries rounding (a constant summed in float32) is no longer exactly constant. Subtract one of
   * its own rows from all rows before summing, and it stays exactly constant.
   *
   * @param count How many rows they are
   * @param mean Mean of each feature
   * @param scatter Sum of (x - mean)(x - mean)^T over the rows: features x features numbers, row-major, of which the lower
   *   triangle is read, or the lower triangle packed by rows
   * @param rejected How many rows were left out there
   * @param precision Of the rows and of their products
   * @throws RangeError if a length does not fit, or a number is not finite
   */
  updateCentered(
    count: number,
    mean: ArrayLike<number>,
    scatter: ArrayLike<number>,
    rejected = 0,
    precision: Precision = 'float64',
  ): void {
    const { features } = this;
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new RangeError(`updateCentered: expected a count that is a non-negative integer, got ${describe(count)}`);
    }
    if (mean.length !== features) {
      throw new RangeError(`updateCentered: expected a mean of ${features} features, got ${mean.length} numbers`);
    }
    const packed = scatter.length === packedLength(features) && features > 1;
    if (!packed && scatter.length !== features * features) {
      throw new RangeError(
        `updateCentered: expected a scatter of ${features} x ${features} numbers or its packed lower triangle ` +
          `(${packedLength(features)}), got ${scatter.length} numbers`,
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
      throw new RangeError('updateCentered: expected finite numbers only, got a NaN or an Infinity');
    }
    this.#precision = coarser(this.#precision, precision);
    this.#fold();
    this.#mergeMoments(incoming);
  }

  /** @internal Adds rows to the sums per unit alone, of what updateCentered is given of the others; nothing if there are none. */
  updateUnits(rows: Rows): void {
    if (this.#units) kernels().addUnits(this.#units, rows, rows.length / this.features);
  }

  /** @internal Adds rows to the sums per class alone: rows that `update` adds to the others. */
  updateClasses(rows: Rows, labels: ArrayLike<number>): void {
    this.#classes = addClasses(this.#classes, this.features, rows, labels);
  }

  /** @internal Sums per class; undefined if there are none. */
  get classes(): ClassSums | undefined {
    return this.#classes;
  }

  /**
   * Adds all rows of another accumulator, which stays as it is.
   *
   * @throws RangeError if it has other features
   */
  merge(other: CovarianceAccumulator): void {
    if (other.features !== this.features) {
      throw new RangeError(`merge: expected an accumulator of ${this.features} features, got one of ${other.features}`);
    }
    // `other` may be this accumulator: then its moments change when rows are folded, so all are folded first.
    if (other === this && this.#moments) this.#fold();
    const rows = other.#waiting.rows()?.slice();
    const moments = other.#moments;
    const rejected = other.#rejected;
    const units = other.#units;
    const classes = other.#classes;
    this.#precision = coarser(this.#precision, other.#precision);
    if (moments) {
      this.#fold();
      this.#mergeMoments(moments);
    }
    if (rows) this.updateMoments(rows);
    this.#rejected += rejected;
    if (units && this.#units) mergeUnits(this.#units, units);
    if (classes) this.#classes = mergeClasses(this.#classes, classes);
  }

  /** Forgets all rows. */
  reset(): void {
    this.#moments = undefined;
    this.#waiting = new WaitingRows(this.features);
    this.#rejected = 0;
    this.#precision = 'float64';
    if (this.#units) this.#units = newUnitSums(this.features);
    this.#classes = undefined;
  }

  // What the rows give.

  /** @internal What tells dead units and outliers; undefined if it was not asked for, or there was no row. */
  unitMeasures(): UnitMeasures | undefined {
    return this.#units && unitMeasuresOf(this.#units);
  }

  /** Mean of each feature; NaN if no row was used. */
  mean(): Float64Array {
    const mean = new Float64Array(this.features).fill(Number.NaN);
    const moments = this.#folded();
    if (moments) for (let j = 0; j < mean.length; j++) mean[j] = moments.shift[j] + moments.offset[j];
    return mean;
  }

  /** Population covariance (divided by n), features x features, row-major; NaN if no row was used. */
  covariance(): Float64Array {
    const moments = this.#folded();
    const { features } = this;
    if (!moments) return new Float64Array(features * features).fill(Number.NaN);
    return unpack(moments.scatter, features, 1 / moments.count);
  }

  /** Variance of each feature (divided by n), without the rest of the covariance; NaN if no row was used. */
  variances(): Float64Array {
    const variances = new Float64Array(this.features).fill(Number.NaN);
    const moments = this.#folded();
    if (moments) {
      for (let i = 0; i < variances.length; i++)
        variances[i] = moments.scatter[packedLength(i + 1) - 1] / moments.count;
    }
    return variances;
  }

  /** Trace of the covariance: the total variance. NaN if no row was used. */
  trace(): number {
    return this.variances().reduce((sum, x) => sum + x, 0);
  }

  /** Mean of each feature, as `mean` says, but 0 if no row was used. Folds nothing: waiting rows go on waiting. */
  meanSoFar(): Float64Array {
    this.#checkWaiting();
    const moments = this.#moments;
    if (moments) return moments.shift.map((x, j) => x + moments.offset[j]);
    const sums = new Float64Array(this.features);
    const rows = this.#waiting.rows();
    if (!rows) return sums;
    for (let p = 0, j = 0; p < rows.length; p++) {
      sums[j] += rows[p];
      if (++j === this.features) j = 0;
    }
    return sums.map((sum) => sum / this.#waiting.count);
  }

  /**
   * The smaller one of two matrices that have the same nonzero eigenvalues: the scatter or, while all rows are still
   * waiting and are fewer than the features, their Gram matrix (the inner products of the rows about their mean). Divide
   * its eigenvalues by `count` to get those of the covariance.
   *
   * @param about 'zero' takes the rows as they are: the eigenvalues are the squares of the singular values of the rows
   */
  spectralMatrix(about: 'mean' | 'zero' = 'mean'): SymmetricMatrix {
    this.#checkWaiting();
    const { count } = this.#waiting;
    if (!this.#moments && count > 0 && count < this.features) return this.#waiting.gramMatrix(about);
    const scatter = this.scatterMatrix();
    if (about === 'mean') return scatter;
    const mean = this.mean();
    const entries = scatter.entries.slice();
    for (let i = 0, p = 0; i < mean.length; i++) {
      for (let j = 0; j <= i; j++, p++) entries[p] += this.count * mean[i] * mean[j];
    }
    return { ...scatter, entries };
  }

  /** Sum of (x - mean)(x - mean)^T over the rows: the covariance times `count`. It is valid until the next change. */
  scatterMatrix(): SymmetricMatrix {
    const { features } = this;
    const entries = this.#folded()?.scatter ?? new Float64Array(packedLength(features));
    return { size: features, entries, packed: true };
  }

  // Saving and moving: as bytes, or as a state that another thread can take over.

  /**
   * Everything that `fromBytes` needs, in a versioned little-endian format; all numbers survive bit by bit.
   *
   * The bytes hold single rows, unless the option `withoutRows` says otherwise: activations themselves, which may tell of the data
   * that they were made from.
   */
  toBytes({ withoutRows = false }: BytesOptions = {}): Uint8Array {
    checkBoolean('withoutRows', withoutRows);
    this.#checkWaiting();
    if (withoutRows) this.#fold();
    const state = this.#state();
    const { moments, classes } = state;
    if (!withoutRows || !moments) return encode(state);
    const mean = this.mean();
    const about = { ...moments, shift: mean, offset: new Float64Array(this.features) };
    return encode({ ...state, moments: about, classes: classes && classesAbout(classes, mean) });
  }

  /**
   * The accumulator as it was at `toBytes`.
   *
   * @throws RangeError if the bytes are not from there, or were cut
   */
  static fromBytes(bytes: Uint8Array): CovarianceAccumulator {
    return CovarianceAccumulator.fromState(decode(bytes));
  }

  /** @internal As fromBytes, but keeps the bytes, and changes them when rows are added: nothing is copied. */
  static fromOwnBytes(bytes: Uint8Array): CovarianceAccumulator {
    return CovarianceAccumulator.fromState(decode(bytes, true));
  }

  /** @internal A copy of what this consists of; its waiting rows may hold numbers that are not finite. */
  copyState(): AccumulatorState {
    const { rows, ...rest } = this.#state();
    return { ...structuredClone(rest), rows: rows?.slice() }; // of the rows' buffer only a part is in use
  }

  /** @internal Hands over what this consists of and forgets all rows: nothing is copied, checked or computed. */
  takeState(): AccumulatorState {
    const state = this.#state();
    this.reset();
    return state;
  }

  /** @internal An accumulator that owns the arrays of a state. */
  static fromState(state: AccumulatorState, options?: AccumulatorOptions): CovarianceAccumulator {
    const accumulator = new CovarianceAccumulator(state.features, options);
    if (state.units) accumulator.#units = state.units;
    accumulator.#classes = state.classes;
    accumulator.#rejected = state.rejected;
    accumulator.#precision =
      state.rows instanceof Float32Array ? coarser(state.precision, 'float32 rows') : state.precision;
    accumulator.#moments = state.moments;
    accumulator.#waiting = new WaitingRows(state.features, state.rows);
    return accumulator;
  }

  #state(): AccumulatorState {
    return {
      features: this.features,
      rejected: this.#rejected,
      moments: this.#moments,
      rows: this.#waiting.rows(),
      precision: this.#precision,
      units: this.#units,
      classes: this.#classes,
    };
  }

  // Waiting rows.

  /** How many rows may wait: before there is a scatter, so many that they take no more memory than it would. */
  #waitingLimit(width: number): number {
    if (this.#moments) return this.#foldRows;
    return Math.max(this.#foldRows, width === 4 ? this.features : this.features >> 1);
  }

  /** Takes out and counts waiting rows that hold a NaN or an Infinity. */
  #checkWaiting(): void {
    this.#rejected += this.#waiting.leaveOutNonFinite();
  }

  // The moments of the folded rows.

  /** The moments of all rows; undefined if no row was used. */
  #folded(): MomentSums | undefined {
    this.#fold();
    return this.#moments;
  }

  /** Folds the waiting rows. Their buffer is kept for the next ones unless it is larger than those need. */
  #fold(): void {
    const rows = this.#waiting.rows();
    if (!rows) return;
    this.#foldIn(rows, this.#waiting.count);
    this.#waiting.clear(this.#foldRows);
  }

  /** Adds `count` rows to the moments. */
  #foldIn(rows: Rows, count: number): void {
    const { features } = this;
    let start = 0;
    if (!this.#moments) {
      while (start < count && !rows.subarray(start * features, (start + 1) * features).every(Number.isFinite)) start++;
      this.#rejected += start;
      if (start === count) return;
      this.#moments = newMoments(features);
      this.#moments.shift.set(rows.subarray(start * features, (start + 1) * features));
    }
    // The rounding of float32 products averages out over many rows; few rows take no time.
    const float32Products = this.#float32Products && count >= BLOCK_ROWS;
    if (float32Products && rows instanceof Float32Array) this.#precision = 'float32 products';
    this.#rejected += kernels().addRows(this.#moments, rows, start, count - start, float32Products);
  }

  #mergeMoments(incoming: MomentSums): void {
    if (!this.#moments) {
      this.#moments = newMoments(this.features);
      this.#moments.shift.set(incoming.shift);
    }
    mergeMoments(this.#moments, incoming);
  }
}

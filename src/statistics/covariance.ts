import { kernels } from '../kernels/kernels.js';
import { keepFiniteRows, mergeMoments, newMoments, packedLength, unpack } from '../kernels/moments.js';
import type { MomentSums, Rows, SymmetricMatrix } from '../kernels/numeric-kernels.js';
import { BLOCK_ROWS } from '../kernels/wasm/moments.js';

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

/** What a CovarianceAccumulator consists of. */
export interface AccumulatorState {
  features: number;
  rejected: number;
  moments: MomentSums | undefined;
  /** Rows not yet folded into the moments. */
  rows: Rows | undefined;
}

/*
 * Layout, little-endian. Header of 40 bytes: 8 bytes of ASCII "dtbcov01", then float64 features, rejected, and count
 * (0: no moments), uint32 pending rows, uint32 bytes per number of those rows (4 or 8). Then, where count > 0, float64
 * shift, offset (features each) and scatter (packed lower triangle); then the pending rows.
 */
const MAGIC = 'dtbcov01';
const HEADER_BYTES = 40;

/** Writes the state in a versioned little-endian format. */
export function encodeAccumulator(state: AccumulatorState): Uint8Array {
  const { features, moments, rows } = state;
  const numbers = moments ? 2 * features + packedLength(features) : 0;
  const bytes = new Uint8Array(HEADER_BYTES + numbers * 8 + (rows ? rows.byteLength : 0));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC.charCodeAt(i);
  view.setFloat64(8, features, true);
  view.setFloat64(16, state.rejected, true);
  view.setFloat64(24, moments?.count ?? 0, true);
  view.setUint32(32, rows ? rows.length / features : 0, true);
  view.setUint32(36, rows?.BYTES_PER_ELEMENT ?? 4, true);
  let at = HEADER_BYTES;
  for (const part of moments ? [moments.shift, moments.offset, moments.scatter] : []) {
    for (const x of part) {
      view.setFloat64(at, x, true);
      at += 8;
    }
  }
  if (rows instanceof Float32Array) for (const x of rows) view.setFloat32((at += 4) - 4, x, true);
  else if (rows) for (const x of rows) view.setFloat64((at += 8) - 8, x, true);
  return bytes;
}

/** Reads what encodeAccumulator wrote. RangeError when the bytes are something else or were cut. */
export function decodeAccumulator(bytes: Uint8Array): AccumulatorState {
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC || bytes.length < HEADER_BYTES) {
    throw new RangeError(`Expected the bytes of a CovarianceAccumulator, starting with "${MAGIC}".`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const features = view.getFloat64(8, true);
  const count = view.getFloat64(24, true);
  const pending = view.getUint32(32, true);
  const width = view.getUint32(36, true);
  const numbers = count > 0 ? 2 * features + packedLength(features) : 0;
  const expected = HEADER_BYTES + numbers * 8 + pending * features * width;
  if (!Number.isSafeInteger(features) || features < 1 || (width !== 4 && width !== 8) || bytes.length !== expected) {
    throw new RangeError(
      `The bytes of a CovarianceAccumulator are damaged: expected ${expected}, got ${bytes.length}.`,
    );
  }
  let at = HEADER_BYTES;
  let moments: MomentSums | undefined;
  if (count > 0) {
    moments = newMoments(features);
    moments.count = count;
    for (const part of [moments.shift, moments.offset, moments.scatter]) {
      for (let i = 0; i < part.length; i++, at += 8) part[i] = view.getFloat64(at, true);
    }
  }
  let rows: Rows | undefined;
  if (pending > 0) {
    rows = width === 4 ? new Float32Array(pending * features) : new Float64Array(pending * features);
    for (let i = 0; i < rows.length; i++, at += width) {
      rows[i] = width === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true);
    }
  }
  return { features, rejected: view.getFloat64(16, true), moments, rows };
}

/** Rows waiting to be folded into a scatter: as float32 until one batch comes as float64. */
export class PendingRows {
  readonly #features: number;
  #rows: Rows | undefined;
  #count = 0;
  /** How many of the rows are known to be finite. */
  #checked = 0;

  constructor(features: number, rows?: Rows) {
    this.#features = features;
    this.#rows = rows;
    this.#count = rows ? rows.length / features : 0;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of one number. */
  get width(): number {
    return this.#rows?.BYTES_PER_ELEMENT ?? 4;
  }

  /** The rows themselves, not a copy; undefined when there is none. */
  get rows(): Rows | undefined {
    return this.#count > 0 ? this.#rows?.subarray(0, this.#count * this.#features) : undefined;
  }

  /** Makes the rows as precise as `source`. */
  widenFor(source: Rows): void {
    if (!this.#rows) this.#rows = source.BYTES_PER_ELEMENT === 4 ? new Float32Array(0) : new Float64Array(0);
    else if (this.width < source.BYTES_PER_ELEMENT) this.#rows = Float64Array.from(this.rows ?? []);
  }

  /** Copies numbers behind the rows; the memory grows by doubling up to `limit` rows. Call widenFor before. */
  append(numbers: Rows, limit: number): void {
    const start = this.#count * this.#features;
    const needed = start + numbers.length;
    let rows = this.#rows!;
    if (rows.length < needed) {
      const capacity = Math.min(limit * this.#features, Math.max(needed, 2 * rows.length));
      const grown = this.width === 4 ? new Float32Array(capacity) : new Float64Array(capacity);
      grown.set(rows.subarray(0, start));
      this.#rows = rows = grown;
    }
    rows.set(numbers, start);
    this.#count += numbers.length / this.#features;
  }

  /** Takes out rows that hold a NaN or an Infinity; returns how many. */
  rejectNonFinite(): number {
    if (!this.#rows || this.#checked >= this.#count) return 0;
    const features = this.#features;
    const fresh = this.#rows.subarray(this.#checked * features, this.#count * features);
    let check = 0;
    for (let p = 0; p < fresh.length; p++) check += fresh[p] * 0; // NaN for NaN and Infinity alone
    const before = this.#count;
    if (check !== 0) this.#count = this.#checked + keepFiniteRows(fresh, this.#count - this.#checked, features);
    this.#checked = this.#count;
    return before - this.#count;
  }

  /** Forgets the rows, keeping memory for at most `kept` more. */
  clear(kept: number): void {
    if (this.#rows && this.#rows.length > kept * this.#features) this.#rows = undefined;
    this.#count = 0;
    this.#checked = 0;
  }

  /** Largest absolute mean of a feature. */
  largestMean(): number {
    const rows = this.rows ?? [];
    const sums = new Float64Array(this.#features);
    for (let p = 0, j = 0; p < rows.length; p++) {
      sums[j] += rows[p];
      if (++j === this.#features) j = 0;
    }
    return sums.reduce((largest, sum) => Math.max(largest, Math.abs(sum / this.#count)), 0);
  }

  /** Inner products of the rows about their mean: count x count, packed. */
  gramMatrix(): SymmetricMatrix {
    const features = this.#features;
    const count = this.#count;
    const rows = this.rows ?? [];
    // The kernel sums outer products of rows; the Gram matrix is that of the transposed matrix.
    const columns = new Float64Array(rows.length);
    for (let j = 0; j < features; j++) {
      const shift = rows[j]; // a feature that never varies stays exactly zero
      let sum = 0;
      for (let p = j; p < rows.length; p += features) sum += rows[p] - shift;
      const centre = shift + sum / count;
      for (let i = 0; i < count; i++) columns[j * count + i] = rows[i * features + j] - centre;
    }
    const entries = new Float64Array(packedLength(count));
    kernels().addOuterProducts(entries, columns, features, count);
    return { size: count, entries, packed: true };
  }
}

import { kernels } from '../kernels/kernels.js';
import { keepFiniteRows } from '../kernels/merge-weights.js';
import { packedLength } from '../kernels/moments.js';
import type { Rows, SymmetricMatrix } from '../kernels/numeric-kernels.js';

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

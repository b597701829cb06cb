import { kernels } from '../kernels/kernels.js';
import { keepFiniteRows, packedLength, type Rows } from '../kernels/moments.js';
import type { SymmetricMatrix } from '../kernels/symmetric.js';

/** A buffer of rows (n x features): float32 until a batch comes as float64. */
export class WaitingRows {
  readonly #features: number;
  /** Its first `#count` rows are in use. */
  #buffer: Rows | undefined;
  #count: number;
  /** How many of them are known to be finite. */
  #checked = 0;

  /** @param rows what it begins with, which it keeps and changes */
  constructor(features: number, rows?: Rows) {
    this.#features = features;
    this.#buffer = rows;
    this.#count = rows ? rows.length / features : 0;
  }

  /** Rows in the buffer. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of one number in the buffer. */
  get bytesPerNumber(): number {
    return this.#buffer?.BYTES_PER_ELEMENT ?? 4;
  }

  /** The rows themselves, not a copy; undefined if there are none. */
  rows(): Rows | undefined {
    return this.#count > 0 ? this.#buffer?.subarray(0, this.#count * this.#features) : undefined;
  }

  /** Makes the buffer as precise as `source`, so that no number is rounded. */
  widenFor(source: Rows): void {
    if (!this.#buffer) this.#buffer = source.BYTES_PER_ELEMENT === 4 ? new Float32Array(0) : new Float64Array(0);
    else if (this.bytesPerNumber < source.BYTES_PER_ELEMENT) this.#buffer = Float64Array.from(this.rows() ?? []);
  }

  /** Copies rows behind the others; the buffer grows by doubling up to `limit` rows. Call widenFor before. */
  append(rows: Rows, limit: number): void {
    const start = this.#count * this.#features;
    const needed = start + rows.length;
    let buffer = this.#buffer!;
    if (buffer.length < needed) {
      const capacity = Math.min(limit * this.#features, Math.max(needed, 2 * buffer.length));
      const grown = this.bytesPerNumber === 4 ? new Float32Array(capacity) : new Float64Array(capacity);
      grown.set(buffer.subarray(0, start));
      this.#buffer = buffer = grown;
    }
    buffer.set(rows, start);
    this.#count += rows.length / this.#features;
  }

  /** Takes out rows that hold a NaN or an Infinity; returns how many these were. */
  leaveOutNonFinite(): number {
    if (!this.#buffer || this.#checked >= this.#count) return 0;
    const features = this.#features;
    const fresh = this.#buffer.subarray(this.#checked * features, this.#count * features);
    let check = 0;
    for (let p = 0; p < fresh.length; p++) check += fresh[p] * 0; // NaN for NaN and Infinity alone
    const before = this.#count;
    if (check !== 0) this.#count = this.#checked + keepFiniteRows(fresh, before - this.#checked, features);
    this.#checked = this.#count;
    return before - this.#count;
  }

  /** Takes out all rows. The buffer is kept for the next ones unless it holds more than `most`. */
  clear(most: number): void {
    if (this.#buffer && this.#buffer.length > most * this.#features) this.#buffer = undefined;
    this.#count = 0;
    this.#checked = 0;
  }

  /** Inner products of the rows about their mean or zero: `count` x `count` numbers, packed. */
  gramMatrix(about: 'mean' | 'zero'): SymmetricMatrix {
    const features = this.#features;
    const count = this.#count;
    const rows = this.rows() ?? [];
    // The kernel sums outer products of rows; the Gram matrix is that of the transposed matrix.
    const columns = new Float64Array(rows.length);
    for (let j = 0; j < features; j++) {
      const shift = rows[j]; // a feature that never varies stays exactly zero
      let sum = 0;
      for (let p = j; p < rows.length; p += features) sum += rows[p] - shift;
      const center = about === 'mean' ? shift + sum / count : 0;
      for (let i = 0; i < count; i++) columns[j * count + i] = rows[i * features + j] - center;
    }
    const entries = new Float64Array(packedLength(count));
    kernels().addOuterProducts(entries, columns, features, count);
    return { size: count, entries, packed: true };
  }
}

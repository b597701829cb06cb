import { pack, unpack } from './packed-numbers.js';

const KIND = 'dtbrsv01';

/**
 * A uniform random choice of a stream's rows in bounded memory (algorithm L, Li 1994, https://doi.org/10.1145/198429.198435): it
 * draws how many rows to pass over, so that rows that are not chosen cost nothing. It is seeded: the same stream gives the same
 * choice. Rows with a NaN or an Infinity are skipped.
 */
export class Reservoir {
  /** Rows offered so far; of rows with a NaN or an Infinity, those that would have been chosen do not count. */
  seen = 0;
  readonly #rows: Float32Array[] = [];
  readonly #tags: number[] = [];
  #state: number;
  /** How many rows are passed over before the next one is chosen. */
  #left = 0;
  /** The largest of the random numbers that the rows kept would have, if each row of the stream had one. */
  #largest = 1;

  /**
   * @param capacity how many rows to keep at most
   * @param features columns of a row
   * @param seed of the random choice
   */
  constructor(
    readonly capacity: number,
    readonly features: number,
    seed = 1,
  ) {
    this.#state = seed >>> 0;
  }

  /**
   * Offers rows, which are copied as float32 if they are chosen.
   *
   * @param samples n x features numbers, row-major; less than a row at the end is ignored
   * @param tags a number that stays with each row
   */
  add(samples: ArrayLike<number>, tags?: ArrayLike<number>): void {
    const { features, capacity } = this;
    const count = Math.floor(samples.length / features);
    for (let index = 0; index < count; index++) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, count - index);
        this.#left -= passed;
        this.seen += passed;
        index += passed - 1;
        continue;
      }
      const from = index * features;
      let finite = true;
      for (let at = from; at < from + features && finite; at++) finite = Number.isFinite(samples[at]);
      if (!finite) continue;
      const slot = this.seen < capacity ? this.seen : Math.floor(this.#random() * capacity);
      this.seen++;
      const row = (this.#rows[slot] ??= new Float32Array(features));
      for (let column = 0; column < features; column++) row[column] = samples[from + column];
      if (tags !== undefined) this.#tags[slot] = tags[index];
      if (this.seen >= capacity) this.#drawNext();
    }
  }

  #drawNext(): void {
    this.#largest *= (1 - this.#random()) ** (1 / this.capacity);
    this.#left = this.#gap();
  }

  /** How many rows are passed over until one draws a number below the largest one. */
  #gap(): number {
    return Math.floor(Math.log(1 - this.#random()) / Math.log1p(-this.#largest));
  }

  /**
   * Adds the choice of another stream, which stays as it is: afterwards the rows are a uniform random choice of both streams
   * together, whatever their lengths.
   *
   * It is as if each row of both streams had drawn a number in [0, 1) and those with the smallest were kept: of the rows that a
   * full reservoir keeps, the largest number is known, and the others are uniform below it.
   *
   * @throws RangeError if it has another capacity or other features
   */
  merge(other: Reservoir): void {
    const { capacity, features } = this;
    if (other.capacity !== capacity || other.features !== features) {
      throw new RangeError(
        `merge: expected a choice of ${capacity} rows of ${features} features, got one of ${other.capacity} rows of ${other.features}`,
      );
    }
    const tagged = this.#tags.length + other.#tags.length > 0;
    const drawn = [...this.#drawn(this.#random.bind(this)), ...other.#drawn(this.#random.bind(this))];
    drawn.sort((a, b) => a.number - b.number);
    const kept = drawn.slice(0, capacity);
    this.#rows.splice(0, this.#rows.length, ...kept.map(({ row }) => row));
    if (tagged) this.#tags.splice(0, this.#tags.length, ...kept.map(({ tag }) => tag));
    this.seen += other.seen;
    if (this.seen < capacity) return;
    this.#largest = drawn[capacity - 1].number;
    this.#left = this.#gap();
  }

  /** The rows with the numbers that they would have drawn. */
  #drawn(random: () => number): { row: Float32Array; tag: number; number: number }[] {
    // Any row may have the largest number, the first ones of the stream no more often than others.
    const largest = this.seen >= this.capacity ? Math.floor(random() * this.capacity) : -1;
    return this.#rows.map((row, i) => {
      const number = i === largest ? this.#largest : this.#largest * random();
      return { row, tag: this.#tags[i] ?? 0, number };
    });
  }

  /** Everything that `fromBytes` needs to go on with the same choice. */
  toBytes(): Uint8Array {
    const { capacity, features, seen } = this;
    const numbers = [capacity, features, seen, this.#state, this.#left, this.#largest];
    return pack(KIND, numbers, [this.toArray(), Float64Array.from(this.#tags)]);
  }

  /** The choice as it was at `toBytes`. @throws RangeError if the bytes are not from there, or damaged */
  static fromBytes(bytes: Uint8Array): Reservoir {
    const { numbers, arrays } = unpack(KIND, bytes, 6, [Float32Array, Float64Array]);
    const [capacity, features, seen, state, left, largest] = numbers;
    const [rows, tags] = arrays;
    const counts = [capacity, features, seen, left];
    const isPossible =
      counts.every((count) => Number.isSafeInteger(count) && count >= 0) &&
      features > 0 &&
      capacity > 0 &&
      rows.length === Math.min(capacity, seen) * features &&
      rows.every(Number.isFinite) &&
      (tags.length === 0 || tags.length * features === rows.length) &&
      tags.every(Number.isFinite) &&
      largest >= 0 &&
      largest <= 1;
    if (!isPossible) throw new RangeError('fromBytes: expected rows that were chosen of a stream, got others');
    const reservoir = new Reservoir(capacity, features, state);
    reservoir.seen = seen;
    reservoir.#left = left;
    reservoir.#largest = largest;
    for (let at = 0; at < rows.length; at += features) reservoir.#rows.push(rows.slice(at, at + features));
    reservoir.#tags.push(...tags);
    return reservoir;
  }

  /** The rows chosen so far, each of `features` numbers. */
  rows(): readonly Float32Array[] {
    return this.#rows;
  }

  /** What was given with each of the rows chosen so far. */
  tags(): readonly number[] {
    return this.#tags;
  }

  /** The rows chosen so far in one piece, row-major. */
  toArray(): Float32Array {
    const all = new Float32Array(this.#rows.length * this.features);
    for (const [index, row] of this.#rows.entries()) all.set(row, index * this.features);
    return all;
  }

  /** A number in [0, 1), by mulberry32: 32 bits of state are plenty to choose rows. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}

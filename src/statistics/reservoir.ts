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
    this.#left = Math.floor(Math.log(1 - this.#random()) / Math.log1p(-this.#largest));
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

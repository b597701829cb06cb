/**
 * A uniform random choice of a stream's rows in bounded memory (algorithm R, Vitter 1985,
 * https://doi.org/10.1145/3147.3165). It is seeded: the same stream gives the same choice. Rows with a NaN or an Infinity
 * are skipped.
 */
export class Reservoir {
  /** Rows offered so far, without the skipped ones. */
  seen = 0;
  readonly #rows: Float32Array[] = [];
  #state: number;

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
   */
  add(samples: ArrayLike<number>): void {
    const { features, capacity } = this;
    for (let from = 0; from + features <= samples.length; from += features) {
      let finite = true;
      for (let at = from; at < from + features && finite; at++) finite = Number.isFinite(samples[at]);
      if (!finite) continue;
      const slot = this.seen < capacity ? this.seen : Math.floor(this.#random() * (this.seen + 1));
      this.seen++;
      if (slot >= capacity) continue;
      const row = (this.#rows[slot] ??= new Float32Array(features));
      for (let column = 0; column < features; column++) row[column] = samples[from + column];
    }
  }

  /** The rows chosen so far, each of `features` numbers. */
  rows(): readonly Float32Array[] {
    return this.#rows;
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

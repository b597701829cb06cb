import type { SampleMatrix } from './samples.js';

/** What the rows of a few batches say of a layer's units. */
export interface UnitsSeen {
  /** Rows whose values are all finite. */
  readonly rows: number;
  /** Rows with a NaN or Infinity. */
  readonly broken: number;
  /** Units of the layer. */
  readonly features: number;
  /** Fraction of the units that are not 0 in fewer than 1 % of the rows. */
  readonly dead: number;
}

/** Rows that are looked at together, at least: a unit that lives in few of them would be called dead of fewer. */
const leastRows = 100;
const deadBelow = 0.01;

/** Counts in which rows units are not 0, from one look to the next: what died since the epoch began is told before it ends. */
export class UnitWatch {
  #rows = 0;
  #broken = 0;
  #nonzero = new Uint32Array(0);

  /** Adds rows. */
  add({ values, features }: SampleMatrix): void {
    if (this.#nonzero.length !== features) {
      this.#nonzero = new Uint32Array(features);
      this.#rows = this.#broken = 0;
    }
    const nonzero = this.#nonzero;
    for (let from = 0; from + features <= values.length; from += features) {
      let check = 0;
      for (let j = 0; j < features; j++) {
        check += values[from + j] * 0; // NaN for NaN and Infinity alone
        if (values[from + j] !== 0) nonzero[j]++;
      }
      if (check === 0) this.#rows++;
      else this.#broken++;
    }
  }

  /** What the rows since the last look say; undefined if they are too few, which wait for the next one. */
  look(): UnitsSeen | undefined {
    const [rows, broken, features] = [this.#rows, this.#broken, this.#nonzero.length];
    if (rows + broken < leastRows) return undefined;
    let dead = 0;
    for (const times of this.#nonzero) if (times < deadBelow * (rows + broken)) dead++;
    this.clear();
    return { rows, broken, features, dead: dead / features };
  }

  /** Forgets all rows. */
  clear(): void {
    this.#rows = this.#broken = 0;
    this.#nonzero.fill(0);
  }
}

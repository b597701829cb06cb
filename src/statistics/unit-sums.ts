import type { Rows } from '../kernels/moments.js';

/** What UnitSums consists of; plain, so that it travels between threads. */
export interface UnitSumsState {
  /**
   * Rows used; the largest absolute value; rows whose numbers are not all the same, and the sum of their kurtoses: the members
   * `unitCounts` names.
   */
  count: number;
  largest: number;
  varied: number;
  kurtosis: number;
  /** Per unit: the sum of the absolute values, and how many are not 0. */
  absolute: Float64Array;
  nonzero: Float64Array;
}

/** The members of a state that are single numbers. */
export const unitCounts = ['count', 'largest', 'varied', 'kurtosis'] as const;

/** The sums of no rows. @param features how many units there are */
export function newUnitSums(features: number): UnitSumsState {
  const zeros = () => new Float64Array(features);
  return { count: 0, largest: 0, varied: 0, kurtosis: 0, absolute: zeros(), nonzero: zeros() };
}

/** What rows say of the units of a layer, each a column. */
export interface UnitMeasures {
  /**
   * Fraction of the units that are dead: not 0 in fewer than 1 % of the rows (Dohare et al. 2024, "Loss of plasticity in deep
   * continual learning", Nature 632).
   */
  readonly dead: number;
  /**
   * Fraction of the units that are dormant: their mean absolute value is at most 0.025 of the mean over the units (Sokar et al.
   * 2023, arXiv:2302.12902). All of them are if all values are 0.
   */
  readonly dormant: number;
  /**
   * Mean over the rows of the kurtosis of a row's numbers: mean fourth power over the square of the mean square, both about the
   * row's mean; 3 for Gaussian numbers, up to the number of units if a few are far from all others. Rows of one number only are
   * left out; NaN without others.
   */
  readonly kurtosis: number;
  /** Largest absolute value. */
  readonly largest: number;
}

/** A unit that is not 0 in a smaller fraction of the rows is dead. */
const deadBelow = 0.01;
/** A unit whose mean absolute value is at most this fraction of the mean over the units is dormant. */
const dormantUpTo = 0.025;

/** Sums over rows that tell dead and dormant units and outliers, in float64. Rows with a NaN or an Infinity are left out. */
export class UnitSums {
  readonly #state: UnitSumsState;
  /** The row that is being added. */
  readonly #row: Float64Array;

  /** @param state is taken over */
  constructor(state: UnitSumsState) {
    this.#state = state;
    this.#row = new Float64Array(state.absolute.length);
  }

  /** What this consists of; not a copy. */
  get state(): UnitSumsState {
    return this.#state;
  }

  /** Adds rows. @param rows row-major; less than a row at the end is ignored */
  add(rows: Rows): void {
    const row = this.#row;
    for (let at = 0; at + row.length <= rows.length; at += row.length) {
      // One kind of array in the loops below, so that they are compiled for it.
      row.set(rows.subarray(at, at + row.length));
      this.#addRow(row);
    }
  }

  /** Adds what another one has summed of the same units. */
  merge(other: UnitSumsState): void {
    const { absolute, nonzero } = this.#state;
    this.#state.count += other.count;
    this.#state.varied += other.varied;
    this.#state.kurtosis += other.kurtosis;
    this.#state.largest = Math.max(this.#state.largest, other.largest);
    for (let j = 0; j < absolute.length; j++) {
      absolute[j] += other.absolute[j];
      nonzero[j] += other.nonzero[j];
    }
  }

  #addRow(row: Float64Array): void {
    const { absolute, nonzero } = this.#state;
    const features = row.length;
    const first = row[0];
    // Relative to the first number, so that a row of one number has exactly no variance.
    let sum = 0;
    for (let j = 0; j < features; j++) sum += row[j] - first;
    if (!(sum - sum === 0)) return;
    let largest = this.#state.largest;
    let second = 0;
    let fourth = 0;
    const mean = first + sum / features;
    for (let j = 0; j < features; j++) {
      const x = row[j];
      const size = Math.abs(x);
      absolute[j] += size;
      nonzero[j] += Number(size > 0);
      largest = Math.max(largest, size);
      const square = (x - mean) * (x - mean);
      second += square;
      fourth += square * square;
    }
    this.#state.count++;
    this.#state.largest = largest;
    const kurtosis = (features * fourth) / (second * second);
    if (!Number.isFinite(kurtosis)) return; // all numbers are the same
    this.#state.varied++;
    this.#state.kurtosis += kurtosis;
  }
}

/** What sums say of the units; undefined if there was no row. */
export function unitMeasuresOf({
  count,
  largest,
  varied,
  kurtosis,
  absolute,
  nonzero,
}: UnitSumsState): UnitMeasures | undefined {
  if (count === 0) return undefined;
  const units = absolute.length;
  const mean = absolute.reduce((total, sum) => total + sum, 0) / units;
  // As in the reference, whose 1e-9 keeps a layer of zeros from dividing by 0; there all are dormant.
  const isDormant = (sum: number) => sum / count / (mean / count + 1e-9) <= dormantUpTo;
  return {
    dead: nonzero.reduce((dead, times) => dead + (times / count < deadBelow ? 1 : 0), 0) / units,
    dormant: absolute.reduce((dormant, sum) => dormant + (isDormant(sum) ? 1 : 0), 0) / units,
    kurtosis: varied === 0 ? Number.NaN : kurtosis / varied,
    largest,
  };
}

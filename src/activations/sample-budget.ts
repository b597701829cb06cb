import type { Spectrum } from '../statistics/spectrum.js';
import { DEFAULT_THRESHOLD } from '../statistics/spectrum-measures.js';

/** Rows per feature wanted while nothing is known of the spectrum: enough for 1/i at d = 256 to be 0.004 off. */
const FIRST_ROWS_PER_FEATURE = 64;
/**
 * Rows wanted where one direction is more than the tolerance. Then no sample is sure of a direction at the very edge of the
 * threshold, but of the demo's convolutions half of these rows showed 80 spectra of 80 as all rows do.
 */
const NARROW_ROWS = 2 ** 16;
/** An epoch's rows come from at least so many batches, so that they stand for all of it. */
const BATCHES = 16;

/** Options of a SampleBudget. */
export interface SampleBudgetOptions {
  /** Explained-variance threshold in (0, 1]; 0.99. */
  threshold?: number;
  /** How far the saturation may be from that of all rows: 0.01. */
  tolerance?: number;
}

/**
 * How many of an epoch's rows a layer's saturation needs (`sampling: 'auto'`).
 *
 * The rows are spread evenly over the epoch, since a network changes while it trains. The first epoch takes 64 rows per
 * feature; each epoch's spectrum then tells how many the next one needs so that bias and three standard deviations move
 * the saturation by at most `tolerance` (Spectrum.rowsNeeded). Of layers of fewer than 1 / tolerance features 65,536 rows are
 * wanted whatever the spectrum: one direction more or less is beyond the tolerance there, and a network that changes from
 * epoch to epoch leaves no certainty about the edge (asked for what the last spectrum needed, the demo's convolutions
 * were one direction of 16 off). Rows count as independent of each other: the caller must not count neighbours.
 */
export class SampleBudget {
  readonly #features: number;
  readonly #threshold: number;
  readonly #tolerance: number;
  readonly #isNarrow: boolean;
  #target: number;
  #expected = Number.POSITIVE_INFINITY;
  #offered = 0;
  #used = 0;
  /** Rows used of the last epoch that ended, and whether those were all. */
  #lastUsed = 0;
  #tookAll = true;

  /** @param features Columns of the layer's sample matrix. */
  constructor(features: number, options: SampleBudgetOptions = {}) {
    this.#features = features;
    this.#threshold = options.threshold ?? DEFAULT_THRESHOLD;
    this.#tolerance = options.tolerance ?? 0.01;
    this.#isNarrow = features * this.#tolerance < 1;
    this.#target = this.#isNarrow ? NARROW_ROWS : FIRST_ROWS_PER_FEATURE * features;
  }

  /** Rows wanted of an epoch. */
  get target(): number {
    return this.#target;
  }

  /**
   * Starts the first epoch, or one of another length.
   *
   * @param expectedRows Rows that it will offer; where that is not known all are taken.
   */
  beginEpoch(expectedRows?: number): void {
    this.#expected = expectedRows ?? this.#target;
  }

  /** Ends an epoch and starts the next one, of as many rows. */
  endEpoch(): void {
    this.#lastUsed = this.#used;
    this.#tookAll = this.#used >= this.#offered;
    if (this.#offered > 0) this.#expected = this.#offered;
    this.#offered = 0;
    this.#used = 0;
  }

  /** How many rows to use of a batch of `rows`: 0, all, or some in between, to be taken at even distances. */
  rowsToUse(rows: number): number {
    const rate = this.#target / this.#expected;
    this.#offered += rows;
    // Leaving out fewer than half of the rows spares little and is a risk all the same.
    if (rate > 0.5) {
      this.#used += rows;
      return rows;
    }
    const portion = Math.min(rows, Math.ceil(this.#target / BATCHES));
    if (this.#used >= rate * this.#offered) return 0;
    this.#used += portion;
    return portion;
  }

  /** Learns how many rows the next epochs need from the spectrum of the last one that ended; the next may have begun. */
  adaptTo(spectrum: Spectrum): void {
    if (this.#isNarrow) return;
    const options = { threshold: this.#threshold, tolerance: this.#tolerance };
    const needed = spectrum.rowsNeeded({ ...options, samples: Number.POSITIVE_INFINITY });
    // From few rows the spectrum is steeper than the truth and asks for too little: never trust a fall beyond half.
    const least = this.#tookAll ? 0 : this.#lastUsed / 2;
    this.#target = Math.max(needed, least, this.#features);
  }
}

import type { Spectrum } from '../statistics/spectrum.js';
import { DEFAULT_THRESHOLD } from '../statistics/spectrum-measures.js';

/** Rows per feature that are needed until a spectrum is known: with a 1/i spectrum at d = 256 they are 0.004 off. */
const FIRST_ROWS_PER_FEATURE = 64;
/**
 * Rows that are needed if one direction is more than the tolerance. Then no sample is certain about a direction at the very
 * edge of the threshold; but half of these rows showed all 80 of 80 spectra of the demo's convolutions as all rows do.
 */
const NARROW_ROWS = 2 ** 16;
/** Fewest batches from which an epoch's rows are taken, so that they represent the whole epoch. */
const BATCHES = 16;

/** Options of a SampleBudget. */
export interface SampleBudgetOptions {
  /** Explained-variance threshold in (0, 1]. Default 0.99. */
  threshold?: number;
  /** How far the saturation may be from that of all rows. Default 0.01. */
  tolerance?: number;
}

/**
 * How many of an epoch's rows a layer's saturation needs (`sampling: 'auto'`).
 *
 * The rows are spread evenly over the epoch, because a network changes while it trains. The first epoch takes 64 rows per
 * feature. Each epoch's spectrum then says how many rows the next epoch needs so that bias and three standard deviations
 * move the saturation by at most `tolerance` (Spectrum.rowsNeeded). Layers of fewer than 1 / tolerance features need 65,536
 * rows whatever their spectrum: one direction more or less exceeds the tolerance there, and a network that changes from
 * epoch to epoch leaves no certainty about the edge (with the rows that the last spectrum needed, the demo's convolutions
 * were off by one of 16 directions). Rows count as independent of each other: the caller must not count neighbors.
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
  /** How many rows of the last ended epoch were used, and whether those were all. */
  #lastUsed = 0;
  #tookAll = true;

  /** @param features columns of the layer's sample matrix */
  constructor(features: number, options: SampleBudgetOptions = {}) {
    this.#features = features;
    this.#threshold = options.threshold ?? DEFAULT_THRESHOLD;
    this.#tolerance = options.tolerance ?? 0.01;
    this.#isNarrow = features * this.#tolerance < 1;
    this.#target = this.#isNarrow ? NARROW_ROWS : FIRST_ROWS_PER_FEATURE * features;
  }

  /** How many rows of an epoch are needed. */
  get target(): number {
    return this.#target;
  }

  /**
   * Starts the first epoch, or one of another length.
   *
   * @param expectedRows how many rows the epoch will offer; if that is unknown, all are used
   */
  beginEpoch(expectedRows?: number): void {
    this.#expected = expectedRows ?? this.#target;
  }

  /** Ends an epoch and starts the next one, which is expected to have as many rows. */
  endEpoch(): void {
    this.#lastUsed = this.#used;
    this.#tookAll = this.#used >= this.#offered;
    if (this.#offered > 0) this.#expected = this.#offered;
    this.#offered = 0;
    this.#used = 0;
  }

  /** How many rows of a batch of `rows` to use: none, all, or a number in between, at even distances. */
  rowsToUse(rows: number): number {
    const rate = this.#target / this.#expected;
    this.#offered += rows;
    // Leaving out less than half of the rows saves little, and is a risk all the same.
    if (rate > 0.5) {
      this.#used += rows;
      return rows;
    }
    const portion = Math.min(rows, Math.ceil(this.#target / BATCHES));
    if (this.#used >= rate * this.#offered) return 0;
    this.#used += portion;
    return portion;
  }

  /** Derives from the spectrum of the last ended epoch how many rows the next epochs need. The next may have begun. */
  adaptTo(spectrum: Spectrum): void {
    if (this.#isNarrow) return;
    const options = { threshold: this.#threshold, tolerance: this.#tolerance };
    const needed = spectrum.rowsNeeded({ ...options, samples: Number.POSITIVE_INFINITY });
    // A spectrum of few rows is steeper than the truth and asks for too few rows: a fall beyond half is not trusted.
    const least = this.#tookAll ? 0 : this.#lastUsed / 2;
    this.#target = Math.max(needed, least, this.#features);
  }
}

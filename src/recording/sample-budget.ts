import type { Spectrum } from '../statistics/spectrum.js';
import { DEFAULT_THRESHOLD } from '../statistics/spectrum-measures.js';
import { goldenRatio, independentPerItem } from './samples.js';

/** Rows per feature that are needed until a spectrum is known: with a 1/i spectrum at d = 256 they are 0.004 off. */
const FIRST_ROWS_PER_FEATURE = 64;
/**
 * Rows per feature that are used at least, because rows are not Gaussian, as rowsNeeded takes them to be: of classes that lie
 * in subspaces of their own, and of data that drifts, 16 rows per feature were off by one of 100 directions, 32 by none.
 */
const LEAST_ROWS_PER_FEATURE = 32;
/** Rows per feature that are needed at most where the threshold lies on a floor of equal eigenvalues. */
const FLOOR_ROWS_PER_FEATURE = 1500;
/**
 * Rows per feature that the corrected saturation needs: with 8 it was within 0.01 or a direction of the truth in 97 of 100 spectra, with
 * 4 in 93 (docs/few-rows.md).
 */
const CORRECTED_ROWS_PER_FEATURE = 8;
/** Rows that are used at least for it: of a narrow layer they cost nothing. */
const LEAST_CORRECTED_ROWS = 1024;
/**
 * Rows that are needed if one direction is more than the tolerance. Then no sample is certain about a direction at the very
 * edge of the threshold; but half of these rows showed all 80 of 80 spectra of the demo's convolutions as all rows do.
 */
const NARROW_ROWS = 2 ** 16;

/** Options of a SampleBudget. */
export interface SampleBudgetOptions {
  /** Explained-variance threshold in (0, 1]. Default 0.99. */
  threshold?: number;
  /** How far the saturation may be from that of all rows. Default 0.01. */
  tolerance?: number;
  /** Whether as many rows are enough as the corrected saturation needs (`sampling: 'corrected'`). Default false. */
  forCorrected?: boolean;
}

/** An epoch, or a batch, as far as a budget is concerned. */
export interface Extent {
  /** Rows of the sample matrix. */
  readonly rows: number;
  /** Images or sequences to which the rows belong. */
  readonly items: number;
}

/**
 * How many of an epoch's rows a layer's saturation needs (`sampling: 'auto'`).
 *
 * All batches of an epoch give the same share of their rows, so that what is used shows the whole epoch in whatever order
 * the data comes: sorted by class, in blocks, as time passes, or while the network changes. The first epoch takes 64 rows
 * per feature. Each epoch's spectrum then says how many rows the next epoch to begin needs so that bias and three standard
 * deviations move the saturation by at most `tolerance` (Spectrum.rowsNeeded, which is for rows drawn at random from the
 * whole epoch; rows from all of its batches are no worse). Layers of fewer than 1 / tolerance features need 65,536 rows whatever their
 * spectrum: one direction more or less exceeds the tolerance there, and a network that changes from epoch to epoch leaves
 * no certainty about the edge (with the rows that the last spectrum needed, the demo's convolutions were off by one of 16
 * directions). With `sampling: 'corrected'` every epoch takes 8 rows per feature.
 */
export class SampleBudget {
  readonly #features: number;
  readonly #threshold: number;
  readonly #tolerance: number;
  /** Whether the target stays as it is, whatever spectra say. */
  readonly #isFixed: boolean;
  #target: number;
  /** What the running epoch is expected to offer; undefined if that is unknown. */
  #expected: Extent | undefined;
  /** What the running epoch has offered so far, and how many of these rows were used. */
  #offered: Extent = nothing;
  #used = 0;
  /** Which share of the rows of each batch the running epoch uses; undefined before its first batch. */
  #rate: number | undefined;
  /** Rows of the largest batch of the running epoch, and of the one before. */
  #largest = 0;
  #lastLargest: number | undefined;
  /** Batches of all epochs. */
  #batches = 0;
  /** Rows that were used beyond the share of their batch. */
  #extra = 0;
  /** The epoch that ended last, and how many independent rows were used then; infinitely many if all were used. */
  #last: Extent | undefined;
  #lastUsed = Number.POSITIVE_INFINITY;

  /** @param features columns of the layer's sample matrix */
  constructor(features: number, options: SampleBudgetOptions = {}) {
    this.#features = features;
    this.#threshold = options.threshold ?? DEFAULT_THRESHOLD;
    this.#tolerance = options.tolerance ?? 0.01;
    const { forCorrected = false } = options;
    const isNarrow = features * this.#tolerance < 1;
    this.#isFixed = isNarrow || forCorrected;
    this.#target = isNarrow ? NARROW_ROWS : FIRST_ROWS_PER_FEATURE * features;
    if (forCorrected) this.#target = Math.max(LEAST_CORRECTED_ROWS, CORRECTED_ROWS_PER_FEATURE * features);
  }

  /** How many independent rows of an epoch are needed. */
  get target(): number {
    return this.#target;
  }

  /** Says what the running epoch will offer in all. If that is undefined, all rows are used. */
  expect(epoch: Extent | undefined): void {
    this.#expected = epoch;
    this.#last = undefined;
    this.#rate = undefined;
  }

  /** Ends an epoch and starts the next one, which is expected to offer as much: as the shorter one of the last two. */
  endEpoch(): void {
    if (this.#offered.rows > 0) {
      this.#lastUsed =
        this.#used >= this.#offered.rows ? Number.POSITIVE_INFINITY : this.#used / alikeRows(this.#offered);
      const isShorter = this.#last === undefined || this.#offered.rows < this.#last.rows;
      this.#expected = isShorter ? this.#offered : this.#last;
      this.#last = this.#offered;
      this.#lastLargest = this.#largest;
    }
    this.#offered = nothing;
    this.#used = 0;
    this.#rate = undefined;
    this.#largest = 0;
    this.#extra = 0;
  }

  /** How many rows of a batch to use: at least one, in proportion to the batch. */
  rowsToUse({ rows, items }: Extent): number {
    this.#offered = { rows: this.#offered.rows + rows, items: this.#offered.items + items };
    this.#largest = Math.max(this.#largest, rows);
    const used = this.#portionOf(rows);
    this.#used += used;
    return used;
  }

  /**
   * Derives from the spectrum of the last ended epoch how many rows later epochs need. If the next one has begun, it goes on
   * as it has begun: its batches must not give different shares.
   */
  adaptTo(spectrum: Spectrum): void {
    if (this.#isFixed) return;
    const options = { threshold: this.#threshold, tolerance: this.#tolerance };
    const needed = spectrum.rowsNeeded({ ...options, samples: Number.POSITIVE_INFINITY });
    // A spectrum of few rows is steeper than the truth and asks for too few rows: a fall beyond half is not trusted.
    const least = Number.isFinite(this.#lastUsed) ? this.#lastUsed / 2 : 0;
    this.#target = Math.max(needed, this.#neededOnFloor(spectrum), least, LEAST_ROWS_PER_FEATURE * this.#features);
  }

  /**
   * The rows that a spectrum needs whose small eigenvalues are alike, as far as the threshold reaches among them. rowsNeeded
   * does not see that: n rows spread equal eigenvalues by about sqrt(d / n), and where they spread them, no two are equal. But
   * the corrected saturation is then still beyond the one that is shown, by an amount that falls with the square root of the
   * rows; the factor of 2 is for the errors of both. From FLOOR_ROWS_PER_FEATURE on it is less than the tolerance.
   */
  #neededOnFloor(spectrum: Spectrum): number {
    const { effectiveSamples } = spectrum;
    const most = FLOOR_ROWS_PER_FEATURE * this.#features;
    if (effectiveSamples === undefined || effectiveSamples >= most) return 0;
    const options = { threshold: this.#threshold };
    const lacking = spectrum.saturationEstimate(options).saturation - spectrum.saturation(this.#threshold);
    // The estimate itself can be off by a direction.
    const isOnFloor = lacking > this.#tolerance + 1.5 / this.#features;
    return isOnFloor ? Math.min(most, 2 * effectiveSamples * (lacking / this.#tolerance) ** 2) : 0;
  }

  #portionOf(rows: number): number {
    if (rows === 0) return 0;
    this.#rate ??= this.#rateFor(rows);
    if (this.#rate === 1) return rows;
    // Fractions of a row are rounded up as often as they say.
    const portion = Math.floor(this.#rate * rows + ((this.#batches++ * goldenRatio) % 1));
    if (portion > 0) return portion;
    // A small batch gives a row all the same if such batches are rare; if they are not, they would count for too much.
    if (this.#extra > this.#used / 64) return 0;
    this.#extra++;
    return 1;
  }

  /** @param rows of the epoch's first batch */
  #rateFor(rows: number): number {
    if (this.#expected === undefined) return 1;
    const wanted = (this.#target * alikeRows(this.#expected)) / this.#expected.rows;
    // A batch of the usual size gives a row at least.
    const rate = Math.max(wanted, 1 / (this.#lastLargest ?? rows));
    // Leaving out less than half of the rows saves little, and is a risk all the same.
    return rate > 0.5 ? 1 : rate;
  }
}

const nothing: Extent = { rows: 0, items: 0 };

/**
 * How many rows count as one row: 1 for one row per item (image, sequence), 2 from twice as many as are independent. None of
 * 258 spectra of the demo's convolutions (eight seeds) showed another saturation than that of all rows then; one of 138 did
 * if every row counted.
 */
function alikeRows({ rows, items }: Extent): number {
  return Math.min(2, Math.max(1, rows / items / independentPerItem));
}

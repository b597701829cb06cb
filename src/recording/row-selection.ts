import type { SamplingRule } from '../saturation/note.js';
import { sketchedRows } from '../statistics/sketch.js';
import type { Spectrum } from '../statistics/spectrum.js';
import { isSketched, type WidthOptions } from './layer-widths.js';
import { SampleBudget } from './sample-budget.js';
import { type ActivationView, effectiveRows, pickRows, sampleSize } from './samples.js';

/** Which batches, items and rows count. */
export interface SelectionOptions extends WidthOptions {
  /** Which rows count. */
  readonly sampling: SamplingRule;
  /** Explained-variance threshold in (0, 1], for which 'auto' sampling chooses how many rows it needs. */
  readonly threshold: number;
  /** Every n-th batch counts, starting with the first of each epoch. */
  readonly logInterval: number;
  /** Most items (images, sequences) per layer, split and epoch; may be Infinity. */
  readonly maxSamples: number;
}

/** A batch: a layer may be called several times for it. */
export interface BatchPlace {
  /** What runs batches: a training step, a validation, or a call of record() or observe(). Each has another number. */
  readonly run: number;
  /** Which of the run's batches, from 0. */
  readonly index: number;
}

let runs = 0;

/** A number for a run of batches that no other run has. */
export function newRun(): number {
  return runs++;
}

/** Counts the batches that pass one layer, each once, however often the layer is called for it. */
class BatchCount {
  /** Batches since the period began. */
  total: number;
  /** What runs the batches now, and how many there were before. */
  #run: { readonly number: number; readonly before: number } | undefined;

  constructor(total = 0) {
    this.total = total;
  }

  /** The number of a batch in the period, from 0. */
  numberOf({ run, index }: BatchPlace): number {
    if (this.#run?.number !== run) this.#run = { number: run, before: this.total };
    const number = this.#run.before + index;
    this.total = Math.max(this.total, number + 1);
    return number;
  }
}

/** A pass of data through a layer, as far as the choice of rows goes. */
export interface Pass {
  readonly view: ActivationView;
  /** N x T; 0 marks a padding step. */
  readonly mask: ArrayLike<number> | undefined;
  readonly batch: BatchPlace;
  /** How many items (images, sequences) the epoch will bring in this split; undefined if that is unknown. */
  readonly expectedItems: number | undefined;
}

/** What is used of a pass. */
export interface Selected {
  /** How many of its items, from the first. */
  readonly items: number;
  /** Which of their rows, by their numbers in order; undefined for all. */
  readonly rows: Int32Array | undefined;
}

/** What was used since a period began. */
export interface RowCounts {
  /** Batches, used or not. */
  readonly passes: number;
  /** Items (images, sequences). */
  readonly items: number;
  readonly rows: number;
  /** How many independent rows the rows are worth. */
  readonly effectiveRows: number;
}

/** What sampleSize says of a pass. */
type Size = ReturnType<typeof sampleSize>;

/** With sampling 'auto' and 'corrected': what decides which rows of a layer are used. */
interface Sampling {
  readonly features: number;
  readonly budget: SampleBudget;
  /** How many items the budget was told that an epoch brings; undefined if that is unknown. */
  expectedItems: number | undefined;
  /** Rows picked since the first epoch. */
  picked: number;
}

/** Decides which rows of one layer in one split are used, and counts them. */
export class RowSelection {
  readonly #options: SelectionOptions;
  /** What counts the batches of the period. */
  #batches = new BatchCount();
  #items = 0;
  #rows = 0;
  #effectiveRows = 0;
  #features: number | undefined;
  #isUsed = false;
  /** The batch that is running, and how many items were used before it. */
  #batch: { readonly number: number; readonly itemsBefore: number } | undefined;
  #sampling: Sampling | undefined;
  /** Rows picked for sketches. */
  #picked = 0;

  constructor(options: SelectionOptions) {
    this.#options = options;
  }

  /** Width of what was used in this period; undefined before its first pass. */
  get features(): number | undefined {
    return this.#features;
  }

  /** Whether a pass of this period was used. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  get counts(): RowCounts {
    return {
      passes: this.#batches.total,
      items: this.#items,
      rows: this.#rows,
      effectiveRows: this.#effectiveRows,
    };
  }

  /**
   * Chooses what is used of a pass, and counts it once `use` has used it.
   *
   * @param shape the output's shape, N first
   * @param use is not called if nothing of the pass is used
   * @returns the number of its batch in the period, from 0; undefined if nothing was used
   * @throws what `use` throws; the rows are not counted then
   */
  select(shape: readonly number[], pass: Pass, use: (selected: Selected) => void): number | undefined {
    const { view, mask } = pass;
    const number = this.#batches.numberOf(pass.batch);
    if (number % this.#options.logInterval !== 0) return undefined;
    if (this.#batch?.number !== number) this.#batch = { number, itemsBefore: this.#items };
    const { itemsBefore } = this.#batch;
    const items = Math.min(shape[0] ?? 0, this.#options.maxSamples - itemsBefore);
    if (items <= 0) return undefined;
    const size = sampleSize(shape, view, mask, items);
    const rows = this.#pick(size, items, pass.expectedItems);
    if (rows?.length === 0) return undefined;
    use({ items, rows });
    this.#features = size.features;
    this.#isUsed = true;
    this.#items = Math.max(this.#items, itemsBefore + items);
    this.#rows += rows?.length ?? size.rows;
    this.#effectiveRows += effectiveRows(shape, view, mask, items, size, rows);
    return number;
  }

  /** Derives from an epoch's spectrum how many rows the next epochs need (sampling 'auto'). */
  adaptTo(spectrum: Spectrum): void {
    this.#sampling?.budget.adaptTo(spectrum);
  }

  /** Ends what is counted of a batch, and of the period if that ends. */
  begin(isNewPeriod: boolean): void {
    if (isNewPeriod) {
      this.#items = 0;
      this.#features = undefined;
      this.#isUsed = false;
      this.#rows = 0;
      this.#effectiveRows = 0;
      this.#sampling?.budget.endEpoch();
    }
    this.#batches = new BatchCount();
    this.#batch = undefined;
  }

  /** Goes on from what an earlier process had used. */
  restore(features: number | undefined, { passes, items, rows, effectiveRows: effective }: RowCounts): void {
    this.#features = features;
    this.#isUsed = true;
    this.#batches = new BatchCount(passes);
    this.#items = items;
    this.#rows = rows;
    this.#effectiveRows = effective;
  }

  /** The rows of a pass that are used; undefined for all. */
  #pick(size: Size, items: number, inEpoch: number | undefined): Int32Array | undefined {
    const { rows, features } = size;
    const sampled = this.#options.sampling === 'all' ? undefined : this.#sample(size, items, inEpoch);
    const most = isSketched(features, this.#options) ? sketchedRows(features) : Number.POSITIVE_INFINITY;
    if ((sampled?.length ?? rows) <= most) return sampled;
    const picked = pickRows(rows, most, this.#picked);
    this.#picked += most;
    return picked;
  }

  /** The rows of a pass that sampling 'auto' or 'corrected' uses; undefined for all. */
  #sample({ rows, features }: Size, items: number, inEpoch: number | undefined): Int32Array | undefined {
    const { threshold, sampling: way } = this.#options;
    if (this.#sampling?.features !== features) {
      const budget = new SampleBudget(features, { threshold, forCorrected: way === 'corrected' });
      this.#sampling = { features, budget, expectedItems: undefined, picked: 0 };
    }
    const sampling = this.#sampling;
    const expectedItems = this.#usedOf(inEpoch);
    if (sampling.expectedItems !== expectedItems) {
      sampling.expectedItems = expectedItems;
      // A layer that is called several times for a batch has more rows than that, and uses more of them in the first epoch.
      const rowsPerItem = rows / items;
      sampling.budget.expect(
        expectedItems === undefined ? undefined : { rows: expectedItems * rowsPerItem, items: expectedItems },
      );
    }
    const wanted = sampling.budget.rowsToUse({ rows, items });
    if (wanted >= rows) return undefined;
    const picked = pickRows(rows, wanted, sampling.picked);
    sampling.picked += wanted;
    return picked;
  }

  /** How many of an epoch's items will be looked at; undefined if that is unknown. */
  #usedOf(items: number | undefined): number | undefined {
    if (items === undefined) return undefined;
    return Math.max(1, Math.min(items / this.#options.logInterval, this.#options.maxSamples));
  }
}

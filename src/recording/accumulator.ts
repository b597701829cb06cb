import type { CovarianceAccumulator } from '../statistics/covariance.js';
import { Reservoir } from '../statistics/reservoir.js';
import type { SolveOptions } from '../statistics/threads/solve.js';
import type { Computation } from '../statistics/threads/thread.js';
import type { Later } from '../summaries/numbers.js';
import type { LayerSums, SolvedLayer } from './layer-sums.js';
import { type ActivationView, type SampleMatrix, sampleSize } from './samples.js';
import type { UnitWatch } from './unit-watch.js';

/** What is known of a layer's output before its values are read. */
export interface LayerOutput {
  /** N first. */
  readonly shape: readonly number[];
  /** The type of its values; default 'float32'. */
  readonly dtype?: string;
}

/** The classes of a batch's items. */
export interface ItemClasses {
  /** The class of each item, from 0. */
  readonly labels: ArrayLike<number>;
  /** The class that the network predicts for each item, if it is known. */
  readonly predictions?: ArrayLike<number>;
}

/** Tells the classes of a batch's items, which may be known only after its layers have run. */
export interface BatchClasses {
  /** Calls `use` now or when the classes come, which may be read later; never if they do not come. A promise of undefined: there are none. */
  whenKnown(use: (classes: Later<ItemClasses | undefined>) => void): void;
}

/**
 * What all ways of accumulating a layer have in common: passes of data go in, and at the end of a period a solved
 * spectrum comes out.
 *
 * @typeParam T what an output is: a tensor, or values in memory
 */
export interface LayerAccumulator<T extends LayerOutput> {
  /** Where and in which precision rows are accumulated, in a few words. */
  readonly strategy: string;
  /** Adds the samples of one pass. @throws RangeError if the layer's width changed within the period */
  add(pass: Pass<T>): void;
  /**
   * Solves what was added since the period began, off this thread if there is a worker. Passes added after this call are
   * not part of the result. The result is undefined if nothing was added.
   *
   * @param endPeriod whether the next pass starts a new period
   */
  solve(options: SolveOptions, endPeriod: boolean): Computation<SolvedLayer | undefined>;
  /**
   * What was added since the period began, unsolved, once all of it has been read. Passes added after this call are not part
   * of the result. The result is undefined if nothing was added.
   *
   * @param endPeriod as for solve
   */
  take(endPeriod: boolean): Promise<LayerSums | undefined>;
  /**
   * The samples of the running period that have arrived so far, for saving. The result may hold the live sums:
   * read it before the next pass. Undefined if there are none.
   */
  snapshot(): LayerSums | undefined;
  /** Starts the period with the samples of an earlier process, whose sums are taken over. */
  restore(sums: LayerSums): void;
  /** Releases tensors and memory. */
  dispose(): void;
}

/** One pass of data through a layer. The output is valid only during the call that receives it. */
export interface Pass<T extends LayerOutput> {
  output: T;
  view: ActivationView;
  /** N x T; 0 marks a padding step. */
  mask?: ArrayLike<number>;
  /** How many of the N items to use, counted from the first. */
  items: number;
  /** Which of their samples to use, by their numbers in the order in which toSamples reads them; undefined for all. */
  rows?: Int32Array;
  /** The classes of its items; undefined if there are none. */
  classes?: BatchClasses;
}

/** What is kept of a layer beside its mean and covariance. */
export interface Kept {
  /** How many rows are kept, chosen at random; 0 for none. */
  readonly rows: number;
  /** Whether the rows must be chosen of all: where layers are reduced on a device, few of each pass are read otherwise. */
  readonly ofAllRows: boolean;
  /** Whether what tells dead units and outliers is summed. */
  readonly units: boolean;
  /** Whether rows are summed by class, where classes are known. */
  readonly classes: boolean;
  /** Whether the rows are so wide that a sketch of their covariance is kept in its place: then nothing else is. */
  readonly sketch: boolean;
  /** Is shown the rows that are read of each pass; undefined if nobody looks. */
  readonly watch?: UnitWatch;
}

/** Nothing is kept beside mean and covariance. */
export const nothingKept: Kept = { rows: 0, ofAllRows: false, units: false, classes: false, sketch: false };

/** Rows kept per layer and split to compare what the network predicts for them with the nearest class mean. */
const predictedRows = 500;

/**
 * The item to which each row of a pass belongs, by the number of the row; undefined if the rows of its items vary in number, and cannot
 * be summed by class.
 */
export function classItemsOf({
  output,
  view,
  mask,
  items,
  rows,
}: Pass<LayerOutput>): ((row: number) => number) | undefined {
  const perItem = sampleSize(output.shape, view, mask, items).rows / items;
  if (!Number.isInteger(perItem) || (mask !== undefined && perItem > 1)) return undefined;
  return (row) => Math.floor((rows?.[row] ?? row) / perItem);
}

/**
 * Sums rows by class, and keeps some of them with what the network predicts for them.
 *
 * @param accumulator has the sums by class
 * @param kept gets the rows with what is predicted for them
 * @param itemOf the item to which each row belongs
 */
export function addByClass(
  accumulator: CovarianceAccumulator,
  kept: Pick<LayerSums, 'predicted'>,
  { values, features }: SampleMatrix,
  { labels, predictions }: ItemClasses,
  itemOf: (row: number) => number,
): void {
  const ofRows = (classes: ArrayLike<number>) => {
    const found = new Int32Array(values.length / features);
    for (let row = 0; row < found.length; row++) found[row] = classes[itemOf(row)];
    return found;
  };
  accumulator.updateClasses(values, ofRows(labels));
  if (predictions === undefined) return;
  kept.predicted ??= new Reservoir(predictedRows, features);
  kept.predicted.add(values, ofRows(predictions));
}

/** The first output of a layer, by which the way to accumulate the layer is chosen. */
export interface FirstOutput {
  shape: readonly number[];
  /** The type of its values; default 'float32'. */
  dtype?: string;
  view: ActivationView;
  masked: boolean;
}

/** Makes the accumulators of one recorder: it chooses where each layer is accumulated, and owns what layers share. */
export interface AccumulatorFactory<T extends LayerOutput> {
  /**
   * @param name of the layer and split, unique within this factory
   * @param output the layer's first output; undefined if a saved state arrives before any output
   * @param kept what is kept beside mean and covariance
   * @param report receives errors that occur when no caller can receive them
   */
  choose(
    name: string,
    output: FirstOutput | undefined,
    kept: Kept,
    report: (error: unknown) => void,
  ): LayerAccumulator<T>;
  /** Ends what layers share; what it accumulated is lost. The next layer that needs it starts another. */
  close(): void;
}

/** @throws RangeError if a layer's output changed its width within a period */
export function checkFeatures(expected: number, found: number, shape: readonly number[]): void {
  if (expected === found) return;
  throw new RangeError(
    `output: expected ${expected} features as in earlier passes, got ${found} from an output of shape [${shape}]`,
  );
}

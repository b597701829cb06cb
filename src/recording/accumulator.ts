import type { SolveOptions } from '../statistics/threads/solve.js';
import type { Computation } from '../statistics/threads/thread.js';
import type { LayerSums, SolvedLayer } from './layer-sums.js';
import type { ActivationView } from './samples.js';

/** What is known of a layer's output before its values are read. */
export interface LayerOutput {
  /** N first. */
  readonly shape: readonly number[];
  /** The type of its values; default 'float32'. */
  readonly dtype?: string;
  /** The class of each item, from 0; undefined if it is not known. */
  readonly labels?: ArrayLike<number>;
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
}

/** What is kept of a layer beside its mean and covariance. */
export interface Kept {
  /** How many rows are kept, chosen at random; 0 for none. */
  readonly rows: number;
  /** Whether the rows must be chosen of all: where layers are reduced on a device, few of each pass are read otherwise. */
  readonly ofAllRows: boolean;
  /** Whether what tells dead units and outliers is summed. */
  readonly units: boolean;
  /** Whether rows are summed by class, where labels are given. */
  readonly classes: boolean;
  /** Whether the rows are so wide that a sketch of their covariance is kept in its place: then nothing else is. */
  readonly sketch: boolean;
}

/** Nothing is kept beside mean and covariance. */
export const nothingKept: Kept = { rows: 0, ofAllRows: false, units: false, classes: false, sketch: false };

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

import type { Tensor } from '@tensorflow/tfjs-core';
import type { CovarianceAccumulator } from '../statistics/covariance.js';
import type { Reservoir } from '../statistics/reservoir.js';
import type { Solved, SolveOptions } from '../statistics/threads/solve.js';
import type { Computation } from '../statistics/threads/thread.js';
import type { ActivationView } from './samples.js';

/**
 * What all ways of accumulating a layer have in common: passes of data go in, and at the end of a period a solved
 * spectrum comes out. The files beside this one are the ways; choose.ts chooses among them.
 */
export interface LayerAccumulator {
  /** Where and in which precision rows are accumulated, in a few words. */
  readonly strategy: string;
  /** Adds the samples of one pass. @throws RangeError if the layer's width changed within the period */
  add(pass: Pass): void;
  /**
   * Solves what was added since the period began, off this thread if there is a worker. Passes added after this call are
   * not part of the result. The result is undefined if nothing was added.
   *
   * @param endPeriod whether the next pass starts a new period
   */
  solve(options: SolveOptions, endPeriod: boolean): Computation<SolvedLayer | undefined>;
  /**
   * The samples of the running period that have arrived so far, for saving. The result may be the live accumulator:
   * read it before the next pass. Undefined if there are none.
   */
  snapshot(): CovarianceAccumulator | undefined;
  /** Starts the period with the samples of an earlier process. */
  restore(accumulator: CovarianceAccumulator): void;
  /** Releases tensors and memory. */
  dispose(): void;
}

/** One pass of data through a layer. The tensor is valid only during the call that receives it. */
export interface Pass {
  output: Tensor;
  view: ActivationView;
  /** N x T; 0 marks a padding step. */
  mask?: ArrayLike<number>;
  /** How many of the N items to use, counted from the first. */
  items: number;
  /** Which of their samples to use, by their numbers in the order in which toSamples reads them; undefined for all. */
  rows?: Int32Array;
}

/** A layer's solved period. */
export interface SolvedLayer {
  solved: Solved;
  /** A uniform random choice of the samples, if rows were asked for. */
  rows?: Reservoir;
}

import type { Tensor } from '@tensorflow/tfjs-core';
import type { CovarianceAccumulator } from '../../statistics/covariance.js';
import type { Reservoir } from '../../statistics/reservoir.js';
import type { Solved, SolveWishes } from '../../statistics/threads/solve.js';
import type { ActivationView, Thinning } from '../samples.js';

/** One pass of data to add to a layer's moments. The tensor is valid only during the call. */
export interface Pass {
  output: Tensor;
  view: ActivationView;
  /** N x T, 0 where a step is padding. */
  mask?: ArrayLike<number>;
  /** How many of the N items to use, from the first. */
  items: number;
  /** Which of their samples to use; absent: all. */
  thinning?: Thinning;
}

/** What a period held, solved. */
export interface SolvedMoments {
  solved: Solved;
  /** A uniform random choice of the samples, where rows were asked for. */
  rows?: Reservoir;
}

/** Accumulates the mean and covariance of one layer in one split, somewhere: on the host, in a worker, on the device. */
export interface Moments {
  /** How and where, in a few words, for the tracker's summary. */
  readonly strategy: string;
  add(pass: Pass): void;
  /**
   * Solves what was added since the period began, off this thread where there is a worker: passes that come after this
   * call are not in it. Undefined when nothing was added.
   *
   * @param endPeriod true: the next add starts anew
   */
  solve(wishes: SolveWishes, endPeriod: boolean): Promise<SolvedMoments | undefined>;
  /** The running period's moments as far as they have arrived, for saving; the accumulator may be the live one. */
  snapshot(): CovarianceAccumulator | undefined;
  /** Goes on from moments of before (a restored state). */
  restore(accumulator: CovarianceAccumulator): void;
  dispose(): void;
}

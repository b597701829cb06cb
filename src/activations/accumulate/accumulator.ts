import { getBackend, type Tensor } from '@tensorflow/tfjs-core';
import type { CovarianceAccumulator } from '../../statistics/covariance.js';
import type { Reservoir } from '../../statistics/reservoir.js';
import type { Solved, SolveWishes } from '../../statistics/threads/solve.js';
import { type ActivationView, isPlainMatrix, sampleSize, type Thinning } from '../samples.js';
import { DeviceMoments } from './on-device.js';
import { Float64DeviceMoments, hasNativeFloat64 } from './on-device-float64.js';
import { ChunkedDeviceMoments } from './on-gpu.js';
import { HostMoments } from './on-host.js';
import { SharedMomentsWorker, WorkerMoments } from './on-worker.js';

/** The first output of a layer: by its shape it is decided how the layer is treated. */
export interface FirstOutput {
  shape: readonly number[];
  view: ActivationView;
  masked: boolean;
}

/**
 * Rows per feature from which reducing on the device is cheaper than copying the rows out: copying costs the same for
 * every number, the product d per number.
 */
const deviceRowsPerFeature = 16;

/** Chooses how each layer's moments are accumulated. The choices follow measurements: see bench/RESULTS.md. */
export class MomentsStrategies {
  readonly #precision: 'auto' | 'float64';
  #worker: SharedMomentsWorker | undefined;

  constructor(precision: 'auto' | 'float64') {
    this.#precision = precision;
  }

  /**
   * - GPU (WebGL, WebGPU): sums on the device, read back asynchronously; with precision 'float64' the rows are read back.
   * - native: many rows per feature are reduced on the device; few go to a worker thread.
   * - cpu, wasm, and whatever is not a plain matrix of rows: float64 on this thread.
   *
   * @param output the layer's first output; undefined where a saved state comes before one
   * @param keepRows how many samples to keep for the embedding: those are read, so that the host has them
   */
  choose(name: string, output: FirstOutput | undefined, keepRows: number, report: (error: unknown) => void): Moments {
    const backend = getBackend();
    if (output === undefined || keepRows > 0) return new HostMoments(report, keepRows);
    const plain = isPlainMatrix(output.shape, output.view, output.masked);
    const { rows, features } = sampleSize(output.shape, output.view);
    if (backend === 'webgl' || backend === 'webgpu') {
      // With fewer rows than features the rows themselves are the smaller thing to read.
      const onDevice = plain && rows >= features && this.#precision === 'auto';
      return onDevice ? new ChunkedDeviceMoments(report) : new HostMoments(report);
    }
    if (backend !== 'tensorflow') return new HostMoments(report);
    if (plain && rows >= deviceRowsPerFeature * features) {
      if (this.#precision === 'auto') return new DeviceMoments();
      if (hasNativeFloat64()) return new Float64DeviceMoments();
    }
    this.#worker ??= new SharedMomentsWorker(this.#precision === 'auto');
    return new WorkerMoments(this.#worker, name);
  }

  close(): void {
    this.#worker?.close();
  }
}

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

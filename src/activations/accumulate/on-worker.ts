import type { Tensor } from '@tensorflow/tfjs-core';
import {
  addByClass,
  checkFeatures,
  classItemsOf,
  type Kept,
  type LayerAccumulator,
  nothingKept,
  type Pass,
} from '../../recording/accumulator.js';
import { LayerSums, type SolvedLayer, withSample } from '../../recording/layer-sums.js';
import type { SampleMatrix } from '../../recording/samples.js';
import { CovarianceAccumulator } from '../../statistics/covariance.js';
import { Reservoir } from '../../statistics/reservoir.js';
import type { RemoteAccumulators } from '../../statistics/threads/remote-accumulators.js';
import type { SolveOptions } from '../../statistics/threads/solve.js';
import { solveInBackground } from '../../statistics/threads/solver.js';
import { type Computation, computed, mapped } from '../../statistics/threads/thread.js';
import { readSamples } from './read-samples.js';

/**
 * Accumulates on another thread, beside the training: this thread only copies the rows. This is for few rows of many
 * features (dense layers), which are quick to copy and slow to multiply. Rows that come before the thread runs, or that
 * the thread has no room for, are accumulated here and merged into the rest at the end.
 */
export class WorkerAccumulator implements LayerAccumulator<Tensor> {
  readonly #thread: RemoteAccumulators;
  readonly #name: string;
  readonly #products: string;
  readonly #kept: Kept;
  /** Samples that this thread has accumulated and the other one has not, and all rows that are kept of this period. */
  #own = new LayerSums();
  #features: number | undefined;
  /** Memory for the rows of a pass that wait for their classes. */
  #spare: SampleMatrix['values'] | undefined;
  /** Whether the thread has rows of this period. */
  #isSent = false;

  /**
   * @param thread which other layers may share; it may still be starting
   * @param name of the layer and split, unique within the thread
   * @param float32Products whether the thread was launched with that option
   * @param kept what is kept beside mean and covariance; `units` is that of the thread
   */
  constructor(thread: RemoteAccumulators, name: string, float32Products: boolean, kept = nothingKept) {
    this.#thread = thread;
    this.#name = name;
    this.#kept = kept;
    this.#products = float32Products ? 'float32 products, added in float64,' : 'float64';
  }

  get strategy(): string {
    return this.#thread.isRunning ? `${this.#products} in a worker thread` : 'float64 on the host';
  }

  add(pass: Pass<Tensor>): void {
    const itemOf = this.#kept.classes && pass.classes ? classItemsOf(pass) : undefined;
    readSamples(pass, (samples) => {
      this.#features ??= samples.features;
      checkFeatures(this.#features, samples.features, pass.output.shape);
      this.#addSamples(samples);
      this.#kept.watch?.add(samples);
      if (itemOf !== undefined) this.#addClasses(samples, pass, itemOf);
      if (this.#kept.rows === 0) return;
      this.#own.rows ??= new Reservoir(this.#kept.rows, samples.features);
      this.#own.rows.add(samples.values);
    });
  }

  solve(wanted: SolveOptions, endPeriod: boolean): Computation<SolvedLayer | undefined> {
    const options = withSample(wanted, this.#own);
    const own = this.#own.accumulator;
    const thread = this.#thread.isRunning ? this.#thread : undefined;
    const key = this.#key;
    const isLost = this.#isSent && this.#thread.failure !== undefined;
    if (endPeriod || isLost) this.#isSent = false;
    if (endPeriod) this.#begin();
    if (isLost) return computed(() => this.#throwLoss());
    if (own !== undefined) {
      if (!thread?.knows(key))
        return mapped(solveInBackground(own, options, endPeriod, true), (solved) => ({ solved }));
      thread.merge(key, own);
      this.#own.accumulator = undefined;
      this.#isSent = !endPeriod;
    }
    if (thread === undefined) return computed(() => undefined);
    // The thread remembers a layer beyond a period: its answer may be that there were no rows.
    return mapped(thread.solve(key, options, endPeriod), (solved) =>
      solved === undefined || solved.count + solved.rejected === 0 ? undefined : { solved },
    );
  }

  async take(endPeriod: boolean): Promise<LayerSums | undefined> {
    const isSent = this.#isSent;
    const isLost = isSent && this.#thread.failure !== undefined;
    const remote = isSent && !isLost ? this.#thread.take(this.#key, endPeriod) : undefined;
    const own = endPeriod ? this.#own : this.#own.copy();
    if (endPeriod || isLost) this.#isSent = false;
    if (endPeriod) this.#begin();
    if (isLost) this.#throwLoss();
    return withRemote(await remote, own);
  }

  snapshot(): LayerSums | undefined {
    if (!this.#isSent) return this.#own.isEmpty ? undefined : this.#own;
    const remote = this.#thread.readNow(this.#key);
    if (remote === undefined) return this.#throwLoss();
    return withRemote(remote, this.#own);
  }

  restore(sums: LayerSums): void {
    this.#own = sums;
    this.#features = sums.features;
  }

  dispose(): void {
    this.#own = new LayerSums();
  }

  /** Begins a period. */
  #begin(): void {
    this.#own = new LayerSums();
    this.#features = undefined;
  }

  /** The accumulator's name in the thread. A layer that changes its width between periods gets another one there. */
  get #key(): string {
    return `${this.#name} x ${this.#features}`;
  }

  #throwLoss(): never {
    const { failure } = this.#thread;
    const reason = failure === undefined ? 'it does not answer' : failure.message;
    throw new Error(
      `expected the sums of a worker thread, which is lost (${reason}): there are none of the rows so far, and later ones are summed on this thread`,
    );
  }

  #addSamples({ values, features }: SampleMatrix): void {
    // The thread takes float32. Float64 samples (means of maps) are few: rounding and sending them is not worth it.
    const isSent =
      values instanceof Float32Array && this.#thread.isRunning && this.#thread.update(this.#key, features, values);
    if (isSent) {
      this.#isSent = true;
      return;
    }
    this.#ownOf(features).update(values);
  }

  /** Classes come in the same training step, or in a validation's batch: this thread has the values at once. */
  #addClasses(
    { values, rows, features }: SampleMatrix,
    { classes }: Pass<Tensor>,
    itemOf: (row: number) => number,
  ): void {
    // The same memory step after step: new copies would keep the garbage collector busy (see withValues).
    const isKept = this.#spare?.length === values.length && this.#spare.BYTES_PER_ELEMENT === values.BYTES_PER_ELEMENT;
    const spare = isKept && this.#spare ? this.#spare : values.slice();
    this.#spare = undefined;
    spare.set(values);
    classes?.whenKnown((known) => {
      this.#spare = spare;
      if (known === undefined || known instanceof Promise || this.#features !== features) return;
      addByClass(this.#ownOf(features), this.#own, { values: spare, rows, features }, known, itemOf);
    });
  }

  #ownOf(features: number): CovarianceAccumulator {
    this.#own.accumulator ??= new CovarianceAccumulator(features, this.#kept);
    return this.#own.accumulator;
  }
}

/** As in solve: the rows of the thread come first. */
function withRemote(remote: CovarianceAccumulator | undefined, own: LayerSums): LayerSums | undefined {
  if (remote === undefined) return own.isEmpty ? undefined : own;
  if (own.accumulator !== undefined) remote.merge(own.accumulator);
  return new LayerSums({ ...own, accumulator: remote });
}

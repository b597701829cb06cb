import { CovarianceAccumulator } from '../../statistics/covariance.js';
import { solveLayer } from '../../statistics/spectrum.js';
import { RemoteAccumulators } from '../../statistics/threads/remote-accumulators.js';
import type { SolveWishes } from '../../statistics/threads/solve.js';
import { type SampleMatrix, thinned, toSamples } from '../samples.js';
import { withValues } from '../tensors.js';
import type { Moments, Pass, SolvedMoments } from './accumulator.js';
import { checkFeatures } from './shift.js';

/** The one thread of a tracker, for all its layers. It takes a moment to start; it may be that there can be none. */
export class SharedMomentsWorker {
  readonly #worker: RemoteAccumulators | undefined;
  /** How the thread multiplies, in words. */
  readonly products: string;

  /** @param float32Products see CovarianceAccumulator */
  constructor(float32Products: boolean) {
    this.products = float32Products ? 'float32 products, added in float64,' : 'float64';
    this.#worker = RemoteAccumulators.start({ float32Products });
  }

  /** The running thread; undefined while it starts, and where there can be none. */
  get running(): RemoteAccumulators | undefined {
    return this.#worker?.isRunning ? this.#worker : undefined;
  }

  close(): void {
    this.#worker?.close();
  }
}

/**
 * Accumulates on a thread of its own, beside the training: this thread only copies the rows. For few rows of
 * many features (dense layers), which are quick to copy and slow to multiply. What comes before the thread runs, and what
 * it cannot keep up with, is accumulated here and joins the rest in the end.
 */
export class WorkerMoments implements Moments {
  readonly #shared: SharedMomentsWorker;
  readonly #name: string;
  /** Moments that this thread has and the other one has not. */
  #own: CovarianceAccumulator | undefined;
  #features: number | undefined;

  /** @param name of the layer and split, in the thread's book of accumulators */
  constructor(shared: SharedMomentsWorker, name: string) {
    this.#shared = shared;
    this.#name = name;
  }

  get strategy(): string {
    return this.#shared.running === undefined ? 'float64 on the host' : `${this.#shared.products} in a worker thread`;
  }

  add(pass: Pass): void {
    const { output, view, mask, items, thinning } = pass;
    withValues(output, (values) => {
      const samples = thinned(toSamples(values, output.shape, view, mask, items), thinning);
      this.#features ??= samples.features;
      checkFeatures(this.#features, samples.features, output.shape);
      this.#addSamples(samples);
    });
  }

  async solve(wishes: SolveWishes, endPeriod: boolean): Promise<SolvedMoments | undefined> {
    const own = this.#own;
    const worker = this.#shared.running;
    const key = this.#key;
    if (endPeriod) {
      this.#own = undefined;
      this.#features = undefined;
    }
    if (own !== undefined) {
      if (!worker?.knows(key)) return { solved: await solveLayer(own, wishes, endPeriod, true) };
      worker.merge(key, own);
      this.#own = undefined;
    }
    const solved = await worker?.solve(key, wishes, endPeriod);
    // The thread keeps the book of a layer beyond a period; without rows there is nothing to tell.
    return solved === undefined || solved.count + solved.rejected === 0 ? undefined : { solved };
  }

  snapshot(): CovarianceAccumulator | undefined {
    const elsewhere = this.#shared.running?.readNow(this.#key);
    if (elsewhere === undefined) return this.#own;
    if (this.#own !== undefined) elsewhere.merge(this.#own);
    return elsewhere;
  }

  restore(accumulator: CovarianceAccumulator): void {
    this.#own = accumulator;
    this.#features = accumulator.features;
  }

  dispose(): void {
    this.#own = undefined;
  }

  /** The thread's name for it: a layer that changes its width between periods is another one there. */
  get #key(): string {
    return `${this.#name} x ${this.#features}`;
  }

  #addSamples({ values, features }: SampleMatrix): void {
    // Means and the like are float64 and few: not worth a thread, nor rounding them to the float32 that it takes.
    const isSent = values instanceof Float32Array && this.#shared.running?.update(this.#key, features, values);
    if (isSent) return;
    this.#own ??= new CovarianceAccumulator(features);
    this.#own.update(values);
  }
}

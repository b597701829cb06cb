import { getBackend } from '@tensorflow/tfjs-core';
import { CovarianceAccumulator } from '../../statistics/covariance.js';
import { Reservoir } from '../../statistics/reservoir.js';
import type { SolveOptions } from '../../statistics/threads/solve.js';
import { solveInBackground } from '../../statistics/threads/solver.js';
import { afterwards, type Computation, computed, mapped } from '../../statistics/threads/thread.js';
import type { SampleMatrix } from '../../recording/samples.js';
import type { LayerAccumulator, Pass, SolvedLayer } from '../../recording/accumulator.js';
import { readSamples, readSamplesLater } from './read-samples.js';
import { checkFeatures } from './shift.js';

/** What is accumulated between two solves. Passes that are still being read belong to the period in which they ran. */
interface Period {
  accumulator: CovarianceAccumulator | undefined;
  rows: Reservoir | undefined;
  reading: Set<Promise<void>>;
}

/** The exact way that works everywhere: it reads the activations and accumulates them in float64 on this thread. */
export class HostAccumulator implements LayerAccumulator {
  readonly strategy: string;
  readonly #isAsync = readsAsynchronously();
  readonly #report: (error: unknown) => void;
  readonly #keepRows: number;
  #period = newPeriod();

  /**
   * @param report receives errors that occur when no caller can receive them
   * @param keepRows how many samples to keep, chosen at random; default 0
   */
  constructor(report: (error: unknown) => void, keepRows = 0) {
    this.#report = report;
    this.#keepRows = keepRows;
    this.strategy = this.#isAsync ? 'float64 on the host, read back asynchronously' : 'float64 on the host';
  }

  add(pass: Pass): void {
    const period = this.#period;
    if (!this.#isAsync) {
      readSamples(pass, (samples) => this.#accumulate(period, samples, pass));
      return;
    }
    const reading = readSamplesLater(pass)
      .then((samples) => this.#accumulate(period, samples, pass))
      .catch(this.#report)
      .finally(() => period.reading.delete(reading));
    period.reading.add(reading);
  }

  solve(options: SolveOptions, endPeriod: boolean): Computation<SolvedLayer | undefined> {
    const period = this.#period;
    if (endPeriod) this.#period = newPeriod();
    // The cpu backend computes in JavaScript, whose loops become slower once an array was transferred to a thread.
    const copies = getBackend() === 'cpu';
    const begin = (): Computation<SolvedLayer | undefined> => {
      const { accumulator, rows } = period;
      if (accumulator === undefined) return computed(() => undefined);
      return mapped(solveInBackground(accumulator, options, endPeriod, copies), (solved) => ({ solved, rows }));
    };
    return period.reading.size > 0 ? afterwards(Promise.all(period.reading), begin) : begin();
  }

  snapshot(): CovarianceAccumulator | undefined {
    return this.#period.accumulator;
  }

  restore(accumulator: CovarianceAccumulator): void {
    this.#period.accumulator = accumulator;
  }

  dispose(): void {
    this.#period = newPeriod();
  }

  #accumulate(period: Period, samples: SampleMatrix, { output }: Pass): void {
    period.accumulator ??= new CovarianceAccumulator(samples.features);
    checkFeatures(period.accumulator.features, samples.features, output.shape);
    period.accumulator.update(samples.values);
    if (this.#keepRows > 0) {
      period.rows ??= new Reservoir(this.#keepRows, samples.features);
      period.rows.add(samples.values);
    }
  }
}

/** Whether values can only be read asynchronously, or a synchronous read would stall the device. */
function readsAsynchronously(): boolean {
  const backend = getBackend();
  return backend === 'webgpu' || backend === 'webgl';
}

function newPeriod(): Period {
  return { accumulator: undefined, rows: undefined, reading: new Set() };
}

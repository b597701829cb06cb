import { CovarianceAccumulator } from '../statistics/covariance.js';
import { Reservoir } from '../statistics/reservoir.js';
import { CovarianceSketch } from '../statistics/sketch.js';
import type { SolveOptions } from '../statistics/threads/solve.js';
import { afterwards, type Computation } from '../statistics/threads/thread.js';
import {
  addByClass,
  checkFeatures,
  classItemsOf,
  type ItemClasses,
  type Kept,
  type LayerAccumulator,
  type LayerOutput,
  nothingKept,
  type Pass,
} from './accumulator.js';
import { LayerSums, type SolvedLayer } from './layer-sums.js';
import type { SampleMatrix } from './samples.js';

/** What is accumulated between two solves. Passes that are still being read belong to the period in which they ran. */
interface Period {
  sums: LayerSums;
  /** The last pass that is being read, which comes after those before it: the order of the rows is that of the passes. */
  reading: Promise<void> | undefined;
}

/** How a HostAccumulator reads the samples of an output. */
export interface SampleReader<T extends LayerOutput> {
  /** See LayerAccumulator.strategy. */
  readonly strategy: string;
  /**
   * Passes the samples of a pass to `use`, which keeps nothing of them, at once; or resolves to them, if they come later.
   */
  read(pass: Pass<T>, use: (samples: SampleMatrix) => void): undefined | Promise<SampleMatrix>;
  /** Whether sums are copied to the thread that solves them instead of handed over. */
  copiesToThread(): boolean;
}

/**
 * The exact way that works everywhere: it reads the activations and accumulates them in float64 on this thread. Of wide rows, it
 * keeps a sketch.
 */
export class HostAccumulator<T extends LayerOutput> implements LayerAccumulator<T> {
  readonly #reader: SampleReader<T>;
  readonly #report: (error: unknown) => void;
  readonly #kept: Kept;
  #period = newPeriod();

  /**
   * @param report receives errors that occur when no caller can receive them
   * @param kept what is kept beside mean and covariance; default nothing
   */
  constructor(reader: SampleReader<T>, report: (error: unknown) => void, kept = nothingKept) {
    this.#reader = reader;
    this.#report = report;
    this.#kept = kept;
  }

  get strategy(): string {
    return this.#kept.sketch ? 'sketch of 128 directions, float32 products, on the host' : this.#reader.strategy;
  }

  add(pass: Pass<T>): void {
    const period = this.#period;
    const { sums } = period;
    const { shape } = pass.output;
    const itemOf = this.#kept.classes && pass.classes ? classItemsOf(pass) : undefined;
    let rows: SampleMatrix | undefined;
    const use = (samples: SampleMatrix) => {
      this.#accumulate(sums, samples, shape);
      this.#kept.watch?.add(samples);
      if (itemOf !== undefined) rows = { ...samples, values: samples.values.slice() };
    };
    const reading = this.#reader.read(pass, use);
    if (reading !== undefined) this.#after(period, reading, use);
    if (itemOf === undefined) return;
    pass.classes?.whenKnown((classes) => {
      const add = (known: ItemClasses | undefined) => {
        if (rows === undefined || known === undefined || sums.accumulator === undefined) return;
        addByClass(sums.accumulator, sums, rows, known, itemOf);
      };
      if (reading === undefined && !(classes instanceof Promise)) add(classes);
      else this.#after(period, Promise.resolve(classes), add);
    });
  }

  /** Uses what is being read when it is there, and after all that was being read before. */
  #after<V>(period: Period, reading: Promise<V>, use: (read: V) => void): void {
    const settled: Promise<void> = Promise.all([reading, period.reading])
      .then(([read]) => use(read))
      .catch(this.#report)
      .finally(() => {
        if (period.reading === settled) period.reading = undefined;
      });
    period.reading = settled;
  }

  solve(options: SolveOptions, endPeriod: boolean): Computation<SolvedLayer | undefined> {
    const { sums, reading } = this.#endPeriod(endPeriod);
    const copies = this.#reader.copiesToThread();
    const begin = () => sums.solve(options, endPeriod, copies);
    return reading === undefined ? begin() : afterwards(reading, begin);
  }

  async take(endPeriod: boolean): Promise<LayerSums | undefined> {
    const { sums, reading } = this.#endPeriod(endPeriod);
    // Without a wait, nothing that is added after this call can come in between.
    if (reading !== undefined) await reading;
    if (sums.isEmpty) return undefined;
    return endPeriod ? sums : sums.copy();
  }

  /** The running period. @param isEnd whether the next pass starts a new one */
  #endPeriod(isEnd: boolean): Period {
    const period = this.#period;
    if (isEnd) this.#period = newPeriod(period.sums.sketch);
    return period;
  }

  snapshot(): LayerSums | undefined {
    const { sums } = this.#period;
    return sums.isEmpty ? undefined : sums;
  }

  restore(sums: LayerSums): void {
    this.#period.sums = sums;
  }

  dispose(): void {
    this.#period = newPeriod();
  }

  #accumulate(sums: LayerSums, samples: SampleMatrix, shape: readonly number[]): void {
    // What an earlier process has saved was summed exactly, and goes on so.
    if (this.#kept.sketch && sums.accumulator === undefined) {
      if (sums.sketch?.isEmpty && sums.sketch.features !== samples.features) sums.sketch = undefined;
      sums.sketch ??= new CovarianceSketch(samples.features);
      checkFeatures(sums.sketch.features, samples.features, shape);
      sums.sketch.update(samples.values);
      return;
    }
    sums.accumulator ??= new CovarianceAccumulator(samples.features, this.#kept);
    checkFeatures(sums.accumulator.features, samples.features, shape);
    sums.accumulator.update(samples.values);
    if (this.#kept.rows > 0) {
      sums.rows ??= new Reservoir(this.#kept.rows, samples.features);
      sums.rows.add(samples.values);
    }
  }
}

/** @param previous its directions are good for the next period, too */
function newPeriod(previous?: CovarianceSketch): Period {
  return { sums: new LayerSums({ sketch: previous?.next() }), reading: undefined };
}

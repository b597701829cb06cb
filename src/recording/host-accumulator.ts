import { CovarianceAccumulator } from '../statistics/covariance.js';
import { Reservoir } from '../statistics/reservoir.js';
import { CovarianceSketch } from '../statistics/sketch.js';
import type { SolveOptions } from '../statistics/threads/solve.js';
import { solveInBackground } from '../statistics/threads/solver.js';
import { afterwards, type Computation, computed, mapped } from '../statistics/threads/thread.js';
import {
  ClassRows,
  checkFeatures,
  type ItemClasses,
  type Kept,
  type LayerAccumulator,
  type LayerOutput,
  nothingKept,
  type Pass,
  type SolvedLayer,
  withSample,
} from './accumulator.js';
import type { SampleMatrix } from './samples.js';

/** What is accumulated between two solves. Passes that are still being read belong to the period in which they ran. */
interface Period {
  accumulator: CovarianceAccumulator | undefined;
  /** In its place, if the rows are too wide for it. */
  sketch: CovarianceSketch | undefined;
  rows: Reservoir | undefined;
  classes: ClassRows | undefined;
  reading: Set<Promise<void>>;
}

/** How a HostAccumulator reads the samples of an output. */
export interface SampleReader<T extends LayerOutput> {
  /** See LayerAccumulator.strategy. */
  readonly strategy: string;
  /**
   * Passes the samples of a pass to `use`, which keeps nothing of them: at once, or later, in which case the promise says when.
   */
  read(pass: Pass<T>, use: (samples: SampleMatrix) => void): void | Promise<void>;
  /** Whether sums are copied to the thread that solves them instead of handed over. */
  copiesToThread(): boolean;
}

/**
 * The exact way that works everywhere: it reads the activations and accumulates them in float64 on this thread. Of wide rows, it
 * keeps a sketch.
 */
export class HostAccumulator<T extends LayerOutput> implements LayerAccumulator<T> {
  readonly strategy: string;
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
    this.strategy = kept.sketch ? 'sketch of 128 directions, float32 products, on the host' : reader.strategy;
  }

  add(pass: Pass<T>): void {
    const period = this.#period;
    const { shape } = pass.output;
    const itemOf = this.#kept.classes && pass.classes ? ClassRows.itemsOf(pass) : undefined;
    let rows: SampleMatrix | undefined;
    const reading = this.#reader.read(pass, (samples) => {
      this.#accumulate(period, samples, shape);
      this.#kept.watch?.add(samples);
      if (itemOf !== undefined) rows = { ...samples, values: samples.values.slice() };
    });
    if (reading !== undefined) this.#await(period, reading);
    if (itemOf === undefined) return;
    pass.classes?.whenKnown((classes) => {
      const add = (known: ItemClasses | undefined) => {
        if (rows === undefined || known === undefined || period.accumulator === undefined) return;
        const { accumulator } = period;
        period.classes ??= new ClassRows(() => accumulator);
        period.classes.add(rows, known, itemOf);
      };
      if (reading === undefined && !(classes instanceof Promise)) add(classes);
      else
        this.#await(
          period,
          Promise.all([classes, reading]).then(([known]) => add(known)),
        );
    });
  }

  #await(period: Period, reading: Promise<void>): void {
    const settled: Promise<void> = reading.catch(this.#report).finally(() => period.reading.delete(settled));
    period.reading.add(settled);
  }

  solve(options: SolveOptions, endPeriod: boolean): Computation<SolvedLayer | undefined> {
    const period = this.#period;
    if (endPeriod) this.#period = newPeriod(period.sketch);
    const copies = this.#reader.copiesToThread();
    const begin = (): Computation<SolvedLayer | undefined> => {
      const { accumulator, sketch, rows, classes } = period;
      if (sketch !== undefined && accumulator === undefined) return computed(() => ({ solved: sketch.solve() }));
      if (accumulator === undefined) return computed(() => undefined);
      return mapped(
        solveInBackground(accumulator, withSample(options, rows, classes), endPeriod, copies),
        (solved) => ({
          solved,
          rows,
        }),
      );
    };
    return period.reading.size > 0 ? afterwards(Promise.all(period.reading), begin) : begin();
  }

  /** Waits until every pass of the running period has been read. */
  async settle(): Promise<void> {
    await Promise.all(this.#period.reading);
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

  #accumulate(period: Period, samples: SampleMatrix, shape: readonly number[]): void {
    // What an earlier process has saved was summed exactly, and goes on so.
    if (this.#kept.sketch && period.accumulator === undefined) {
      if (period.sketch?.isEmpty && period.sketch.features !== samples.features) period.sketch = undefined;
      period.sketch ??= new CovarianceSketch(samples.features);
      checkFeatures(period.sketch.features, samples.features, shape);
      period.sketch.update(samples.values);
      return;
    }
    period.accumulator ??= new CovarianceAccumulator(samples.features, this.#kept);
    checkFeatures(period.accumulator.features, samples.features, shape);
    period.accumulator.update(samples.values);
    if (this.#kept.rows > 0) {
      period.rows ??= new Reservoir(this.#kept.rows, samples.features);
      period.rows.add(samples.values);
    }
  }
}

/** @param previous its directions are good for the next period, too */
function newPeriod(previous?: CovarianceSketch): Period {
  return { accumulator: undefined, sketch: previous?.next(), rows: undefined, classes: undefined, reading: new Set() };
}

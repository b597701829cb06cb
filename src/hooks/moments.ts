import { customGrad, engine, getBackend, keep, scalar, type Tensor, zerosLike } from '@tensorflow/tfjs-core';
import { CovarianceAccumulator } from '../statistics/covariance-accumulator.js';
import { Reservoir } from '../statistics/reservoir.js';
import { type ActivationView, toSamples } from './activations.js';

/** One pass of data to add to a layer's moments. The tensors are valid only during the call. */
export interface Pass {
  output: Tensor;
  view: ActivationView;
  /** N x T, 0 where a step is padding. */
  mask?: ArrayLike<number>;
  /** How many of the N items to use, from the first. */
  items: number;
}

/** What a period held. */
export interface TakenMoments {
  accumulator: CovarianceAccumulator;
  /** A uniform random choice of the samples, where rows were asked for. */
  rows?: Reservoir;
}

/** Accumulates the mean and covariance of one layer in one split, somewhere: on the host, in a worker, on the device. */
export interface Moments {
  /** How and where, in a few words, for the tracker's summary. */
  readonly strategy: string;
  add(pass: Pass): void;
  /** Ends the period: what was added since the last take. The next add starts anew. Undefined when nothing was added. */
  take(): Promise<TakenMoments | undefined>;
  /** The same without ending the period. */
  peek(): Promise<TakenMoments | undefined>;
  /** The running period's moments as far as they have arrived, for saving; the accumulator is the live one. */
  snapshot(): CovarianceAccumulator | undefined;
  /** Goes on from moments of before (a restored state). */
  restore(accumulator: CovarianceAccumulator): void;
  dispose(): void;
}

/** Runs tensor operations off the gradient tape: what a hook computes must not be kept for the backward pass. */
export function offTape(x: Tensor, fn: (x: Tensor) => void): void {
  if (engine().state.gradientDepth === 0) {
    fn(x);
    return;
  }
  const detached = customGrad((...args) => {
    fn(args[0] as Tensor);
    return { value: scalar(0), gradFunc: () => zerosLike(x) };
  });
  detached(x).dispose();
}

/** True where values can only be read asynchronously, or where waiting for them would stall the device. */
export function readsLater(): boolean {
  const backend = getBackend();
  return backend === 'webgpu' || backend === 'webgl';
}

/** What is added between two takes. Passes still being read back belong to the period in which they ran. */
interface Period {
  accumulator: CovarianceAccumulator | undefined;
  rows: Reservoir | undefined;
  reading: Set<Promise<void>>;
}

function newPeriod(): Period {
  return { accumulator: undefined, rows: undefined, reading: new Set() };
}

async function whenRead(period: Period): Promise<TakenMoments | undefined> {
  await Promise.all(period.reading);
  const { accumulator, rows } = period;
  return accumulator === undefined ? undefined : { accumulator, rows };
}

/** The exact way that works everywhere: read the activations and accumulate them in float64 on this thread. */
export class HostMoments implements Moments {
  readonly strategy: string;
  readonly #later = readsLater();
  readonly #report: (error: unknown) => void;
  readonly #keepRows: number;
  #period = newPeriod();

  /**
   * @param report told what goes wrong where no caller can be
   * @param keepRows how many samples to keep, chosen at random; 0 for none
   */
  constructor(report: (error: unknown) => void, keepRows = 0) {
    this.#report = report;
    this.#keepRows = keepRows;
    this.strategy = this.#later ? 'float64 on the host, read back asynchronously' : 'float64 on the host';
  }

  add(pass: Pass): void {
    const period = this.#period;
    if (!this.#later) {
      this.#accumulate(period, pass.output.dataSync(), pass.output.shape, pass);
      return;
    }
    const { view, mask, items } = pass;
    const shape = pass.output.shape;
    offTape(pass.output, (output) => {
      const copy = keep(output.clone());
      const reading = copy
        .data()
        .then((values) => this.#accumulate(period, values, shape, { view, mask, items }))
        .catch(this.#report)
        .finally(() => {
          copy.dispose();
          period.reading.delete(reading);
        });
      period.reading.add(reading);
    });
  }

  take(): Promise<TakenMoments | undefined> {
    const period = this.#period;
    this.#period = newPeriod();
    return whenRead(period);
  }

  async peek(): Promise<TakenMoments | undefined> {
    const taken = await whenRead(this.#period);
    // The live accumulator goes on growing: what is measured must stand still.
    return taken && { ...taken, accumulator: CovarianceAccumulator.fromBytes(taken.accumulator.toBytes()) };
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

  #accumulate(period: Period, read: ArrayLike<number>, shape: readonly number[], pass: Omit<Pass, 'output'>): void {
    const values = read instanceof Float32Array ? read : Float32Array.from(read);
    const samples = toSamples(values, shape, pass.view, pass.mask, pass.items);
    period.accumulator ??= new CovarianceAccumulator(samples.features);
    if (period.accumulator.features !== samples.features) {
      throw new RangeError(
        `expected ${period.accumulator.features} features as in earlier passes, got ${samples.features} from an output of shape [${shape}]`,
      );
    }
    period.accumulator.update(samples.values);
    if (this.#keepRows > 0) {
      period.rows ??= new Reservoir(this.#keepRows, samples.features);
      period.rows.add(samples.values);
    }
  }
}

import {
  keep,
  matMul,
  reshape,
  slice,
  sub,
  sum,
  type Tensor2D,
  type Tensor3D,
  tensor2d,
  tidy,
} from '@tensorflow/tfjs-core';
import { CovarianceAccumulator } from '../statistics/covariance-accumulator.js';
import type { SolveWishes } from '../statistics/solve.js';
import { solveLayer } from '../statistics/spectrum.js';
import { checkFeatures, sampleRows } from './device-rows.js';
import type { Moments, Pass, SolvedMoments } from './moments.js';
import { offTape } from './off-tape.js';

/** What a pass is reduced to: the sums and the product of its rows, each row less the shift. */
export interface ShiftedMoments {
  sums: ArrayLike<number>;
  /** features x features, row-major. */
  product: ArrayLike<number>;
}

/**
 * Reduces each pass to its moments on the device and merges them on the host in float64: for many rows of few features
 * (convolutions), where the d x d product is far smaller than the activations. Only for plain matrices of samples (see
 * isPlainMatrix) on a backend that reads synchronously.
 *
 * Each row is taken less a shift, so that nothing cancels in a float32 product whatever the ratio of mean to deviation
 * (1e-8 of the largest eigenvalue). The shift is made from a row of the layer's own and then follows the mean: so a
 * feature that never varies is exactly zero throughout, and a drifting mean does no harm.
 */
export class DeviceMoments implements Moments {
  readonly strategy: string = 'float32 product on the device, merged in float64';
  #accumulator: CovarianceAccumulator | undefined;
  /** 1 x d, on the device, and its values. */
  #shift: Tensor2D | undefined;
  #shiftValues = new Float32Array(0);

  add(pass: Pass): void {
    offTape(pass.output, () =>
      tidy(() => {
        const x = sampleRows(pass);
        const [rows, features] = x.shape;
        if (rows === 0) return;
        this.#accumulator ??= new CovarianceAccumulator(features);
        checkFeatures(this.#accumulator.features, features, pass.output.shape);
        if (this.#shift === undefined || !this.#addShifted(this.#accumulator, x)) this.#start(this.#accumulator, x);
      }),
    );
  }

  async solve(wishes: SolveWishes, endPeriod: boolean): Promise<SolvedMoments | undefined> {
    const accumulator = this.#accumulator;
    if (endPeriod) this.#accumulator = undefined;
    return accumulator && { solved: await solveLayer(accumulator, wishes, endPeriod) };
  }

  snapshot(): CovarianceAccumulator | undefined {
    return this.#accumulator;
  }

  restore(accumulator: CovarianceAccumulator): void {
    this.#accumulator = accumulator;
  }

  dispose(): void {
    this.#accumulator = undefined;
    this.#shift?.dispose();
    this.#shift = undefined;
  }

  /** The moments of `rows - shift`; both tensors are on the device. */
  protected reduce(rows: Tensor2D, shift: Tensor2D): ShiftedMoments {
    const shifted = sub(rows, shift) as Tensor2D;
    const [count, features] = shifted.shape;
    const block = blockOf(count, features);
    const blocks = reshape(shifted, [count / block, block, features]) as Tensor3D;
    const products = matMul(blocks, blocks, true, false).dataSync<'float32'>();
    return { sums: sum(shifted, 0).dataSync(), product: summed(products, features * features) };
  }

  /** False where a row held a NaN or Infinity, or the shift did not fit: then nothing was added. */
  #addShifted(accumulator: CovarianceAccumulator, x: Tensor2D): boolean {
    const { sums, product } = this.reduce(x, this.#shift as Tensor2D);
    const features = sums.length;
    const rows = x.shape[0];
    const offset = new Float64Array(features);
    let distance = 0;
    let widest = 0;
    for (let i = 0; i < features; i++) {
      offset[i] = sums[i] / rows;
      const square = offset[i] * offset[i];
      distance += square;
      widest = Math.max(widest, product[i * features + i] / rows - square);
    }
    if (!Number.isFinite(distance)) return false;
    // The rounding of a float32 product grows with the distance of the mean from the shift.
    if (distance > 4 * widest) return false;
    const scatter = new Float64Array(features * features);
    for (let i = 0; i < features; i++) {
      for (let j = 0; j <= i; j++) scatter[i * features + j] = product[i * features + j] - sums[i] * offset[j];
    }
    const mean = offset.map((value, i) => this.#shiftValues[i] + value);
    accumulator.updateCentered(rows, mean, scatter);
    if (distance > 0.25 * widest) this.#setShift(mean);
    return true;
  }

  /** Adds a pass for which there is no fitting shift yet. */
  #start(accumulator: CovarianceAccumulator, x: Tensor2D): void {
    const [rows, features] = x.shape;
    const first = slice(x, [0, 0], [1, features]);
    const sums = sum(sub(x, first), 0).dataSync();
    const values = first.dataSync();
    this.#setShift(Float64Array.from(values, (value, i) => value + sums[i] / rows));
    // A NaN or Infinity somewhere, or values so far apart that float32 does not do: the host takes this pass.
    if (this.#shiftValues.every(Number.isFinite) && this.#addShifted(accumulator, x)) return;
    accumulator.update(x.dataSync() as Float32Array);
    this.#shift?.dispose();
    this.#shift = undefined;
  }

  #setShift(mean: Float64Array): void {
    this.#shiftValues = Float32Array.from(mean);
    this.#shift?.dispose();
    this.#shift = keep(tensor2d(this.#shiftValues, [1, mean.length]));
  }
}

/** Numbers of all products together that are read back and added in float64: a megabyte. */
const partNumbers = 2 ** 18;

/**
 * Rows per product: float32 sums lose digits as they grow, so the rows are multiplied in blocks, as many as are cheap to
 * read back, and these added in float64. A divisor of the rows, so that none is moved; all where there is none in reach.
 */
function blockOf(rows: number, features: number): number {
  const least = Math.max(32, Math.ceil((rows * features * features) / partNumbers));
  for (let block = least; block <= 2 * least && block <= rows; block++) if (rows % block === 0) return block;
  for (let block = least; block >= 8 && 2 * block >= least; block--) if (rows % block === 0) return block;
  return rows;
}

function summed(parts: Float32Array, length: number): ArrayLike<number> {
  if (parts.length === length) return parts;
  const total = Float64Array.from(parts.subarray(0, length));
  for (let from = length; from < parts.length; from += length) {
    for (let i = 0; i < length; i++) total[i] += parts[from + i];
  }
  return total;
}

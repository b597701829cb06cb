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
import { CovarianceAccumulator } from '../../statistics/covariance.js';
import { solveLayer } from '../../statistics/spectrum.js';
import type { SolveWishes } from '../../statistics/threads/solve.js';
import { offTape, withValues } from '../tensors.js';
import type { Moments, Pass, SolvedMoments } from './accumulator.js';
import { centre, checkFeatures, type Reach, type ShiftedMoments, sampleRows, suitsNoShift } from './shift.js';

/**
 * Reduces each pass to its moments on the device and merges them on the host in float64: for many rows of few features
 * (convolutions), where the d x d product is far smaller than the activations. Only for plain matrices of samples (see
 * isPlainMatrix) on a backend that reads synchronously.
 *
 * While the means are of the size of the deviations (after a ReLU, say) the rows are multiplied as they are. Otherwise
 * each row is taken less a shift, a pass over the activations more, so that nothing cancels in a float32 product whatever
 * the ratio of mean to deviation (1e-8 of the largest eigenvalue). The shift is made from a row of the layer's own and
 * then follows the mean: so a feature that never varies is exactly zero throughout, and a drifting mean does no harm.
 */
export class DeviceMoments implements Moments {
  readonly strategy: string = 'float32 product on the device, merged in float64';
  #accumulator: CovarianceAccumulator | undefined;
  /** 1 x d, on the device, and its values. */
  #shift: Tensor2D | undefined;
  #shiftValues = new Float32Array(0);
  /** Whether a pass had its means too far from zero. */
  #needsShift = false;
  /**
   * A product of float32 rows as they are is 2e-8 of a mean's square off, the mean itself (see carefulSums) 3e-9 of it,
   * which counts once for every feature.
   */
  protected readonly reach: Reach = { distance: 12, constancy: 1000 };

  add(pass: Pass): void {
    offTape(pass.output, () =>
      tidy(() => {
        const x = sampleRows(pass);
        const [rows, features] = x.shape;
        if (rows === 0) return;
        this.#accumulator ??= new CovarianceAccumulator(features);
        checkFeatures(this.#accumulator.features, features, pass.output.shape);
        if (this.#shift === undefined && !this.#needsShift && this.#addUnshifted(this.#accumulator, x)) return;
        if (this.#shift === undefined || !this.#addShifted(this.#accumulator, x)) this.#start(this.#accumulator, x);
      }),
    );
  }

  async solve(wishes: SolveWishes, endPeriod: boolean): Promise<SolvedMoments | undefined> {
    const accumulator = this.#accumulator;
    if (endPeriod) this.#accumulator = undefined;
    return accumulator && { solved: await solveLayer(accumulator, wishes, endPeriod, true) };
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

  /**
   * The moments of `rows - shift` or, without a shift, of the rows; both tensors are on the device. Undefined where
   * moments without a shift cannot be had in the precision that `reach` counts on.
   */
  protected reduce(rows: Tensor2D, shift: Tensor2D | undefined): ShiftedMoments | undefined {
    const shifted = shift === undefined ? rows : (sub(rows, shift) as Tensor2D);
    const [count, features] = shifted.shape;
    const sums = shift === undefined ? carefulSums(rows) : sum(shifted, 0).dataSync<'float32'>();
    if (sums === undefined) return undefined;
    const block = blockOf(count, features);
    const blocks = reshape(shifted, [count / block, block, features]) as Tensor3D;
    const products = matMul(blocks, blocks, true, false);
    return { sums, product: summed(products.dataSync<'float32'>(), features * features) };
  }

  /** False where that would not be exact: then nothing was added. */
  #addUnshifted(accumulator: CovarianceAccumulator, x: Tensor2D): boolean {
    const rows = x.shape[0];
    const reduced = this.reduce(x, undefined);
    if (reduced === undefined) return false;
    const centred = centre(reduced, rows);
    if (!Number.isFinite(centred.distance)) return false;
    this.#needsShift = !suitsNoShift(centred, rows, this.reach);
    if (this.#needsShift) return false;
    accumulator.updateCentered(rows, centred.offset, centred.scatter);
    return true;
  }

  /** False where a row held a NaN or Infinity, or the shift did not fit: then nothing was added. */
  #addShifted(accumulator: CovarianceAccumulator, x: Tensor2D): boolean {
    const rows = x.shape[0];
    const reduced = this.reduce(x, this.#shift);
    if (reduced === undefined) return false;
    const { offset, scatter, distance, widest } = centre(reduced, rows);
    if (!Number.isFinite(distance)) return false;
    // The rounding of a float32 product grows with the distance of the mean from the shift.
    if (distance > 4 * widest) return false;
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
    withValues(x, (values) => accumulator.update(values));
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
/** Rows per product at most, where there are many: as precise as it needs to be, and few products are faster. */
const mostRows = 4096;

/**
 * Rows per product: float32 sums lose digits as they grow, so the rows are multiplied in blocks, as many as are cheap to
 * read back, and these added in float64.
 */
function blockOf(rows: number, features: number): number {
  const least = Math.max(32, Math.min(mostRows, rows / 8), (rows * features * features) / partNumbers);
  return divisorNear(rows, Math.ceil(least)) ?? rows;
}

/** A divisor of `rows` from half of `least` to twice that, so that no row is moved; undefined where there is none. */
function divisorNear(rows: number, least: number): number | undefined {
  for (let block = least; block <= 2 * least && block <= rows; block++) if (rows % block === 0) return block;
  for (let block = least; block >= 8 && 2 * block >= least; block--) if (rows % block === 0) return block;
  return undefined;
}

/**
 * Column sums of which only some 32 rows are added in float32, the rest in float64. Every row is one of a run of rows
 * that lie far apart, so that the runs are added side by side.
 */
function carefulSums(x: Tensor2D): Float64Array | undefined {
  const [rows, features] = x.shape;
  const run = divisorNear(rows, Math.min(32, rows));
  if (run === undefined) return undefined;
  return summed(sum(reshape(x, [run, (rows / run) * features]), 0).dataSync<'float32'>(), features);
}

/** Parts of `length` numbers, one behind the other, added in float64. */
function summed(parts: Float32Array, length: number): Float64Array {
  const total = new Float64Array(length);
  for (let from = 0; from < parts.length; from += length) {
    for (let i = 0; i < length; i++) total[i] += parts[from + i];
  }
  return total;
}

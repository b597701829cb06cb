import {
  keep,
  matMul,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  tensor2d,
  tidy,
} from '@tensorflow/tfjs-core';
import {
  checkFeatures,
  type Kept,
  type LayerAccumulator,
  nothingKept,
  type Pass,
} from '../../recording/accumulator.js';
import { LayerSums, type SolvedLayer } from '../../recording/layer-sums.js';
import type { SampleMatrix } from '../../recording/samples.js';
import type { Precision } from '../../statistics/accumulator-state.js';
import { CovarianceAccumulator } from '../../statistics/covariance.js';
import { Reservoir } from '../../statistics/reservoir.js';
import type { SolveOptions } from '../../statistics/threads/solve.js';
import type { Computation } from '../../statistics/threads/thread.js';
import { offTape, withValues } from '../tensors.js';
import { readSamples, sampleRows, thinned } from './read-samples.js';
import { center, type Reach, type ShiftedMoments, suitsNoShift } from './shift.js';

/** A way to reduce rows to moments on the device. */
export interface DeviceProduct {
  /** The way in a few words: see LayerAccumulator.strategy. */
  readonly strategy: string;
  /** Of the rows and the product. */
  readonly precision: Precision;
  /** How far from zero the means of so many rows may be so that the product is exact enough without a shift. */
  reach(rows: number): Reach;
  /**
   * The moments of `rows - shift`, or of the rows themselves if there is no shift; both tensors are on the device.
   * Returns undefined if moments without a shift cannot be computed in the precision that `reach` relies on.
   */
  reduce(rows: Tensor2D, shift: Tensor2D | undefined): ShiftedMoments | undefined;
}

/**
 * Reduces each pass to its moments on the device and merges them on the host in float64. This is for many rows of few
 * features (convolutions), where the d x d product is far smaller than the activations. It takes plain matrices of
 * samples only (see isPlainMatrix), on a backend that reads synchronously.
 *
 * While the means are of the size of the deviations (after a ReLU, say), the rows are multiplied as they are (7e-7 of the largest
 * eigenvalue at most, see suitsNoShift). Otherwise
 * a shift is subtracted from each row, which costs one more pass over the activations, so that nothing cancels in a
 * float32 product whatever the ratio of mean to deviation (1e-8 of the largest eigenvalue). The shift is made from one of
 * the layer's own rows and then follows the mean: so a feature that never varies has exactly zero variance, and a mean
 * that drifts does no harm.
 */
export class DeviceAccumulator implements LayerAccumulator<Tensor> {
  readonly strategy: string;
  readonly #product: DeviceProduct;
  #sums = new LayerSums();
  /** 1 x d, on the device, and its values. */
  #shift: Tensor2D | undefined;
  #shiftValues = new Float32Array(0);
  /** Whether the means of some pass were too far from zero. */
  #needsShift = false;
  readonly #kept: Kept;
  /** Rows that were read for what is kept. */
  #picked = 0;

  /** @param kept what is kept beside mean and covariance, of few rows of each pass; default nothing */
  constructor(product: DeviceProduct, kept = nothingKept) {
    this.#product = product;
    this.#kept = kept;
    this.strategy = product.strategy;
  }

  add(pass: Pass<Tensor>): void {
    offTape(pass.output, () =>
      tidy(() => {
        const x = sampleRows(pass);
        const [rows, features] = x.shape;
        if (rows === 0) return;
        const accumulator = (this.#sums.accumulator ??= new CovarianceAccumulator(features, this.#kept));
        checkFeatures(accumulator.features, features, pass.output.shape);
        if (this.#shift !== undefined && this.#shift.shape[1] !== features) this.#dropShift();
        this.#addMoments(accumulator, x);
        this.#addKept(accumulator, pass);
      }),
    );
  }

  solve(options: SolveOptions, endPeriod: boolean): Computation<SolvedLayer | undefined> {
    return this.#endPeriod(endPeriod).solve(options, endPeriod, true);
  }

  async take(endPeriod: boolean): Promise<LayerSums | undefined> {
    const sums = this.#endPeriod(endPeriod);
    if (sums.isEmpty) return undefined;
    return endPeriod ? sums : sums.copy();
  }

  snapshot(): LayerSums | undefined {
    return this.#sums.isEmpty ? undefined : this.#sums;
  }

  restore(sums: LayerSums): void {
    this.#sums = sums;
  }

  dispose(): void {
    this.#sums = new LayerSums();
    this.#dropShift();
  }

  #endPeriod(isEnd: boolean): LayerSums {
    const sums = this.#sums;
    if (isEnd) this.#sums = new LayerSums();
    return sums;
  }

  #dropShift(): void {
    this.#shift?.dispose();
    this.#shift = undefined;
  }

  #addMoments(accumulator: CovarianceAccumulator, x: Tensor2D): void {
    if (this.#shift === undefined && !this.#needsShift && this.#addUnshifted(accumulator, x)) return;
    if (this.#shift === undefined || !this.#addShifted(accumulator, x)) this.#start(accumulator, x);
  }

  #addKept(accumulator: CovarianceAccumulator, pass: Pass<Tensor>): void {
    const { units, rows, watch } = this.#kept;
    if (!units && rows === 0 && watch === undefined) return;
    const add = (samples: SampleMatrix) => {
      const { values, features } = samples;
      watch?.add(samples);
      this.#picked += values.length / features;
      accumulator.updateUnits(values);
      if (rows === 0) return;
      this.#sums.rows ??= new Reservoir(rows, features);
      this.#sums.rows.add(values);
    };
    // Their steps are long: to release a few rows would cost more than to collect them.
    readSamples(thinned(pass, this.#picked), add, false);
  }

  /** Returns false, having added nothing, if that would not be exact. */
  #addUnshifted(accumulator: CovarianceAccumulator, x: Tensor2D): boolean {
    const rows = x.shape[0];
    const reduced = this.#product.reduce(x, undefined);
    if (reduced === undefined) return false;
    const centered = center(reduced, rows);
    if (!Number.isFinite(centered.distance)) return false;
    this.#needsShift = !suitsNoShift(centered, rows, this.#product.reach(rows));
    if (this.#needsShift) return false;
    accumulator.updateCentered(rows, centered.offset, centered.scatter, 0, this.#product.precision);
    return true;
  }

  /** Returns false, having added nothing, if a row held a NaN or Infinity or the shift did not fit. */
  #addShifted(accumulator: CovarianceAccumulator, x: Tensor2D): boolean {
    const rows = x.shape[0];
    const reduced = this.#product.reduce(x, this.#shift);
    if (reduced === undefined) return false;
    const { offset, scatter, distance, widest } = center(reduced, rows);
    if (!Number.isFinite(distance)) return false;
    // The rounding of a float32 product grows with the distance of the mean from the shift.
    if (distance > 4 * widest) return false;
    const mean = offset.map((value, i) => this.#shiftValues[i] + value);
    accumulator.updateCentered(rows, mean, scatter, 0, this.#product.precision);
    if (distance > 0.25 * widest) this.#setShift(mean);
    return true;
  }

  /** Adds a pass for which no shift fits yet. */
  #start(accumulator: CovarianceAccumulator, x: Tensor2D): void {
    const [rows, features] = x.shape;
    const first = slice(x, [0, 0], [1, features]);
    const sums = sum(sub(x, first), 0).dataSync();
    const values = first.dataSync();
    this.#setShift(Float64Array.from(values, (value, i) => value + sums[i] / rows));
    // If a value is NaN or Infinity, or the values are too far apart for float32, the host accumulates this pass.
    if (this.#shiftValues.every(Number.isFinite) && this.#addShifted(accumulator, x)) return;
    withValues(x, (values) => accumulator.updateMoments(values));
    this.#dropShift();
  }

  #setShift(mean: Float64Array): void {
    this.#shiftValues = Float32Array.from(mean);
    this.#shift?.dispose();
    this.#shift = keep(tensor2d(this.#shiftValues, [1, mean.length]));
  }
}

/** The product in TensorFlow.js' own float32. */
export const float32Product: DeviceProduct = {
  strategy: 'float32 product on the device, merged in float64',
  precision: 'float32 products',
  /**
   * Of rows without a shift, an entry of the product is wrong by about 1e-7 of the means' product (of few features up to 3e-7), less of many rows, whose errors
   * cancel; a mean (see columnSums) by 4e-9 of itself. At these limits, eigenvalues of a pass were up to 7e-7 of the largest off.
   */
  reach: (rows) => ({ spread: Math.max(2, Math.sqrt(rows / 1024)), distance: 64, constancy: 1000 }),
  reduce(rows, shift) {
    const shifted = shift === undefined ? rows : (sub(rows, shift) as Tensor2D);
    const [count, features] = shifted.shape;
    const run = divisorNear(count, Math.min(mostInRun, Math.max(8, count >> 5), count));
    if (run === undefined && shift === undefined) return undefined;
    const sums = columnSums(shifted, run ?? count);
    const block = blockOf(count, features);
    const blocks = reshape(shifted, [count / block, block, features]) as Tensor3D;
    const products = matMul(blocks, blocks, true, false);
    return { sums, product: summed(products.dataSync<'float32'>(), features * features) };
  },
};

/** Numbers of all products together that are read back and added in float64: a megabyte. */
const partNumbers = 2 ** 18;
/** Most rows per product if there are many rows: this is precise enough, and few products are faster. */
const mostRows = 4096;

/**
 * Rows per product. Float32 sums lose digits as they grow, so the rows are multiplied in as many blocks as are cheap to
 * read back, and the products are added in float64.
 */
function blockOf(rows: number, features: number): number {
  const least = Math.max(32, Math.min(mostRows, rows / 8), (rows * features * features) / partNumbers);
  return divisorNear(rows, Math.ceil(least)) ?? rows;
}

/** A divisor of `rows` between half and twice `least`, so that no row is moved; undefined if there is none. */
function divisorNear(rows: number, least: number): number | undefined {
  for (let block = least; block <= 2 * least && block <= rows; block++) if (rows % block === 0) return block;
  for (let block = least; block >= 8 && 2 * block >= least; block--) if (rows % block === 0) return block;
  return undefined;
}

/** Most rows that are added in float32 alone. */
const mostInRun = 64;

/** Column sums: each `run` of rows is added in float32, and the runs in float64. */
function columnSums(x: Tensor2D, run: number): Float64Array {
  const [rows, features] = x.shape;
  return summed(sum(reshape(x, [rows / run, run, features]), 1).dataSync<'float32'>(), features);
}

/** Adds parts of `length` numbers, which lie one behind the other, in float64. */
function summed(parts: Float32Array, length: number): Float64Array {
  const total = new Float64Array(length);
  for (let from = 0; from < parts.length; from += length) {
    for (let i = 0; i < length; i++) total[i] += parts[from + i];
  }
  return total;
}

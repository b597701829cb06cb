import {
  add,
  all,
  cast,
  div,
  expandDims,
  isFinite as finiteOf,
  keep,
  matMul,
  maximum,
  mul,
  pad,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  tidy,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';
import {
  checkFeatures,
  type Kept,
  type LayerAccumulator,
  nothingKept,
  type Pass,
} from '../../recording/accumulator.js';
import { LayerSums, type SolvedLayer } from '../../recording/layer-sums.js';
import { CovarianceAccumulator } from '../../statistics/covariance.js';
import { Reservoir } from '../../statistics/reservoir.js';
import type { SolveOptions } from '../../statistics/threads/solve.js';
import { afterwards, type Computation, computed } from '../../statistics/threads/thread.js';
import { offTape } from '../tensors.js';
import { readSamplesLater, sampleRows, thinned } from './read-samples.js';
import { center } from './shift.js';

/** Passes summed on the device before they are read back. */
const chunkPasses = 8;

/** Numbers that the products of blocks may take on the device: 64 MB. */
const blockedNumbers = 2 ** 24;

/** Sums of the finite rows minus a shift, over a few passes, on the device. */
interface Chunk {
  passes: number;
  rows: number;
  /** 1 x d */
  shift: Tensor2D;
  /** How many rows were finite: a scalar. */
  count: Tensor;
  /** 1 x d */
  sums: Tensor2D;
  /** d x d */
  product: Tensor2D;
  /** What the product lost to rounding as passes were added. */
  lost: Tensor2D;
}

/** What is accumulated between two solves. Chunks that are still being read belong to the period in which they ran. */
interface Period {
  accumulator: CovarianceAccumulator;
  /** The accumulator, and what else is kept. */
  sums: LayerSums;
  reading: Set<Promise<void>>;
}

/**
 * Sums passes on a GPU, reads the sums asynchronously a few passes at a time, and merges them on the host in float64, so
 * that nothing ever waits for the device. This is for backends on which a synchronous read stalls or is impossible
 * (WebGL, WebGPU). Rows with a NaN or Infinity are left out and counted on the device. DeviceAccumulator says what the
 * shift is for.
 */
export class GpuAccumulator implements LayerAccumulator<Tensor> {
  readonly strategy = 'float32 sums on the GPU, read back asynchronously, merged in float64';
  readonly #report: (error: unknown) => void;
  readonly #kept: Kept;
  /** Rows that were read for what is kept. */
  #picked = 0;
  #period: Period | undefined;
  #chunk: Chunk | undefined;

  /**
   * @param report receives errors that occur when no caller can receive them
   * @param kept what is kept beside mean and covariance, of few rows of each pass; default nothing
   */
  constructor(report: (error: unknown) => void, kept = nothingKept) {
    this.#report = report;
    this.#kept = kept;
  }

  add(pass: Pass<Tensor>): void {
    offTape(pass.output, () => {
      tidy(() => {
        const x = sampleRows(pass);
        const [rows, features] = x.shape;
        if (rows === 0) return;
        this.#period ??= periodOf(new LayerSums(), new CovarianceAccumulator(features, this.#kept));
        checkFeatures(this.#period.accumulator.features, features, pass.output.shape);
        this.#sum(x);
        this.#readKept(this.#period, pass);
      });
      if (this.#chunk !== undefined && this.#chunk.passes >= chunkPasses) this.#readBack();
    });
  }

  solve(options: SolveOptions, endPeriod: boolean): Computation<SolvedLayer | undefined> {
    const period = this.#endPeriod(endPeriod);
    if (period === undefined) return computed(() => undefined);
    return afterwards(readAll(period), () => period.sums.solve(options, endPeriod, false));
  }

  async take(endPeriod: boolean): Promise<LayerSums | undefined> {
    const period = this.#endPeriod(endPeriod);
    if (period === undefined) return undefined;
    await readAll(period);
    return endPeriod ? period.sums : period.sums.copy();
  }

  snapshot(): LayerSums | undefined {
    return this.#period?.sums;
  }

  restore(sums: LayerSums): void {
    this.#period = sums.accumulator && periodOf(sums, sums.accumulator);
  }

  /** The running period, of which everything is being read. @param isEnd whether the next pass starts a new one */
  #endPeriod(isEnd: boolean): Period | undefined {
    this.#readBack();
    const period = this.#period;
    if (isEnd) this.#period = undefined;
    return period;
  }

  dispose(): void {
    this.#period = undefined;
    disposeChunk(this.#chunk);
    this.#chunk = undefined;
  }

  #readKept(period: Period, pass: Pass<Tensor>): void {
    const { units, rows, watch } = this.#kept;
    if (!units && rows === 0 && watch === undefined) return;
    const few = thinned(pass, this.#picked);
    this.#picked += few.rows?.length ?? 0;
    const reading: Promise<void> = readSamplesLater(few)
      .then((samples) => {
        const { values, features } = samples;
        watch?.add(samples);
        period.accumulator.updateUnits(values);
        if (rows === 0) return;
        period.sums.rows ??= new Reservoir(rows, features);
        period.sums.rows.add(values);
      })
      .catch(this.#report)
      .finally(() => period.reading.delete(reading));
    period.reading.add(reading);
  }

  #sum(x: Tensor2D): void {
    const rows = x.shape[0];
    const finite = finiteOf(x);
    const mask = expandDims(cast(all(finite, 1), 'float32'), 1) as Tensor2D;
    const chunk = this.#chunk;
    const shift = chunk?.shift ?? firstShift(x, finite, mask);
    const shifted = mul(sub(where(finite, x, add(zerosLike(x), shift)), shift), mask) as Tensor2D;
    const count = sum(mask);
    const sums = sum(shifted, 0, true) as Tensor2D;
    const added = blockedProduct(shifted);
    const product = chunk === undefined ? added : (add(chunk.product, added) as Tensor2D);
    const lost =
      chunk === undefined ? zerosLike(added) : (add(chunk.lost, roundingOf(chunk.product, added, product)) as Tensor2D);
    this.#chunk = {
      passes: (chunk?.passes ?? 0) + 1,
      rows: (chunk?.rows ?? 0) + rows,
      shift: chunk?.shift ?? keep(shift),
      count: keep(chunk === undefined ? count : add(chunk.count, count)),
      sums: keep(chunk === undefined ? sums : (add(chunk.sums, sums) as Tensor2D)),
      product: keep(product),
      lost: keep(lost),
    };
    chunk?.count.dispose();
    chunk?.sums.dispose();
    chunk?.product.dispose();
    chunk?.lost.dispose();
  }

  /** Ends the chunk; its sums are merged into the period's accumulator when they arrive. */
  #readBack(): void {
    const chunk = this.#chunk;
    const period = this.#period;
    if (chunk === undefined || period === undefined) return;
    this.#chunk = undefined;
    const { count, shift, sums, product, lost } = chunk;
    const reading = Promise.all([count.data(), shift.data(), sums.data(), product.data(), lost.data()])
      .then(([[counted], ...values]) => merge(period.accumulator, chunk.rows, counted, ...values))
      .catch(this.#report)
      .finally(() => {
        disposeChunk(chunk);
        period.reading.delete(reading);
      });
    period.reading.add(reading);
  }
}

function periodOf(sums: LayerSums, accumulator: CovarianceAccumulator): Period {
  sums.accumulator = accumulator;
  return { accumulator, sums, reading: new Set() };
}

async function readAll({ reading }: Period): Promise<void> {
  while (reading.size > 0) await Promise.all(reading);
}

/** One row of the pass plus the mean distance to it. It is near the mean, and exact for a feature that never varies. */
function firstShift(x: Tensor2D, finite: Tensor, mask: Tensor2D): Tensor2D {
  const features = x.shape[1];
  const finiteFirst = slice(finite, [0, 0], [1, features]);
  const first = slice(x, [0, 0], [1, features]);
  const row = where(finiteFirst, first, zerosLike(first)) as Tensor2D;
  const distances = mul(sub(where(finite, x, add(zerosLike(x), row)), row), mask);
  return add(row, div(sum(distances, 0, true), maximum(sum(mask), 1))) as Tensor2D;
}

/** Products of blocks of rows, added pairwise in a tree, because float32 sums lose digits as they grow. */
function blockedProduct(shifted: Tensor2D): Tensor2D {
  const [rows, features] = shifted.shape;
  const count = Math.min(256, Math.floor(blockedNumbers / (features * features)), Math.floor(rows / 32));
  const blocks = 2 ** Math.floor(Math.log2(Math.max(1, count)));
  const padded = pad(shifted, [
    [0, (blocks - (rows % blocks)) % blocks],
    [0, 0],
  ]);
  const cut = reshape(padded, [blocks, -1, features]) as Tensor3D;
  let products: Tensor = matMul(cut, cut, true, false);
  for (let left = blocks; left > 1; left /= 2) {
    const pairs = reshape(products, [2, left / 2, features, features]);
    products = sum(pairs, 0);
  }
  return reshape(products, [features, features]) as Tensor2D;
}

/** The rounding error of sum = a + b, exactly (Knuth's two-sum). */
function roundingOf(a: Tensor, b: Tensor, total: Tensor): Tensor {
  const seen = sub(total, a);
  return add(sub(a, sub(total, seen)), sub(b, seen));
}

/** Merges a chunk that was read into a period's accumulator. */
function merge(
  accumulator: CovarianceAccumulator,
  rows: number,
  count: number,
  shift: ArrayLike<number>,
  sums: ArrayLike<number>,
  product: ArrayLike<number>,
  lost: ArrayLike<number>,
): void {
  const rejected = rows - count;
  if (count === 0) {
    accumulator.updateCentered(0, new Float64Array(shift.length), new Float64Array(shift.length ** 2), rejected);
    return;
  }
  const exact = Float64Array.from(product, (value, at) => value + lost[at]);
  const { offset, scatter } = center({ sums, product: exact }, count);
  const mean = offset.map((value, i) => shift[i] + value);
  accumulator.updateCentered(count, mean, scatter, rejected, 'float32 products');
}

function disposeChunk(chunk: Chunk | undefined): void {
  chunk?.shift.dispose();
  chunk?.count.dispose();
  chunk?.sums.dispose();
  chunk?.product.dispose();
  chunk?.lost.dispose();
}

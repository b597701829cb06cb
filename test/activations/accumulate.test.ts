import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TensorAccumulators } from '../../src/activations/accumulate/choose.js';
import { DeviceAccumulator, float32Product } from '../../src/activations/accumulate/on-device.js';
import { float64Product, hasNativeFloat64 } from '../../src/activations/accumulate/on-device-float64.js';
import { GpuAccumulator } from '../../src/activations/accumulate/on-gpu.js';
import { onHost } from '../../src/activations/accumulate/on-host.js';
import { WorkerAccumulator } from '../../src/activations/accumulate/on-worker.js';
import { readSamples, readSamplesLater, sampleRows } from '../../src/activations/accumulate/read-samples.js';
import { center, suitsNoShift } from '../../src/activations/accumulate/shift.js';
import { withValues } from '../../src/activations/tensors.js';
import { type LayerAccumulator, nothingKept } from '../../src/recording/accumulator.js';
import { HostAccumulator } from '../../src/recording/host-accumulator.js';
import {
  type ActivationView,
  isPlainMatrix,
  pickRows,
  type SampleMatrix,
  toSamples,
} from '../../src/recording/samples.js';
import type { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { RemoteAccumulators } from '../../src/statistics/threads/remote-accumulators.js';
import { decodeNpy } from '../../src/stores/npy.js';
import { SaturationTracker } from '../../src/tfjs.js';
import { backends, useBackend } from '../support/backends.js';
import { normals } from '../support/random.js';
import { RecordingStore } from '../support/recording-store.js';

/** The samples with these numbers, one by one. */
function pickedOf({ values, features }: SampleMatrix, rows: Int32Array): SampleMatrix {
  const picked = [...rows].flatMap((row) => [...values.slice(row * features, (row + 1) * features)]);
  const Values = values.constructor as Float32ArrayConstructor;
  return { values: Values.from(picked), rows: rows.length, features };
}

const view: ActivationView = {
  kind: 'sequence',
  spatialRank: 0,
  channelsFirst: false,
  convMethod: 'channelwise',
  timeseriesMethod: 'tokens',
};

interface Data {
  values: Float32Array;
  rows: number;
  features: number;
  batch: number;
}

const fixtures = new URL('../fixtures/numeric/', import.meta.url);
const index = JSON.parse(readFileSync(new URL('index.json', fixtures), 'utf8'));

function fixture(name: string): Data {
  const { values, shape } = decodeNpy(readFileSync(new URL(`${name}/x.npy`, fixtures)), name);
  return {
    values: Float32Array.from(values),
    rows: shape[0],
    features: shape[1],
    batch: index.cases[name].batch_sizes[0],
  };
}

/** Normal rows with deviations 1/i, times scale, about a mean that moves from `from` to `to`. */
function made(features: number, rows: number, batch: number, from: number, to: number): Data {
  const values = normals(rows * features, 3);
  for (let row = 0; row < rows; row++) {
    const mean = from + ((to - from) * row) / rows;
    for (let i = 0; i < features; i++) {
      values[row * features + i] = mean * (1 + (i % 3)) + values[row * features + i] / (i + 1);
    }
  }
  return { values, rows, features, batch };
}

/** Normal rows of deviation 1 about a mean. */
function offset(features: number, rows: number, batch: number, mean: (feature: number) => number): Data {
  const values = normals(rows * features, 5).map((x, at) => x + mean(at % features));
  return { values, rows, features, batch };
}

const sets: Record<string, () => Data> = {
  'n > d': () => fixture('n_gt_d'),
  'post-ReLU with dead units': () => fixture('relu_sparse'),
  'rank 7 of 48': () => fixture('rank_deficient'),
  'mean 1e4 times the deviation': () => fixture('mean_1e4_std_1'),
  'mean 1e5 times the deviation': () => made(24, 4000, 200, 1e5, 1e5),
  'a mean that drifts by 200 deviations': () => made(24, 4000, 100, 0, 200),
  // Rounding of the one large product does not cancel with that of others.
  'one feature whose mean is 3.3 deviations': () => offset(16, 8192, 4096, (i) => (i === 0 ? 3.3 : 0)),
};

/** Eigenvalues of the two-pass covariance, by ml-matrix, descending. */
function reference({ values, rows, features }: Data): Float64Array {
  const mean = new Float64Array(features);
  for (let row = 0; row < rows; row++) for (let i = 0; i < features; i++) mean[i] += values[row * features + i] / rows;
  const covariance = Matrix.zeros(features, features);
  for (let i = 0; i < features; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        sum += (values[row * features + i] - mean[i]) * (values[row * features + j] - mean[j]);
      }
      covariance.set(i, j, sum / rows);
      covariance.set(j, i, sum / rows);
    }
  }
  const { realEigenvalues } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  return Float64Array.from(realEigenvalues).sort().reverse();
}

function feed(accumulator: LayerAccumulator<tf.Tensor>, { values, rows, features, batch }: Data): void {
  for (let from = 0; from < rows; from += batch) {
    const items = Math.min(batch, rows - from);
    tf.tidy(() => {
      const output = tf.tensor2d(values.slice(from * features, (from + items) * features), [items, features]);
      accumulator.add({ output, view, items });
    });
  }
}

/** The definitions, row by row and unit by unit. */
function unitMeasuresByHand(values: Float32Array, d: number) {
  const rows: number[][] = [];
  for (let at = 0; at < values.length; at += d) {
    const row = [...values.subarray(at, at + d)];
    if (row.every(Number.isFinite)) rows.push(row);
  }
  const mean = (numbers: number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const units = Array.from({ length: d }, (_, j) => rows.map((row) => row[j]));
  const sizes = units.map((unit) => mean(unit.map(Math.abs)));
  const kurtosisOf = (row: number[]) => {
    const moment = (k: number) => mean(row.map((x) => (x - mean(row)) ** k));
    return moment(4) / moment(2) ** 2;
  };
  return {
    dead: mean(units.map((unit) => Number(mean(unit.map((x) => Number(x !== 0))) < 0.01))),
    dormant: mean(sizes.map((size) => Number(size <= 0.025 * mean(sizes)))),
    kurtosis: mean(rows.map(kurtosisOf).filter(Number.isFinite)),
    largest: Math.max(...rows.flat().map(Math.abs)),
  };
}

async function solved(accumulator: LayerAccumulator<tf.Tensor>) {
  const result = await accumulator.solve({ mean: true }, true).result;
  if (result === undefined) throw new Error('nothing was accumulated');
  return result.solved;
}

const worker = RemoteAccumulators.start({ float32Products: false })!;
const narrowWorker = RemoteAccumulators.start({ float32Products: true })!;
const unitsWorker = RemoteAccumulators.start({ units: true })!;
afterAll(() => {
  worker.close();
  narrowWorker.close();
  unitsWorker.close();
});
const fail = (error: unknown) => {
  throw error;
};
let names = 0;
const strategies: Record<
  string,
  { make: () => LayerAccumulator<tf.Tensor>; within: number; on: (backend: string) => boolean }
> = {
  host: { make: () => onHost(fail), within: 1e-10, on: () => true },
  'worker thread': {
    make: () => new WorkerAccumulator(worker, `layer ${names++}`, false),
    within: 1e-10,
    on: () => true,
  },
  'worker thread, float32 products': {
    make: () => new WorkerAccumulator(narrowWorker, `layer ${names++}`, true),
    within: 1e-7,
    on: () => true,
  },
  device: {
    make: () => new DeviceAccumulator(float32Product),
    within: 1e-7,
    on: (backend) => backend === 'tensorflow',
  },
  'GPU in chunks': { make: () => new GpuAccumulator(fail), within: 2e-7, on: () => true },
  'device in float64': {
    make: () => new DeviceAccumulator(float64Product),
    within: 1e-10,
    on: (backend) => backend === 'tensorflow',
  },
};

describe('rows that need no shift', () => {
  const reach = { spread: 2, distance: 64, constancy: 1000 };

  it('are those whose means are within reach of the largest eigenvalue, which is not that of one feature', () => {
    const features = 24;
    // Neighbors depend on each other: the largest eigenvalue, nearly 4, is spread over all features, of which each has a variance of 2.
    const scatter = new Float64Array(features * features);
    for (let i = 0; i < features; i++) {
      scatter[i * features + i] = i === 7 ? 2.01 : 2;
      if (i > 0) scatter[i * features + i - 1] = -1;
    }
    const full = Matrix.from1DArray(features, features, scatter);
    for (let i = 1; i < features; i++) full.set(i - 1, i, -1);
    const [largest] = new EigenvalueDecomposition(full, { assumeSymmetric: true }).realEigenvalues.sort(
      (a, b) => b - a,
    );
    const suits = (share: number) => {
      const mean = Math.sqrt((share * reach.spread * largest) / Math.sqrt(features));
      const means = new Float64Array(features).fill(mean);
      return suitsNoShift({ offset: means, scatter, distance: features * mean ** 2, widest: 2.01 }, 1, reach);
    };
    expect([0.9, 1.01].map(suits)).toEqual([true, false]);
  });

  it('are multiplied to 7e-7 of the largest eigenvalue, which is most at the limit', async (context) => {
    if (!backends.includes('tensorflow')) return context.skip();
    await useBackend('tensorflow');
    const mean = Math.sqrt(reach.spread / Math.sqrt(16)) * 0.99;
    const data = offset(16, 4096, 4096, () => mean);
    tf.engine().startScope();
    const reduced = float32Product.reduce(tf.tensor2d(data.values, [data.rows, 16]), undefined)!;
    tf.engine().endScope();
    const centered = center(reduced, data.rows);
    expect(suitsNoShift(centered, data.rows, float32Product.reach(data.rows))).toBe(true);
    const accumulator = new DeviceAccumulator(float32Product);
    feed(accumulator, data);
    const { eigenvalues } = await solved(accumulator);
    const expected = reference(data);
    for (const [i, value] of expected.entries()) {
      expect(Math.abs(eigenvalues[i] - value)).toBeLessThan(7e-7 * expected[0]);
    }
  });
});

describe.each(backends)('accumulators on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
    await vi.waitUntil(() => worker.isRunning && narrowWorker.isRunning && unitsWorker.isRunning, 10_000);
  });

  describe.each(Object.entries(strategies).filter(([, { on }]) => on(backend)))('%s', (_name, { make, within }) => {
    it.each(Object.entries(sets))('finds the spectrum of rows with %s', async (_set, data) => {
      const rows = data();
      const expected = reference(rows);
      const accumulator = make();
      feed(accumulator, rows);
      const result = await solved(accumulator);
      expect(result.count).toBe(rows.rows);
      // float64 ways to 1e-10, float32 products to 1e-7 (summed on a GPU 2e-7) of the largest eigenvalue.
      const tolerance = within * expected[0];
      for (let i = 0; i < expected.length; i++) {
        expect(Math.abs(result.eigenvalues[i] - Math.max(0, expected[i])), `eigenvalue ${i}`).toBeLessThan(tolerance);
      }
      const [found, truth] = [Spectrum.fromSolved(result), Spectrum.fromEigenvalues(expected)];
      for (const threshold of [0.9, 0.97, 0.99, 0.999]) {
        const margin = truth.explainedVariance().reduce((least, c) => Math.min(least, Math.abs(c - threshold)), 1);
        if (margin < 1e-6) continue;
        expect(found.intrinsicDimensionality(threshold)).toBe(truth.intrinsicDimensionality(threshold));
      }
      accumulator.dispose();
    });

    it('gives a feature that never varies no variance at all, whatever its value', async () => {
      const accumulator = make();
      const data = made(6, 600, 100, 0, 0);
      for (let row = 0; row < data.rows; row++) {
        data.values[row * 6 + 1] = 1 / 3;
        data.values[row * 6 + 4] = 12345.678;
      }
      feed(accumulator, data);
      const { covariance, mean } = (await accumulator.solve({ mean: true, covariance: true }, true).result)!.solved;
      for (let i = 0; i < 6; i++) {
        expect([covariance![6 + i], covariance![24 + i], covariance![i * 6 + 1], covariance![i * 6 + 4]]).toEqual([
          0, 0, 0, 0,
        ]);
      }
      expect([mean![1], mean![4]]).toEqual([Math.fround(1 / 3), Math.fround(12345.678)]);
      accumulator.dispose();
    });

    it('leaves rows with a NaN or Infinity out and counts them', async () => {
      const accumulator = make();
      const data = made(5, 3000, 100, 3, 3);
      const kept: number[] = [];
      for (let row = 0; row < 3000; row++) {
        if (row === 0 || row === 7 || row === 150) data.values[row * 5 + (row % 5)] = row === 7 ? Number.NaN : 1 / 0;
        else kept.push(...data.values.slice(row * 5, row * 5 + 5));
      }
      feed(accumulator, data);
      const { eigenvalues, count, rejected } = await solved(accumulator);
      expect({ count, rejected }).toEqual({ count: 2997, rejected: 3 });
      const expected = reference({ ...data, values: Float32Array.from(kept), rows: 2997 });
      for (let i = 0; i < 5; i++) {
        expect(Math.abs(eigenvalues[i] - expected[i]) / expected[0]).toBeLessThan(within);
      }
      accumulator.dispose();
    });

    it('is taken as it would have been solved, at once or as a copy, and starts again', async () => {
      const accumulator = make();
      const data = made(5, 3000, 100, 3, 3);
      data.values[12] = Number.NaN;
      expect(await accumulator.take(true)).toBeUndefined();
      feed(accumulator, data);
      const copy = await accumulator.take(false);
      expect([copy?.used, copy?.offered]).toEqual([2999, 3000]);
      feed(accumulator, data);
      const taken = accumulator.take(true);
      feed(accumulator, data);
      const [both, expected] = [(await taken)?.accumulator, await solved(accumulator)];
      expect([both?.count, both?.rejected]).toEqual([5998, 2]);
      expect([expected.count, expected.rejected]).toEqual([2999, 1]);
      for (const sums of [both, copy?.accumulator]) {
        const { eigenvalues } = Spectrum.of(sums as CovarianceAccumulator);
        for (const [i, value] of expected.eigenvalues.entries()) {
          expect(Math.abs(eigenvalues[i] - value)).toBeLessThan(within * expected.eigenvalues[0]);
        }
      }
      expect(await accumulator.take(true)).toBeUndefined();
      accumulator.dispose();
    });

    it('starts again after a period, continues after a peek, and can be saved and restored in between', async () => {
      const accumulator = make();
      const data = made(4, 100, 50, 1, 1);
      expect(await accumulator.solve({}, true).result).toBeUndefined();
      feed(accumulator, data);
      expect((await accumulator.solve({}, false).result)?.solved.count).toBe(100);
      feed(accumulator, data);
      expect((await solved(accumulator)).count).toBe(200);
      expect(await accumulator.solve({}, true).result).toBeUndefined();
      feed(accumulator, data);
      // On a GPU it lacks what has not been read back yet.
      const saved = accumulator.snapshot()!.copy();
      expect([0, 100]).toContain(saved.used);
      const before = saved.used;
      const other = make();
      other.restore(saved);
      feed(other, data);
      expect((await solved(other)).count).toBe(before + 100);
      expect((await solved(accumulator)).count).toBe(100);
      other.dispose();
      accumulator.dispose();
    });

    it('leaves no tensor behind', async () => {
      const before = tf.memory().numTensors;
      const accumulator = make();
      feed(accumulator, made(4, 100, 50, 1, 1));
      await accumulator.solve({}, true).result;
      feed(accumulator, made(4, 100, 50, 1, 1));
      accumulator.dispose();
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  describe('reads only the rows that are picked, as they are in the whole output', () => {
    const sequence = { ...view, kind: 'sequence' as const };
    const map = { ...view, kind: 'map' as const, spatialRank: 2 };
    const masked = (items: number, steps: number) =>
      Array.from({ length: items * steps }, (_, i) => (i % steps <= (i / steps) % steps ? 1 : 0));
    it.each<[string, number[], ActivationView, number[] | undefined]>([
      ['a dense layer', [600, 128], sequence, undefined],
      ['tokens', [40, 20, 100], sequence, undefined],
      ['tokens with a mask', [40, 20, 100], sequence, masked(40, 20)],
      ['last steps', [40, 20, 100], { ...sequence, timeseriesMethod: 'lastTimestep' }, undefined],
      ['last steps with a mask', [40, 20, 100], { ...sequence, timeseriesMethod: 'lastTimestep' }, masked(40, 20)],
      ['sequences as they are', [40, 20, 100], { ...sequence, timeseriesMethod: 'timestepwise' }, masked(40, 20)],
      ['a map', [30, 20, 20, 8], map, undefined],
      ['a map with channels first', [30, 8, 20, 20], { ...map, channelsFirst: true }, undefined],
      ['a map that is shrunk', [30, 20, 20, 8], { ...map, downsample: { size: 3 } }, undefined],
      ['means of a map', [30, 20, 20, 8], { ...map, convMethod: 'mean' }, undefined],
      ['a map as a vector', [30, 20, 20, 8], { ...map, convMethod: 'flatten' }, undefined],
      ['a map for each step of time', [6, 5, 20, 20, 8], { ...map, convMethod: 'median' }, undefined],
    ])('%s', async (_name, shape, of, mask) => {
      const output = tf.tidy(() => tf.randomNormal(shape, 0, 1, 'float32', 4).add(0)) as tf.Tensor;
      for (const items of [shape[0], shape[0] - 2]) {
        const whole = toSamples(output.dataSync() as Float32Array, shape, of, mask, items);
        for (const wanted of [1, 3, Math.ceil(whole.rows / 2)]) {
          const rows = pickRows(whole.rows, wanted, items + wanted);
          const expected = pickedOf(whole, rows);
          const pass = { output, view: of, mask, items, rows };
          const before = tf.memory().numTensors;
          readSamples(pass, (samples) => expect({ ...samples, values: samples.values.slice() }).toEqual(expected));
          expect(await readSamplesLater(pass)).toEqual(expected);
          if (isPlainMatrix(shape, of, mask !== undefined)) {
            tf.tidy(() => void expect(sampleRows(pass).dataSync()).toEqual(expected.values));
          }
          expect(tf.memory().numTensors).toBe(before);
        }
      }
      output.dispose();
    });
  });

  it('loses nothing that the worker thread has no room for', async () => {
    const accumulator = new WorkerAccumulator(worker, `layer ${names++}`, false);
    const output = tf.tensor2d(normals(3 << 20, 5), [(3 << 20) / 4, 4]);
    for (let pass = 0; pass < 12; pass++) accumulator.add({ output, view, items: output.shape[0] });
    expect((await solved(accumulator)).count).toBe(12 * output.shape[0]);
    output.dispose();
  });

  it('sums the units of all rows wherever rows are accumulated', async () => {
    const kept = { ...nothingKept, units: true };
    const made: LayerAccumulator<tf.Tensor>[] = [
      onHost(fail, kept),
      new WorkerAccumulator(unitsWorker, `layer ${names++}`, false, kept),
      new GpuAccumulator(fail, kept),
    ];
    if (backend === 'tensorflow') made.push(new DeviceAccumulator(float32Product, kept));
    const [n, d] = [500, 12];
    const values = normals(n * d, 7).map((x, at) => (at % d < 3 ? 0 : Math.max(0, x + (at % d) / 4 - 1)));
    values[400 * d + 5] = Number.NaN;
    const expected = unitMeasuresByHand(values, d);
    for (const accumulator of made) {
      feed(accumulator, { values, rows: n, features: d, batch: 64 });
      const { units } = await solved(accumulator);
      expect(units?.dead, accumulator.strategy).toBe(expected.dead);
      expect(units?.dormant, accumulator.strategy).toBe(expected.dormant);
      expect(units?.largest, accumulator.strategy).toBe(expected.largest);
      expect(units?.kurtosis, accumulator.strategy).toBeCloseTo(expected.kurtosis, 10);
    }
  });

  it('sums the units of 4 places per image where maps are reduced on a device', async () => {
    const accumulator = new GpuAccumulator(fail, { ...nothingKept, units: true });
    const map = { ...view, kind: 'map' as const, spatialRank: 2 };
    const values = normals(3 * 20 * 20 * 4, 9).map((x, at) => (at % 4 === 2 ? 0 : x));
    const output = tf.tensor4d(values, [3, 20, 20, 4]);
    for (let pass = 0; pass < 10; pass++) accumulator.add({ output, view: map, items: 3 });
    const { count, units } = await solved(accumulator);
    expect(count).toBe(12_000);
    expect(units?.dead).toBe(0.25);
    expect(units?.kurtosis).toBeGreaterThan(1);
    expect(units?.kurtosis).toBeLessThan(3);
    output.dispose();
  });

  it('chooses an accumulator by backend, shape and precision', () => {
    const [auto, exact] = [new TensorAccumulators('auto'), new TensorAccumulators('float64')];
    const conv = { shape: [64, 32, 32, 32], view: { ...view, kind: 'map' as const, spatialRank: 2 }, masked: false };
    const dense = { shape: [128, 512], view, masked: false };
    const chosen = [auto, exact].map((by) => [conv, dense].map((output) => by.choose('x', output, nothingKept, fail)));
    expect(chosen.map((pair) => pair.map((accumulator) => accumulator.constructor))).toEqual(
      backend === 'tensorflow'
        ? [
            [DeviceAccumulator, WorkerAccumulator],
            [DeviceAccumulator, WorkerAccumulator],
          ]
        : [
            [HostAccumulator, HostAccumulator],
            [HostAccumulator, HostAccumulator],
          ],
    );
    if (backend === 'tensorflow') {
      expect(chosen.map(([ofConv]) => ofConv.strategy)).toEqual([float32Product.strategy, float64Product.strategy]);
    }
    expect(auto.choose('x', conv, { ...nothingKept, rows: 100, ofAllRows: true }, fail)).toBeInstanceOf(
      HostAccumulator,
    );
    expect(hasNativeFloat64()).toBe(backend === 'tensorflow');
    auto.close();
    exact.close();
  });
});

describe('reading tensors back', () => {
  afterEach(() => void vi.restoreAllMocks());

  /** What a hook would have kept although it must not. */
  function valuesOf(tensor: tf.Tensor): Float32Array | Float64Array {
    return withValues(tensor, (values) => values);
  }

  describe.each(backends)('withValues on %s', (backend) => {
    it('hands over the values', async () => {
      await useBackend(backend);
      const product = tf.tensor1d([1, -2, 3]).mul(2);
      expect(withValues(product, (values) => [...values])).toEqual([2, -4, 6]);
      // float32 has no 2^24 + 1.
      const large = tf.tensor1d([2 ** 24 + 1, 2 - 2 ** 24], 'int32');
      expect(withValues(large, (values) => [...values])).toEqual([2 ** 24 + 1, 2 - 2 ** 24]);
      expect(withValues(tf.tensor1d([true, false]), (values) => [...values])).toEqual([1, 0]);
      // The wasm backend has no complex numbers.
      if (backend !== 'wasm') {
        expect(() => withValues(tf.complex([1], [2]), () => 0)).toThrow(
          'activations: expected a tensor of float32, int32 or bool, got complex64',
        );
      }
      expect(() => withValues(tf.tensor1d(['a']), () => 0)).toThrow(/got string/);
      expect([...product.dataSync()]).toEqual([2, -4, 6]);
    });

    it('does not detach the array that a tensor was made of', async () => {
      await useBackend(backend);
      const own = Float32Array.of(1, 2, 3);
      const tensor = tf.tensor1d(own);
      valuesOf(tensor);
      valuesOf(tensor.reshape([3, 1]));
      expect([...own]).toEqual([1, 2, 3]);
      expect([...tensor.dataSync()]).toEqual([1, 2, 3]);
    });

    it('releases the memory of a large copy, even if the callback throws', async () => {
      await useBackend(backend);
      const tensor = tf.fill([20_000], 1).add(1);
      // The cpu backend returns its own arrays.
      const left = backend === 'cpu' ? 20_000 : 0;
      expect(valuesOf(tensor)).toHaveLength(left);
      let seen = new Float32Array();
      const throwing = () =>
        withValues(tensor, (values) => {
          seen = values as Float32Array<ArrayBuffer>;
          throw new Error('no');
        });
      expect(throwing).toThrow('no');
      expect(seen).toHaveLength(left);
      expect(tensor.dataSync().every((value) => value === 2)).toBe(true);
      expect(valuesOf(tf.fill([100], 1).add(1))).toHaveLength(100);
    });
  });

  const untouched = [
    ['cpu', 'dense'],
    ['tensorflow', 'convolutional'],
  ].filter(([backend]) => backends.includes(backend));

  it.each(untouched)(
    'detaches nothing on %s when %s layers train: loops over typed arrays would become slower',
    async (backend, kind) => {
      await useBackend(backend);
      const detached = vi.fn();
      // The ways by which this project could detach it: memory that grows, and arrays handed to a thread or a port.
      const { Worker, MessagePort } = await import('node:worker_threads');
      const { grow } = WebAssembly.Memory.prototype;
      vi.spyOn(WebAssembly.Memory.prototype, 'grow').mockImplementation(function (this: WebAssembly.Memory, pages) {
        detached('grow');
        return grow.call(this, pages);
      });
      for (const sender of [Worker.prototype, MessagePort.prototype]) {
        const post = sender.postMessage;
        vi.spyOn(sender, 'postMessage').mockImplementation(function (this: typeof sender, message, transfer) {
          if (Array.isArray(transfer) && transfer.some((part) => part instanceof ArrayBuffer)) detached('transfer');
          post.call(this, message, transfer as never);
        });
      }
      const model = tf.sequential({
        layers:
          kind === 'dense'
            ? [tf.layers.dense({ inputShape: [20], units: 100 }), tf.layers.dense({ units: 2 })]
            : [
                tf.layers.reshape({ inputShape: [20], targetShape: [5, 4, 1] }),
                tf.layers.conv2d({ filters: 64, kernelSize: 2, padding: 'same' }),
                tf.layers.flatten(),
                tf.layers.dense({ units: 2 }),
              ],
      });
      model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
      const store = new RecordingStore();
      const tracker = new SaturationTracker('unused', model, { saveTo: [store], stats: ['saturation', 'spectrum'] });
      await model.fit(tf.randomNormal([600, 20]), tf.randomNormal([600, 2]), {
        epochs: 2,
        batchSize: 100,
        verbose: 0,
        callbacks: [tracker.callback()],
      });
      await tracker.close();
      expect(store.epochs[1].layers.map(({ samples }) => samples)).toEqual([kind === 'dense' ? 600 : 12_000, 600]);
      expect(detached).not.toHaveBeenCalled();
    },
  );
});

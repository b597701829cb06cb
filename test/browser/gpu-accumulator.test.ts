import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import { TensorAccumulators } from '../../src/activations/accumulate/choose.js';
import { GpuAccumulator } from '../../src/activations/accumulate/on-gpu.js';
import { nothingKept } from '../../src/recording/accumulator.js';
import type { ActivationView } from '../../src/recording/samples.js';
import { distance } from '../support/random.js';
import { describeOn, useBackend } from './backends.js';
import { covarianceEigenvalues } from './reference.js';

const view: ActivationView = {
  kind: 'sequence',
  spatialRank: 0,
  channelsFirst: false,
  convMethod: 'channelwise',
  timeseriesMethod: 'tokens',
};
const fail = (error: unknown) => {
  throw error;
};

/** Normal numbers from a linear congruential generator: the bounds below, at the edge of float32, were set on these. */
function normals(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return Float32Array.from({ length: count }, normal);
}

/** Rows with deviations 1/i about a mean that moves from `from` to `to`. */
function made(rows: number, features: number, from: number, to: number): Float32Array {
  const values = normals(rows * features, 3);
  for (let row = 0; row < rows; row++) {
    const mean = from + ((to - from) * row) / rows;
    for (let i = 0; i < features; i++) {
      values[row * features + i] = mean * (1 + (i % 3)) + values[row * features + i] / (i + 1);
    }
  }
  return values;
}

describeOn(['webgl', 'webgpu'], 'GpuAccumulator', (backend) => {
  beforeAll(() => useBackend(backend));

  it('is what a layer with many rows gets', () => {
    const factory = new TensorAccumulators('auto');
    const accumulator = factory.choose('layer', { shape: [64, 16], view, masked: false }, nothingKept, fail);
    expect(accumulator).toBeInstanceOf(GpuAccumulator);
  });

  it.each([
    ['65536 rows in one pass', 65536, 16, 65536, 0, 0],
    ['65536 rows in 128 passes', 65536, 16, 512, 0, 0],
    ['a mean 1e4 times the deviation', 8192, 24, 512, 1e4, 1e4],
    ['a mean that drifts by 200 deviations', 4000, 24, 100, 0, 200],
    ['a number of rows that no block divides', 997, 12, 331, 3, 3],
    ['64 features', 2048, 64, 256, 0, 1],
  ])('finds the eigenvalues of float64: %s', async (_name, rows, features, batch, from, to) => {
    const values = made(rows, features, from, to);
    const before = tf.memory().numTensors;
    const accumulator = new GpuAccumulator(fail);
    for (let row = 0; row < rows; row += batch) {
      const items = Math.min(batch, rows - row);
      tf.tidy(() => {
        const output = tf.tensor2d(values.slice(row * features, (row + items) * features), [items, features]);
        accumulator.add({ output, view, items });
      });
    }
    const found = await accumulator.solve({}, true).result;
    accumulator.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(found?.solved).toMatchObject({ count: rows, rejected: 0 });
    const expected = covarianceEigenvalues(values, features);
    const clipped = found!.solved.eigenvalues.map((value) => Math.max(0, value));
    expect(distance(clipped, expected)).toBeLessThan(2e-7 * expected[0]);
  });

  it('leaves out rows with a NaN or an Infinity and counts them', async () => {
    const features = 8;
    const values = made(512, features, 1, 1);
    const bad = [0, 1, 100, 511];
    for (const [i, row] of bad.entries())
      values[row * features + 2 * i] = [Number.NaN, Infinity, -Infinity, Number.NaN][i];
    const accumulator = new GpuAccumulator(fail);
    for (const row of [0, 128, 256, 384]) {
      tf.tidy(() =>
        accumulator.add({
          output: tf.tensor2d(values.slice(row * features, (row + 128) * features), [128, features]),
          view,
          items: 128,
        }),
      );
    }
    const found = await accumulator.solve({}, true).result;
    accumulator.dispose();
    expect(found?.solved).toMatchObject({ count: 508, rejected: 4 });
    const good = values.filter((_, i) => !bad.includes(Math.floor(i / features)));
    const expected = covarianceEigenvalues(good, features);
    expect(distance(found!.solved.eigenvalues, expected)).toBeLessThan(2e-7 * expected[0]);
  });

  it('finds exactly no variance in a feature that never varies', async () => {
    const values = made(4096, 4, 0, 0).map((value, i) => (i % 4 === 2 ? 0.1 : value));
    const accumulator = new GpuAccumulator(fail);
    for (let row = 0; row < 4096; row += 256) {
      tf.tidy(() =>
        accumulator.add({ output: tf.tensor2d(values.slice(row * 4, row * 4 + 1024), [256, 4]), view, items: 256 }),
      );
    }
    const found = await accumulator.solve({ covariance: true }, true).result;
    accumulator.dispose();
    expect(found!.solved.covariance![10]).toBe(0);
  });
});

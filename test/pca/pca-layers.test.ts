import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs';
import { Matrix } from 'ml-matrix';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  fitPcaLayers,
  insertPcaLayers,
  PcaLayer,
  pcaLayer,
  randomDirections,
  restoreDirections,
  setPcaThresholds,
} from '../../src/pca/pca-model.js';
import { principalReference } from '../support/affine-projection.js';
import { backends, useBackend } from '../support/backends.js';

interface Digits {
  length: number;
  raw: number[];
}
// Real digits; the package is a dependency of the examples.
const mnist = createRequire(new URL('../../examples/package.json', import.meta.url))('mnist') as Record<number, Digits>;

/** So many digits of each kind from a place on, in turn: 0, 1, ..., 9, 0, 1, ... */
function digits(from: number, each: number) {
  const rows = Array.from({ length: each * 10 }, (_, k) => {
    const at = (from + Math.floor(k / 10)) * 784;
    return mnist[k % 10].raw.slice(at, at + 784);
  });
  return { rows, labels: rows.map((_, k) => k % 10) };
}

describe('pcaLayer', () => {
  it('makes a PCA layer', () => {
    expect(pcaLayer({ threshold: 0.9, name: 'p' })).toBeInstanceOf(PcaLayer);
    expect(pcaLayer({ name: 'p' }).name).toBe('p');
    expect(() => pcaLayer({ threshold: 2 })).toThrow(RangeError);
  });
});

describe.each(backends)('a trained digits network on %s, every layer projected on its eigenspace', (backend) => {
  const test = digits(500, 30);
  let model: tf.LayersModel;
  let projected: tf.LayersModel;
  let images: tf.Tensor2D;
  /** The layers' weights, and their outputs on the test digits, in float64. */
  let layers: { kernel: Matrix; bias: number[]; outputs: Matrix }[];

  beforeAll(async () => {
    await useBackend(backend);
    const train = digits(0, 100);
    model = tf.sequential({
      layers: [32, 24, 10].map((units, k) =>
        tf.layers.dense({
          units,
          activation: k < 2 ? 'relu' : 'linear',
          kernelInitializer: tf.initializers.glorotUniform({ seed: k + 1 }),
          ...(k === 0 && { inputShape: [784] }),
        }),
      ),
    });
    const optimizer = tf.train.adam(0.005);
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const [xs, ys] = [tf.tensor2d(train.rows), tf.oneHot(train.labels, 10).toFloat()];
    await model.fit(xs, ys, { epochs: 12, batchSize: 50, shuffle: false, verbose: 0 });
    optimizer.dispose();
    tf.dispose([xs, ys]);

    images = tf.tensor2d(test.rows);
    projected = insertPcaLayers(model);
    await fitPcaLayers(projected, [images]);
    layers = [];
    let input = new Matrix(images.arraySync());
    for (const layer of model.layers) {
      const [kernel, bias] = layer.getWeights().map((weight) => weight.arraySync() as number[] | number[][]);
      const given = { kernel: new Matrix(kernel as number[][]), bias: bias as number[] };
      input = forward(input, given, layers.length < 2);
      layers.push({ ...given, outputs: input });
    }
  });
  afterAll(() => {
    model.dispose();
    projected.dispose();
    images.dispose();
  });

  function forward(input: Matrix, { kernel, bias }: { kernel: Matrix; bias: number[] }, relu: boolean): Matrix {
    const output = input.mmul(kernel).addRowVector(bias);
    return relu ? output.apply((i, j) => output.set(i, j, Math.max(0, output.get(i, j)))) : output;
  }

  /** The network in float64, each layer's output replaced by its exact affine projection. */
  function reference(threshold: number): { outputs: Matrix; dimensions: number[] } {
    let input = new Matrix(test.rows);
    const dimensions: number[] = [];
    for (const [k, layer] of layers.entries()) {
      const space = principalReference(layer.outputs);
      dimensions.push(space.dimensions(threshold));
      input = space.project(forward(input, layer, k < 2), dimensions[k]);
    }
    return { outputs: input, dimensions };
  }

  const outputs = (of: tf.LayersModel) => new Matrix(tf.tidy(() => (of.predict(images) as tf.Tensor2D).arraySync()));
  const correct = (of: Matrix) =>
    test.labels.filter((label, row) => {
      const scores = of.getRow(row);
      return scores.indexOf(Math.max(...scores)) === label;
    }).length / test.labels.length;

  it.each([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])(
    'gives at %d the outputs and the accuracy that exact affine projection in float64 gives',
    (threshold) => {
      const expected = reference(threshold);
      const report = setPcaThresholds(projected, threshold);
      expect(report.map(({ dimensions }) => dimensions)).toEqual(expected.dimensions);
      const actual = outputs(projected);
      const difference = Matrix.sub(actual, expected.outputs).to1DArray();
      expect(Math.max(...difference.map(Math.abs))).toBeLessThan(1e-4);
      expect(correct(actual)).toBe(correct(expected.outputs));
    },
  );

  it('loses next to nothing at 0.99, and almost everything on random directions of the same rank', () => {
    const plain = correct(outputs(model));
    expect(plain).toBeGreaterThan(0.8);
    setPcaThresholds(projected, 0.99);
    expect(plain - correct(outputs(projected))).toBeLessThan(0.02);
    setPcaThresholds(projected, 0.9);
    const eigenspace = correct(outputs(projected));
    randomDirections(projected, 1);
    expect(correct(outputs(projected))).toBeLessThan(eigenspace - 0.3);
    restoreDirections(projected);
    expect(correct(outputs(projected))).toBe(eigenspace);
  });
});

import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs';
import { Matrix } from 'ml-matrix';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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
import { freeWeights, normalTensor, seedWeights } from '../support/models.js';

/** Three dense layers with a PCA layer behind each of the first two, dropout between them. */
function network(): tf.Sequential {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: 16, activation: 'relu', inputShape: [6] }),
      pcaLayer({ name: 'pca_1' }),
      tf.layers.dropout({ rate: 0.5 }),
      tf.layers.batchNormalization(),
      tf.layers.dense({ units: 12, activation: 'tanh' }),
      pcaLayer({ name: 'pca_2' }),
      tf.layers.dense({ units: 3, activation: 'softmax' }),
    ],
  });
  return model;
}

const weightsOf = (model: tf.LayersModel) =>
  model.layers
    .filter((layer) => layer.getClassName() !== 'PcaLayer')
    .flatMap((layer) => layer.getWeights().map((weight) => [...weight.dataSync()]));

describe.each(backends)('a model with PCA layers on %s', (backend) => {
  let tensorsBefore = 0;
  let model: tf.Sequential;
  let x: tf.Tensor;
  beforeAll(() => useBackend(backend));
  beforeEach(() => {
    tensorsBefore = tf.memory().numTensors;
    model = network();
    x = normalTensor([120, 6], 3);
  });
  afterEach(() => {
    model.dispose();
    x.dispose();
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  });

  const batches = function* () {
    for (let k = 0; k < 120; k += 40) {
      const batch = x.slice([k, 0], [40, 6]);
      yield batch;
      batch.dispose();
    }
  };
  const predict = () => tf.tidy(() => (model.predict(x) as tf.Tensor).arraySync() as number[][]);

  it('sees data without training: every other weight stays, dropout is off', async () => {
    const before = weightsOf(model);
    const report = await fitPcaLayers(model, batches());
    expect(weightsOf(model)).toEqual(before);
    expect(report.map(({ name, width }) => [name, width])).toEqual([
      ['pca_1', 16],
      ['pca_2', 12],
    ]);
    // The first PCA layer must have seen the first layer's output for all 120 rows.
    const [kernel, bias] = model.layers[0].getWeights();
    const seen = tf.tidy(() => x.matMul(kernel).add(bias).relu().arraySync() as number[][]);
    const reference = principalReference(new Matrix(seen));
    const spectrum = (model.getLayer('pca_1') as PcaLayer).spectrum!;
    expect(spectrum.samples).toBe(120);
    expect(spectrum.eigenvalues[0] / reference.eigenvalues[0]).toBeCloseTo(1, 5);
    expect(report[0].dimensions).toBe(reference.dimensions(0.99));
    expect(report[0].saturation).toBe(reference.dimensions(0.99) / 16);
  });

  it('accepts batches from an async source', async () => {
    const source = (async function* () {
      yield* batches();
    })();
    await fitPcaLayers(model, source);
    expect((model.getLayer('pca_2') as PcaLayer).spectrum!.samples).toBe(120);
  });

  it('accepts the elements of a dataset', async () => {
    await fitPcaLayers(model, [{ xs: x }]);
    expect((model.getLayer('pca_2') as PcaLayer).spectrum!.samples).toBe(120);
  });

  it('accepts a single tensor, a data set and a generator function, and leaves no tensor behind', async () => {
    const rows = (await x.array()) as number[][];
    await fitPcaLayers(model, x);
    const { eigenvalues } = (model.getLayer('pca_1') as PcaLayer).spectrum!;
    const before = tf.memory().numTensors;
    for (const source of [
      tf.data.array(rows.map((xs) => ({ xs, ys: 0 }))).batch(32),
      function* () {
        for (const batch of batches()) yield { xs: batch };
      },
    ]) {
      await fitPcaLayers(model, source);
      const { spectrum } = model.getLayer('pca_1') as PcaLayer;
      expect(spectrum!.samples).toBe(120);
      expect(Math.abs(spectrum!.eigenvalues[0] / eigenvalues[0] - 1)).toBeLessThan(1e-5);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses an empty list of batches and values that are no batches', async () => {
    await expect(fitPcaLayers(model, [])).rejects.toThrow('at least one batch');
    await expect(fitPcaLayers(model, 3 as unknown as tf.Tensor[])).rejects.toThrow(
      'fitPcaLayers: expected batches: a tf.data.Dataset, an iterable or async iterable of tensors, or a tensor, got number 3',
    );
  });

  it('stops learning when a batch fails', async () => {
    const failing = (function* () {
      yield* batches();
      throw new Error('no more data');
    })();
    await expect(fitPcaLayers(model, failing)).rejects.toThrow('no more data');
    predict();
    expect((model.getLayer('pca_1') as PcaLayer).spectrum!.samples).toBe(120);
  });

  it('passes no fewer dimensions on at a higher threshold, and everything at 1', async () => {
    await fitPcaLayers(model, batches());
    const expected = tf.tidy(() => {
      const own = model.layers.filter((layer) => layer.getClassName() !== 'PcaLayer');
      return own.reduce((h, layer) => layer.apply(h) as tf.Tensor, x).arraySync() as number[][];
    });
    let before = [0, 0];
    for (const threshold of [0.3, 0.6, 0.9, 0.99, 0.999]) {
      const report = setPcaThresholds(model, threshold);
      const dimensions = report.map((each) => each.dimensions);
      dimensions.forEach((count, k) => {
        expect(count).toBeGreaterThanOrEqual(before[k]);
      });
      for (const { saturation, dimensions: count, width } of report) expect(saturation).toBe(count / width);
      before = dimensions;
    }
    setPcaThresholds(model, 1);
    const all = predict();
    for (const [k, row] of expected.entries()) {
      row.forEach((value, j) => {
        expect(all[k][j]).toBeCloseTo(value, 5);
      });
    }
  });

  it('projects on as many random directions as it has eigenvectors, the same for the same seed', async () => {
    await fitPcaLayers(model, batches());
    const own = setPcaThresholds(model, 0.8);
    const eigenspace = predict();
    expect(randomDirections(model, 7)).toEqual(own);
    const random = predict();
    expect(random).not.toEqual(eigenspace);

    const first = model.getLayer('pca_1') as PcaLayer;
    const y = tf.tidy(() => {
      const [hidden, control] = [normalTensor([30, 16], 9), first];
      return (control.apply(hidden) as tf.Tensor).arraySync() as number[][];
    });
    const centered = new Matrix(y).subRowVector([...first.principalAxes!.center]);
    const rank = principalReference(centered, false).eigenvalues.filter((value) => value > 1e-9).length;
    expect(rank).toBe(own[0].dimensions);

    randomDirections(model, 8);
    expect(predict()).not.toEqual(random);
    randomDirections(model, 7);
    expect(predict()).toEqual(random);
    // The control follows a threshold that changes.
    expect(setPcaThresholds(model, 0.95)[0].dimensions).toBeGreaterThan(own[0].dimensions);
    setPcaThresholds(model, 0.8);
    restoreDirections(model);
    expect(predict()).toEqual(eigenspace);
  });

  it('keeps its own axes through a control that is followed by new data', async () => {
    await fitPcaLayers(model, batches());
    const eigenspace = predict();
    randomDirections(model, 1);
    await fitPcaLayers(model, batches());
    expect(predict()).toEqual(eigenspace);
  });

  it('loses less than random directions do', async () => {
    await fitPcaLayers(model, batches());
    const error = () => {
      const layer = model.getLayer('pca_1') as PcaLayer;
      return tf.tidy(() => {
        const hidden = model.layers[0].apply(x) as tf.Tensor;
        return (layer.apply(hidden) as tf.Tensor).sub(hidden).square().mean().dataSync()[0];
      });
    };
    setPcaThresholds(model, 0.9);
    const kept = error();
    randomDirections(model, 5);
    expect(error()).toBeGreaterThan(2 * kept);
  });

  it('names what is wrong in its errors', () => {
    expect(() => setPcaThresholds(model, 3)).toThrow(RangeError);
    expect(() => randomDirections(model, 0.5)).toThrow('expected an integer as seed');
    expect(() => randomDirections(model, 1)).toThrow(
      "PcaLayer 'pca_1': expected axes to replace, got none, because it has seen no training",
    );
    expect(setPcaThresholds(model, 0.9)[0].dimensions).toBeNaN();
    const bare = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
    expect(() => setPcaThresholds(bare, 0.9)).toThrow('no PCA layers');
    bare.dispose();
  });

  it('is reached inside nested models', () => {
    const outer = tf.sequential({ layers: [tf.layers.dense({ units: 6, inputShape: [4] }), network()] });
    seedWeights(outer, 1);
    expect(setPcaThresholds(outer, 0.9).map(({ name }) => name)).toEqual(['pca_1', 'pca_2']);
    freeWeights(outer);
  });
});

interface Digits {
  length: number;
  raw: number[];
}
// Real digits; the package is a dependency of the examples.
const mnist = createRequire(new URL('../../examples/package.json', import.meta.url))('mnist') as Record<number, Digits>;

/** As many digits of each kind from a place on, in turn: 0, 1, ..., 9, 0, 1, ... */
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

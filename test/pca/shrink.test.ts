import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { shrink } from '../../src/tfjs.js';
import { backends, useBackend } from '../support/backends.js';
import { normals } from '../support/random.js';

/** Rows of `features` numbers that lie in `rank` directions about a point. */
function lowRank(rows: number, features: number, rank: number, seed = 1): tf.Tensor2D {
  return tf.tidy(() => {
    const inner = tf.tensor2d(normals(rows * rank, seed), [rows, rank]);
    const axes = tf.tensor2d(normals(rank * features, seed + 1), [rank, features]);
    return inner.matMul(axes).add(tf.tensor1d(normals(features, seed + 2))) as tf.Tensor2D;
  });
}

const worst = (a: tf.Tensor, b: tf.Tensor) => a.sub(b).abs().max().dataSync()[0];

describe.each(backends)('shrink on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it('makes a smaller model that does the same where the data uses few directions', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({
          name: 'a',
          units: 40,
          activation: 'relu',
          inputShape: [30],
          biasInitializer: 'randomNormal',
        }),
        tf.layers.dense({ name: 'b', units: 50, activation: 'tanh', useBias: false }),
        tf.layers.dense({ name: 'out', units: 3, activation: 'softmax' }),
      ],
    });
    const data = lowRank(500, 30, 4);
    const expected = model.predict(data) as tf.Tensor;
    const before = model.getWeights().map((weight) => [...weight.dataSync()]);
    const tensors = tf.memory().numTensors;
    const shrunk = await shrink(model, [data], { threshold: 0.999999, keep: ['b'] });
    expect(tf.memory().numTensors - tensors).toBe(shrunk.model.weights.length);
    expect(shrunk.layers).toEqual([{ name: 'a', width: 40, kept: 4, before: 1240, after: 30 * 4 + 4 + 4 * 40 + 40 }]);
    expect(shrunk.leftOut).toEqual([
      { name: 'b', why: 'it is to be kept' },
      { name: 'out', why: expect.stringMatching(/^it uses \d of 3 directions: two layers would not be smaller$/) },
    ]);
    expect(shrunk.parameters).toEqual({ before: 1240 + 2000 + 153, after: 324 + 2000 + 153 });
    expect(shrunk.multiplyAdds).toEqual({ before: 1200 + 2000 + 150, after: 4 * 70 + 2000 + 150 });
    expect(worst(shrunk.model.predict(data) as tf.Tensor, expected)).toBeLessThan(2e-4);
    expect(shrunk.model.layers.map(({ name }) => name)).toEqual(['a_directions', 'a', 'b', 'out']);
    // The model is as it was.
    expect(model.getWeights().map((weight) => [...weight.dataSync()])).toEqual(before);
  });

  it('factors convolutions over their channels, in functional models whose layers are called twice', async () => {
    const input = tf.input({ shape: [8, 8, 2] });
    const shared = tf.layers.conv2d({
      name: 'shared',
      filters: 24,
      kernelSize: 3,
      strides: 2,
      padding: 'same',
      activation: 'relu',
    });
    const flipped = tf.layers.cropping2D({ cropping: 0, name: 'same' }).apply(input) as tf.SymbolicTensor;
    const sum = tf.layers
      .add({ name: 'sum' })
      .apply([shared.apply(input) as tf.SymbolicTensor, shared.apply(flipped) as tf.SymbolicTensor]);
    const pooled = tf.layers.globalAveragePooling2d({ name: 'pool' }).apply(sum as tf.SymbolicTensor);
    const output = tf.layers.dense({ name: 'out', units: 2 }).apply(pooled) as tf.SymbolicTensor;
    const model = tf.model({ inputs: input, outputs: output });
    // Images of one pattern in different strengths: a patch has few directions.
    const pattern = tf
      .tensor4d(normals(128, 3), [1, 8, 8, 2])
      .mul(0)
      .add(tf.tensor4d(normals(2, 4), [1, 1, 1, 2]));
    const images = tf.tensor4d(normals(200, 5), [200, 1, 1, 1]).mul(pattern) as tf.Tensor4D;
    const expected = model.predict(images) as tf.Tensor;
    const shrunk = await shrink(model, [images], { threshold: 0.99999 });
    const [{ name, width, kept }] = shrunk.layers;
    expect([name, width]).toEqual(['shared', 24]);
    expect(kept).toBeLessThan(10);
    expect(worst(shrunk.model.predict(images) as tf.Tensor, expected)).toBeLessThan(2e-3);
    expect(shrunk.parameters.after).toBe(shrunk.model.countParams());
    // Both calls go through the two layers; it can be trained, saved and loaded as any model.
    shrunk.model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const artifacts = await new Promise<tf.io.ModelArtifacts>((resolve) => {
      void shrunk.model.save(
        tf.io.withSaveHandler(async (made) => {
          resolve(made);
          return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
        }),
      );
    });
    const loaded = await tf.loadLayersModel(tf.io.fromMemory(artifacts));
    expect(worst(loaded.predict(images) as tf.Tensor, shrunk.model.predict(images) as tf.Tensor)).toBeLessThan(1e-6);
  });

  it('as many random directions do not do the same', async () => {
    const model = tf.sequential({ layers: [tf.layers.dense({ name: 'a', units: 60, inputShape: [50] })] });
    const data = lowRank(400, 50, 5);
    const expected = model.predict(data) as tf.Tensor;
    const [principal, random] = [
      await shrink(model, [data], { threshold: 0.9999 }),
      await shrink(model, [data], { threshold: 0.9999, directions: 'random', seed: 3 }),
    ];
    expect(random.layers).toEqual(principal.layers);
    const [near, far] = [principal, random].map((each) => worst(each.model.predict(data) as tf.Tensor, expected));
    expect(near).toBeLessThan(0.2);
    expect(far).toBeGreaterThan(10 * near);
  });
});

describe('bad input to shrink', () => {
  const model = () => tf.sequential({ layers: [tf.layers.dense({ name: 'a', units: 4, inputShape: [3] })] });
  const data = tf.zeros([5, 3]);
  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'nothing that becomes smaller',
      () => shrink(model(), [tf.randomNormal([9, 3])]),
      /expected a layer that becomes smaller, got none: 'a' \(it uses \d of 4/,
    ],
    [
      'an option',
      () => shrink(model(), [data], { treshold: 0.5 } as never),
      /got 'treshold'; did you mean 'threshold'/,
    ],
    ['a threshold', () => shrink(model(), [data], { threshold: 2 }), /threshold: expected a number in \(0, 1\]/],
    [
      'directions',
      () => shrink(model(), [data], { directions: 'best' as never }),
      /directions: expected 'principal' or 'random'/,
    ],
    ['no model', () => shrink({} as never, [data]), /shrink: expected a LayersModel/],
    ['no batch', () => shrink(model(), []), /batches: expected at least one batch/],
    [
      'a model without such layers',
      () =>
        shrink(tf.sequential({ layers: [tf.layers.lstm({ name: 'l', units: 2, inputShape: [3, 2] })] }), [
          tf.zeros([1, 3, 2]),
        ]),
      /'l' \(a LSTM is not factored\)/,
    ],
  ])('%s', async (_name, act, message) => {
    await expect(act()).rejects.toThrow(message);
  });
});

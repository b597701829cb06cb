import type { LayersModel } from '@tensorflow/tfjs';
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
      // The same weights each time: of some the error below is a little more.
      kernelInitializer: tf.initializers.glorotUniform({ seed: 11 }),
    });
    const flipped = tf.layers.cropping2D({ cropping: 0, name: 'same' }).apply(input) as tf.SymbolicTensor;
    const sum = tf.layers
      .add({ name: 'sum' })
      .apply([shared.apply(input) as tf.SymbolicTensor, shared.apply(flipped) as tf.SymbolicTensor]);
    const pooled = tf.layers.globalAveragePooling2d({ name: 'pool' }).apply(sum as tf.SymbolicTensor);
    const output = tf.layers
      .dense({ name: 'out', units: 2, kernelInitializer: tf.initializers.glorotUniform({ seed: 12 }) })
      .apply(pooled) as tf.SymbolicTensor;
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

  it('folds layers without an activation into the next one', async () => {
    const conv = (name: string, filters: number, rest = {}) =>
      tf.layers.conv2d({ name, filters, kernelSize: 3, biasInitializer: 'randomNormal', ...rest });
    const model = tf.sequential({
      layers: [
        conv('a', 20, { inputShape: [12, 12, 2], padding: 'valid' }),
        conv('b', 24, { padding: 'valid', useBias: false }),
        conv('c', 16, { padding: 'same', strides: 2 }),
        tf.layers.averagePooling2d({ poolSize: 2 }),
        tf.layers.flatten(),
        tf.layers.dense({ name: 'd', units: 30, activation: 'relu' }),
        tf.layers.dense({ name: 'e', units: 12 }),
        tf.layers.dense({ name: 'f', units: 9 }),
        tf.layers.dense({ name: 'out', units: 2 }),
      ],
    });
    // Images of one color each: every place has the same few directions.
    const images = tf.tidy(
      () =>
        lowRank(300, 2, 2, 7)
          .reshape([300, 1, 1, 2])
          .mul(tf.ones([1, 12, 12, 1])) as tf.Tensor4D,
    );
    const expected = model.predict(images) as tf.Tensor;
    const shrunk = await shrink(model, [images], { threshold: 0.9999999, keep: ['f'] });
    const into = Object.fromEntries(shrunk.layers.map(({ name, foldedInto }) => [name, foldedInto]));
    // b: where c pads with zeros, b's mean would be missing. e: f is to be kept.
    expect(into).toStrictEqual({ a: 'b', b: undefined, c: 'd', d: undefined });
    expect(shrunk.leftOut.map(({ name }) => name)).toEqual(['f', 'e', 'out']);
    expect(shrunk.model.layers.map(({ name }) => name).filter((name) => name.endsWith('_directions'))).toEqual([
      'b_directions',
      'd_directions',
    ]);
    const widths = shrunk.model.layers.map((layer) => layer.outputShape.at(-1));
    const { kept } = shrunk.layers[0];
    expect(widths[0]).toBe(kept);
    expect(kept).toBeLessThan(20);
    expect(worst(shrunk.model.predict(images) as tf.Tensor, expected)).toBeLessThan(2e-3);
    expect(shrunk.parameters).toEqual({ before: model.countParams(), after: shrunk.model.countParams() });
    expect(shrunk.parameters.after).toBeLessThan(shrunk.parameters.before / 2);
  });

  it('tells what a measure says before, after, and after training', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ name: 'a', units: 40, activation: 'tanh', inputShape: [30] }),
        tf.layers.dense({ units: 1 }),
      ],
    });
    const data = lowRank(200, 30, 4);
    const target = tf.tensor2d(normals(200, 8), [200, 1]);
    const evaluate = (each: LayersModel) =>
      tf.tidy(() => (each.predict(data) as tf.Tensor).sub(target).square().mean().dataSync()[0]);
    const { model: small, scores } = await shrink(model, [data], {
      threshold: 0.999999,
      evaluate,
      train: async (each) => {
        each.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
        await each.fit(data, target, { epochs: 3, verbose: 0 });
      },
    });
    expect(scores!.before).toBe(evaluate(model));
    expect(scores!.after).toBeCloseTo(scores!.before, 3);
    expect(scores!.trained).toBe(evaluate(small as LayersModel));
    expect(scores!.trained).toBeLessThan(scores!.after);
    expect((await shrink(model, [data])).scores).toBeUndefined();
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

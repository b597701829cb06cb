import * as tf from '@tensorflow/tfjs';
import { Matrix } from 'ml-matrix';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { trackedLayers } from '../../src/activations/layers.js';
import { type PcaLayerOptions, pcaLayerOptions } from '../../src/pca/pca-layer.js';
import { PcaLayer, pcaLayer } from '../../src/pca/pca-model.js';
import { principalReference, relativeError } from '../support/affine-projection.js';
import { backends, useBackend } from '../support/backends.js';
import { normalTensor } from '../support/models.js';
import { catchWarnings } from '../support/warnings.js';

/** Rows with mean 5 and a falling spectrum, as Delve's bug P01 was found with. */
function correlated(rows: number, width: number, seed: number): tf.Tensor2D {
  return tf.tidy(() => {
    const scale = tf.tensor1d(Array.from({ length: width }, (_, k) => 2 / (1 + k)));
    return normalTensor([rows, width], seed)
      .mul(scale)
      .matMul(normalTensor([width, width], 99))
      .add(5) as tf.Tensor2D;
  });
}

const matrixOf = (x: tf.Tensor) =>
  new Matrix(tf.tidy(() => (x.reshape([-1, x.shape[x.rank - 1]]) as tf.Tensor2D).arraySync()));

describe.each(backends)('PcaLayer on %s', (backend) => {
  let tensorsBefore = 0;
  beforeAll(() => useBackend(backend));
  const warnings = catchWarnings();
  beforeEach(() => {
    tensorsBefore = tf.memory().numTensors;
  });
  afterEach(() => {
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  });

  /** Apply a layer to an input in training and in evaluation; they dispose of nothing that the caller owns. */
  const train = (layer: PcaLayer, x: tf.Tensor) => tf.tidy(() => void layer.apply(x, { training: true }));
  const evaluate = (layer: PcaLayer, x: tf.Tensor) => layer.apply(x) as tf.Tensor;

  it('projects on the affine eigenspace: y = (x - m) E E^T + m (Delve rows P01, 0.3)', () => {
    const x = correlated(300, 12, 1);
    const reference = principalReference(matrixOf(x));
    for (const threshold of [0.5, 0.9, 0.99]) {
      const layer = pcaLayer({ threshold });
      train(layer, x);
      const y = evaluate(layer, x);
      const k = reference.dimensions(threshold);
      expect(layer.dimensions).toBe(k);
      expect(layer.width).toBe(12);
      expect(relativeError(y.dataSync(), reference.project(matrixOf(x), k))).toBeLessThan(2e-6);
      y.dispose();
      layer.dispose();
    }
    x.dispose();
  });

  it('projects what it has never seen on the axes of what it saw', () => {
    const [seen, unseen] = [correlated(300, 8, 2), correlated(50, 8, 3)];
    const layer = pcaLayer({ threshold: 0.9 });
    train(layer, seen);
    const y = evaluate(layer, unseen);
    const reference = principalReference(matrixOf(seen));
    const expected = reference.project(matrixOf(unseen), reference.dimensions(0.9));
    expect(relativeError(y.dataSync(), expected)).toBeLessThan(2e-6);
    tf.dispose([seen, unseen, y]);
    layer.dispose();
  });

  it('projects about the origin without centering', () => {
    const x = correlated(300, 8, 4);
    const layer = pcaLayer({ threshold: 0.99, centering: false });
    train(layer, x);
    const y = evaluate(layer, x);
    const reference = principalReference(matrixOf(x), false);
    const k = reference.dimensions(0.99);
    expect(layer.dimensions).toBe(k);
    expect(relativeError(y.dataSync(), reference.project(matrixOf(x), k))).toBeLessThan(2e-6);
    tf.dispose([x, y]);
    layer.dispose();
  });

  it('gives the coordinates without keepDim, centered too (Delve row P02)', () => {
    const x = correlated(300, 8, 5);
    const layer = pcaLayer({ threshold: 0.9, keepDim: false });
    train(layer, x);
    const y = evaluate(layer, x);
    const reference = principalReference(matrixOf(x));
    const k = reference.dimensions(0.9);
    expect(y.shape).toEqual([300, k]);
    const expected = matrixOf(x).subRowVector(reference.mean).mmul(reference.axes(k));
    // The signs of axes are arbitrary, and so are those of coordinates.
    const absolute = (values: ArrayLike<number>) => Float64Array.from(values, Math.abs);
    expect(relativeError(absolute(y.dataSync()), expected.abs())).toBeLessThan(2e-6);
    tf.dispose([x, y]);
    layer.dispose();
  });

  it('uses every place of a map as a sample, and projects each', () => {
    const x = tf.tidy(() => correlated(4 * 5 * 3, 6, 6).reshape([4, 5, 3, 6]));
    const layer = pcaLayer({ threshold: 0.9 });
    train(layer, x);
    const y = evaluate(layer, x);
    const reference = principalReference(matrixOf(x));
    expect(y.shape).toEqual([4, 5, 3, 6]);
    expect(layer.spectrum?.samples).toBe(60);
    const expected = reference.project(matrixOf(x), reference.dimensions(0.9));
    expect(relativeError(y.dataSync(), expected)).toBeLessThan(2e-6);
    tf.dispose([x, y]);
    layer.dispose();
  });

  it('learns from fewer places with downsample, and still projects all', () => {
    const x = normalTensor([3, 9, 5, 4], 7);
    const layer = pcaLayer({ downsample: 3 });
    train(layer, x);
    const y = evaluate(layer, x);
    expect(layer.spectrum?.samples).toBe(27);
    expect(y.shape).toEqual(x.shape);
    tf.dispose([x, y]);
    layer.dispose();
  });

  it('passes input and gradient through training exactly, and keeps nothing on the tape (Delve row E09)', () => {
    const x = correlated(20, 6, 8);
    const layer = pcaLayer();
    const weights = normalTensor([6, 1], 9);
    const through = (input: tf.Tensor) => (layer.apply(input, { training: true }) as tf.Tensor).matMul(weights).sum();
    const bare = (input: tf.Tensor) => input.matMul(weights).sum();
    tf.tidy(() => {
      const [a, b] = [tf.grad(through)(x), tf.grad(bare)(x)];
      expect(a.dataSync()).toEqual(b.dataSync());
      expect((layer.apply(x, { training: true }) as tf.Tensor).dataSync()).toEqual(x.dataSync());
    });
    expect(layer.spectrum?.samples).toBe(40);
    tf.dispose([x, weights]);
    layer.dispose();
  });

  it('passes its input on before any training, and says so once (Delve row P03)', () => {
    const x = correlated(10, 4, 10);
    const layer = pcaLayer({ name: 'early' });
    for (let k = 0; k < 3; k++) {
      const y = evaluate(layer, x);
      expect(y.dataSync()).toEqual(x.dataSync());
      y.dispose();
    }
    expect(layer.dimensions).toBeUndefined();
    expect(layer.principalAxes).toBeUndefined();
    expect(warnings.filter((message) => message.includes("'early'"))).toHaveLength(1);
    x.dispose();
    layer.dispose();
  });

  it('learns from the training since the last evaluation, and only from that', () => {
    const [first, second] = [correlated(100, 5, 11), normalTensor([80, 5], 12)];
    const layer = pcaLayer();
    train(layer, first);
    evaluate(layer, first).dispose();
    train(layer, second);
    evaluate(layer, second).dispose();
    expect(layer.spectrum?.samples).toBe(80);
    const reference = principalReference(matrixOf(second));
    expect(layer.spectrum!.eigenvalues[0] / reference.eigenvalues[0]).toBeCloseTo(1, 5);
    tf.dispose([first, second]);
    layer.dispose();
  });

  it('learns nothing more while it is not trainable', () => {
    const x = correlated(50, 5, 13);
    const layer = pcaLayer();
    train(layer, x);
    evaluate(layer, x).dispose();
    layer.trainable = false;
    train(layer, x);
    evaluate(layer, x).dispose();
    expect(layer.spectrum?.samples).toBe(50);
    x.dispose();
    layer.dispose();
  });

  it('passes everything on, bit by bit, if every dimension counts', () => {
    const x = normalTensor([100, 5], 14);
    const layer = pcaLayer({ threshold: 1 });
    train(layer, x);
    const y = evaluate(layer, x);
    expect(y.dataSync()).toEqual(x.dataSync());
    tf.dispose([x, y]);
    layer.dispose();
  });

  it("passes at least one dimension on by Delve's rule, too", () => {
    const x = tf.tidy(() => normalTensor([50, 2], 20).mul([10, 0.1]));
    const layer = pcaLayer({ threshold: 0.9, rule: 'delve' });
    train(layer, x);
    expect(layer.spectrum?.intrinsicDimensionality(0.9, 'delve')).toBe(0);
    expect(layer.dimensions).toBe(1);
    const y = evaluate(layer, x);
    const reference = principalReference(matrixOf(x));
    expect(relativeError(y.dataSync(), reference.project(matrixOf(x), 1))).toBeLessThan(2e-6);
    tf.dispose([x, y]);
    layer.dispose();
  });

  it('is not taken for a layer whose saturation is to be tracked', () => {
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [2], name: 'a' }), pcaLayer()] });
    expect(trackedLayers(model as unknown as tf.layers.Layer).map(({ name }) => name)).toEqual(['a']);
    model.dispose();
  });

  it('gives a layer that never varies its mean, and one zero coordinate', () => {
    const x = tf.fill([30, 4], 3.25);
    for (const keepDim of [true, false]) {
      const layer = pcaLayer({ keepDim });
      train(layer, x);
      const y = evaluate(layer, x);
      expect(layer.dimensions).toBe(0);
      expect(new Set(y.dataSync())).toEqual(new Set([keepDim ? 3.25 : 0]));
      expect(y.shape).toEqual([30, keepDim ? 4 : 1]);
      y.dispose();
      layer.dispose();
    }
    x.dispose();
  });

  it('leaves rows with NaN or Infinity out', () => {
    const x = tf.tidy(() =>
      tf.concat([
        correlated(60, 4, 15),
        tf.tensor2d([
          [Number.NaN, 1, 1, 1],
          [1, Infinity, 1, 1],
        ]),
      ]),
    );
    const layer = pcaLayer();
    train(layer, x);
    expect(layer.spectrum?.samples).toBe(60);
    x.dispose();
    layer.dispose();
  });

  it('leaves masked steps out', () => {
    const model = tf.sequential({
      layers: [
        tf.layers.masking({ maskValue: 0, inputShape: [4, 3] }),
        tf.layers.simpleRNN({ units: 3, returnSequences: true }),
        pcaLayer({ name: 'pca' }),
      ],
    });
    const x = tf.tidy(() => {
      const mask = tf
        .tensor2d([
          [1, 1, 1, 0],
          [1, 0, 0, 0],
        ])
        .expandDims(2);
      return normalTensor([2, 4, 3], 16).mul(mask);
    });
    tf.tidy(() => void model.apply(x, { training: true }));
    expect((model.getLayer('pca') as PcaLayer).spectrum?.samples).toBe(4);
    x.dispose();
    model.dispose();
  });

  it('trains, evaluates and predicts within a model, each validation on the epoch before it', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ units: 8, activation: 'tanh', inputShape: [5] }),
        pcaLayer({ name: 'pca', threshold: 0.9 }),
        tf.layers.dense({ units: 1 }),
      ],
    });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const [xs, ys] = [normalTensor([64, 5], 17), normalTensor([64, 1], 18)];
    const seen: (number | undefined)[] = [];
    const pca = model.getLayer('pca') as PcaLayer;
    await model.fit(xs, ys, {
      epochs: 2,
      batchSize: 16,
      validationSplit: 0.25,
      verbose: 0,
      callbacks: { onEpochEnd: () => void seen.push(pca.spectrum?.samples) },
    });
    expect(seen).toEqual([48, 48]);
    const before = tf.memory().numTensors;
    for (let k = 0; k < 3; k++) (model.predict(xs) as tf.Tensor).dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([xs, ys]);
    model.optimizer.dispose();
    model.dispose();
  });

  it('is saved with its model and loaded with it, able to change its threshold', async () => {
    const x = correlated(200, 10, 19);
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ units: 10, inputShape: [10], kernelInitializer: 'identity' }),
        pcaLayer({ threshold: 0.9, rule: 'delve', downsample: 7, name: 'pca' }),
      ],
    });
    tf.tidy(() => void model.apply(x, { training: true }));
    const saved = model.predict(x) as tf.Tensor;
    let artifacts: tf.io.ModelArtifacts | undefined;
    await model.save(
      tf.io.withSaveHandler(async (given) => {
        // A round trip through JSON, as through a file.
        artifacts = { ...given, modelTopology: JSON.parse(JSON.stringify(given.modelTopology)) };
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
      }),
    );
    const loaded = await tf.loadLayersModel(tf.io.fromMemory(artifacts!));
    const again = loaded.predict(x) as tf.Tensor;
    expect(again.dataSync()).toEqual(saved.dataSync());
    const [pca, twin] = [model, loaded].map((each) => each.getLayer('pca') as PcaLayer);
    expect(twin).toBeInstanceOf(PcaLayer);
    expect({ ...twin.getConfig() }).toEqual({ ...pca.getConfig() });
    expect(twin.spectrum?.samples).toBe(200);
    for (const threshold of [0.3, 0.99, 1]) {
      pca.threshold = threshold;
      twin.threshold = threshold;
      expect(twin.dimensions).toBe(pca.dimensions);
    }
    tf.dispose([x, saved, again]);
    model.dispose();
    loaded.dispose();
  });

  it('loses no weight to an optimizer: none of them is trainable', () => {
    const layer = pcaLayer();
    layer.apply(tf.input({ shape: [4] }));
    expect(layer.trainableWeights).toEqual([]);
    expect(layer.nonTrainableWeights.map((weight) => weight.shape)).toEqual([[4], [4, 4], [4], []]);
    expect(layer.dispose().numDisposedVariables).toBe(4);
  });

  it('states the width of its output if it can be known', () => {
    expect(pcaLayer().computeOutputShape([null, 7])).toEqual([null, 7]);
    expect(pcaLayer({ keepDim: false }).computeOutputShape([null, 3, 7])).toEqual([null, 3, null]);
    expect(() => pcaLayer({ name: 'p' }).build([null, null])).toThrow("PcaLayer 'p'");
    expect(() =>
      pcaLayer().computeOutputShape([
        [null, 2],
        [null, 2],
      ]),
    ).toThrow(TypeError);
  });

  it('refuses a threshold set later as in its options', () => {
    const layer = pcaLayer();
    expect(() => {
      layer.threshold = 1.5;
    }).toThrow('threshold: expected');
    expect(layer.threshold).toBe(0.99);
  });
});

describe('pcaLayerOptions', () => {
  it('default to 0.99 of the variance about the mean, the rule of the paper and the width of the input', () => {
    expect(pcaLayerOptions({})).toEqual({
      threshold: 0.99,
      rule: 'paper',
      centering: true,
      keepDim: true,
      downsample: undefined,
    });
  });

  it.each([
    [{ threshold: -1 }, 'threshold'],
    [{ threshold: 99 }, 'threshold'],
    [{ threshold: 0 }, 'threshold'],
    [{ threshold: Number.NaN }, 'threshold'],
    [{ threshold: '.99' }, 'threshold'],
    [{ rule: 'mine' }, 'rule'],
    [{ centering: 1 }, 'centering'],
    [{ keepDim: 'no' }, 'keepDim'],
    [{ downsample: 0 }, 'downsample'],
    [{ downsample: 1.5 }, 'downsample'],
  ])('refuse %o, naming it', (options, name) => {
    expect(() => pcaLayerOptions(options as PcaLayerOptions)).toThrow(`${name}: expected`);
  });
});

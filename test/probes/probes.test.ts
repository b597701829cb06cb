import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogisticRegression } from '../../src/probes/logistic-regression.js';
import { probeLayers } from '../../src/probes/probes.js';
import type { SampleMatrix } from '../../src/recording/samples.js';

const reference = JSON.parse(readFileSync(new URL('../fixtures/probes/reference.json', import.meta.url), 'utf8'));
const bytes = (name: string) => new Uint8Array(Buffer.from(reference[name], 'base64'));

describe('probeLayers', () => {
  const floats = (name: string) => new Float32Array(bytes(name).buffer);
  const { train, test: held, hidden } = reference as { train: number; test: number; hidden: number };
  const total = train + held;

  /** The fixture's network, with an output layer that it does not need. */
  function network(): tf.LayersModel {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({
          name: 'conv',
          filters: 6,
          kernelSize: 2,
          strides: 2,
          activation: 'relu',
          useBias: false,
          inputShape: [8, 8, 1],
        }),
        tf.layers.flatten(),
        tf.layers.dense({ name: 'dense', units: hidden, activation: 'relu', useBias: false }),
      ],
    });
    model.setWeights([
      tf.tensor4d(floats('kernel_float32'), [2, 2, 1, 6]),
      tf.tensor2d(floats('dense_float32'), [96, hidden]),
    ]);
    return model;
  }

  function samples() {
    const pixels = tf.tensor4d(
      Float32Array.from(bytes('pixels_uint8'), (value) => value / 16),
      [total, 8, 8, 1],
    );
    const labels = bytes('labels_uint8');
    return {
      train: { xs: pixels.slice([0], [train]), ys: labels.slice(0, train) },
      test: { xs: pixels.slice([train], [held]), ys: labels.slice(train) },
    };
  }

  it('reaches what scikit-learn reaches on the same layers, in order of depth', async () => {
    const { train: fitted, test: tested } = samples();
    const probes = await probeLayers(network(), fitted, tested, { batchSize: 150 });
    expect(probes.map(({ layer, features, converged }) => ({ layer, features, converged }))).toEqual([
      { layer: 'conv', features: 96, converged: true },
      { layer: 'dense', features: hidden, converged: true },
    ]);
    probes.forEach((probe) => {
      // The activations are float32 here and float64 there: one sample on the edge may fall to the other side.
      expect(Math.abs(probe.accuracy - reference[probe.layer].testAccuracy)).toBeLessThanOrEqual(1 / held + 1e-12);
      expect(Math.abs(probe.trainAccuracy - reference[probe.layer].trainAccuracy)).toBeLessThanOrEqual(
        1 / train + 1e-12,
      );
    });
  });

  it('reads one-hot labels and label tensors like numbers', async () => {
    const { train: fitted, test: tested } = samples();
    const expected = await probeLayers(network(), fitted, tested, { layers: (layer) => layer.name === 'dense' });
    const oneHot = tf.oneHot(tf.tensor1d([...fitted.ys], 'int32'), 10);
    const given = await probeLayers(
      network(),
      { xs: fitted.xs, ys: oneHot },
      { xs: tested.xs, ys: tf.tensor1d([...tested.ys], 'int32') },
      { layers: (layer) => layer.name === 'dense' },
    );
    expect(given).toEqual(expected);
  });

  it('reads batches of a data set, of a generator and of inputs by name as it reads all samples at once', async () => {
    const { train: fitted, test: tested } = samples();
    const options = { layers: ({ name }: { name: string }) => name === 'dense' };
    const expected = await probeLayers(network(), fitted, tested, options);
    const listed = async ({ xs, ys }: { xs: tf.Tensor; ys: Uint8Array }) => {
      const images = (await xs.array()) as number[][][][];
      return images.map((image, row) => ({ xs: image, ys: ys[row] }));
    };
    const model = network();
    const before = tf.memory().numTensors;
    const found = await probeLayers(
      model,
      tf.data.array(await listed(fitted)).batch(100),
      tf.data.array(await listed(tested)).batch(64),
      options,
    );
    expect(found).toEqual(expected);
    expect(tf.memory().numTensors).toBe(before);
    const [name] = model.inputNames;
    async function* stream({ xs, ys }: { xs: tf.Tensor; ys: Uint8Array }) {
      for (let start = 0; start < ys.length; start += 100) {
        const size = Math.min(100, ys.length - start);
        const part = xs.slice([start], [size]);
        yield { xs: { [name]: part }, ys: ys.slice(start, start + size) };
        part.dispose();
      }
    }
    expect(await probeLayers(model, stream(fitted), { xs: { [name]: tested.xs }, ys: tested.ys }, options)).toEqual(
      expected,
    );
    expect(tf.memory().numTensors).toBe(before);
    await expect(probeLayers(model, [{ xs: fitted.xs } as never], tested)).rejects.toThrow(
      'probeLayers: expected train.ys, the class of each sample, got undefined',
    );
    await expect(probeLayers(model, [], tested)).rejects.toThrow('probeLayers: expected train samples, got none');
    await expect(probeLayers(model, 7 as never, tested)).rejects.toThrow(/probeLayers: train: expected batches/);
  });

  it('writes accuracies beside saturation, under the names the tracker uses', async () => {
    const { train: fitted, test: tested } = samples();
    const written: unknown[] = [];
    const writer = { addScalar: (...call: unknown[]) => void written.push(call) };
    const probes = await probeLayers(network(), fitted, tested, { writer, step: 7 });
    expect(written).toEqual(probes.map(({ layer, accuracy }) => [`probe-accuracy/${layer}`, accuracy, 7]));
  });

  it('leaves the model as it was, and no tensor behind', async () => {
    const { train: fitted, test: tested } = samples();
    const model = network();
    const before = tf.memory().numTensors;
    await probeLayers(model, fitted, tested);
    expect(tf.memory().numTensors).toBe(before);
    expect(model.layers.every((layer) => !Object.hasOwn(layer, 'call'))).toBe(true);
  });

  it('reads a recurrent layer at its last step, and averages a long sequence down to 16 places', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv1d({ name: 'window', filters: 2, kernelSize: 1, inputShape: [40, 3] }),
        tf.layers.lstm({ name: 'steps', units: 4, returnSequences: true }),
      ],
    });
    const data = {
      xs: tf.randomNormal([20, 40, 3], 0, 1, 'float32', 3),
      ys: Array.from({ length: 20 }, (_, row) => row % 2),
    };
    const probes = await probeLayers(model, data, data);
    expect(probes.map(({ layer, features }) => [layer, features])).toEqual([
      ['window', 32],
      ['steps', 4],
    ]);
  });

  it('refuses labels that do not belong to the samples', async () => {
    const { train: fitted, test: tested } = samples();
    await expect(probeLayers(network(), { ...fitted, ys: [1] }, tested)).rejects.toThrow(
      /expected 400 labels in train\.ys.*got 1/,
    );
    await expect(probeLayers(network(), fitted, { xs: 3 as never, ys: [1] })).rejects.toThrow(
      /test\.xs to be a tensor, got number 3/,
    );
  });
});

const labels = bytes('labels_uint8');
const trainLabels = labels.slice(0, reference.train);
const testLabels = labels.slice(reference.train);

/** The fixture's images in 0..1, and the two layers on them, computed here in float64. */
function activations(): Record<'pixels' | 'conv' | 'dense', Float64Array[]> {
  const kernel = new Float32Array(bytes('kernel_float32').buffer);
  const dense = new Float32Array(bytes('dense_float32').buffer);
  const raw = bytes('pixels_uint8');
  const pixels: Float64Array[] = [];
  const conv: Float64Array[] = [];
  const hidden: Float64Array[] = [];
  for (let image = 0; image < reference.train + reference.test; image++) {
    const pixel = Float64Array.from(raw.subarray(image * 64, image * 64 + 64), (value) => value / 16);
    const map = new Float64Array(96);
    for (let y = 0; y < 4; y++)
      for (let x = 0; x < 4; x++)
        for (let c = 0; c < 6; c++) {
          let sum = 0;
          for (let i = 0; i < 2; i++)
            for (let j = 0; j < 2; j++) sum += pixel[(2 * y + i) * 8 + 2 * x + j]! * kernel[(i * 2 + j) * 6 + c]!;
          map[(y * 4 + x) * 6 + c] = Math.max(sum, 0);
        }
    pixels.push(pixel);
    conv.push(map);
    hidden.push(
      Float64Array.from({ length: reference.hidden }, (_, unit) =>
        Math.max(
          0,
          map.reduce((sum, value, at) => sum + value * dense[at * reference.hidden + unit]!, 0),
        ),
      ),
    );
  }
  return { pixels, conv, dense: hidden };
}

function rows(samples: readonly Float64Array[]): SampleMatrix {
  const features = samples[0]!.length;
  const values = new Float64Array(samples.length * features);
  samples.forEach((sample, row) => void values.set(sample, row * features));
  return { values, rows: samples.length, features };
}

function objective(model: LogisticRegression, samples: SampleMatrix, classes: ArrayLike<number>, l2: number): number {
  let value = 0;
  for (const weight of model.weights) value += 0.5 * l2 * weight ** 2;
  for (let row = 0; row < samples.rows; row++) {
    const scores = Array.from(model.bias, (bias, k) => {
      let sum = bias;
      for (let f = 0; f < samples.features; f++) {
        sum += samples.values[row * samples.features + f]! * model.weights[f * model.classes + k]!;
      }
      return sum;
    });
    const top = Math.max(...scores);
    value += top + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0)) - scores[classes[row]!]!;
  }
  return value;
}

describe('LogisticRegression against scikit-learn on the same activations', () => {
  const layers = activations();
  for (const [name, layer] of [
    ['pixels', 'pixels'],
    ['conv', 'conv'],
    ['dense', 'dense'],
    ['denseStrong', 'dense'],
  ] as const) {
    it(`finds the same optimum and the same accuracy: ${name}`, () => {
      const expected = reference[name];
      const train = rows(layers[layer].slice(0, reference.train));
      const held = rows(layers[layer].slice(reference.train));
      const model = LogisticRegression.fit(train, trainLabels, { l2: expected.l2 });
      expect(model.converged).toBe(true);
      expect(objective(model, train, trainLabels, expected.l2) / expected.objective).toBeCloseTo(1, 6);
      expect(model.accuracy(train, trainLabels)).toBe(expected.trainAccuracy);
      expect(model.accuracy(held, testLabels)).toBe(expected.testAccuracy);
    });
  }

  it('finds the same coefficients, feature by feature', () => {
    const train = rows(layers.dense.slice(0, reference.train));
    const model = LogisticRegression.fit(train, trainLabels, { tolerance: 1e-8 });
    expect(model.weights).toHaveLength(reference.dense.coefficients.length);
    for (const [at, weight] of reference.dense.coefficients.entries()) expect(model.weights[at]).toBeCloseTo(weight, 3);
  });
});

describe('LogisticRegression', () => {
  it('reaches the optimum whatever the scale and offset of a feature', () => {
    const values = Float64Array.from({ length: 400 }, (_, at) =>
      at % 2 === 0 ? 1e6 + Math.sin(at) * 1e3 : Math.cos(at) * 1e-3,
    );
    const samples = { values, rows: 200, features: 2 };
    const classes = Uint8Array.from({ length: 200 }, (_, row) => (Math.sin(2 * row) > 0 ? 1 : 0));
    const model = LogisticRegression.fit(samples, classes);
    expect(model.accuracy(samples, classes)).toBeGreaterThan(0.98);
  });

  it('gives a constant feature no weight, and is always right about a single class', () => {
    const samples = { values: Float32Array.from([1, 5, 2, 5, 3, 5, 4, 5]), rows: 4, features: 2 };
    const model = LogisticRegression.fit(samples, [0, 0, 1, 1]);
    expect([...model.weights.slice(2)]).toEqual([0, 0]);
    expect(model.accuracy(samples, [0, 0, 1, 1])).toBe(1);
    expect(LogisticRegression.fit(samples, [0, 0, 0, 0]).accuracy(samples, [0, 0, 0, 0])).toBe(1);
  });

  it('ends where every gradient is zero: sum of errors per class and per feature against the penalty', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: -3, max: 3, noNaN: true }), fc.nat(2)),
          {
            minLength: 6,
            maxLength: 40,
          },
        ),
        (points) => {
          const samples = {
            values: Float64Array.from(points.flatMap(([a, b]) => [a, b] as number[])),
            rows: points.length,
            features: 2,
          };
          const classes = points.map(([, , k]) => k);
          const model = LogisticRegression.fit(samples, classes, { tolerance: 1e-9 });
          const gradient = Float64Array.from(model.weights);
          for (let row = 0; row < samples.rows; row++) {
            const scores = Array.from(model.bias, (bias, k) => {
              const at = (f: number) => samples.values[row * 2 + f]! * model.weights[f * model.classes + k]!;
              return Math.exp(bias + at(0) + at(1));
            });
            const sum = scores.reduce((total, score) => total + score, 0);
            scores.forEach((score, k) => {
              const error = score / sum - (k === classes[row] ? 1 : 0);
              for (let f = 0; f < 2; f++) gradient[f * model.classes + k]! += error * samples.values[row * 2 + f]!;
            });
          }
          for (const component of gradient) expect(Math.abs(component)).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('refuses inputs that do not fit', () => {
    const samples = { values: Float64Array.of(1, 2), rows: 2, features: 1 };
    expect(() => LogisticRegression.fit(samples, [0])).toThrow(/a label per sample \(2.*got 1/);
    expect(() => LogisticRegression.fit(samples, [0, -1])).toThrow(/got -1 for sample 1/);
    expect(() => LogisticRegression.fit(samples, [0, 1], { l2: -1 })).toThrow(/l2 >= 0, got -1/);
    expect(() => LogisticRegression.fit({ ...samples, values: Float64Array.of(1, Number.NaN) }, [0, 1])).toThrow(
      /got NaN or Infinity in feature 0/,
    );
    const model = LogisticRegression.fit(samples, [0, 1]);
    expect(() => model.predict({ values: Float64Array.of(1, 2), rows: 1, features: 2 })).toThrow(
      /expected 1 features, got 2/,
    );
  });
});

import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, test } from 'vitest';
import { probeLayers } from '../../src/probes/probes.js';

const reference = JSON.parse(readFileSync(new URL('../fixtures/probes/reference.json', import.meta.url), 'utf8'));
const bytes = (name: string) => new Uint8Array(Buffer.from(reference[name], 'base64'));
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

describe('probeLayers', () => {
  test('reaches what scikit-learn reaches on the same layers, in order of depth', async () => {
    const { train: fitted, test: tested } = samples();
    const probes = await probeLayers(network(), fitted, tested, { batchSize: 150 });
    expect(probes.map(({ layer, features, converged }) => ({ layer, features, converged }))).toEqual([
      { layer: 'conv', features: 96, converged: true },
      { layer: 'dense', features: hidden, converged: true },
    ]);
    probes.forEach((probe) => {
      // float32 activations here, float64 there: one sample on the edge may fall to the other side.
      expect(Math.abs(probe.accuracy - reference[probe.layer].testAccuracy)).toBeLessThanOrEqual(1 / held + 1e-12);
      expect(Math.abs(probe.trainAccuracy - reference[probe.layer].trainAccuracy)).toBeLessThanOrEqual(
        1 / train + 1e-12,
      );
    });
  });

  test('one-hot labels and label tensors mean the same as numbers', async () => {
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

  test('writes accuracies beside saturation, under the names the tracker uses', async () => {
    const { train: fitted, test: tested } = samples();
    const written: unknown[] = [];
    const writer = { addScalar: (...call: unknown[]) => void written.push(call) };
    const probes = await probeLayers(network(), fitted, tested, { writer, step: 7 });
    expect(written).toEqual(probes.map(({ layer, accuracy }) => [`probe-accuracy/${layer}`, accuracy, 7]));
  });

  test('leaves the model as it was, and no tensor behind', async () => {
    const { train: fitted, test: tested } = samples();
    const model = network();
    const before = tf.memory().numTensors;
    await probeLayers(model, fitted, tested);
    expect(tf.memory().numTensors).toBe(before);
    expect(model.layers.every((layer) => !Object.hasOwn(layer, 'call'))).toBe(true);
  });

  test('a recurrent layer is read at its last step, a long sequence averaged down to 16 places', async () => {
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

  test('labels that do not belong to the samples are refused', async () => {
    const { train: fitted, test: tested } = samples();
    await expect(probeLayers(network(), { ...fitted, ys: [1] }, tested)).rejects.toThrow(
      /expected 400 labels in train\.ys.*got 1/,
    );
    await expect(probeLayers(network(), fitted, { xs: 3 as never, ys: [1] })).rejects.toThrow(
      /test\.xs to be a tensor, got number 3/,
    );
  });
});

// The networks of the saturation benchmark; bench/delve_restated.py has the large ones for torch.
import * as tf from '@tensorflow/tfjs';

const conv = (filters, name, more = {}) =>
  tf.layers.conv2d({ filters, kernelSize: 3, padding: 'same', activation: 'relu', name, ...more });

export const networks = {
  MLP: {
    batch: 128,
    shape: [784],
    build: () =>
      tf.sequential({
        layers: [
          tf.layers.dense({ inputShape: [784], units: 512, activation: 'relu' }),
          tf.layers.dense({ units: 512, activation: 'relu' }),
          tf.layers.dense({ units: 512, activation: 'relu' }),
          tf.layers.dense({ units: 10 }),
        ],
      }),
  },
  CNN: {
    batch: 64,
    shape: [32, 32, 3],
    build: () =>
      tf.sequential({
        layers: [
          conv(32, undefined, { inputShape: [32, 32, 3] }),
          conv(64),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          conv(64),
          conv(128),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 10 }),
        ],
      }),
  },
  // For the cpu backend, where a step of the other takes seconds for each image.
  'small CNN': {
    batch: 4,
    shape: [16, 16, 3],
    build: () =>
      tf.sequential({
        layers: [
          conv(8, undefined, { inputShape: [16, 16, 3] }),
          conv(16),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          conv(16),
          conv(32),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 10 }),
        ],
      }),
  },
  LSTM: {
    batch: 64,
    shape: [32, 28],
    build: () =>
      tf.sequential({ layers: [tf.layers.lstm({ inputShape: [32, 28], units: 128 }), tf.layers.dense({ units: 10 })] }),
  },
};

/** A compiled network with a batch to train it on, again and again. */
export function setUp(name) {
  const { batch, shape, build } = networks[name];
  const model = build();
  model.compile({
    optimizer: tf.train.momentum(0.01, 0.9),
    loss: (labels, logits) => tf.losses.softmaxCrossEntropy(labels, logits),
  });
  const x = tf.randomNormal([batch, ...shape], 0, 1, 'float32', 1);
  const y = tf.oneHot(tf.randomUniform([batch], 0, 10, 'int32', 2), 10);
  return { model, x, y };
}

import * as tf from '@tensorflow/tfjs';
import { normals } from './random.js';

/** tfjs-wasm 4.22 has no gradient for convolution filters (tfjs#8474) and embeddings (tfjs#8082). */
export function trainsConvolutions(backend: string): boolean {
  return backend !== 'wasm';
}

/** A tensor of normal numbers. */
export function normalTensor(shape: number[], seed: number): tf.Tensor {
  return tf.tensor(
    normals(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    shape,
  );
}

/** Gives every weight of a model values that depend only on the seed; variances are positive. */
export function seedWeights(model: tf.LayersModel, seed: number): void {
  tf.tidy(() => {
    const seeded = model.weights.map((weight, index) => {
      const drawn = normalTensor(weight.shape as number[], seed + index).mul(0.2);
      return weight.name.includes('variance') ? drawn.abs().add(0.5) : drawn;
    });
    model.setWeights(seeded);
  });
}

/**
 * Frees a model's weights. TensorFlow.js's own dispose() leaves those of shared layers and nested models in memory: it
 * counts their uses, and gives back only one.
 */
export function freeWeights(model: tf.LayersModel): void {
  for (const weight of model.weights) weight.read().dispose();
}

/** All own properties of a model, of the model inside it and of its layers, except those that fit itself leaves there. */
export function ownKeysOf(model: tf.LayersModel): string[][] {
  const inner = (model as unknown as { model?: object }).model;
  return [model, ...(inner ? [inner] : []), ...model.layers].map((each) =>
    Reflect.ownKeys(each)
      .map(String)
      .filter((key) => !/^(history|isTraining|stopTraining_|trainFunction|testFunction|_stateful)$/.test(key))
      .sort(),
  );
}

/** A model with data to train it on: inputs and targets, all the same for the same seed. */
export interface Trainable {
  name: string;
  build(): tf.LayersModel;
  inputs(items: number, seed: number): tf.Tensor | tf.Tensor[];
  targets(items: number, seed: number): tf.Tensor | tf.Tensor[];
}

function compiled(model: tf.LayersModel, seed = 11): tf.LayersModel {
  seedWeights(model, seed);
  model.compile({ optimizer: tf.train.momentum(0.01, 0.9), loss: 'meanSquaredError', metrics: ['mae'] });
  return model;
}

function tokens(items: number, steps: number, words: number, seed: number): tf.Tensor {
  return tf.tidy(() => {
    const drawn = normalTensor([items, steps], seed)
      .abs()
      .mul(3)
      .floor()
      .clipByValue(1, words - 1);
    // Half of every sequence's tail is padding.
    const keep = tf.range(0, steps).less(tf.range(0, items).expandDims(1).mod(steps).add(2)) as tf.Tensor;
    return drawn.mul(keep.toFloat()).toInt();
  });
}

const dense: Trainable = {
  name: 'dense',
  build: () =>
    compiled(
      tf.sequential({
        layers: [
          tf.layers.dense({ inputShape: [6], units: 8, activation: 'relu', name: 'hidden' }),
          tf.layers.dropout({ rate: 0.2, seed: 3 }),
          tf.layers.dense({ units: 3, name: 'output' }),
        ],
      }),
    ),
  inputs: (items, seed) => normalTensor([items, 6], seed),
  targets: (items, seed) => normalTensor([items, 3], seed),
};

const convolutional: Trainable = {
  name: 'convolutional',
  build: () =>
    compiled(
      tf.sequential({
        layers: [
          tf.layers.conv2d({ inputShape: [8, 8, 2], filters: 4, kernelSize: 3, activation: 'relu', name: 'conv' }),
          tf.layers.batchNormalization({ name: 'norm' }),
          tf.layers.depthwiseConv2d({ kernelSize: 2, name: 'depthwise' }),
          tf.layers.separableConv2d({ filters: 5, kernelSize: 2, name: 'separable' }),
          tf.layers.conv2dTranspose({ filters: 3, kernelSize: 2, name: 'transpose' }),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 3, name: 'output' }),
        ],
      }),
    ),
  inputs: (items, seed) => normalTensor([items, 8, 8, 2], seed),
  targets: (items, seed) => normalTensor([items, 3], seed),
};

const sequences: Trainable = {
  name: 'conv1d and conv3d',
  build: () => {
    const line = tf.input({ shape: [10, 2] });
    const volume = tf.input({ shape: [4, 4, 4, 1] });
    const left = tf.layers.flatten().apply(tf.layers.conv1d({ filters: 3, kernelSize: 3, name: 'conv1d' }).apply(line));
    const right = tf.layers
      .flatten()
      .apply(tf.layers.conv3d({ filters: 2, kernelSize: 2, name: 'conv3d' }).apply(volume));
    const both = tf.layers.concatenate().apply([left, right] as tf.SymbolicTensor[]);
    const output = tf.layers.dense({ units: 2, name: 'output' }).apply(both) as tf.SymbolicTensor;
    return compiled(tf.model({ inputs: [line, volume], outputs: output }));
  },
  inputs: (items, seed) => [normalTensor([items, 10, 2], seed), normalTensor([items, 4, 4, 4, 1], seed + 1)],
  targets: (items, seed) => normalTensor([items, 2], seed),
};

const recurrent: Trainable = {
  name: 'recurrent',
  build: () =>
    compiled(
      tf.sequential({
        layers: [
          tf.layers.lstm({ inputShape: [5, 3], units: 4, returnSequences: true, name: 'lstm' }),
          tf.layers.bidirectional({ layer: tf.layers.gru({ units: 3, returnSequences: true }) as never, name: 'both' }),
          tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 4 }), name: 'each' }),
          tf.layers.simpleRNN({ units: 3, name: 'rnn' }),
          tf.layers.dense({ units: 2, name: 'output' }),
        ],
      }),
    ),
  inputs: (items, seed) => normalTensor([items, 5, 3], seed),
  targets: (items, seed) => normalTensor([items, 2], seed),
};

const embedding: Trainable = {
  name: 'embedding with masks',
  build: () =>
    compiled(
      tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 12, outputDim: 4, inputLength: 6, maskZero: true, name: 'embedding' }),
          tf.layers.gru({ units: 3, returnSequences: true, name: 'gru' }),
          tf.layers.lstm({ units: 3, name: 'lstm' }),
          tf.layers.dense({ units: 2, name: 'output' }),
        ],
      }),
    ),
  inputs: (items, seed) => tokens(items, 6, 12, seed),
  targets: (items, seed) => normalTensor([items, 2], seed),
};

const shared: Trainable = {
  name: 'nested, shared and multi-output',
  build: () => {
    const input = tf.input({ shape: [4, 3] });
    const encoder = tf.layers.lstm({ units: 4, returnState: true, name: 'encoder' });
    const [, h, c] = encoder.apply(input) as tf.SymbolicTensor[];
    const twice = tf.layers.dense({ units: 4, name: 'twice' });
    const block = tf.sequential({
      name: 'block',
      layers: [tf.layers.dense({ inputShape: [4], units: 5, name: 'inner' })],
    });
    const first = twice.apply(h) as tf.SymbolicTensor;
    const second = twice.apply(c) as tf.SymbolicTensor;
    const sum = tf.layers.add().apply([first, second]) as tf.SymbolicTensor;
    const left = tf.layers.dense({ units: 2, name: 'left' }).apply(block.apply(sum)) as tf.SymbolicTensor;
    const right = tf.layers.dense({ units: 1, name: 'right' }).apply(sum) as tf.SymbolicTensor;
    return compiled(tf.model({ inputs: input, outputs: [left, right] }));
  },
  inputs: (items, seed) => normalTensor([items, 4, 3], seed),
  targets: (items, seed) => [normalTensor([items, 2], seed), normalTensor([items, 1], seed + 1)],
};

/** The models a backend can train. */
export function trainables(backend: string): Trainable[] {
  return trainsConvolutions(backend)
    ? [dense, convolutional, sequences, recurrent, embedding, shared]
    : [dense, recurrent, shared];
}

export { convolutional, dense, embedding, recurrent, shared };

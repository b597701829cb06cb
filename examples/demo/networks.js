import * as tf from '@tensorflow/tfjs';

/** A seeded initializer per layer, so that every run on one backend starts from the same weights. */
function initializers(seed) {
  let next = seed;
  return () => tf.initializers.heNormal({ seed: next++ });
}

/** Four convolutions and two dense layers. tfjs-wasm has no gradient for convolution filters, so this needs the native backend to be quick. */
function convolutional(seed) {
  const kernelInitializer = initializers(seed);
  const conv = (name, filters, first = {}) =>
    tf.layers.conv2d({
      name,
      filters,
      kernelSize: 3,
      padding: 'same',
      activation: 'relu',
      kernelInitializer: kernelInitializer(),
      ...first,
    });
  return tf.sequential({
    name: 'digits-conv',
    layers: [
      conv('conv1', 8, { inputShape: [28, 28, 1] }),
      conv('conv2', 16),
      tf.layers.maxPooling2d({ name: 'pool1', poolSize: 2 }),
      conv('conv3', 24),
      conv('conv4', 32),
      tf.layers.maxPooling2d({ name: 'pool2', poolSize: 2 }),
      tf.layers.flatten({ name: 'flatten' }),
      tf.layers.dense({ name: 'dense1', units: 64, activation: 'relu', kernelInitializer: kernelInitializer() }),
      tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer() }),
    ],
  });
}

/** Seven dense layers: what a machine without the native backend trains in a minute. */
function dense(seed) {
  const kernelInitializer = initializers(seed);
  const widths = [256, 192, 128, 96, 64, 48];
  return tf.sequential({
    name: 'digits-dense',
    layers: [
      tf.layers.flatten({ name: 'flatten', inputShape: [28, 28, 1] }),
      ...widths.map((units, i) =>
        tf.layers.dense({ name: `dense${i + 1}`, units, activation: 'relu', kernelInitializer: kernelInitializer() }),
      ),
      tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer() }),
    ],
  });
}

/** By the name that --model takes. */
export const NETWORKS = { conv: convolutional, dense };

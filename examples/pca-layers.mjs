// node examples/pca-layers.mjs — how much of each layer does a trained network need? Projects every layer on the directions
// that explain a part of its variance, and as a control on as many random ones, and asks for the accuracy.
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import {
  fitPcaLayers,
  insertPcaLayers,
  randomDirections,
  restoreDirections,
  setPcaThresholds,
} from 'delve-tensorboard/tfjs';
import { loadDigits } from './demo/digits.js';

tf.enableProdMode();
await tf.setBackend('wasm');
const { train, val } = loadDigits({ seed: 1, validationShare: 0.2 });

const model = tf.sequential({
  layers: [
    tf.layers.flatten({ inputShape: [28, 28, 1] }),
    ...[128, 96, 64].map((units, k) =>
      tf.layers.dense({
        name: `dense${k + 1}`,
        units,
        activation: 'relu',
        kernelInitializer: tf.initializers.heNormal({ seed: k }),
      }),
    ),
    tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax' }),
  ],
});
model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
await model.fit(train.xs, train.ys, { epochs: 5, batchSize: 128, verbose: 0 });

/** Share of the validation digits that a model gets right. */
function accuracyOf(network) {
  return tf.tidy(() => {
    const guessed = network.predict(val.xs).argMax(1);
    return guessed.equal(val.ys.argMax(1)).mean().dataSync()[0];
  });
}

/** So many images at a time. */
function* batchesOf(images, size) {
  for (let k = 0; k < images.shape[0]; k += size) {
    const batch = images.slice(k, Math.min(size, images.shape[0] - k));
    yield batch;
    batch.dispose();
  }
}

// A copy of the network with a PCA layer behind each dense layer, which then sees the training digits once.
const projected = insertPcaLayers(model, { layers: (layer) => layer.name !== 'digit' });
await fitPcaLayers(projected, batchesOf(train.xs, 500));

const percent = (share) => `${(100 * share).toFixed(1)} %`.padStart(8);
console.log(`accuracy as trained: ${percent(accuracyOf(model))}\n`);
console.log('variance  eigenspace    random  dimensions kept of 128, 96, 64');
for (const threshold of [0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999]) {
  const report = setPcaThresholds(projected, threshold);
  const eigenspace = accuracyOf(projected);
  randomDirections(projected, 7);
  const random = accuracyOf(projected);
  restoreDirections(projected);
  const kept = report.map(({ dimensions }) => dimensions).join(', ');
  console.log(`${String(threshold).padStart(8)}    ${percent(eigenspace)}  ${percent(random)}  ${kept}`);
}

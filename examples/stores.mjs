// node examples/stores.mjs — saves saturation as Delve does (csv and npy), continues it, and applies other thresholds afterwards.
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import { reconstructCsv, SaturationTracker } from 'delve-tensorboard/tfjs';
import { loadDigits } from './demo/digits.js';

tf.enableProdMode();
await tf.setBackend('wasm');
const { train, val } = loadDigits({ seed: 1, validationShare: 0.2 });

const model = tf.sequential({
  layers: [
    tf.layers.flatten({ inputShape: [28, 28, 1] }),
    tf.layers.dense({ name: 'dense1', units: 64, activation: 'relu' }),
    tf.layers.dense({ name: 'dense2', units: 32, activation: 'relu' }),
    tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax' }),
  ],
});
model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy', metrics: ['accuracy'] });

/** Trains from one epoch to another, saving to runs/stores.csv, to runs/stores/ and on the console. */
async function fit(initialEpoch, epochs) {
  const tracker = new SaturationTracker('runs/stores', model, {
    saveTo: ['csv', 'npy', 'console'],
    stats: ['lsat', 'idim', 'cov'],
    initialEpoch,
  });
  await model.fit(train.xs, train.ys, {
    initialEpoch,
    epochs,
    batchSize: 128,
    validationData: [val.xs, val.ys],
    verbose: 0,
    callbacks: tracker.callback(),
  });
  await tracker.close();
}

await fit(0, 2);
console.log('\nThe same run, continued from its third epoch:\n');
await fit(2, 3);

// The covariances are saved, so any threshold can be applied now, without training again.
console.log('\nIntrinsic dimensionality of dense1 (64 features) per epoch, from the covariances in runs/stores/:');
for (const threshold of [0.9, 0.95, 0.99, 0.999]) {
  const table = await reconstructCsv('runs/stores', { threshold });
  console.log(`  at ${threshold}: ${table.values('train-intrinsic-dimensionality_dense1').join(', ')}`);
}
console.log('\nPython reads them too: pandas.read_csv("runs/stores.csv", sep=";", index_col=0)');

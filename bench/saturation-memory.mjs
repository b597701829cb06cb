// Memory of 60 layers of 1024 features in two splits, for bench/saturation-scaling.mjs; a process of its own. Only the
// tracker is in it, no network of that size. Prints one line of JSON.
import { createRequire } from 'node:module';
import { setTimeout } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { SaturationTracker } from '../dist/tfjs.js';

const require = createRequire(import.meta.url);
try {
  require('@tensorflow/tfjs-node');
} catch {
  await tf.setBackend('cpu');
}
await tf.ready();
const megabytes = () => Math.round(process.resourceUsage().maxRSS / 1024);
const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [2] })] });
const tracker = new SaturationTracker('unused', model, { stats: ['saturation'], saveTo: [{ add() {} }] });
const x = tf.randomNormal([256, 1024]);
const before = megabytes();
for (let pass = 0; pass < 6; pass++) {
  for (const split of ['train', 'val']) {
    for (let layer = 0; layer < 60; layer++) tracker.observe(`layer${layer}`, x, split);
  }
  await setTimeout(10);
}
const results = await tracker.addSaturations();
await tracker.close();
console.log(JSON.stringify({ before, peak: megabytes(), spectra: results.length }));

// What shrink costs and saves on the digits networks of the demo, beside as many random directions and beside magnitude pruning to
// as many weights, each before and after one epoch of training. Writes the tables of docs/shrink.md.
//   node examples/experiments/shrink.mjs [--epochs 6] [--seeds 2] [--backend tensorflow]
import { readFileSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { shrink } from 'delve-tensorboard/tfjs';
import { machine, replaceSection } from '../../bench/results.mjs';
import { NETWORKS } from '../demo/networks.js';
import { openLab } from './lab.js';

const lab = await openLab('shrink', { epochs: 6, seeds: 2 });
const { train, test } = lab;
const compiled = (model) => {
  model.compile({ optimizer: tf.train.adam(5e-4), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  return model;
};
const fit = (model, epochs) => model.fit(train.xs, train.ys, { epochs, batchSize: 64, verbose: 0, shuffle: true });
function accuracyOf(model) {
  const [, accuracy] = model.evaluate(test.xs, test.ys, { batchSize: 256 });
  return 100 * accuracy.dataSync()[0];
}

/** Zeroes the smallest weights of all kernels, so that as many parameters are left as `parameters`; the zeros stay zero. */
async function pruned(model, parameters) {
  const copy = compiled(await copyOf(model));
  const kernels = copy.trainableWeights.filter(({ shape }) => shape.length > 1);
  const sizes = kernels.flatMap((weight) => [...weight.read().dataSync()].map(Math.abs)).sort((a, b) => b - a);
  const others = copy.countParams() - sizes.length;
  const least = sizes[Math.max(0, Math.min(sizes.length - 1, parameters - others))];
  const masks = kernels.map((weight) => tf.tidy(() => weight.read().abs().greater(least).cast('float32')));
  const mask = () => {
    for (const [i, weight] of kernels.entries()) weight.write(tf.tidy(() => weight.read().mul(masks[i])));
  };
  mask();
  return { model: copy, mask };
}

async function copyOf(model) {
  let artifacts;
  const handler = tf.io.withSaveHandler(async (made) => {
    artifacts = made;
    return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
  });
  await model.save(handler);
  return tf.loadLayersModel(tf.io.fromMemory(artifacts));
}

const thresholds = [0.98, 0.95, 0.9];
const rows = [];
for (const name of ['dense', 'conv']) {
  const found = new Map(thresholds.map((threshold) => [threshold, []]));
  for (const seed of lab.seeds) {
    const model = NETWORKS[name](seed);
    model.compile({ optimizer: tf.train.adam(1e-3), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
    await fit(model, lab.epochs);
    const more = compiled(await copyOf(model));
    await fit(more, 1);
    const whole = { whole: accuracyOf(model), 'whole tuned': accuracyOf(more) };
    more.dispose();
    for (const threshold of thresholds) {
      const results = { ...whole };
      for (const directions of ['principal', 'random']) {
        const small = await shrink(model, [train.xs.slice(0, 2000)], { threshold, directions, seed });
        compiled(small.model);
        results[directions] = accuracyOf(small.model);
        await fit(small.model, 1);
        results[`${directions} tuned`] = accuracyOf(small.model);
        results.parameters = small.parameters.after / small.parameters.before;
        results.multiplyAdds = small.multiplyAdds.after / small.multiplyAdds.before;
        results.count = small.parameters.after;
        small.model.dispose();
      }
      const { model: thin, mask } = await pruned(model, results.count);
      results.pruned = accuracyOf(thin);
      const callbacks = { onBatchEnd: async () => mask() };
      await thin.fit(train.xs, train.ys, { epochs: 1, batchSize: 64, verbose: 0, callbacks });
      results['pruned tuned'] = accuracyOf(thin);
      thin.dispose();
      found.get(threshold).push(results);
    }
    model.dispose();
  }
  for (const [threshold, results] of found) {
    const mean = (key) => results.reduce((sum, each) => sum + each[key], 0) / results.length;
    const pair = (key) => `${mean(key).toFixed(1)} → ${mean(`${key} tuned`).toFixed(1)}`;
    const share = (key) => `${(100 * mean(key)).toFixed(0)} %`;
    const cells = [
      name,
      threshold,
      share('parameters'),
      share('multiplyAdds'),
      ...['whole', 'principal', 'random', 'pruned'].map(pair),
    ];
    rows.push(`| ${cells.join(' | ')} |`);
    console.log(rows.at(-1));
  }
}

const path = new URL('../../docs/shrink.md', import.meta.url);
writeFileSync(
  path,
  replaceSection(
    readFileSync(path, 'utf8'),
    'shrink',
    `\`node examples/experiments/shrink.mjs --epochs ${lab.epochs} --seeds ${lab.seeds.length} --backend ${tf.getBackend()}\`: ${machine()}, TensorFlow.js ${tf.version_core}. Means over the seeds;
accuracy in % on ${test.xs.shape[0]} digits, as made → after one more epoch of training.

| network | threshold | parameters | multiply-adds | whole | shrunk | random directions | magnitude pruning |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${rows.join('\n')}`,
  ),
);

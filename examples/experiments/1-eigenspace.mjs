// Experiment 1: does a layer need more than its 99 % eigenspace?
//
// A trained network is evaluated with the output of every hidden layer projected on the directions that explain a part
// delta of its variance, and, as a control, on as many random directions. The protocol is that of
// https://arxiv.org/abs/2006.08679 (MLRichter/phd-lab, post_training.py).
//
//   node examples/experiments/1-eigenspace.mjs [--epochs 6] [--seeds 3] [--backend auto] [--out DIR]
import * as tf from '@tensorflow/tfjs';
import {
  fitPcaLayers,
  insertPcaLayers,
  randomDirections,
  restoreDirections,
  setPcaThresholds,
} from 'delve-tensorboard/tfjs';
import { accuracy, batchesOf, initializers, openLab, train } from './lab.js';
import { mean, percent } from './numbers.js';

const DELTAS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 0.9999];
const WIDTH = 256;
const DEPTH = 4;

const lab = await openLab('1-eigenspace', { epochs: 6, seeds: 3 });

function network(seed) {
  const kernelInitializer = initializers(seed);
  const hidden = (index) =>
    tf.layers.dense({
      name: `hidden${index + 1}`,
      units: WIDTH,
      activation: 'relu',
      kernelInitializer: kernelInitializer(),
    });
  return tf.sequential({
    layers: [
      tf.layers.flatten({ name: 'flatten', inputShape: [28, 28, 1] }),
      ...Array.from({ length: DEPTH }, (_, index) => hidden(index)),
      tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer() }),
    ],
  });
}

const runs = [];
for (const seed of lab.seeds) {
  const model = network(seed);
  await train(model, lab.train, { epochs: lab.epochs, seed });
  const whole = accuracy(model, lab.test);
  const projected = insertPcaLayers(model, { layers: (layer) => layer.name.startsWith('hidden') });
  await fitPcaLayers(projected, batchesOf(lab.train.xs));
  console.log(`seed ${seed}: ${percent(whole)} without projection`);
  for (const delta of DELTAS) {
    const dimensions = setPcaThresholds(projected, delta).map((layer) => layer.dimensions);
    const eigenspace = accuracy(projected, lab.test);
    // Several draws: one set of random directions may be lucky.
    const draws = [1, 2, 3].map((draw) => {
      randomDirections(projected, seed * 100 + draw * 10);
      return accuracy(projected, lab.test);
    });
    restoreDirections(projected);
    runs.push({ seed, delta, dimensions, whole, eigenspace, random: draws });
    console.log(
      `  delta ${String(delta).padEnd(6)} dimensions ${dimensions.join(' ').padEnd(18)} eigenspace ${percent(eigenspace)}  random ${percent(mean(draws))}`,
    );
  }
  model.dispose();
  projected.dispose();
}

const rows = DELTAS.flatMap((delta) => {
  const at = runs.filter((run) => run.delta === delta);
  return ['eigenspace', 'random'].map((kind) => {
    const relative = at.flatMap((run) => [run[kind]].flat().map((value) => value / run.whole));
    return {
      delta: `${Number((delta * 100).toPrecision(6))} %`,
      directions: kind === 'eigenspace' ? 'eigenspace' : 'random, same rank',
      accuracy: mean(relative),
      low: Math.min(...relative),
      high: Math.max(...relative),
    };
  });
});
const x = {
  field: 'delta',
  type: 'ordinal',
  sort: null,
  title: 'explained variance kept in every hidden layer',
  axis: { labelAngle: -45 },
};
const color = {
  field: 'directions',
  type: 'nominal',
  scale: { range: ['#2166ac', '#b2182b'] },
  legend: { title: null, orient: 'top' },
};
await lab.figure('1-eigenspace', {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  title: {
    text: 'Accuracy after projecting every hidden layer, relative to no projection',
    subtitle: `MNIST digits, ${DEPTH} x ${WIDTH} ReLU; mean and range of ${lab.seeds.length} seeds`,
    anchor: 'start',
  },
  background: 'white',
  padding: 12,
  width: 460,
  height: 280,
  data: { values: rows },
  encoding: { x, color },
  layer: [
    {
      mark: { type: 'rule', opacity: 0.5 },
      encoding: { y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' } },
    },
    {
      mark: { type: 'line', point: { filled: true, size: 45 } },
      encoding: {
        y: { field: 'accuracy', type: 'quantitative', title: 'relative accuracy', scale: { domain: [0, 1.02] } },
      },
    },
  ],
});
lab.save({ width: WIDTH, depth: DEPTH, runs });

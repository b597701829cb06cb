// Experiment 4: does saturation fall as a network grows wider?
//
// Networks of one depth and growing width learn the same digits. The claim (https://arxiv.org/abs/2106.09526,
// https://arxiv.org/abs/2006.08679): capacity and difficulty act against each other, so with the task fixed, wider
// layers are less saturated.
//
//   node examples/experiments/4-width.mjs [--epochs 5] [--seeds 3] [--backend auto] [--out DIR]
import * as tf from '@tensorflow/tfjs';
import { extractSaturation } from 'delve-tensorboard/tfjs';
import { accuracy, batchesOf, initializers, openLab, train } from './lab.js';
import { mean, percent } from './numbers.js';

const lab = await openLab('4-width', { epochs: 5, seeds: 3 });

const networks = {
  dense: {
    widths: [8, 16, 32, 64, 128, 256, 512],
    build(width, seed) {
      const kernelInitializer = initializers(seed);
      return tf.sequential({
        layers: [
          tf.layers.flatten({ inputShape: [28, 28, 1] }),
          ...[1, 2, 3].map((index) =>
            tf.layers.dense({
              name: `hidden${index}`,
              units: width,
              activation: 'relu',
              kernelInitializer: kernelInitializer(),
            }),
          ),
          tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer() }),
        ],
      });
    },
  },
  convolutional: {
    widths: [4, 8, 16, 32],
    build(width, seed) {
      const kernelInitializer = initializers(seed);
      const conv = (index, more) =>
        tf.layers.conv2d({
          name: `hidden${index}`,
          filters: width,
          kernelSize: 3,
          padding: 'same',
          activation: 'relu',
          kernelInitializer: kernelInitializer(),
          ...more,
        });
      return tf.sequential({
        layers: [
          conv(1, { inputShape: [28, 28, 1], strides: 2 }),
          conv(2, { strides: 2 }),
          conv(3, {}),
          tf.layers.globalAveragePooling2d({}),
          tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer() }),
        ],
      });
    },
  },
};

const rows = [];
for (const seed of lab.seeds) {
  for (const [network, { widths, build }] of Object.entries(networks)) {
    for (const width of widths) {
      const model = build(width, seed);
      await train(model, lab.train, { epochs: lab.epochs, seed });
      const spectra = await extractSaturation(model, batchesOf(lab.train.xs), {
        layers: (layer) => layer.name.startsWith('hidden'),
        progress: false,
      });
      const dimensions = [...spectra.values()].map((spectrum) => spectrum.intrinsicDimensionality(0.99));
      const reached = accuracy(model, lab.test);
      const saturation = mean(dimensions) / width;
      rows.push({ network, width, seed, dimensions, saturation, accuracy: reached });
      model.dispose();
      console.log(
        `seed ${seed}, ${network.padEnd(14)} width ${String(width).padStart(3)}  saturation ${saturation.toFixed(3)}  dimensions ${dimensions.join('/')}  accuracy ${percent(reached)}`,
      );
    }
  }
  lab.save({ rows });
}

const panel = (title, field, scale) => ({
  width: 240,
  height: 220,
  mark: { type: 'line', point: { filled: true, size: 40 } },
  encoding: {
    x: {
      field: 'width',
      type: 'quantitative',
      title: 'units or filters per layer',
      scale: { type: 'log', base: 2 },
      axis: { format: 'd', labelOverlap: false, labelFlush: false },
    },
    y: { field, aggregate: 'mean', type: 'quantitative', title, scale },
    color: {
      field: 'network',
      type: 'nominal',
      scale: { range: ['#b2182b', '#2166ac'] },
      legend: { title: null, orient: 'top' },
    },
  },
});
await lab.figure('4-width', {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  title: {
    text: 'Saturation falls as width grows',
    subtitle: `MNIST digits, three hidden layers of one width, mean of ${lab.seeds.length} seeds`,
    anchor: 'start',
  },
  background: 'white',
  padding: 12,
  data: { values: rows.map((row) => ({ ...row, dimension: mean(row.dimensions) })) },
  hconcat: [
    panel('mean saturation', 'saturation', { domain: [0, 1] }),
    panel('mean intrinsic dimensionality', 'dimension', {}),
    panel('test accuracy', 'accuracy', { zero: false }),
  ],
});

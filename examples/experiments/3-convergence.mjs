// Experiment 3: how early is the saturation profile what it will be at the end?
//
// A convolutional and a dense network are tracked over a training; every epoch's profile is compared to the last one.
// The claim (https://arxiv.org/abs/2106.09526): patterns of saturation settle within the first epochs, long before the
// training is over, so an architecture can be judged early. The profile before any training (epoch 0) is the control: what
// the architecture alone makes of the digits.
//
//   node examples/experiments/3-convergence.mjs [--epochs 12] [--seeds 3] [--backend auto] [--out DIR]
import * as tf from '@tensorflow/tfjs';
import { heatMapPlot } from 'delve-tensorboard/reports';
import { extractSaturation, SaturationTracker } from 'delve-tensorboard/tfjs';
import { batchesOf, initializers, openLab, train } from './lab.js';
import { mean } from './numbers.js';

const lab = await openLab('3-convergence', { epochs: 12, seeds: 3 });

const networks = {
  convolutional(seed) {
    const kernelInitializer = initializers(seed);
    const conv = (name, filters, more = {}) =>
      tf.layers.conv2d({
        name,
        filters,
        kernelSize: 3,
        padding: 'same',
        activation: 'relu',
        kernelInitializer: kernelInitializer(),
        ...more,
      });
    return tf.sequential({
      layers: [
        conv('conv1', 16, { inputShape: [28, 28, 1], strides: 2 }),
        conv('conv2', 16),
        conv('conv3', 32, { strides: 2 }),
        conv('conv4', 32),
        conv('conv5', 32),
        conv('conv6', 32),
        tf.layers.globalAveragePooling2d({ name: 'pool' }),
        tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer() }),
      ],
    });
  },
  dense(seed) {
    const kernelInitializer = initializers(seed);
    return tf.sequential({
      layers: [
        tf.layers.flatten({ name: 'flatten', inputShape: [28, 28, 1] }),
        ...[256, 192, 128, 96, 64, 48].map((units, index) =>
          tf.layers.dense({
            name: `dense${index + 1}`,
            units,
            activation: 'relu',
            kernelInitializer: kernelInitializer(),
          }),
        ),
        tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer() }),
      ],
    });
  },
};

const results = [];
for (const seed of lab.seeds) {
  for (const [name, build] of Object.entries(networks)) {
    const model = build(seed);
    const untrained = await extractSaturation(model, batchesOf(lab.train.xs), { progress: false });
    const epochs = [];
    const store = { add: (epoch) => void epochs.push(epoch) };
    const tracker = new SaturationTracker('', model, { saveTo: [store], stats: ['saturation'] });
    const accuracies = [];
    await train(model, lab.train, {
      epochs: lab.epochs,
      seed,
      callbacks: [tracker.callback()],
      validationData: tf.data.array([{ xs: lab.test.xs, ys: lab.test.ys }]),
      onEpoch: (_, logs) => void accuracies.push(logs.val_acc),
    });
    await tracker.close();
    model.dispose();
    const layers = epochs[0].layers.filter(({ split }) => split === 'train').map(({ layer }) => layer);
    const values = epochs.map((epoch) =>
      layers.map(
        (layer) => epoch.layers.find((found) => found.split === 'train' && found.layer === layer).values.saturation,
      ),
    );
    values.unshift(layers.map((layer) => untrained.get(layer).saturation(0.99)));
    // The output layer is left out: its ten classes fill it from the first epoch on.
    const profiles = values.map((row) => row.slice(0, -1));
    const last = profiles.at(-1);
    const distance = profiles.map((row) => mean(row.map((value, at) => Math.abs(value - last[at]))));
    const correlations = profiles.map((row) => correlation(row, last));
    results.push({ network: name, seed, layers, distance, correlation: correlations, accuracies, values });
    lab.save({ results });
    console.log(`${name}, seed ${seed}`);
    values.forEach((row, epoch) => {
      const reached = epoch === 0 ? '      ' : accuracies[epoch - 1].toFixed(4);
      console.log(
        `  epoch ${String(epoch).padStart(2)}  accuracy ${reached}  distance ${distance[epoch].toFixed(3)}  correlation ${correlations[epoch].toFixed(3)}  profile ${row.map((value) => value.toFixed(2)).join(' ')}`,
      );
    });
    if (seed === 1) {
      await lab.figure(
        `3-convergence-${name}`,
        heatMapPlot(
          { labels: layers, epochs: values.map((_, epoch) => epoch), values },
          {
            title: `Saturation over the training, ${name} network`,
            subtitle: 'MNIST digits, training samples, threshold 99 %',
          },
        ),
      );
    }
  }
}

function correlation(a, b) {
  const [ma, mb] = [mean(a), mean(b)];
  const product = a.reduce((sum, value, at) => sum + (value - ma) * (b[at] - mb), 0);
  const norm = (values, middle) => Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0));
  return product / (norm(a, ma) * norm(b, mb));
}

const rows = results.flatMap(({ network, seed, distance, correlation: r, accuracies }) =>
  distance.flatMap((value, epoch) => [
    { network, seed, epoch, what: 'mean distance to the last profile', value },
    { network, seed, epoch, what: 'correlation with the last profile', value: r[epoch] },
    { network, seed, epoch, what: 'test accuracy', value: accuracies[epoch - 1] ?? null },
  ]),
);
await lab.figure('3-convergence', {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  title: {
    text: 'How early the profile is what it will be',
    subtitle: `MNIST digits, a line for each of ${lab.seeds.length} seeds`,
    anchor: 'start',
  },
  background: 'white',
  padding: 12,
  data: { values: rows },
  width: 300,
  height: 220,
  mark: { type: 'line', point: { filled: true, size: 26 } },
  encoding: {
    column: { field: 'network', title: null },
    x: { field: 'epoch', type: 'quantitative', axis: { tickMinStep: 1, grid: false } },
    y: { field: 'value', type: 'quantitative', title: null, scale: { domain: [0, 1] } },
    detail: { field: 'seed' },
    color: {
      field: 'what',
      type: 'nominal',
      scale: { range: ['#2166ac', '#b2182b', '#7f7f7f'] },
      legend: { title: null, orient: 'bottom', labelLimit: 0 },
    },
  },
});

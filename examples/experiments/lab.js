// What the experiments have in common: digits, a backend, seeded networks, figures.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { renderPng, renderSvg } from 'delve-tensorboard/reports';
import { programOptions } from '../../bench/options.mjs';
import { machine } from '../../bench/results.mjs';
import { BACKENDS, startBackend } from '../demo/backend.js';
import { loadDigits, randomNumbers } from '../demo/digits.js';
import { compact } from './numbers.js';
import { teachWasmToTrainConvolutions } from './wasm-filter-gradient.js';

/**
 * Reads the options every experiment takes, starts a backend and loads the digits (unless `digits` is false). Seeds are 1
 * to `--seeds`; each names a network, the order of its batches and what else is drawn. An experiment may add `options`, as
 * parseArgs takes them.
 */
export async function openLab(name, { digits = true, options = {}, ...defaults } = {}) {
  const values = programOptions({
    out: { type: 'string', default: join('runs', 'experiments', name) },
    epochs: { type: 'string', default: String(defaults.epochs ?? 10) },
    backend: { type: 'string', default: 'auto' },
    seeds: { type: 'string', default: String(defaults.seeds ?? 3) },
    ...options,
  });
  const epochs = Number(values.epochs);
  const seeds = Number(values.seeds);
  for (const [option, value] of Object.entries({ epochs, seeds })) {
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`--${option} is a positive integer, not '${values[option]}'`);
  }
  const backend = await startBackend(values.backend);
  if (!BACKENDS.includes(values.backend)) throw new RangeError(`--backend is one of ${BACKENDS.join(', ')}`);
  if (backend === 'wasm') teachWasmToTrainConvolutions();
  mkdirSync(values.out, { recursive: true });
  const { train, val } = digits ? loadDigits({ seed: 20, validationShare: 0.2 }) : {};
  const started = Date.now();
  console.log(`${name}: ${backend} backend, ${seeds} seeds, ${epochs} epochs`);
  return {
    epochs,
    options: values,
    seeds: Array.from({ length: seeds }, (_, index) => index + 1),
    train,
    test: val,
    /** Draws a figure into the experiment's folder, as PNG, as SVG and as the specification it is drawn from. */
    async figure(file, spec) {
      writeFileSync(join(values.out, `${file}.vl.json`), JSON.stringify(spec));
      writeFileSync(join(values.out, `${file}.png`), await renderPng(spec));
      writeFileSync(join(values.out, `${file}.svg`), await renderSvg(spec));
      console.log(`figure ${join(values.out, `${file}.png`)}`);
    },
    /** Keeps the numbers behind the figures, with all it takes to get them again. */
    save(numbers) {
      const minutes = Number(((Date.now() - started) / 60_000).toFixed(1));
      const rounding = process.env.TF_ENABLE_ONEDNN_OPTS
        ? `TF_ENABLE_ONEDNN_OPTS=${process.env.TF_ENABLE_ONEDNN_OPTS} `
        : '';
      const own = Object.keys(options).map((option) => ` --${option} ${values[option]}`);
      const command = `${rounding}node examples/experiments/${name}.mjs --epochs ${epochs} --seeds ${seeds} --backend ${backend}${own.join('')}`;
      const head = { command, machine: machine(), tfjs: tf.version_core, minutes };
      writeFileSync(join(values.out, `${name}.json`), `${compact({ ...head, ...numbers })}\n`);
      console.log(`${join(values.out, `${name}.json`)} after ${minutes} minutes`);
    },
  };
}

/** A seeded initializer per layer, so that a seed names a network. */
export function initializers(seed) {
  let next = seed * 1000;
  return () => tf.initializers.heNormal({ seed: next++ });
}

/** Three ReLU layers on images of digits, and a last one: the networks in which diseases are planted. */
export function reluNetwork(seed, last) {
  const kernelInitializer = initializers(seed);
  return tf.sequential({
    layers: [
      tf.layers.flatten({ name: 'flatten', inputShape: [28, 28, 1] }),
      ...[128, 64, 64].map((units, at) =>
        tf.layers.dense({
          name: `dense${at + 1}`,
          units,
          activation: 'relu',
          kernelInitializer: kernelInitializer(),
        }),
      ),
      tf.layers.dense({ ...last, kernelInitializer: kernelInitializer() }),
    ],
  });
}

/**
 * A plain stack of convolutions, each with batch normalization and ReLU, under a softmax on the mean of their last map.
 * `convolutions` has the filters, kernel and stride of each.
 */
export function stack(convolutions, { side, classes, seed, l2 }) {
  const kernelInitializer = initializers(seed);
  const penalty = l2 ? { kernelRegularizer: tf.regularizers.l2({ l2 }) } : {};
  return tf.sequential({
    layers: [
      ...convolutions.flatMap(({ filters, kernel = 3, stride = 1 }, index) => [
        tf.layers.conv2d({
          name: `conv${index + 1}`,
          filters,
          kernelSize: kernel,
          strides: stride,
          padding: 'same',
          useBias: false,
          kernelInitializer: kernelInitializer(),
          ...penalty,
          ...(index === 0 ? { inputShape: [side, side, 1] } : {}),
        }),
        tf.layers.batchNormalization({ name: `norm${index + 1}`, momentum: 0.9 }),
        tf.layers.activation({ name: `relu${index + 1}`, activation: 'relu' }),
      ]),
      tf.layers.globalAveragePooling2d({ name: 'pool' }),
      tf.layers.dense({
        name: 'class',
        units: classes,
        activation: 'softmax',
        kernelInitializer: kernelInitializer(),
        ...penalty,
      }),
    ],
  });
}

/** Trains with cross-entropy on batches of 64, in an order that the seed decides; with Adam unless told otherwise. */
export async function train(
  model,
  { xs, ys },
  { epochs, seed, optimizer = tf.train.adam(0.001), callbacks = [], onEpoch, validationData },
) {
  model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  const dataset = shuffledBatches(xs, ys, seed, 64);
  await model.fitDataset(dataset, {
    epochs,
    verbose: 0,
    validationData,
    callbacks: [...callbacks, ...(onEpoch ? [new tf.CustomCallback({ onEpochEnd: onEpoch })] : [])],
  });
}

function shuffledBatches(xs, ys, seed, batchSize) {
  const random = randomNumbers(seed);
  const count = xs.shape[0];
  const order = Int32Array.from({ length: count }, (_, i) => i);
  return tf.data.generator(function* () {
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    for (let start = 0; start < count; start += batchSize) {
      const rows = tf.tensor1d(order.slice(start, start + batchSize), 'int32');
      yield { xs: tf.gather(xs, rows), ys: tf.gather(ys, rows) };
      rows.dispose();
    }
  });
}

/** Fraction of the images whose class a model predicts. */
export function accuracy(model, { xs, ys }) {
  return tf.tidy(() => {
    const predicted = model.predict(xs, { batchSize: 250 }).argMax(-1);
    return predicted.equal(ys.argMax(-1)).mean().dataSync()[0];
  });
}

/** Slices of a tensor's rows; each is disposed of when the next is asked for. */
export function* batchesOf(xs, size = 200) {
  for (let start = 0; start < xs.shape[0]; start += size) {
    const batch = xs.slice([start], [Math.min(size, xs.shape[0] - start)]);
    yield batch;
    batch.dispose();
  }
}

/** Class numbers of one-hot labels. */
export function classesOf(ys) {
  return tf.tidy(() => ys.argMax(-1).dataSync());
}

// Situations in which Delve's published code (delve_checked.py has them) does something that its documentation does not say,
// and what this package does in the same situation: run here, where a number or an outcome can be had.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { CovarianceAccumulator, readEvents, Spectrum } from 'delve-tensorboard';
import { fitPcaLayers, insertPcaLayers, pcaLayer, SaturationTracker } from 'delve-tensorboard/tfjs';

/** The spectrum of the rows that Delve got, accumulated in batches. */
function spectrumOf(rows, [, features]) {
  const accumulator = new CovarianceAccumulator(features);
  for (let at = 0; at < rows.length; at += 32 * features) accumulator.update(rows.subarray(at, at + 32 * features));
  return Spectrum.of(accumulator);
}

const dense = (name = 'fc', inputs = 4) =>
  tf.sequential({ layers: [tf.layers.dense({ name, units: 4, inputShape: [inputs] })] });
const normal = (...shape) => tf.randomNormal(shape, 0, 1, 'float32', 1);

/** What a tracker without TensorBoard writes for the passes in `run`: the statistics of each of its epochs. */
async function tracked(model, options, run) {
  const epochs = [];
  const tracker = new SaturationTracker('', model, {
    stats: ['saturation'],
    ...options,
    saveTo: [{ add: (epoch) => void epochs.push(epoch) }],
  });
  await run(tracker, (split, input) => tracker.record(split, () => void tf.tidy(() => model.predict(input))));
  await tracker.close();
  return epochs;
}
const layersOf = (epoch) => epoch.layers.map(({ split, layer }) => `${split}/${layer}`).join(', ');

/** The error that a function ends with, as Python's are worded in the other column. */
function thrown(run) {
  try {
    run();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
  throw new Error('expected an error, got none');
}

/**
 * `delve` words what delve_checked.py found under the name; `ours` gives what happens here, from the same rows where the
 * situation has rows.
 */
export const situations = [
  {
    name: 'last_batch',
    title: 'Values are those of the last batch: every forward pass starts a new covariance',
    delve: ({ count, rows }) => `640 rows in batches of 32: counts ${count} of 128, from ${rows} rows`,
    ours: ({ numpy }, rows, shape) => {
      const spectrum = spectrumOf(rows, shape);
      const count = spectrum.intrinsicDimensionality(0.99, 'delve');
      return `${count} by the same rule, from ${spectrum.samples} rows (numpy: ${numpy})`;
    },
  },
  {
    name: 'rule',
    title: 'The count is one less than what explains the threshold, and may be 0',
    delve: ({ counts }) => `${counts.join(', ')} for (.5, .3, .2), (1, 0, 0), (.98, .02) and 100 equal ones at .99`,
    ours: ({ spectra }) => {
      const count = (rule) => spectra.map((s) => Spectrum.fromEigenvalues(s).intrinsicDimensionality(0.99, rule));
      return `${count('paper').join(', ')}; with \`rule: 'delve'\` ${count('delve').join(', ')}`;
    },
  },
  {
    name: 'average',
    title: '`average_sat=True` writes no average',
    delve: ({ value }) => value,
    ours: async () => {
      const logdir = mkdtempSync(join(tmpdir(), 'delve-checked-'));
      const model = dense();
      const tracker = new SaturationTracker(logdir, model, { averageSaturation: true });
      tracker.record('train', () => void tf.tidy(() => model.predict(normal(20, 4))));
      const [{ saturation }] = await tracker.addSaturations();
      await tracker.close();
      const { values } = await seenIn(join(logdir, 'train'), (tag) => tag === 'average-saturation');
      return `${values.join(', ')} (its only layer: ${saturation})`;
    },
  },
  {
    name: 'tensorboard',
    title: 'TensorBoard: no steps, empty tags, a folder per layer and statistic (2 layers, 2 statistics, 4 epochs)',
    delve: ({ files, tags, steps }) => `${files} event files; steps ${steps}; tags ${tags}`,
    ours: async () => {
      const logdir = mkdtempSync(join(tmpdir(), 'delve-checked-'));
      const model = tf.sequential({
        layers: ['a', 'b'].map((name) => tf.layers.dense({ name, units: 4, inputShape: [4] })),
      });
      const tracker = new SaturationTracker(logdir, model, { stats: ['saturation', 'intrinsicDimensionality'] });
      for (let epoch = 0; epoch < 4; epoch++) {
        for (const split of ['train', 'val']) {
          tracker.record(split, () => void tf.tidy(() => model.predict(normal(20, 4))));
        }
        await tracker.addSaturations();
      }
      await tracker.close();
      const { steps, tags } = await seenIn(join(logdir, 'train'), (tag) => tag.includes('/'));
      return `a file each in the runs \`train\` and \`val\`; steps ${steps}; tags ${tags}`;
    },
  },
  {
    name: 'not_a_number',
    title: 'One NaN in the activations ends the training',
    delve: ({ throws }) => throws,
    ours: async () => {
      const rows = normal(20, 4).arraySync();
      rows[3][1] = Number.NaN;
      const [epoch] = await tracked(dense(), {}, async (tracker, pass) => {
        pass('train', tf.tensor2d(rows));
        await tracker.addSaturations();
      });
      return `the other ${epoch.layers[0].samples} of 20 rows count; training goes on`;
    },
  },
  {
    name: 'no_validation',
    title: 'An epoch without a validation pass ends the training',
    delve: ({ throws }) => throws,
    ours: async () => {
      const epochs = await tracked(dense(), {}, async (tracker, pass) => {
        pass('train', normal(20, 4));
        pass('val', normal(20, 4));
        await tracker.addSaturations();
        pass('train', normal(20, 4));
        await tracker.addSaturations();
      });
      return epochs.map(layersOf).join('; then ');
    },
  },
  {
    name: 'stopped',
    title: '`stop()` with `trc` among the statistics ends the training',
    delve: ({ throws }) => throws,
    ours: async () => {
      const epochs = await tracked(dense(), { stats: ['trace'] }, async (tracker, pass) => {
        tracker.stop();
        pass('train', normal(20, 4));
        await tracker.addSaturations();
      });
      return `${epochs.flatMap(({ layers }) => layers).length} layers written; training goes on`;
    },
  },
  {
    name: 'late_column',
    title: 'A scalar that first appears in a later epoch breaks the csv file and ends the training',
    delve: ({ throws }) => throws,
    ours: async () => {
      const savefile = join(mkdtempSync(join(tmpdir(), 'delve-checked-')), 'run');
      const model = dense();
      const tracker = new SaturationTracker(savefile, model, { stats: ['saturation'], saveTo: ['csv'] });
      for (const epoch of [0, 1]) {
        tracker.record('train', () => void tf.tidy(() => model.predict(normal(20, 4))));
        if (epoch === 1) tracker.addScalar('accuracy', 0.5);
        await tracker.addSaturations();
      }
      await tracker.close();
      const lines = readFileSync(`${savefile}.csv`, 'utf8').trim().split('\n');
      const at = lines[0].split(';').indexOf('accuracy');
      return `column \`accuracy\`: ${lines
        .slice(1)
        .map((line) => line.split(';')[at] || 'empty')
        .join(', ')}`;
    },
  },
  {
    name: 'constant',
    title: 'A dead layer (64 constants) gets a share of rounding noise',
    delve: ({ count }) => `counts ${count} of 64`,
    ours: (_, rows, shape) => `${spectrumOf(rows, shape).intrinsicDimensionality()}`,
  },
  {
    name: 'large_mean',
    title: 'A large mean (1e7, deviation 1 in each of 64 features, 4,000 rows) loses digits',
    delve: ({ count }) => `counts ${count} of 64`,
    ours: ({ numpy }, rows, shape) => {
      const count = spectrumOf(rows, shape).intrinsicDimensionality(0.99, 'delve');
      return `${count} by the same rule (numpy: ${numpy})`;
    },
  },
  {
    name: 'determinant',
    title: 'The determinant of a wide layer underflows (512 features of variance .1)',
    delve: ({ value }) => `${value}`,
    ours: ({ numpy }, rows, shape) => {
      const { logDeterminant } = spectrumOf(rows, shape);
      return `log determinant ${logDeterminant.toFixed(2)} (numpy: ${numpy.toFixed(2)})`;
    },
  },
  {
    name: 'sequences',
    title: 'LSTM in torch’s default layout: the “last time step” is the last sequence of the batch',
    delve: ({ rows, sequences }) => `${rows} rows (time steps) of ${sequences} sequences`,
    ours: async () => {
      const model = tf.sequential({
        layers: [tf.layers.lstm({ units: 4, returnSequences: true, inputShape: [7, 3] })],
      });
      const [epoch] = await tracked(model, {}, async (tracker, pass) => {
        pass('train', normal(11, 7, 3));
        await tracker.addSaturations();
      });
      return `${epoch.layers[0].samples} rows, the last step of each sequence`;
    },
  },
  {
    name: 'downsampling',
    title: 'Shrinking maps enlarges their short side (one map of 64 x 8 to at most 32)',
    delve: ({ rows, places }) => `${rows} rows of ${places} places`,
    ours: async () => {
      const model = tf.sequential({
        layers: [tf.layers.conv2d({ filters: 2, kernelSize: 1, inputShape: [64, 8, 1] })],
      });
      const downsample = { strategy: 'nearest', size: 32 };
      const [epoch] = await tracked(model, { downsample }, async (tracker, pass) => {
        pass('train', normal(1, 64, 8, 1));
        await tracker.addSaturations();
      });
      return `${epoch.layers[0].samples} rows`;
    },
  },
  {
    name: 'typo',
    title: 'A misspelled `conv_method` is found in the first forward pass, or never',
    delve: ({ throws }) => throws,
    ours: () => thrown(() => new SaturationTracker('', dense(), { saveTo: [], convMethod: 'channelwize' })),
  },
  {
    name: 'magic_name',
    title: 'A layer that is called `encoder_output` breaks the forward pass',
    delve: ({ throws }) => throws,
    ours: async () => {
      const [epoch] = await tracked(dense('encoder_output'), {}, async (tracker, pass) => {
        pass('train', normal(20, 4));
        await tracker.addSaturations();
      });
      return layersOf(epoch);
    },
  },
  {
    name: 'one_layer',
    title: '`modules=nn.Linear(…)`, a single layer',
    delve: ({ throws }) => throws,
    ours: async () => {
      const model = dense();
      const [epoch] = await tracked([model.layers[0]], {}, async (tracker) => {
        tracker.record('train', () => void tf.tidy(() => model.predict(normal(20, 4))));
        await tracker.addSaturations();
      });
      return layersOf(epoch);
    },
  },
  {
    name: 'same_names',
    title: 'Two modules whose layers have the same names',
    delve: ({ tracked: names, of }) => `${names.length} of ${of} layers tracked, without a word`,
    ours: async () => {
      const layers = [1, 2].map(() => dense().layers[0]);
      const tracker = new SaturationTracker('', layers, { saveTo: [] });
      const names = tracker.layerNames.join(', ');
      await tracker.close();
      return `${names}, of 2 layers \`fc\``;
    },
  },
  {
    name: 'closed',
    title: 'Hooks stay on the model after `close()`',
    delve: ({ hooks }) => `${hooks} left`,
    ours: async () => {
      const model = dense();
      const before = model.layers[0].call;
      await tracked(model, {}, async () => {});
      return model.layers[0].call === before ? '0 left' : 'left';
    },
  },
  {
    name: 'save_model',
    title: 'A tracked model cannot be saved',
    delve: ({ throws }) => throws,
    ours: async () => {
      const model = dense();
      const tracker = new SaturationTracker('', model, { saveTo: [] });
      const { modelArtifactsInfo } = await model.save({ save: async () => ({ modelArtifactsInfo: 'saved' }) });
      await tracker.close();
      return modelArtifactsInfo;
    },
  },
  {
    name: 'include_conv',
    title: '`include_conv=False` tracks convolutions all the same',
    delve: ({ logged }) => `logged: ${logged.join(', ')}`,
    ours: async () => {
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({ name: 'conv', filters: 2, kernelSize: 3, inputShape: [4, 4, 1] }),
          tf.layers.flatten({ name: 'flat' }),
          tf.layers.dense({ name: 'fc', units: 2 }),
        ],
      });
      const layers = (layer) => layer.getClassName() !== 'Conv2D';
      const tracker = new SaturationTracker('', model, { saveTo: [], layers });
      const names = tracker.layerNames.join(', ');
      await tracker.close();
      return `the filter \`layers\` decides: ${names}`;
    },
  },
  {
    name: 'ignored',
    title: '`ignore_layer_names="convolution"` drops a layer called `conv`',
    delve: ({ logged }) => `${logged} layers logged`,
    ours: async () => {
      const [epoch] = await tracked(
        dense('conv'),
        { layers: ({ name }) => name !== 'convolution' },
        async (t, pass) => {
          pass('train', normal(20, 4));
          await t.addSaturations();
        },
      );
      return `${epoch.layers.length} layer written`;
    },
  },
  {
    name: 'nosave',
    title: '`nosave=True` writes the csv file all the same',
    delve: ({ written }) => (written ? 'written' : 'not written'),
    ours: async () => {
      const [epoch] = await tracked(dense(), { saveTo: [] }, async (tracker, pass) => {
        pass('train', normal(20, 4));
        await tracker.addSaturations();
      });
      return `\`saveTo: []\` writes no file; \`addSaturations\` returns ${epoch.layers.length} layer`;
    },
  },
  {
    name: 'default_device',
    title: 'The defaults need a GPU',
    delve: ({ throws }) => throws,
    ours: () => `runs on any backend (here: ${tf.getBackend()})`,
  },
  {
    name: 'pca_mean',
    title: 'A PCA layer that centers forgets to add the mean (16 features, deviations 1/i², mean 5)',
    delve: ({ error, dimensions }) => `squared error ${error.toFixed(1)} times the variance, ${dimensions} dimensions`,
    ours: async (_, rows, [count, features]) => {
      const x = tf.tensor2d(Float32Array.from(rows), [count, features]);
      const model = tf.sequential({ layers: [tf.layers.inputLayer({ inputShape: [features] }), pcaLayer()] });
      const [report] = await fitPcaLayers(model, [x]);
      const error = tf.tidy(() => {
        const y = model.predict(x);
        const spread = x.sub(x.mean(0)).square().sum();
        return y.sub(x).square().sum().div(spread).dataSync()[0];
      });
      return `${error.toFixed(4)} times, ${report.dimensions} dimensions`;
    },
  },
  {
    name: 'pca_narrow',
    title: 'A PCA layer with `keepdim=False`',
    delve: ({ throws }) => throws,
    ours: async (_, rows, [count, features]) => {
      const x = tf.tensor2d(Float32Array.from(rows), [count, features]);
      const model = tf.sequential({
        layers: [tf.layers.inputLayer({ inputShape: [features] }), pcaLayer({ keepDim: false })],
      });
      await fitPcaLayers(model, [x]);
      return `output of shape [${model.predict(x).shape.join(', ')}]`;
    },
  },
  {
    name: 'pca_loaded',
    title: 'A PCA layer whose weights were loaded',
    delve: ({ throws }) => throws,
    ours: async () => {
      const x = normal(40, 4);
      const fitted = insertPcaLayers(dense());
      await fitPcaLayers(fitted, [x]);
      const fresh = insertPcaLayers(dense());
      fresh.setWeights(fitted.getWeights());
      const difference = tf.tidy(() => fresh.predict(x).sub(fitted.predict(x)).abs().max().dataSync()[0]);
      return `differs from the original by ${difference}`;
    },
  },
];

/** Steps, tags and values of a run's summaries, as a reader sees them. */
export async function seenIn(path, wanted = () => true) {
  const steps = new Set();
  const tags = new Set();
  const values = [];
  for await (const { step, summary } of readEvents(path)) {
    for (const { tag, value } of summary ?? []) {
      if (!wanted(tag)) continue;
      steps.add(String(step));
      tags.add(tag === '' ? '(empty)' : `\`${tag}\``);
      values.push(value);
    }
  }
  return { steps: [...steps].join(', '), tags: [...tags].join(', '), values };
}

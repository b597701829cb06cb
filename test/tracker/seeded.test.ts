import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { arrayStats, scalarStatNames } from '../../src/saturation/stats.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { tensorBoard } from '../../src/tracker/tensorboard-callback.js';
import { summaryFileWriter } from '../../src/writer/summary-file-writer.js';
import { backends, useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { normalTensor } from '../support/models.js';
import { uniform } from '../support/random.js';

const ownRandom = Math.random;
afterEach(() => {
  Math.random = ownRandom;
});

/** What observes a training, and how it ends. */
interface Observer {
  callbacks?: unknown;
  end?: () => Promise<void>;
}

/** Losses and weights of a training whose weights, dropout and shuffling come from `Math.random`, which begins at a seed. */
async function train(seed: number, observe: (model: tf.LayersModel) => Observer): Promise<number[][]> {
  Math.random = uniform(seed);
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [5], units: 6, activation: 'relu', name: 'hidden' }),
      tf.layers.dropout({ rate: 0.2 }),
      tf.layers.dense({ units: 3, activation: 'softmax', name: 'output' }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.05), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  const inputs = normalTensor([40, 5], 1);
  const targets = tf.tidy(() => tf.oneHot(tf.range(0, 40, 1, 'int32').mod(3).toInt(), 3));
  const { callbacks = [], end } = observe(model);
  const options = { epochs: 3, batchSize: 8, validationSplit: 0.2, shuffle: true, verbose: 0, callbacks } as const;
  const { history } = await model.fit(inputs, targets, options as tf.ModelFitArgs);
  await end?.();
  const weights = model.getWeights().map((weight) => [...weight.dataSync()]);
  for (const each of [inputs, targets, model]) each.dispose();
  return [...Object.values(history as Record<string, number[]>), ...weights];
}

function observers(folder: string): Record<string, (model: tf.LayersModel) => Observer> {
  const tracked = (name: string, options: object) => (model: tf.LayersModel) => {
    const tracker = new SaturationTracker(join(folder, name), model, options);
    return { callbacks: tracker, end: () => tracker.close() };
  };
  return {
    'a tracker': tracked('default', {}),
    'a tracker of all stats, with stores': tracked('all', {
      stats: [...scalarStatNames, ...Object.keys(arrayStats)],
      saveTo: ['tensorboard', 'csv', 'npy'],
    }),
    'a tracker of few samples': tracked('few', { stats: 'health', maxSamples: 10, logInterval: 2 }),
    'tensorBoard()': () => ({
      callbacks: tensorBoard(join(folder, 'board'), {
        updateFreq: 'batch',
        histogramFreq: 1,
        graph: true,
        saturation: true,
      }),
    }),
    'a summaryFileWriter': () => {
      const writer = summaryFileWriter(join(folder, 'writer'));
      const onEpochEnd = async (epoch: number) => writer.scalar('epoch', epoch, epoch);
      return { callbacks: new tf.CustomCallback({ onEpochEnd }), end: () => writer.close() };
    },
  };
}

describe.each(backends)('a training that is seeded by Math.random, on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it.each(Object.keys(observers('')))('has the same bits with %s', async (name) => {
    const plain = await train(7, () => ({}));
    expect(await train(7, observers(temporaryFolder())[name])).toEqual(plain);
  });

  it('depends on the seed', async () => {
    expect(await train(8, () => ({}))).not.toEqual(await train(7, () => ({})));
  });
});

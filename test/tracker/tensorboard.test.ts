import { readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readEvents } from '../../src/reader/read-events.js';
import { listRuns } from '../../src/reader/run-files.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { tensorBoard } from '../../src/tracker/tensorboard-callback.js';
import { backends, useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { dense } from '../support/models.js';
import { pointsOf, repeated, summariesOf } from '../support/read-run.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();

/** Steps by tag of the tags that match. */
async function stepsOf(run: string, pattern: RegExp): Promise<Record<string, number[]>> {
  const summaries = await summariesOf(run);
  const tags = new Set(summaries.map(({ tag }) => tag).filter((tag) => pattern.test(tag)));
  return Object.fromEntries([...tags].map((tag) => [tag, pointsOf(summaries, tag).map(([step]) => step)]));
}

describe.each(backends)('tensorBoard on %s', (backend) => {
  let model: tf.LayersModel;
  let x: tf.Tensor;
  let y: tf.Tensor;
  beforeAll(() => useBackend(backend));
  beforeEach(() => {
    model = dense.build();
    x = dense.inputs(40, 1) as tf.Tensor;
    y = dense.targets(40, 2) as tf.Tensor;
  });
  afterEach(() => {
    tf.dispose([x, y]);
    model.dispose();
  });

  const train = (callbacks: unknown, args: tf.ModelFitArgs = {}) =>
    model.fit(x, y, {
      epochs: 2,
      batchSize: 10,
      verbose: 0,
      validationSplit: 0.25,
      callbacks: callbacks as tf.Callback[],
      ...args,
    });
  const dataset = (batches: number, seed: number) =>
    tf.data.array(Array.from({ length: batches }, (_, i) => seed + i)).mapAsync(async (each) => ({
      xs: dense.inputs(10, each) as tf.Tensor,
      ys: dense.targets(10, each) as tf.Tensor,
    }));

  it('writes losses and metrics per epoch into the runs train and val, and nothing else', async () => {
    const logdir = temporaryFolder();
    const { history } = await train(tensorBoard(logdir));
    expect((await listRuns(logdir)).map(({ run }) => run)).toEqual(['train', 'val']);
    for (const [run, prefix] of [
      ['train', ''],
      ['val', 'val_'],
    ]) {
      const summaries = await summariesOf(join(logdir, run));
      expect(summaries.map(({ tag }) => tag).sort()).toEqual(['epoch_loss', 'epoch_loss', 'epoch_mae', 'epoch_mae']);
      expect(pointsOf(summaries, 'epoch_loss')).toEqual(
        (history[`${prefix}loss`] as number[]).map((value, epoch) => [epoch + 1, Math.fround(value)]),
      );
    }
  });

  it('writes batches at 1, 2, ... across epochs, and weights at their epoch', async () => {
    const logdir = temporaryFolder();
    await train(tensorBoard(logdir, { updateFreq: 'batch', histogramFreq: 2 }), { epochs: 3 });
    const run = join(logdir, 'train');
    expect(await stepsOf(run, /^batch_/)).toEqual({
      batch_loss: [1, 2, 3, 4, 5, 6, 7, 8, 9],
      batch_mae: [1, 2, 3, 4, 5, 6, 7, 8, 9],
    });
    const weights = await stepsOf(run, /kernel|bias/);
    expect(Object.keys(weights)).toEqual(model.weights.map(({ name }) => name));
    for (const steps of Object.values(weights)) expect(steps).toEqual([0, 2]);
  });

  it.each(['fit', 'fitDataset'])(
    'with saturation and graph, under %s, writes both splits and the graph',
    async (how) => {
      const logdir = temporaryFolder();
      const before = tf.memory().numTensors;
      const callback = tensorBoard(logdir, { saturation: true, graph: true });
      if (how === 'fit') await train(callback);
      else {
        await model.fitDataset(dataset(3, 10), {
          epochs: 2,
          verbose: 0,
          validationData: dataset(1, 40),
          callbacks: callback,
        });
      }
      const momenta = model.trainableWeights.length;
      expect(tf.memory().numTensors - before - momenta).toBe(0);
      expect((await listRuns(logdir)).map(({ run, files }) => [run, files.length])).toEqual([
        ['train', 1],
        ['val', 1],
      ]);
      for (const run of ['train', 'val']) {
        const summaries = await summariesOf(join(logdir, run));
        expect(repeated(summaries)).toEqual([]);
        expect(await stepsOf(join(logdir, run), /^(epoch_loss|saturation\/|spectrum\/)/)).toEqual({
          epoch_loss: [1, 2],
          'saturation/hidden': [1, 2],
          'saturation/output': [1, 2],
          'spectrum/hidden': [1, 2],
          'spectrum/output': [1, 2],
        });
        const isTrain = run === 'train';
        const table = summaries.find(({ tag }) => tag === (isTrain ? 'saturation-summary' : 'saturation-table'))!;
        expect(table.value).toMatchObject({
          strings: [expect.stringContaining(`| hidden | 8 | ${isTrain ? 30 : 10} |`)],
        });
      }
      let graphs = 0;
      for await (const { graph } of readEvents(join(logdir, 'train'))) if (graph !== undefined) graphs++;
      expect(graphs).toBe(1);
      expect(Reflect.ownKeys(model.layers[0])).not.toContain('call');
    },
  );

  it('is used for a second fit, which goes on below', async () => {
    const logdir = temporaryFolder();
    const callback = tensorBoard(logdir, { saturation: true, updateFreq: 'batch' });
    await train(callback);
    await train(callback, { initialEpoch: 2, epochs: 3 });
    expect(await stepsOf(join(logdir, 'train'), /^(epoch_loss|saturation\/hidden|batch_loss)$/)).toEqual({
      batch_loss: [1, 2, 3, 4, 5, 6, 7, 8, 9],
      epoch_loss: [1, 2, 3],
      'saturation/hidden': [1, 2, 3],
    });
    expect(warnings.filter((warning) => !warning.includes('rows are few'))).toEqual([]);
  });

  it.each([
    ['before', false],
    ['after', true],
  ])('beside a tracker on the same folder, %s it, every metric stands there once', async (_where, trackerFirst) => {
    const logdir = temporaryFolder();
    const tracker = new SaturationTracker(`${logdir}/./`, model);
    const both = [tensorBoard(logdir), tracker.callback()];
    await train(trackerFirst ? both.reverse() : both);
    await train(trackerFirst ? both : both, { initialEpoch: 2, epochs: 3 });
    await tracker.close();
    for (const run of ['train', 'val']) {
      const summaries = await summariesOf(join(logdir, run));
      expect(repeated(summaries)).toEqual([]);
      expect(pointsOf(summaries, 'epoch_loss').map(([step]) => step)).toEqual([1, 2, 3]);
      expect(pointsOf(summaries, 'saturation/hidden').map(([step]) => step)).toEqual([1, 2, 3]);
    }
    expect(readdirSync(join(logdir, 'train')).filter((name) => name.includes('tfevents'))).toHaveLength(1);
  });

  it('resumed with saturation.initialEpoch it hides nothing of its own, in either order of callbacks', async () => {
    const logdir = temporaryFolder();
    await train(tensorBoard(logdir, { saturation: true }), { epochs: 4 });
    await train(tensorBoard(logdir, { saturation: { initialEpoch: 2 }, updateFreq: 'batch' }), {
      initialEpoch: 2,
      epochs: 3,
    });
    for (const run of ['train', 'val']) {
      let afterStart: string[] = [];
      for await (const { sessionLog, step, summary } of readEvents(join(logdir, run))) {
        if (sessionLog?.status === 'start') afterStart = [];
        else for (const { tag } of summary ?? []) if (step >= 3) afterStart.push(`${tag}@${step}`);
      }
      expect(afterStart).toContain('epoch_loss@3');
      expect(afterStart).toContain('saturation/hidden@3');
      if (run === 'train') expect(afterStart).toContain('batch_loss@3');
      expect(afterStart.filter((each) => each.endsWith('@4'))).toEqual([]);
    }
  });

  it('refuses a folder that cannot be made, before a fit', () => {
    const file = join(temporaryFolder(), 'taken');
    writeFileSync(file, '');
    expect(() => tensorBoard(file)).toThrow(`Cannot make the logdir '${file}'`);
    expect(() => tensorBoard(join(file, 'logs'))).toThrow('Cannot make the logdir');
  });

  it('never stops a fit: a folder that is gone when it is written is reported once', async () => {
    const file = join(temporaryFolder(), 'taken');
    const callback = tensorBoard(file, { saturation: true });
    rmdirSync(file);
    writeFileSync(file, '');
    const { epoch } = await train(callback, { epochs: 3 });
    expect(epoch).toEqual([0, 1, 2]);
    const told = warnings.filter((warning) => warning.includes('taken'));
    expect(told.length).toBeGreaterThan(0);
    expect(new Set(told).size).toBe(told.length);
  });

  it('works anywhere in a list of callbacks, with plain ones of TensorFlow.js', async () => {
    for (const order of [0, 1]) {
      const logdir = temporaryFolder();
      const list = [
        tensorBoard(logdir, { updateFreq: 'batch', saturation: true }),
        tf.callbacks.earlyStopping({ patience: 9 }),
      ];
      await train(order === 0 ? list : list.reverse());
      expect(await stepsOf(join(logdir, 'train'), /^(epoch_loss|batch_loss)$/)).toEqual({
        batch_loss: [1, 2, 3, 4, 5, 6],
        epoch_loss: [1, 2],
      });
    }
  });
});

it.each([
  ['', {}, /Invalid logdir/],
  [3, {}, /Invalid logdir: 3/],
  ['logs', { updateFreq: 'never' }, /updateFreq: expected 'batch' or 'epoch', got the string "never"/],
  ['logs', { histogramFreq: -1 }, /histogramFreq/],
  ['logs', { saturation: { threshold: 99 } }, /threshold/],
  ['logs', { saturation: { stats: ['lsat_eval'] } }, /stats: expected names/],
  ['logs', { saturation: 'yes' }, /saturation: expected true, false or options, got the string "yes"/],
])('tensorBoard(%j, %j) is refused at once', (logdir, args, message) => {
  expect(() => tensorBoard(logdir as never, args as never)).toThrow(message);
});

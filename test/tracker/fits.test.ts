import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readEvents } from '../../src/reader/read-events.js';
import { readHistory } from '../../src/saturation/runs.js';
import type { Store } from '../../src/stores/store.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { tensorBoard } from '../../src/tracker/tensorboard-callback.js';
import { backends, useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { dense, ownKeysOf } from '../support/models.js';
import { pointsOf, repeated, summariesOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();
/** Warnings beside those of few rows. */
const told = () => warnings.filter((warning) => !/rows are few/.test(warning));

async function stepsOf(run: string, tag: string): Promise<number[]> {
  return pointsOf(await summariesOf(run), tag).map(([step]) => step);
}

/** The points that the Python loader of TensorBoard keeps when the last session starts, and those after it. */
async function shownIn(run: string): Promise<string[]> {
  let points: [string, number][] = [];
  for await (const { sessionLog, step, summary } of readEvents(run)) {
    if (sessionLog?.status === 'start') points = points.filter(([, at]) => at < Number(step));
    for (const { tag } of summary ?? []) points.push([tag, Number(step)]);
  }
  return points.map(([tag, at]) => `${tag}@${at}`);
}

let model: tf.LayersModel;
let x: tf.Tensor;
let y: tf.Tensor;

function open(): void {
  model = dense.build();
  x = dense.inputs(40, 1) as tf.Tensor;
  y = dense.targets(40, 2) as tf.Tensor;
}

function dispose(): void {
  tf.dispose([x, y]);
  model.dispose();
}

const fitModel = (callbacks: unknown, args: tf.ModelFitArgs = {}, fitted = model) =>
  fitted.fit(x, y, {
    epochs: 1,
    batchSize: 10,
    verbose: 0,
    validationSplit: 0.25,
    callbacks: callbacks as tf.Callback[],
    ...args,
  });
const fitDataset = (callbacks: unknown, args: Partial<tf.ModelFitDatasetArgs<tf.TensorContainer>> = {}) => {
  const batches = tf.data.array([1, 2, 3]).mapAsync(async (seed) => ({
    xs: dense.inputs(10, seed) as tf.Tensor,
    ys: dense.targets(10, seed) as tf.Tensor,
  }));
  return model.fitDataset(batches, { epochs: 1, verbose: 0, callbacks: callbacks as tf.Callback[], ...args });
};
const step = (tracker: SaturationTracker) => {
  tracker.record('train', () => tf.tidy(() => void model.predict(x)));
};
const pairs = (store: RecordingStore) => store.epochs.map(({ epoch, step }) => [epoch, step]);

describe.each(backends)('several fits of one training on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  beforeEach(open);
  afterEach(dispose);

  it('a loop of fits of one epoch fills every store, step by step', async () => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const tracker = new SaturationTracker(logdir, model, { saveTo: ['tensorboard', 'csv', store] });
    const losses: number[] = [];
    for (let episode = 0; episode < 5; episode++) {
      const { history } = await fitModel([tracker.callback()]);
      losses.push(history.loss[0] as number);
    }
    await tracker.close();
    expect(pairs(store)).toEqual([0, 1, 2, 3, 4].map((epoch) => [epoch, epoch + 1]));
    for (let epoch = 0; epoch < 5; epoch++) expect(store.layer('train', 'hidden', epoch).samples).toBe(30);
    for (const run of ['train', 'val']) {
      const summaries = await summariesOf(join(logdir, run));
      expect(repeated(summaries)).toEqual([]);
      for (const tag of ['saturation/hidden', 'epoch_loss', 'saturation-heat-map']) {
        expect(pointsOf(summaries, tag).map(([at]) => at)).toEqual([1, 2, 3, 4, 5]);
      }
      if (run === 'train') {
        expect(pointsOf(summaries, 'epoch_loss').map(([, loss]) => loss)).toEqual(losses.map(Math.fround));
      }
    }
    const history = await readHistory(logdir);
    expect(history.epochs.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    expect(told()).toEqual([]);
  });

  it('tensorBoard() goes on too: metrics, batches, weights and saturation, beside a tracker or alone', async () => {
    const logdir = temporaryFolder();
    const keys = ownKeysOf(model);
    const callback = tensorBoard(logdir, { updateFreq: 'batch', histogramFreq: 2, saturation: true });
    const tracker = new SaturationTracker(logdir, model, { stats: ['trace'] });
    await fitModel([callback, tracker], { epochs: 2 });
    await fitDataset([tracker, callback], { epochs: 2 });
    await fitModel([callback, tracker]);
    await tracker.close();
    expect(ownKeysOf(model)).toEqual(keys);
    const train = await summariesOf(join(logdir, 'train'));
    // Each of the two trackers writes notes, on the native backend another one when its thread runs.
    expect(repeated(train).filter((each) => !each.startsWith('saturation-note@'))).toEqual([]);
    const at = (tag: string) => pointsOf(train, tag).map(([each]) => each);
    expect(at('epoch_loss')).toEqual([1, 2, 3, 4, 5]);
    expect(at('saturation/hidden')).toEqual([1, 2, 3, 4, 5]);
    expect(at('trace/hidden')).toEqual([1, 2, 3, 4, 5]);
    expect(at('batch_loss')).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
    expect(at(model.weights[0].name)).toEqual([0, 2, 4]);
    expect(await stepsOf(join(logdir, 'val'), 'epoch_loss')).toEqual([1, 2, 5]);
    expect(told()).toEqual([]);
  });

  it('fit, fitDataset and steps of record() count on together', async () => {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    step(tracker);
    await tracker.addSaturations();
    await fitModel(tracker, { epochs: 2 });
    await fitDataset(tracker, { epochs: 2 });
    step(tracker);
    await tracker.addSaturations();
    await fitModel(tracker);
    await tracker.close();
    expect(pairs(store)).toEqual([0, 1, 2, 3, 4, 5, 6].map((epoch) => [epoch, epoch + 1]));
    expect(store.epochs.map((_, epoch) => store.layer('train', 'hidden', epoch).samples)).toEqual([
      40, 30, 30, 30, 30, 40, 30,
    ]);
    expect(told()).toEqual([]);
  });

  it.each([
    ['fit', fitModel],
    ['fitDataset', fitDataset],
  ])('takes an initialEpoch of %s at its word, and says once that steps go back', async (_name, run) => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const tracker = new SaturationTracker(logdir, model, { saveTo: ['tensorboard', store] });
    for (const initialEpoch of [0, 1, 4]) await run(tracker, { initialEpoch, epochs: initialEpoch + 1 });
    expect(told()).toEqual([]);
    for (const initialEpoch of [2, 3]) await run(tracker, { initialEpoch, epochs: initialEpoch + 1 });
    await tracker.close();
    expect(store.epochs.map(({ epoch }) => epoch)).toEqual([0, 1, 4, 2, 3]);
    expect(told()).toEqual([expect.stringContaining('step 3 comes after step 5')]);
  });

  it('a model that is stopped early is fitted again where it was', async () => {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    const stop = tf.callbacks.earlyStopping({ monitor: 'loss', minDelta: 1e9, patience: 1 });
    await fitModel([tracker, stop], { epochs: 9 });
    const stoppedInBatch = { onBatchEnd: (batch: number) => void (model.stopTraining = batch === 1) };
    await fitModel([tracker, stoppedInBatch], { epochs: 9 });
    await fitModel(tracker);
    await tracker.close();
    expect(pairs(store)).toEqual([0, 1, 2, 3].map((epoch) => [epoch, epoch + 1]));
    expect(store.epochs.map((_, epoch) => store.layer('train', 'hidden', epoch).samples)).toEqual([30, 30, 20, 30]);
    expect(told()).toEqual([]);
  });

  it.each(['tracker', 'tensorBoard'])('after a fit that threw, %s begins the epoch again', async (kind) => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const keys = ownKeysOf(model);
    const saturation = { saveTo: [store] };
    const tracker = kind === 'tracker' ? new SaturationTracker(logdir, model, saturation) : undefined;
    const callback = tracker ?? tensorBoard(logdir, { saturation });
    const failing = (at: number) => ({
      onBatchEnd: (batch: number) => {
        if (batch === at) throw new Error('on purpose');
      },
    });
    await fitModel(callback);
    await expect(fitModel([callback, failing(1)])).rejects.toThrow('on purpose');
    await expect(fitModel([failing(0), callback])).rejects.toThrow('on purpose');
    await fitModel(callback, { epochs: 2 });
    await tracker?.close();
    expect(ownKeysOf(model)).toEqual(keys);
    expect(pairs(store)).toEqual([0, 1, 2].map((epoch) => [epoch, epoch + 1]));
    expect(store.epochs.map((_, epoch) => store.layer('train', 'hidden', epoch).samples)).toEqual([30, 30, 30]);
    expect(told()).toEqual([expect.stringContaining('ended within epoch 2, whose rows are left out')]);
  });

  it('a resumed training goes on at its initialEpoch, whether fit is told so or not, and hides nothing of its own', async () => {
    for (const args of [{}, { initialEpoch: 2, epochs: 3 }] as tf.ModelFitArgs[]) {
      const logdir = temporaryFolder();
      await fitModel(tensorBoard(logdir, { saturation: true }), { epochs: 4, validationSplit: 0 });
      const callback = tensorBoard(logdir, { saturation: { initialEpoch: 2 }, updateFreq: 'batch' });
      await fitModel(callback, { ...args, validationSplit: 0 });
      // Here the run val appears for the first time.
      await fitModel(callback, { epochs: 2 });
      const history = await readHistory(logdir);
      expect(history.epochs.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
      expect(await stepsOf(join(logdir, 'val'), 'epoch_loss')).toEqual([4, 5]);
      expect(await stepsOf(join(logdir, 'val'), 'saturation/hidden')).toEqual([4, 5]);
      expect(await shownIn(join(logdir, 'val'))).toEqual(
        expect.arrayContaining(['epoch_loss@4', 'epoch_loss@5', 'saturation/hidden@4', 'saturation/hidden@5']),
      );
      expect(await shownIn(join(logdir, 'train'))).toEqual(
        expect.arrayContaining(['epoch_loss@3', 'epoch_loss@5', 'batch_loss@1', 'batch_loss@9', 'saturation/hidden@5']),
      );
    }
    expect(told()).toEqual([]);
  });

  it('another process goes on from toBytes in the middle of an epoch, by a fit', async () => {
    const store = new RecordingStore();
    const first = new SaturationTracker('unused', model, { saveTo: [] });
    await fitModel(first, { epochs: 2 });
    step(first);
    const bytes = first.toBytes();
    await first.close();
    const second = new SaturationTracker('unused', model, { saveTo: [store] });
    second.restore(bytes);
    await fitModel(second);
    await second.close();
    expect(pairs(store)).toEqual([[2, 3]]);
    expect(store.layer('train', 'hidden').samples).toBe(70);
    expect(told()).toEqual([expect.stringContaining('close: expected addSaturations() first')]);
  });

  it('one tensorBoard() for several models goes on with the next one and says so', async () => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const callback = tensorBoard(logdir, {
      saturation: { saveTo: ['tensorboard', 'csv', store] },
      updateFreq: 'batch',
    });
    const models = [model, dense.build(), dense.build()];
    for (const each of models) await fitModel(callback, { epochs: 2 }, each);
    expect(pairs(store)).toEqual([0, 1, 2, 3, 4, 5].map((epoch) => [epoch, epoch + 1]));
    const train = await summariesOf(join(logdir, 'train'));
    for (const tag of ['saturation/hidden', 'epoch_loss']) {
      expect(pointsOf(train, tag).map(([at]) => at)).toEqual([1, 2, 3, 4, 5, 6]);
    }
    expect(pointsOf(train, 'batch_loss')).toHaveLength(18);
    expect(told()).toEqual([expect.stringContaining('expected the model of the fits before')]);
    for (const each of models.slice(1)) each.dispose();
  });

  it('a store of a tensorBoard() is closed after every fit, and gets the epochs of the next one', async () => {
    const calls: string[] = [];
    const store: Store = {
      add: ({ epoch }) => void calls.push(`add ${epoch}`),
      close: () => void calls.push('close'),
    };
    const callback = tensorBoard(temporaryFolder(), { saturation: { saveTo: store, resetCovariance: false } });
    await fitModel(callback, { epochs: 2 });
    await fitModel(callback);
    expect(calls).toEqual(['add 0', 'add 1', 'close', 'add 2', 'close']);
  });
});

describe('fits within fits', () => {
  beforeAll(() => useBackend('cpu'));
  beforeEach(open);
  afterEach(dispose);

  it.each(['tracker', 'tensorBoard'])(
    'a fit of another model within a fit leaves the outer one to %s',
    async (kind) => {
      const logdir = temporaryFolder();
      const other = dense.build();
      const tracker = kind === 'tracker' ? new SaturationTracker(logdir, model.layers) : undefined;
      const callback = tracker ?? tensorBoard(logdir, { saturation: true, updateFreq: 'batch' });
      for (const throws of [false, true]) {
        const within = {
          onEpochEnd: async (epoch: number) => {
            const failing = {
              onBatchEnd: () => {
                if (throws) throw new Error('on purpose');
              },
            };
            if (epoch === 0) await fitModel([callback, failing], { epochs: 3 }, other).catch(() => {});
          },
        };
        await fitModel([within, callback], { epochs: 2 });
      }
      await tracker?.close();
      const run = await summariesOf(join(logdir, 'train'));
      expect(repeated(run)).toEqual([]);
      for (const tag of ['epoch_loss', 'saturation/hidden']) {
        expect(pointsOf(run, tag).map(([at]) => at)).toEqual([1, 2, 3, 4]);
      }
      if (kind === 'tensorBoard') expect(pointsOf(run, 'batch_loss')).toHaveLength(12);
      expect(told()).toEqual([expect.stringContaining('expected one fit at a time')]);
      other.dispose();
    },
  );
});

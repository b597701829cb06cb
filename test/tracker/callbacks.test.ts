import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { tensorBoard } from '../../src/tracker/tensorboard-callback.js';
import { useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { dense, ownKeysOf } from '../support/models.js';
import { pointsOf, repeated, summariesOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();
const told = () => warnings.filter((warning) => !/rows are few/.test(warning));

const require = createRequire(import.meta.url);
/** What a page gets from a script tag: one file with everything, whose classes are not those that this package imports. */
let other: typeof tf;
{
  // It registers its kernels in the engine that all copies share, and warns of each.
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  other = require(join(dirname(require.resolve('@tensorflow/tfjs/package.json')), 'dist/tf.min.js'));
  warn.mockRestore();
}

let x: tf.Tensor;
let y: tf.Tensor;
const models: tf.LayersModel[] = [];
beforeAll(() => useBackend('cpu'));
beforeEach(() => {
  x = dense.inputs(40, 1) as tf.Tensor;
  y = dense.targets(40, 2) as tf.Tensor;
});
afterEach(() => {
  tf.dispose([x, y]);
  for (const model of models.splice(0)) model.dispose();
});

function modelOf(copy: typeof tf): tf.LayersModel {
  const { layers, sequential, input, model } = copy;
  const kinds = [
    () => {
      const built = sequential();
      built.add(layers.dense({ units: 8, inputShape: [6], activation: 'relu', name: 'hidden' }));
      built.add(layers.dense({ units: 3, name: 'output' }));
      return built;
    },
    () => {
      const inputs = input({ shape: [6] });
      const hidden = layers.dense({ units: 8, name: 'hidden' }).apply(inputs) as tf.SymbolicTensor;
      const outputs = layers.dense({ units: 3, name: 'output' }).apply(hidden) as tf.SymbolicTensor;
      return model({ inputs, outputs });
    },
  ];
  const built = kinds[models.length % 2]();
  built.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  models.push(built);
  return built;
}

const fitModel = (model: tf.LayersModel, callbacks: unknown) =>
  model.fit(x, y, { epochs: 2, batchSize: 10, verbose: 0, validationSplit: 0.25, callbacks: callbacks as never });
const fitDataset = (model: tf.LayersModel, callbacks: unknown, copy = tf) =>
  model.fitDataset(
    copy.data.array([1, 2, 3]).mapAsync(async (seed) => ({
      xs: dense.inputs(10, seed) as tf.Tensor,
      ys: dense.targets(10, seed) as tf.Tensor,
    })),
    { epochs: 2, verbose: 0, validationData: [x, y], callbacks: callbacks as never },
  );

/** What each kind of callback of others must still do: it gets its epochs, and its `this`. */
function witnesses(copy: typeof tf) {
  const epochs: number[] = [];
  const plain = {
    onEpochEnd: (epoch: number) => void epochs.push(epoch),
  };
  class Own extends copy.Callback {
    readonly seen: string[] = [];
    override async onEpochEnd(epoch: number): Promise<void> {
      this.seen.push(`${epoch} ${this.model?.layers.length} ${(this.params as { epochs?: number }).epochs}`);
    }
  }
  const own = new Own();
  const stop = copy.callbacks.earlyStopping({ monitor: 'loss', patience: 9 });
  const check = () => {
    expect(epochs).toEqual([0, 1]);
    epochs.length = 0;
  };
  const checkOwn = () => {
    // A Sequential hands on the model inside it; both have two layers, a functional model its input besides.
    expect(own.seen).toEqual([expect.stringMatching(/^0 [23] 2$/), expect.stringMatching(/^1 [23] 2$/)]);
    own.seen.length = 0;
  };
  return { plain, own, stop, check, checkOwn };
}

describe.each([
  ['the same copy of TensorFlow.js', tf],
  ['another copy of TensorFlow.js', other],
])('callbacks of a tracker, with a model of %s', (_name, copy) => {
  it('stand in any order with plain objects and instances of that copy', async () => {
    const { plain, own, stop, check, checkOwn } = witnesses(copy);
    for (const runFit of [fitModel, fitDataset]) {
      for (const order of [
        'tp',
        'pt',
        'tio',
        'itp',
        'pit',
        'pti',
        'tpi',
        'ctp',
        'pc',
        'cc',
        'tcip',
        't',
        'c',
        's',
        'sp',
        'ps',
        'si',
      ]) {
        const model = modelOf(copy);
        const keys = ownKeysOf(model);
        const store = new RecordingStore();
        const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
        const kinds: Record<string, unknown> = {
          t: tracker,
          c: tracker.callback(),
          s: { ...tracker.callback() },
          p: plain,
          i: stop,
          o: own,
        };
        await runFit(
          model,
          [...order].map((kind) => kinds[kind]),
          copy,
        );
        await tracker.close();
        expect(ownKeysOf(model), order).toEqual(keys);
        expect(
          store.epochs.map(({ epoch }) => epoch),
          order,
        ).toEqual([0, 1]);
        const val = runFit === fitModel ? 10 : 40;
        expect(store.samples(1), order).toEqual({
          'train/hidden': 30,
          'train/output': 30,
          'val/hidden': val,
          'val/output': val,
        });
        if (order.includes('p')) check();
        if (order.includes('o')) checkOwn();
      }
    }
    expect(told()).toEqual([]);
  });

  it('stand alone, without a list, as object, functions or CustomCallback', async () => {
    const { plain } = witnesses(copy);
    const forms: ((tracker: SaturationTracker) => unknown)[] = [
      (tracker) => tracker,
      (tracker) => tracker.callback(),
      (tracker) => Object.assign({}, tracker),
      ({ onTrainBegin, onEpochBegin, onEpochEnd, onTrainEnd }) => ({
        onTrainBegin,
        onEpochBegin,
        onEpochEnd,
        onTrainEnd,
      }),
      ({ onTrainBegin, onEpochEnd, onTrainEnd }) => [{ onTrainBegin, onEpochEnd, onTrainEnd }, plain],
      (tracker) => [new copy.CustomCallback(tracker), new copy.CustomCallback(plain)],
      (tracker) => new copy.CustomCallback(Object.assign({}, tracker.callback())),
      (tracker) => ({
        onTrainBegin: () => tracker.onTrainBegin(),
        onEpochBegin: (epoch: number) => tracker.onEpochBegin(epoch),
        onEpochEnd: (epoch: number, logs: tf.Logs) => tracker.onEpochEnd(epoch, logs),
        onTrainEnd: () => tracker.onTrainEnd(),
      }),
    ];
    for (const form of forms) {
      const model = modelOf(copy);
      const store = new RecordingStore();
      const logdir = temporaryFolder();
      const tracker = new SaturationTracker(logdir, model, { saveTo: ['tensorboard', store] });
      const callbacks = form(tracker);
      await fitModel(model, callbacks);
      await fitModel(model, callbacks);
      await tracker.close();
      expect(store.epochs.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
      expect(store.samples(3)).toEqual({ 'train/hidden': 30, 'train/output': 30, 'val/hidden': 10, 'val/output': 10 });
      expect(pointsOf(await summariesOf(join(logdir, 'train')), 'epoch_loss')).toHaveLength(4);
    }
    expect(told()).toEqual([]);
  });

  it('count once if there are several of one tracker', async () => {
    const logdir = temporaryFolder();
    const model = modelOf(copy);
    const tracker = new SaturationTracker(logdir, model);
    await fitModel(model, [tracker, tracker.callback(), { ...tracker }]);
    await fitModel(model, [{ ...tracker }, tracker]);
    await tracker.close();
    for (const run of ['train', 'val']) {
      const summaries = await summariesOf(join(logdir, run));
      expect(repeated(summaries)).toEqual([]);
      expect(pointsOf(summaries, 'saturation/hidden').map(([step]) => step)).toEqual([1, 2, 3, 4]);
    }
    expect(told()).toEqual([]);
  });
});

describe('callbacks of tensorBoard()', () => {
  it('stand in any order with plain objects and instances', async () => {
    const { plain, own, stop, check, checkOwn } = witnesses(tf);
    for (const runFit of [fitModel, fitDataset]) {
      for (const order of ['bp', 'pb', 'bip', 'pib', 'b', 'bb', 's', 'ps', 'sop']) {
        const logdir = temporaryFolder();
        const model = modelOf(tf);
        const board = tensorBoard(logdir, { saturation: true, updateFreq: 'batch', histogramFreq: 1, graph: true });
        const kinds: Record<string, unknown> = { b: board, s: { ...board }, p: plain, i: stop, o: own };
        await runFit(
          model,
          [...order].map((kind) => kinds[kind]),
        );
        const train = await summariesOf(join(logdir, 'train'));
        expect(repeated(train), order).toEqual([]);
        const steps = (tag: string) => pointsOf(train, tag).map(([step]) => step);
        expect(steps('epoch_loss'), order).toEqual([1, 2]);
        expect(steps('saturation/hidden'), order).toEqual([1, 2]);
        expect(steps('batch_loss'), order).toEqual([1, 2, 3, 4, 5, 6]);
        expect(steps(model.weights[0].name), order).toEqual([0, 1]);
        if (order.includes('p')) check();
        if (order.includes('o')) checkOwn();
      }
    }
    expect(told()).toEqual([]);
  });

  it('write losses with a model of another copy, beside a tracker once, and say what they cannot write', async () => {
    const logdir = temporaryFolder();
    const model = modelOf(other);
    const tracker = new SaturationTracker(logdir, model);
    const board = tensorBoard(logdir);
    await fitModel(model, [board, tracker]);
    await fitModel(model, [tracker, board, { onEpochEnd: () => {} }]);
    await tracker.close();
    for (const run of ['train', 'val']) {
      const summaries = await summariesOf(join(logdir, run));
      expect(repeated(summaries)).toEqual([]);
      expect(pointsOf(summaries, 'epoch_loss').map(([step]) => step)).toEqual([1, 2, 3, 4]);
    }
    expect(told()).toEqual([]);
    await fitModel(model, tensorBoard(temporaryFolder(), { saturation: true }));
    expect(told()).toEqual([expect.stringContaining('only losses and metrics are written')]);
    // An instance of the other copy in front makes it hand over the model.
    const full = temporaryFolder();
    await fitModel(model, [other.callbacks.earlyStopping({}), tensorBoard(full, { saturation: true })]);
    expect(pointsOf(await summariesOf(join(full, 'train')), 'saturation/hidden')).toHaveLength(2);
    expect(told()).toHaveLength(1);
  });
});

it('leaves lists without a callback of this package to TensorFlow.js', async () => {
  const model = modelOf(tf);
  tensorBoard(temporaryFolder());
  const mixed = [tf.callbacks.earlyStopping({}), { onEpochEnd: () => {} }];
  await expect(fitModel(model, mixed)).rejects.toThrow('setParams is not a function');
  await expect(model.fit(x, y)).resolves.toBeDefined();
});

it('a tracker restores the fit of models when it closes', async () => {
  const names = ['fit', 'fitDataset'] as const;
  const before = names.map((name) => Object.getOwnPropertyDescriptor(tf.LayersModel.prototype, name));
  const trackers = [tf, tf, other].map((copy) => new SaturationTracker('unused', modelOf(copy), { saveTo: [] }));
  for (const tracker of trackers) await tracker.close();
  expect(names.map((name) => Object.getOwnPropertyDescriptor(tf.LayersModel.prototype, name))).toEqual(before);
  for (const model of models) for (const name of names) expect(Object.hasOwn(model, name)).toBe(false);
});

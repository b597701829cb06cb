import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MemoryOutput } from '../../src/output/output.js';
import { insertPcaLayers, pcaLayer } from '../../src/pca/pca-model.js';
import { probeLayers } from '../../src/probes/probes.js';
import { readEvents } from '../../src/reader/read-events.js';
import { recorderOptionNames } from '../../src/recording/options.js';
import { SaturationRecorder } from '../../src/recording/saturation-recorder.js';
import { PlotStore } from '../../src/reports/plot-store.js';
import { reportHtml } from '../../src/reports/report.js';
import { ReportStore, writeReport, writeReports } from '../../src/reports/report-store.js';
import { RunHistory } from '../../src/saturation/run-history.js';
import { ConsoleStore } from '../../src/stores/console-store.js';
import { CsvStore } from '../../src/stores/csv-store.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import { reconstructCsv } from '../../src/stores/reconstruct-csv.js';
import { extractSaturation } from '../../src/tracker/extract-saturation.js';
import { saturationOptionNames } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { tensorBoard } from '../../src/tracker/tensorboard-callback.js';
import { summaryFileWriter } from '../../src/writer/summary-file-writer.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { dense } from '../support/models.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();
const told = () => warnings.filter((warning) => !/rows are few/.test(warning));

let model: tf.LayersModel;
let x: tf.Tensor;
let y: tf.Tensor;
beforeAll(() => useBackend('cpu'));
beforeEach(() => {
  model = dense.build();
  x = dense.inputs(40, 1) as tf.Tensor;
  y = dense.targets(40, 2) as tf.Tensor;
});
afterEach(() => {
  tf.dispose([x, y]);
  model.dispose();
});

const fitModel = (callbacks: unknown, fitted = model) =>
  fitted.fit(x, y, { epochs: 2, batchSize: 10, verbose: 0, callbacks: callbacks as tf.Callback[] });
const pass = () => void tf.tidy(() => void model.predict(x));

describe('mistyped options are refused with the name that was meant', () => {
  const samples = { xs: undefined as never, ys: [] };
  const history = new RunHistory();
  const track = (options: never) => new SaturationTracker(temporaryFolder(), model, options);
  it.each<[string, string, string, (options: never) => unknown]>([
    ['SaturationTracker', 'treshold', 'threshold', track],
    ['SaturationTracker', 'log_interval', 'logInterval', track],
    ['SaturationTracker', 'sampleing', 'sampling', track],
    ['SaturationTracker', 'MaxSamples', 'maxSamples', track],
    ['SaturationTracker', 'saveto', 'saveTo', track],
    ['extractSaturation', 'tresholds', 'threshold', (options) => extractSaturation(model, [x], options)],
    ['tensorBoard', 'udpateFreq', 'updateFreq', (options) => tensorBoard(temporaryFolder(), options)],
    ['tensorBoard', 'histogram_freq', 'histogramFreq', (options) => tensorBoard(temporaryFolder(), options)],
    ['tensorBoard, saturation', 'statistics', '', (saturation) => tensorBoard(temporaryFolder(), { saturation })],
    ['SummaryWriter', 'flush_secs', 'flushSecs', (options) => new SummaryWriter(temporaryFolder(), options)],
    ['SummaryWriter', 'purgestep', 'purgeStep', (options) => new SummaryWriter(temporaryFolder(), options)],
    ['CsvStore', 'count', 'counts', (options) => new CsvStore('unused', options)],
    ['NpyStore', 'file', 'files', (options) => new NpyStore('unused', options)],
    ['ConsoleStore', 'colours', 'colors', (options) => new ConsoleStore(options)],
    ['PlotStore', 'formt', 'format', (options) => new PlotStore('unused', options)],
    ['ReportStore', 'titel', 'title', (options) => new ReportStore('unused.html', options)],
    ['writeReport', 'tilte', 'title', (options) => writeReport('unused', options)],
    ['writeReports', 'rew', 'raw', (options) => writeReports('unused', options)],
    ['reportHtml', 'receptive_fields', 'receptiveFields', (options) => reportHtml(history, options)],
    ['reconstructCsv', 'treshold', 'threshold', (options) => reconstructCsv('unused', options)],
    ['probeLayers', 'batchsize', 'batchSize', (options) => probeLayers(model, samples, samples, options)],
    ['pcaLayer', 'keep_dim', 'keepDim', (options) => pcaLayer(options)],
    ['insertPcaLayers', 'centring', 'centering', (options) => insertPcaLayers(model, options)],
  ])('%s: %s', async (call, typed, meant, make) => {
    const advice = meant === '' ? 'the options are ' : `did you mean '${meant}'?`;
    const given = async () => make({ [typed]: 1 } as never);
    await expect(given()).rejects.toThrow(TypeError);
    await expect(given()).rejects.toThrow(`${call}: expected known options, got '${typed}'; ${advice}`);
    // A program that leaves an option undefined has not given it.
    const undefinedOption = { [typed]: undefined } as never;
    const outcome = await (async () => make(undefinedOption))().catch((error: Error) => error);
    if (outcome instanceof Error) expect(outcome.message).not.toContain('expected known options');
    if (outcome instanceof SaturationTracker) await outcome.close();
  });

  it('names that are far from every option get them all, and long ones are cut', () => {
    const typed = 'x'.repeat(1e6);
    const make = (options: object) => new SaturationTracker(temporaryFolder(), model, options);
    expect(() => make({ sampelSize: 5 })).toThrow(
      /got 'sampelSize'; the options are stats, threshold, .*, activations, deterministic, stopOn$/,
    );
    expect(() => make({ [typed]: 5 })).toThrow(/got 'x{40}'; the options are/);
    expect(() => make(Object.create({ inherited: 1 }))).not.toThrow();
  });
});

describe('an option of the wrong kind is refused by its name, before anything is written or hooked', () => {
  // No option takes a date.
  const given = (name: string) => ({ [name]: new Date(0) }) as never;

  it.each(Object.keys(saturationOptionNames))('%s of SaturationTracker', (name) => {
    const folder = temporaryFolder();
    const apply = model.layers[0].call;
    expect(() => new SaturationTracker(join(folder, 'logdir'), model, given(name))).toThrow(
      new RegExp(`^${name}(\\.\\w+)?: expected `),
    );
    expect(readdirSync(folder)).toEqual([]);
    expect(model.layers[0].call).toBe(apply);
  });

  it.each(Object.keys(recorderOptionNames))('%s of SaturationRecorder', (name) => {
    const folder = temporaryFolder();
    expect(() => new SaturationRecorder(join(folder, 'logdir'), given(name))).toThrow(
      new RegExp(`^${name}(\\.\\w+)?: expected `),
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('arguments in the wrong place are named', () => {
  it.each<[string, RegExp, () => unknown]>([
    ['no model', /SaturationTracker\(logdir, model\): expected a LayersModel.*got undefined/, () => make('x')],
    ['null', /expected a LayersModel.*got null/, () => make('x', null)],
    ['a promise', /expected a model, got a promise: await it/, () => make('x', Promise.resolve(model))],
    ['the model first', /expected the logdir first, got an object of class Sequential/, () => make(model, 'x')],
    ['the layers first', /expected the logdir first, got an array of 3/, () => make(model.layers, 'x')],
    ['no logdir', /expected a folder or a SummaryWriter as logdir, got undefined/, () => make(undefined, model)],
    [
      'an Output as logdir',
      /as logdir, got an object .*: pass new SummaryWriter\(output\)/,
      () => make(new MemoryOutput(), model),
    ],
    ['a number', /or a SummaryWriter as logdir, got number 3/, () => make(3, model)],
    ['a folder and options', /expected a LayersModel.*got an object of class Object/, () => make('x', { stats: [] })],
    ['a single layer', /A single layer goes in a list/, () => make('x', model.layers[0])],
    ['options that are none', /expected options to be an object, got boolean true/, () => make('x', model, true)],
    ['an empty folder', /expected a non-empty string/, () => make('', model)],
    [
      'a writer of options',
      /summaryFileWriter: expected maxQueue to be a number, got an object/,
      () => summaryFileWriter('x', {} as never),
    ],
  ])('%s', (_name, message, act) => {
    expect(act).toThrow(message);
  });

  const make = (...args: unknown[]) =>
    new SaturationTracker(...(args as ConstructorParameters<typeof SaturationTracker>));
});

describe('what records nothing says so', () => {
  it('tracker.callback without its parentheses: what it is, and that the fit is not recorded', async () => {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    await fitModel([tracker.callback]);
    await fitModel(tracker.callback);
    expect(told()).toEqual([
      expect.stringContaining('got the function callback, of which TensorFlow.js calls nothing: call it'),
      expect.stringContaining('this fit is not recorded'),
    ]);
    await fitModel([tracker.callback()]);
    await tracker.close();
    expect(store.epochs).toHaveLength(2);
    expect(told()).toHaveLength(2);
  });

  it('a fit without the tracker among its callbacks, at once and once', async () => {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    let within: number | undefined;
    await fitModel({ onBatchEnd: () => void (within ??= told().length) });
    await fitModel([]);
    expect(within).toBe(1);
    expect(told()).toEqual([
      expect.stringContaining(
        "model.fit: expected the tracker of 'unused' among the callbacks, got none: this fit is not recorded",
      ),
    ]);
    await fitModel(tracker);
    await tracker.close();
    expect(store.epochs).toHaveLength(2);
    expect(told()).toHaveLength(1);
  });

  it('of two trackers of a model, the one that is not among the callbacks, by its logdir', async () => {
    const [saveTo, other] = [[new RecordingStore()], [new RecordingStore()]];
    const tracker = new SaturationTracker('runs/given', model, { saveTo });
    const second = new SaturationTracker('runs/left-out', model, { saveTo: other });
    await fitModel(tracker);
    await tracker.close();
    await second.close();
    expect(told()).toEqual([expect.stringContaining("expected the tracker of 'runs/left-out' among the callbacks")]);
    expect([saveTo[0].epochs.length, other[0].epochs.length]).toEqual([2, 0]);
  });

  it('addScalar() in a loop that records nothing', async () => {
    const logdir = temporaryFolder();
    const tracker = new SaturationTracker(logdir, model);
    for (let epoch = 0; epoch < 3; epoch++) tracker.addScalar('loss', epoch);
    await tracker.close();
    expect(told()).toEqual([
      expect.stringContaining(
        "close: expected record('train', fn) in each step and addSaturations() at the end of each epoch, got neither: nothing is recorded, and the points of addScalar stand at step 1",
      ),
    ]);
  });

  it('addScalar() after addSaturations(): the point is in TensorBoard, one epoch later', async () => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const tracker = new SaturationTracker(logdir, model, { saveTo: ['tensorboard', store] });
    for (let epoch = 0; epoch < 2; epoch++) {
      tracker.record('train', pass);
      await tracker.addSaturations();
      tracker.addScalar('loss', epoch);
    }
    tracker.addScalar('test', 7, 2); // which says itself where it stands
    await tracker.close();
    expect(told()).toEqual([
      expect.stringContaining(
        'close: expected addScalar before the end of its epoch, got "loss" after that of the last one: it stands at step 3, in TensorBoard only. In a loop addScalar comes before addSaturations()',
      ),
    ]);
    const points: [string, number][] = [];
    for await (const { step, summary } of readEvents(logdir)) {
      for (const { tag } of summary ?? []) points.push([tag, Number(step)]);
    }
    expect(points).toEqual([
      ['loss', 2],
      ['loss', 3],
      ['test', 2],
    ]);
  });

  it('addScalar() before addSaturations(), or with a step, is told nothing', async () => {
    const tracker = new SaturationTracker(temporaryFolder(), model);
    tracker.record('train', pass);
    tracker.addScalar('loss', 1);
    await tracker.addSaturations();
    tracker.addScalar('test', 7, 1);
    await tracker.close();
    expect(told()).toEqual([]);
  });

  it('addScalar() of a recorder that observes nothing', async () => {
    const recorder = new SaturationRecorder(temporaryFolder());
    recorder.addScalar('loss', 1);
    await recorder.close();
    expect(told()).toEqual([
      expect.stringContaining("close: expected observe(name, activations, 'train') in each step"),
    ]);
  });

  it('record() without addSaturations() before close()', async () => {
    const tracker = new SaturationTracker('unused', model, { saveTo: [] });
    tracker.record('val', pass);
    await tracker.addSaturations();
    tracker.record('val', pass);
    await tracker.close();
    expect(told()).toEqual([expect.stringContaining('close: expected addSaturations() first')]);
  });

  it('record() after close(), and record() without what runs the model', async () => {
    const tracker = new SaturationTracker(temporaryFolder(), model);
    expect(() => tracker.record('train', undefined as never)).toThrow(
      "record('train'): expected a function that runs the model, such as () => model.trainOnBatch(xs, ys), got undefined",
    );
    await tracker.close();
    expect(tracker.record('train', () => 7)).toBe(7);
    tracker.record('train', () => 7);
    expect(told()).toEqual([
      expect.stringMatching(/record\('train'\): expected an open tracker, .* nothing is recorded/),
    ]);
  });

  it('addSaturations() with nothing recorded, also after steps outside record()', async () => {
    const tracker = new SaturationTracker('unused', model, { saveTo: [] });
    await model.trainOnBatch(x, y);
    await tracker.addSaturations();
    pass();
    await tracker.addSaturations();
    await tracker.close();
    expect(told()).toEqual([expect.stringContaining("run the model inside record('train', fn)")]);
  });

  it('nothing is said of a tracker that was stopped or aborted on purpose', async () => {
    const abort = new AbortController();
    const tracker = new SaturationTracker('unused', model, { saveTo: [], signal: abort.signal });
    tracker.stop();
    await fitModel([]);
    await tracker.addSaturations();
    tracker.resume();
    tracker.record('train', pass);
    abort.abort();
    await tracker.addSaturations();
    await tracker.close();
    expect(told()).toEqual([]);
  });

  it("a callback in another model's fit", async () => {
    const other = dense.build();
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    await fitModel(tracker, other);
    expect(told()).toEqual([expect.stringContaining('epoch 1: expected passes through the tracked layers, got none')]);
    await fitModel(tracker);
    await tracker.close();
    expect(store.samples(2)).toEqual({ 'train/hidden': 40, 'train/output': 40 });
    other.dispose();
  });

  it('a model that trains within another one is its own: nothing is said', async () => {
    const outer = tf.sequential({ layers: [model, tf.layers.dense({ units: 3 })] });
    outer.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    await fitModel(tracker, outer);
    await tracker.close();
    expect(store.samples(1)).toEqual({ 'train/hidden': 40, 'train/output': 40 });
    expect(told()).toEqual([]);
  });

  it('a fit after close()', async () => {
    const tracker = new SaturationTracker('unused', model, { saveTo: [] });
    await fitModel(tracker);
    await tracker.close();
    await fitModel(tracker);
    await fitModel(tracker);
    expect(told()).toEqual([expect.stringContaining("expected an open tracker, got the one of 'unused'")]);
  });

  it('rows that were recorded before a fit', async () => {
    const tracker = new SaturationTracker('unused', model, { saveTo: [] });
    tracker.record('val', pass);
    await fitModel(tracker);
    await tracker.close();
    expect(told()).toEqual([expect.stringContaining('they count with the first one of this fit')]);
  });
});

describe('a long training of many layers prints few lines', () => {
  const layers = 60;
  const lines = () => warnings.flatMap((warning) => warning.split('\n'));
  const deep = () => {
    const net = tf.sequential();
    for (let k = 0; k < layers; k++) net.add(tf.layers.dense({ units: 4, name: `d${k}`, inputShape: [4] }));
    return net;
  };

  it('of rows that are few or not finite, counted from 1', async () => {
    const net = deep();
    const tracker = new SaturationTracker('unused', net, { saveTo: [] });
    const rows = tf.tidy(() => tf.concat([tf.randomNormal([6, 4], 0, 1, 'float32', 1), tf.fill([1, 4], Number.NaN)]));
    for (let epoch = 0; epoch < 20; epoch++) {
      for (const split of ['train', 'val'] as const) {
        tracker.record(split, () => void tf.tidy(() => void net.predict(rows)));
      }
      await tracker.addSaturations();
    }
    await tracker.close();
    expect(lines().length).toBeLessThanOrEqual(5);
    expect(lines()[0]).toMatch(/^epoch 1: 1 of 7 rows of layer 'd0' \(train\), .* and rows of 117 more held a NaN/);
    expect(lines().at(-1)).toMatch(/^The same holds for \d+ more, counted by layer and split\.$/);
    rows.dispose();
    net.dispose();
  });

  it('of stores that fail in every epoch, and close() rejects with them', async () => {
    const net = deep();
    const stores = Array.from({ length: 20 }, (_, index) => {
      class Failing {
        add({ epoch }: { epoch: number }) {
          throw new Error(`no room for file_${epoch} in the folder ${'abcdefghijklmnopqrst'[index]}`);
        }
      }
      return new Failing();
    });
    const tracker = new SaturationTracker('unused', net, { saveTo: stores });
    for (let epoch = 0; epoch < 100; epoch++) await tracker.addSaturations();
    const error = (await tracker.close().catch((thrown: unknown) => thrown)) as AggregateError;
    expect(lines().filter((line) => line.includes('no room'))).toHaveLength(10);
    expect(lines().length).toBeLessThanOrEqual(12);
    expect(error.errors).toHaveLength(20);
    expect(error.message).toContain('no room for file_0 in the folder t');
    net.dispose();
  });
});

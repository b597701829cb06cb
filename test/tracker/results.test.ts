import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { PNG } from 'pngjs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CustomScalarsValue, HistogramValue, ImagesValue, TextValue } from '../../src/event/event.js';
import { receptiveFields } from '../../src/insight/receptive-fields.js';
import { MemoryOutput } from '../../src/output/output.js';
import { readEvents } from '../../src/reader/read-events.js';
import { listRuns } from '../../src/reader/run-files.js';
import { readHistory } from '../../src/saturation/runs.js';
import { EpochTable } from '../../src/stores/epoch-table.js';
import { reconstructCsv } from '../../src/stores/reconstruct-csv.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { backends, useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { convolutional, dense, normalTensor } from '../support/models.js';
import { pointsOf, repeated, summariesOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();

describe.each(backends)('what a tracker writes on %s', (backend) => {
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

  const train = (tracker: SaturationTracker, args: tf.ModelFitArgs = {}) =>
    model.fit(x, y, {
      epochs: 3,
      batchSize: 10,
      verbose: 0,
      validationSplit: 0.25,
      callbacks: tracker.callback(),
      ...args,
    });

  it('draws fewer heat maps once there are more than a hundred epochs: TensorBoard shows ten', async () => {
    const logdir = join(temporaryFolder(), 'long');
    const tracker = new SaturationTracker(logdir, model, {
      stats: ['saturation'],
      layers: (layer) => layer.name === 'output',
    });
    for (let epoch = 0; epoch < 104; epoch++) {
      tracker.record('train', () => tf.dispose(model.predictOnBatch(x)));
      await tracker.addSaturations();
    }
    await tracker.close();
    const summaries = await summariesOf(join(logdir, 'train'));
    const steps = summaries.filter(({ tag }) => tag === 'saturation-heat-map').map(({ step }) => step);
    expect(steps).toEqual([...Array.from({ length: 100 }, (_, i) => i + 1), 102, 104]);
  });

  it('stores the eigenvalues, which give the counts beside them and those of any other threshold', async () => {
    const store = new RecordingStore();
    const logdir = join(temporaryFolder(), 'run');
    const tracker = new SaturationTracker(logdir, model, { threshold: 0.9, saveTo: ['tensorboard', store] });
    await train(tracker);
    await tracker.close();
    const history = await readHistory(logdir);
    let compared = 0;
    for (const { epoch, layers } of history.epochs) {
      for (const { layer, split, spectrum, samples, intrinsicDimensionality } of layers) {
        const same = store.layer(split, layer, epoch);
        expect(samples).toBe(same.samples);
        expect(spectrum?.eigenvalues).toEqual(same.spectrum?.eigenvalues.map(Math.fround));
        expect(spectrum?.intrinsicDimensionality(0.9)).toBe(intrinsicDimensionality);
        for (const threshold of [0.5, 0.99, 0.999]) {
          expect(spectrum?.intrinsicDimensionality(threshold)).toBe(same.spectrum?.intrinsicDimensionality(threshold));
        }
        compared++;
      }
    }
    expect(compared).toBe(3 * 2 * 2);
  });

  it('stores as many eigenvalues as it is told to, and the sum of the others', async () => {
    const stored = async (storedEigenvalues: number) => {
      const logdir = join(temporaryFolder(), 'run');
      const store = new RecordingStore();
      const tracker = new SaturationTracker(logdir, model, { storedEigenvalues });
      tracker.addStore(store);
      await train(tracker, { epochs: 1 });
      await tracker.close();
      const [layer] = store.epochs[0].layers;
      const summaries = await summariesOf(join(logdir, 'train'));
      return { layer, value: summaries.find(({ tag }) => tag === `eigenvalues/${layer.layer}`)?.value };
    };
    const { layer, value } = await stored(3);
    const eigenvalues = [...(layer.spectrum?.eigenvalues ?? [])];
    const rest = eigenvalues.slice(3).reduce((sum, eigenvalue) => sum + eigenvalue, 0);
    const numbers = [layer.samples, 0, ...eigenvalues.slice(0, 3), rest];
    expect(value).toEqual({ dtype: 'float32', shape: [6], data: Float32Array.from(numbers) });
    expect((await stored(0)).value).toBeUndefined();
  });

  it('stores the receptive fields of a network that sees images, once per run', async () => {
    const images = convolutional.build();
    const inputs = convolutional.inputs(12, 1) as tf.Tensor;
    const logdir = join(temporaryFolder(), 'run');
    const tracker = new SaturationTracker(logdir, images);
    for (let epoch = 0; epoch < 2; epoch++) {
      for (const split of ['train', 'val'] as const) tracker.record(split, () => tf.dispose(images.predict(inputs)));
      await tracker.addSaturations();
    }
    await tracker.close();
    for (const split of ['train', 'val']) {
      const stored = (await summariesOf(join(logdir, split))).filter(({ tag }) => tag === 'receptive-fields');
      expect(stored.map(({ step, plugin }) => [step, plugin])).toEqual([[1, 'saturation']]);
      const [json] = (stored[0].value as { data: Uint8Array[] }).data;
      const { inputSize, layers } = JSON.parse(new TextDecoder().decode(json), (_, value) =>
        value === 'Infinity' ? Number.POSITIVE_INFINITY : value,
      );
      expect(inputSize).toBe(images.inputs[0].shape[1]);
      expect(layers).toEqual(receptiveFields(images as never));
    }
    inputs.dispose();
    images.dispose();
  });

  it('gives a store that is added later every epoch from then on, and closes it', async () => {
    const tracker = new SaturationTracker(join(temporaryFolder(), 'run'), model);
    await train(tracker, { epochs: 1 });
    const store = new RecordingStore();
    tracker.addStore(store);
    await train(tracker, { epochs: 2 });
    await tracker.close();
    expect(store.epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(() => tracker.addStore(store)).toThrow(/addStore/);
    expect(() => tracker.addStore({} as never)).toThrow('addStore: expected an object with a method add, got');
  });

  it('writes the runs train and val below the logdir and nothing beside them', async () => {
    const logdir = join(temporaryFolder(), 'run');
    const tracker = new SaturationTracker(logdir, model);
    await train(tracker);
    await tracker.close();
    expect((await listRuns(logdir)).map(({ run, files }) => [run, files.length])).toEqual([
      ['train', 1],
      ['val', 1],
    ]);
    expect(readdirSync(logdir).sort()).toEqual(['train', 'val']);
    for (const split of ['train', 'val']) {
      const summaries = await summariesOf(join(logdir, split));
      const expected = [
        'epoch_loss',
        'epoch_mae',
        'eigenvalues/hidden',
        'eigenvalues/output',
        'intrinsic-dimensionality/hidden',
        'intrinsic-dimensionality/output',
        'saturation-heat-map',
        'saturation-note',
        'saturation/hidden',
        'saturation/output',
        'spectrum/hidden',
        'spectrum/output',
      ];
      // The layout goes into the run that is written to first, which is train.
      if (split === 'train') expected.push('saturation-summary', 'custom_scalars__config__');
      else expected.push('saturation-table');
      const isOfFewRows = (tag: string) => /^saturation-(corrected|low|high)\//.test(tag);
      const tags = new Set(summaries.map(({ tag }) => tag).filter((tag) => !isOfFewRows(tag)));
      expect([...tags].sort()).toEqual(expected.sort());
      expect(repeated(summaries)).toEqual([]);
      // A layer of the native backend is summed on the host until the worker thread has started: then its note changes.
      const notes = pointsOf(summaries, 'saturation-note').map(([step]) => step);
      expect(notes[0]).toBe(1);
      if (tf.getBackend() !== 'tensorflow') expect(notes).toEqual([1]);
      for (const tag of expected) {
        const steps = pointsOf(summaries, tag).map(([step]) => step);
        const once: Record<string, number[]> = {
          custom_scalars__config__: [0],
          'saturation-note': notes,
          'saturation-summary': [3],
          'saturation-table': [3],
        };
        expect([tag, steps]).toEqual([tag, once[tag] ?? [1, 2, 3]]);
      }
    }
  });

  it('begins the run of train before that of val, by which TensorBoard colors them', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const tracker = new SaturationTracker(writer, model);
    await train(tracker, { epochs: 1 });
    await tracker.close();
    await writer.close();
    expect([...output.runs.keys()]).toEqual(['train', 'val']);
  });

  it("writes fit's history, and the values that addSaturations resolves to, split by split", async () => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const tracker = new SaturationTracker(logdir, model, { saveTo: ['tensorboard', store] });
    const { history } = await train(tracker, { epochs: 2 });
    tracker.record('val', () => tf.tidy(() => void model.predict(x)));
    const results = await tracker.addSaturations(17);
    await tracker.close();
    expect(results).toEqual(
      ['hidden', 'output'].map((layer) => {
        const { samples, rejected, features, values } = store.layer('val', layer, 2);
        const { saturation, intrinsicDimensionality } = values;
        const counts = { samples, effectiveSamples: samples, rejected, features };
        return { split: 'val', layer, ...counts, saturation, intrinsicDimensionality };
      }),
    );
    for (const split of ['train', 'val'] as const) {
      const summaries = await summariesOf(join(logdir, split));
      for (const metric of ['loss', 'mae']) {
        const logged = history[split === 'val' ? `val_${metric}` : metric] as number[];
        expect(pointsOf(summaries, `epoch_${metric}`)).toEqual(
          logged.map((value, epoch) => [epoch + 1, Math.fround(value)]),
        );
      }
      for (const layer of ['hidden', 'output']) {
        const epochs = split === 'val' ? [0, 1, 2] : [0, 1];
        const stepOf = (epoch: number) => (epoch === 2 ? 17 : epoch + 1);
        for (const [tag, stat] of [
          ['saturation', 'saturation'],
          ['intrinsic-dimensionality', 'intrinsicDimensionality'],
        ] as const) {
          expect(pointsOf(summaries, `${tag}/${layer}`)).toEqual(
            epochs.map((epoch) => [stepOf(epoch), Math.fround(store.layer(split, layer, epoch).values[stat]!)]),
          );
        }
        for (const [index, [, value]] of pointsOf(summaries, `spectrum/${layer}`).entries()) {
          const { buckets } = value as HistogramValue;
          const { eigenvalues, rank } = store.layer(split, layer, index).spectrum!;
          expect(buckets[0]).toBeCloseTo(Math.log10(eigenvalues[rank - 1]), 10);
          expect(buckets[buckets.length - 2]).toBeCloseTo(Math.log10(eigenvalues[0]), 10);
          expect(buckets.filter((_, at) => at % 3 === 2).reduce((a, b) => a + b)).toBe(rank);
        }
      }
    }
  });

  it('lays out one chart over all saturations, once', async () => {
    const logdir = temporaryFolder();
    const tracker = new SaturationTracker(logdir, model);
    await train(tracker);
    await tracker.close();
    const all = [...(await summariesOf(join(logdir, 'train'))), ...(await summariesOf(join(logdir, 'val')))];
    const layouts = all.filter(({ plugin }) => plugin === 'custom_scalars');
    expect(layouts).toHaveLength(1);
    const { layout } = layouts[0].value as CustomScalarsValue;
    expect(JSON.stringify(layout)).toContain('"^saturation/"');
  });

  it('draws the profile, the heat map and the table, each beside n and d', async () => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const tracker = new SaturationTracker(logdir, model, {
      saveTo: [store, 'tensorboard'],
      threshold: 0.9,
      profileHistogram: true,
    });
    await train(tracker);
    await tracker.close();
    const summaries = await summariesOf(join(logdir, 'train'));
    const saturations = [0, 1, 2].map((epoch) =>
      ['hidden', 'output'].map((layer) => store.layer('train', layer, epoch).values.saturation!),
    );
    const profiles = pointsOf(summaries, 'saturation-profile').map(([, value]) => (value as HistogramValue).buckets);
    expect(profiles.map((buckets) => [...buckets])).toEqual(
      saturations.map(([hidden, output]) => [0, 1, hidden, 1, 2, output]),
    );
    const images = pointsOf(summaries, 'saturation-heat-map').map(([, value]) => value as ImagesValue);
    for (const { encoded, width, height } of images) {
      const png = PNG.sync.read(Buffer.from(encoded[0]));
      expect([png.width, png.height]).toEqual([width, height]);
    }
    expect(pointsOf(summaries, 'saturation-table')).toEqual([]);
    const tables = pointsOf(await summariesOf(join(logdir, 'val')), 'saturation-table');
    expect(tables.map(([step]) => step)).toEqual([3]);
    const [, table] = tables[0];
    const text = (table as TextValue).strings[0];
    expect(text).toMatch(/Directions needed for 90 % of the variance \(paper rule\)/);
    const { values } = store.layer('val', 'hidden', 2);
    expect(text).toContain(
      `| hidden | 8 | 10 | 1.25 | ${values.intrinsicDimensionality} | ${values.saturation!.toFixed(4)} |`,
    );
    const described = summaries.find(({ tag }) => tag === 'saturation/hidden')!;
    expect(described.description).toMatch(/90 %, paper rule.*d = 8,.*n = 30 samples/);
  });

  it('writes what stats asks for and nothing else', async () => {
    const logdir = temporaryFolder();
    const tracker = new SaturationTracker(logdir, model, { stats: ['trc', 'det', 'dtrc', 'cov'] });
    await train(tracker, { epochs: 1 });
    await tracker.close();
    const tags = (await summariesOf(join(logdir, 'val'))).map(({ tag }) => tag).filter((tag) => !/^epoch_/.test(tag));
    expect(tags.sort()).toEqual([
      'determinant/hidden',
      'determinant/output',
      'diagonal-trace/hidden',
      'diagonal-trace/output',
      'saturation-note',
      'trace/hidden',
      'trace/output',
    ]);
  });

  it('writes the embedding as picture and for the projector', async () => {
    const logdir = temporaryFolder();
    const tracker = new SaturationTracker(logdir, model, { stats: ['embed'] });
    await train(tracker, { epochs: 2 });
    await tracker.close();
    const run = join(logdir, 'train');
    const images = pointsOf(await summariesOf(run), 'embedding/hidden');
    expect(images.map(([step]) => step)).toEqual([1, 2]);
    PNG.sync.read(Buffer.from((images[0][1] as ImagesValue).encoded[0]));
    const config = readFileSync(join(run, 'projector_config.pbtxt'), 'utf8');
    expect(config.match(/tensor_name/g)).toHaveLength(2);
    const path = /tensor_path: "([^"]*hidden[^"]*)"/.exec(config)![1];
    expect(readFileSync(join(run, path), 'utf8').trim().split('\n')).toHaveLength(30);
  });

  it('writes the mean over layers if averageSaturation asks for it', async () => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const tracker = new SaturationTracker(logdir, model, { averageSaturation: true, saveTo: ['tensorboard', store] });
    await train(tracker, { epochs: 1 });
    await tracker.close();
    for (const split of ['train', 'val']) {
      const [hidden, output] = ['hidden', 'output'].map((layer) => store.layer(split, layer).values.saturation!);
      expect(pointsOf(await summariesOf(join(logdir, split)), 'average-saturation')).toEqual([
        [1, Math.fround((hidden + output) / 2)],
      ]);
    }
  });

  it("puts the user's own scalars into the root run and every store", async () => {
    const logdir = temporaryFolder();
    const store = new RecordingStore();
    const tracker = new SaturationTracker(logdir, model, { saveTo: ['tensorboard', store] });
    tracker.addScalar('lr', 0.5);
    await train(tracker, { epochs: 1 });
    tracker.addScalar('lr', 0.25);
    tracker.addScalar('own', 3, 40);
    await tracker.addSaturations();
    await tracker.close();
    const root = (await summariesOf(logdir)).map(({ tag, step, value }) => [tag, step, value]);
    expect(root).toEqual([
      ['lr', 1, 0.5],
      ['lr', 2, 0.25],
      ['own', 40, 3],
    ]);
    expect(store.epochs.map(({ scalars }) => scalars)).toEqual([
      [{ tag: 'lr', value: 0.5 }],
      [
        { tag: 'lr', value: 0.25 },
        { tag: 'own', value: 3 },
      ],
    ]);
  });

  it("leaves a writer of the user's open, and flushed", async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const tracker = new SaturationTracker(writer, model);
    await train(tracker, { epochs: 1 });
    await tracker.close();
    expect([writer.isClosed, writer.pendingBytes]).toEqual([false, 0]);
    writer.run('train').addScalar('mine', 1, 1);
    await writer.close();
    expect(pointsOf(await summariesOf(join(logdir, 'train')), 'mine')).toEqual([[1, 1]]);
    expect(pointsOf(await summariesOf(join(logdir, 'val')), 'saturation/hidden')).toHaveLength(1);
  });

  it('writes to memory: any Output that has runs', async () => {
    const outputs = [new MemoryOutput(), new MemoryOutput()];
    const trackers = outputs.map((output) => new SaturationTracker(new SummaryWriter(output), model));
    const { history } = await model.fit(x, y, {
      epochs: 2,
      verbose: 0,
      validationSplit: 0.25,
      callbacks: trackers.map((tracker) => tracker.callback()),
    });
    for (const tracker of trackers) await tracker.close();
    for (const output of outputs) {
      expect([...output.runs.keys()].sort()).toEqual(['train', 'val']);
      const val = await summariesOf(output.runs.get('val')!.bytes);
      expect(pointsOf(val, 'epoch_loss')).toEqual(
        (history.val_loss as number[]).map((value, epoch) => [epoch + 1, Math.fround(value)]),
      );
      expect(pointsOf(val, 'saturation/hidden')).toHaveLength(2);
    }
  });

  it('an Output without runs, or without companion files, costs only what needs them', async () => {
    const withoutRuns = new SaturationTracker(
      new SummaryWriter({ write() {}, flush: async () => {}, close: async () => {} }),
      model,
    );
    await train(withoutRuns, { epochs: 1 });
    await expect(withoutRuns.close()).rejects.toThrow(/this Output has no runs/);
    const memory = new MemoryOutput();
    const val = new MemoryOutput();
    const run = (name: string) => ({
      write: (bytes: Uint8Array) => (name === 'val' ? val : memory).write(bytes),
      flush: async () => {},
      close: async () => {},
    });
    const output = { ...run('root'), run };
    const withoutFiles = new SaturationTracker(new SummaryWriter(output), model, {
      stats: ['embedding', 'trace', 'lsat'],
    });
    await train(withoutFiles, { epochs: 1 });
    await expect(withoutFiles.close()).rejects.toThrow(/takes no companion files/);
    for (const bytes of [memory.bytes, val.bytes]) {
      const tags = new Set((await summariesOf(bytes)).map(({ tag }) => tag));
      expect(tags).toContain('trace/output');
      expect(tags).toContain('saturation-heat-map');
    }
  });

  it('a logdir that is a file is a clear error, and leaves the model alone', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'taken');
    writeFileSync(file, '');
    const keys = Reflect.ownKeys(model.layers[0]);
    for (const logdir of [file, join(file, 'below')]) {
      expect(() => new SaturationTracker(logdir, model)).toThrow(
        /Cannot make the logdir '.*taken.*': expected a folder, got a file/,
      );
    }
    expect(() => new SaturationTracker('', model)).toThrow(/logdir: expected a non-empty string/);
    expect(Reflect.ownKeys(model.layers[0])).toEqual(keys);
    expect(readdirSync(folder)).toEqual(['taken']);
  });

  it('makes no event file if TensorBoard was not asked for', async () => {
    const logdir = join(temporaryFolder(), 'run');
    const tracker = new SaturationTracker(logdir, model, { saveTo: 'csv' });
    tracker.addScalar('mine', 1);
    await train(tracker);
    await tracker.close();
    expect([existsSync(logdir), existsSync(`${logdir}.csv`)]).toEqual([false, true]);
  });

  it('resumes at initialEpoch everywhere: what is later goes, nothing earlier is lost', async () => {
    const logdir = join(temporaryFolder(), 'run');
    const saveTo = ['tensorboard', 'csv', 'npy'] as const;
    const first = new SaturationTracker(logdir, model, { saveTo });
    for (let epoch = 0; epoch < 5; epoch++) first.addScalar('mine', epoch, epoch + 1);
    await train(first, { epochs: 5 });
    await first.close();
    const own = new RecordingStore();
    const second = new SaturationTracker(logdir, model, { saveTo: [...saveTo, own], initialEpoch: 2 });
    second.addScalar('mine', 100, 3);
    await train(second, { initialEpoch: 2, epochs: 4 });
    await second.close();
    expect(own.resumedAt).toBe(2);
    for (const split of ['train', 'val']) {
      const visible = await visibleSteps(join(logdir, split));
      expect(visible.get('saturation/hidden')).toEqual([1, 2, 3, 4]);
      expect(visible.get('epoch_loss')).toEqual([1, 2, 3, 4]);
    }
    expect((await visibleSteps(logdir)).get('mine')).toEqual([1, 2, 3]);
    for (const table of [
      EpochTable.parse(readFileSync(`${logdir}.csv`, 'utf8')),
      await reconstructCsv(logdir, { stats: ['lsat', 'idim'] }),
    ]) {
      expect(table.epochs).toEqual([0, 1, 2, 3]);
      for (const column of ['train-saturation_hidden', 'eval-saturation_output']) {
        expect([...table.values(column)].every((value) => value > 0)).toBe(true);
      }
    }
  });

  it("resumes in a writer of the user's that was opened with purgeStep", async () => {
    const logdir = temporaryFolder();
    const first = new SaturationTracker(logdir, model);
    await train(first, { epochs: 4 });
    await first.close();
    const writer = new SummaryWriter(logdir, { purgeStep: 3 });
    const second = new SaturationTracker(writer, model, { initialEpoch: 2 });
    await train(second, { initialEpoch: 2, epochs: 3 });
    await second.close();
    await writer.close();
    for (const split of ['train', 'val']) {
      const visible = await visibleSteps(join(logdir, split));
      expect(visible.get('saturation/hidden')).toEqual([1, 2, 3]);
      expect(visible.get('epoch_loss')).toEqual([1, 2, 3]);
    }
  });

  it('a resumed run without validation makes no run val of its own', async () => {
    const logdir = temporaryFolder();
    const tracker = new SaturationTracker(logdir, model, { initialEpoch: 1 });
    await train(tracker, { initialEpoch: 1, epochs: 2, validationSplit: 0 });
    await tracker.close();
    expect(readdirSync(logdir)).toEqual(['train']);
    expect((await visibleSteps(join(logdir, 'train'))).get('saturation/hidden')).toEqual([2]);
  });

  it('a closed tracker refuses what would be lost, and its callback says so and does nothing', async () => {
    const store = new RecordingStore();
    const tracker = new SaturationTracker(temporaryFolder(), model, { saveTo: ['tensorboard', store] });
    await tracker.close();
    await tracker.close();
    await expect(tracker.addSaturations()).rejects.toThrow(/closed/);
    expect(() => tracker.addScalar('x', 1)).toThrow(/addScalar "x".*closed/);
    await train(tracker, { epochs: 1 });
    expect(store.epochs).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('expected an open tracker, got the one of')]);
  });

  it('closed in the middle of a fit, it writes what was measured and lets the fit go on', async () => {
    const store = new RecordingStore();
    const tracker = new SaturationTracker(temporaryFolder(), model, { saveTo: ['tensorboard', store] });
    class Closer extends tf.Callback {
      override async onEpochEnd(epoch: number) {
        if (epoch === 1) await tracker.close();
      }
    }
    const { epoch } = await train(tracker, { epochs: 4, callbacks: [tracker.callback(), new Closer()] });
    expect(epoch).toEqual([0, 1, 2, 3]);
    expect(store.epochs.map((each) => each.layers.length)).toEqual([4, 4]);
    expect(warnings.filter((warning) => warning.includes('SaturationTracker'))).toEqual([]);
  });
});

/** The steps of each tag that TensorBoard shows: a session start hides what stands before it at its step and later. */
async function visibleSteps(run: string): Promise<Map<string, number[]>> {
  const steps = new Map<string, number[]>();
  for await (const { step, sessionLog, summary } of readEvents(run)) {
    if (sessionLog?.status === 'start') {
      for (const [tag, seen] of steps)
        steps.set(
          tag,
          seen.filter((each) => each < Number(step)),
        );
    }
    for (const { tag } of summary ?? []) {
      const seen = steps.get(tag) ?? [];
      // A kept point is written again after the session start, for the Rust loader.
      if (!seen.includes(Number(step))) seen.push(Number(step));
      steps.set(tag, seen);
    }
  }
  return steps;
}

/** Records at the beginning of each epoch how many epochs a store has received. */
class Watcher extends tf.Callback {
  readonly seen: number[] = [];
  readonly #stored: () => number;
  constructor(stored: () => number) {
    super();
    this.#stored = stored;
  }
  override async onEpochBegin(): Promise<void> {
    this.seen.push(this.#stored());
  }
}

describe.each(backends)('a fit on %s with the callback of a tracker', (backend) => {
  beforeAll(() => useBackend(backend));

  it('hands an epoch to the stores before the next one but one begins, even if TensorFlow.js never yields', async () => {
    // Wide enough to be solved by a worker, whose answer arrives only when the event loop turns.
    const model = tf.sequential({
      layers: [tf.layers.dense({ units: 300, inputShape: [20] }), tf.layers.dense({ units: 1 })],
    });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    let stored = 0;
    const store = {
      add: () => {
        stored++;
      },
    };
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    const watcher = new Watcher(() => stored);
    const xs = normalTensor([64, 20], 1);
    const ys = normalTensor([64, 1], 2);
    const batches = tf.data.generator(function* () {
      for (let i = 0; i < 4; i++) yield { xs: xs.slice([i * 16], [16]), ys: ys.slice([i * 16], [16]) };
    } as () => Iterator<tf.TensorContainer>);
    await model.fitDataset(batches as never, { epochs: 5, verbose: 0, callbacks: [tracker.callback(), watcher] });
    await tracker.close();
    for (const [epoch, count] of watcher.seen.entries()) expect(count).toBeGreaterThanOrEqual(epoch - 1);
    expect(watcher.seen).toHaveLength(5);
    expect(stored).toBe(5);
    tf.dispose([xs, ys]);
    model.dispose();
  });

  it('lets the event loop turn while it trains', async () => {
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 4, inputShape: [4] })] });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const tracker = new SaturationTracker('unused', model, { saveTo: [{ add: () => {} }] });
    const xs = normalTensor([8, 4], 1);
    let turned = false;
    setTimeout(() => {
      turned = true;
    }, 0);
    let duringFit: boolean | undefined;
    class Last extends tf.Callback {
      override async onTrainEnd(): Promise<void> {
        duringFit = turned;
      }
    }
    const batches = tf.data.generator(function* () {
      yield { xs: xs.clone(), ys: xs.clone() };
    } as () => Iterator<tf.TensorContainer>);
    await model.fitDataset(batches as never, { epochs: 2, verbose: 0, callbacks: [new Last(), tracker.callback()] });
    await tracker.close();
    expect(duringFit).toBe(true);
    xs.dispose();
    model.dispose();
  });
});

import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PcaLayer, pcaLayer, setPcaThresholds } from '../../src/pca/pca-model.js';
import { storeOf } from '../../src/recording/store-of.js';
import { CsvStore } from '../../src/stores/csv-store.js';
import { EpochTable } from '../../src/stores/epoch-table.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import { reconstructCsv } from '../../src/stores/reconstruct-csv.js';
import type { SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { epochOf, layer } from '../support/epochs.js';
import { temporaryFolder } from '../support/folders.js';
import { normalTensor } from '../support/models.js';
import { normals } from '../support/random.js';
import { pointsOf, summariesOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

// One test for each known error of Delve 0.1.50 that this package could share. Its title begins with the error's number.

const delveOutputs = fileURLToPath(new URL('../fixtures/delve_outputs', import.meta.url));

/** What a csv store has written so far. */
const tableOf = (files: MemoryStoreFiles, path = 'run.csv') =>
  EpochTable.parse(new TextDecoder().decode(files.files.get(path)));

describe("Delve's errors have no twin in the stores", () => {
  let files: MemoryStoreFiles;
  let folder: string;
  beforeEach(() => {
    files = new MemoryStoreFiles();
    folder = temporaryFolder();
  });

  it('B09: an epoch without validation, and the same epoch twice in a row, are saved', async () => {
    for (const store of [new CsvStore('run', { files }), new NpyStore('run', { files })]) {
      await store.add(epochOf(0, [layer('fc', 'train'), layer('fc', 'val')]));
      await store.add(epochOf(1, [layer('fc', 'train')]));
      await store.add(epochOf(1, []));
      await store.add(epochOf(2, [layer('fc', 'train'), layer('fc', 'val')]));
    }
    for (const table of [tableOf(files), await reconstructCsv('run', { files })]) {
      expect([...table.values('train-saturation_fc')]).toEqual([0.375, 0.375, 0.375]);
      expect([...table.values('eval-saturation_fc')]).toEqual([0.375, Number.NaN, 0.375]);
    }
  });

  it('B10: statistics that are NaN are saved as such, and later ones as what they are', async () => {
    const nothing = { saturation: Number.NaN, trace: Number.NaN };
    for (const store of [new CsvStore('run', { files }), new NpyStore('run', { files })]) {
      await store.add(epochOf(0, [layer('fc', 'train', { values: nothing })]));
      await store.add(epochOf(1, [layer('fc', 'train', { values: { saturation: 0.5, trace: 2 } })]));
    }
    for (const table of [tableOf(files), await reconstructCsv('run', { files })]) {
      expect([...table.values('train-covariance-trace_fc')]).toEqual([Number.NaN, 2]);
    }
  });

  it('B11: a column that first appears later is padded', async () => {
    const store = new CsvStore('run', { files });
    await store.add(epochOf(0, [layer('fc', 'train')]));
    await store.add(epochOf(1, [layer('fc', 'train')], [{ tag: 'late', value: 7 }]));
    expect([...tableOf(files).values('late')]).toEqual([Number.NaN, 7]);
  });

  it('B31: making a store makes no folder and changes no options', () => {
    const options = Object.freeze({ files: undefined });
    for (const name of ['csv', 'npy', 'plot', 'console'] as const) storeOf(name, join(folder, 'run'), options);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('B32: resuming at epoch 2 of 5 leaves 2 epochs and continues with the third', async () => {
    const full = [0, 1, 2, 3, 4].map((epoch) =>
      epochOf(epoch, [layer('fc', 'train')], [{ tag: 'epoch', value: epoch }]),
    );
    for (const make of [() => new CsvStore('run', { files }), () => new NpyStore('run', { files })]) {
      const first = make();
      for (const epoch of full) await first.add(epoch);
      const second = make();
      await second.resume(2);
      await second.add(full[2]);
    }
    for (const table of [tableOf(files), await reconstructCsv('run', { files })]) {
      expect(table.epochs).toEqual([0, 1, 2]);
      expect([...table.values('epoch')]).toEqual([0, 1, 2]);
    }
  });

  it("B32: a tracker continues Delve's own csv and npy files at its initialEpoch", async () => {
    cpSync(delveOutputs, folder, { recursive: true });
    await tf.setBackend('cpu');
    // Orthogonal: three directions of equal weight, whatever the initializer draws.
    const kernelInitializer = tf.initializers.orthogonal({ seed: 1 });
    const dense = tf.layers.dense({ units: 5, inputShape: [3], kernelInitializer, name: 'fc_one' });
    const model = tf.sequential({ layers: [dense] });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const tracker = new SaturationTracker(join(folder, 'run'), model, {
      saveTo: ['csv', 'npy'],
      stats: ['lsat', 'idim', 'cov', 'det', 'trc', 'dtrc'],
      initialEpoch: 2,
    });
    const [x, y] = [normalTensor([20, 3], 1), normalTensor([20, 5], 2)];
    await model.fit(x, y, {
      initialEpoch: 2,
      epochs: 4,
      validationData: [x, y],
      verbose: 0,
      callbacks: tracker.callback(),
    });
    await tracker.close();
    const csv = EpochTable.parse(readFileSync(join(folder, 'run.csv'), 'utf8'));
    const npy = await reconstructCsv(join(folder, 'run'));
    for (const table of [csv, npy]) {
      expect(table.epochs).toEqual([0, 1, 2, 3]);
      expect([...table.values('train_accuracy')]).toEqual([0.5, 0.6, Number.NaN, Number.NaN]);
      const saturation = table.values('eval-saturation_fc_one');
      expect([...saturation.subarray(0, 2)]).toEqual([0.6, 0.6]);
      // Three inputs reach five units: what they hold has three dimensions.
      expect([...saturation.subarray(2)]).toEqual([0.6, 0.6]);
      expect(table.value(1, 'train-covariance-trace_fc_one')).toBe(1.103083804989839);
      expect(table.value(3, 'train-covariance-trace_fc_one')).toBeGreaterThan(0);
      expect(table.value(3, 'eval-saturation_block-0')).toBeNaN();
    }
    tf.dispose([x, y]);
    model.dispose();
  });

  it('B33: nothing is written into the working directory', async () => {
    const [before, here, elsewhere] = [process.cwd(), join(folder, 'here'), join(folder, 'elsewhere')];
    mkdirSync(here);
    process.chdir(here);
    try {
      for (const store of [new CsvStore(join(elsewhere, 'run')), new NpyStore(join(elsewhere, 'run'))]) {
        await store.add(epochOf(0, [layer('fc', 'train')]));
      }
    } finally {
      process.chdir(before);
    }
    expect(readdirSync(here)).toEqual([]);
    expect(readdirSync(elsewhere).sort()).toEqual(['run', 'run.csv']);
  });

  it('W03: a layer name with _ in it keeps all of its parts', async () => {
    await new NpyStore('run', { files }).add(epochOf(0, [layer('fc_one_a', 'train')]));
    expect((await reconstructCsv('run', { files })).columns).toContain('train-saturation_fc_one_a');
  });

  it('E06: thresholds outside (0, 1] are refused', async () => {
    await new NpyStore('run', { files }).add(epochOf(0, [layer('fc', 'train', { covariance: new Float64Array(64) })]));
    for (const threshold of [-1, 0, 99, Number.NaN]) {
      await expect(reconstructCsv('run', { threshold, files })).rejects.toThrow(RangeError);
    }
  });
});

describe("Delve's errors have no twin in the PCA layers", () => {
  catchWarnings();
  beforeEach(async () => {
    await tf.setBackend('cpu');
  });

  /** Rows on a line through a point far from the origin: one dimension holds all of their variance. */
  const line = () =>
    tf.tidy(() =>
      normalTensor([50, 1], 1)
        .matMul(tf.tensor2d([[1, -2, 3]]))
        .add([5, 50, -5]),
    );
  const train = (pca: PcaLayer, x: tf.Tensor) => tf.tidy(() => void pca.apply(x, { training: true }));
  const distance = (a: tf.Tensor, b: tf.Tensor) => tf.tidy(() => a.sub(b).abs().max().dataSync()[0]);

  it('P01: the mean is taken away before projecting and put back after', () => {
    const [x, pca] = [line(), pcaLayer()];
    train(pca, x);
    expect(pca.dimensions).toBe(1);
    expect(distance(pca.apply(x) as tf.Tensor, x)).toBeLessThan(1e-4);
  });

  it('P02: coordinates about the mean need no width that they have not', () => {
    const [x, pca] = [line(), pcaLayer({ keepDim: false })];
    train(pca, x);
    const coordinates = pca.apply(x) as tf.Tensor;
    expect(coordinates.shape).toEqual([50, 1]);
    expect(coordinates.mean().dataSync()[0]).toBeCloseTo(0, 4);
  });

  it('P03: evaluation before any training, and after loading, works', async () => {
    const x = line();
    const make = () =>
      tf.sequential({
        layers: [tf.layers.inputLayer({ inputShape: [3] }), pcaLayer({ name: 'pca', threshold: 0.9 })],
      });
    const model = make();
    expect(distance(model.predict(x) as tf.Tensor, x)).toBe(0);
    tf.tidy(() => void model.apply(x, { training: true }));
    const projected = model.predict(x) as tf.Tensor;
    const loaded = make();
    loaded.setWeights(model.getWeights());
    expect(distance(loaded.predict(x) as tf.Tensor, projected)).toBe(0);
    expect(setPcaThresholds(loaded, 1)[0].width).toBe(3);
  });

  it('B16: a row with NaN does not spoil the axes', () => {
    const pca = pcaLayer();
    const x = line();
    train(pca, x);
    train(pca, tf.tensor2d([[Number.NaN, 0, 0]]));
    expect(pca.dimensions).toBe(1);
    expect(pca.spectrum?.samples).toBe(50);
  });

  it('B18: a mean far larger than the deviations leaves the axes as they are', () => {
    const pca = pcaLayer();
    train(
      pca,
      tf.tidy(() => line().add(1e4)),
    );
    expect(pca.dimensions).toBe(1);
  });

  it('E04: a layer that is not trained is not taken for one that is evaluated', () => {
    const [x, pca] = [line(), pcaLayer()];
    train(pca, x);
    pca.apply(x);
    pca.trainable = false;
    const off = tf.randomNormal([4, 3]);
    const passed = pca.apply(off, { training: true }) as tf.Tensor;
    expect(distance(passed, off)).toBe(0);
    expect(pca.spectrum?.samples).toBe(50);
  });

  it('E06: thresholds outside (0, 1] are refused', () => {
    for (const threshold of [-1, 0, 99]) {
      expect(() => pcaLayer({ threshold })).toThrow(RangeError);
    }
  });

  it('E09: what was seen keeps no tensor and no gradient', () => {
    const [x, pca] = [line(), pcaLayer()];
    train(pca, x);
    pca.apply(x);
    const before = tf.memory().numTensors;
    for (let k = 0; k < 10; k++) train(pca, x);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("Delve's errors have no twin in the tracker", () => {
  const disposables: { dispose(): unknown }[] = [];
  let folder: string;
  catchWarnings();
  beforeEach(async () => {
    folder = temporaryFolder();
    await tf.setBackend('cpu');
  });
  afterEach(() => {
    for (const each of disposables.splice(0)) each.dispose();
  });

  /** Disposes of a model or tensor after the test. */
  function held<T extends { dispose(): unknown }>(each: T): T {
    disposables.push(each);
    return each;
  }

  const model = (...layers: tf.layers.Layer[]) => held(tf.sequential({ layers }));
  /** A dense layer that puts out its inputs. */
  const identity = (features: number, name = 'fc') =>
    tf.layers.dense({ inputShape: [features], units: features, kernelInitializer: 'identity', name });
  const pass = (tracker: SaturationTracker, net: tf.LayersModel, x: tf.Tensor, split: 'train' | 'val' = 'train') =>
    tracker.record(split, () => tf.dispose(net.predictOnBatch(x)));

  /** What a tracker finds in one pass. */
  async function seen(net: tf.LayersModel, x: tf.Tensor, options: SaturationOptions = {}) {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', net, {
      stats: ['lsat', 'idim', 'cov'],
      ...options,
      saveTo: [store],
    });
    pass(tracker, net, x);
    await tracker.addSaturations();
    await tracker.close();
    return store;
  }

  it('B02: a layer that needs one direction has dimensionality 1, and thresholds up to 1 are those of the paper', async () => {
    const x = held(tf.tidy(() => normalTensor([60, 1], 1).matMul(tf.tensor2d([[1, -2, 3, 0]]))));
    const line = await seen(model(identity(4)), x);
    expect(line.layer('train', 'fc').values).toMatchObject({ intrinsicDimensionality: 1, saturation: 0.25 });
    const even = held(
      tf.tensor2d([...Array(8).keys()].map((bits) => [0, 1, 2].map((bit) => ((bits >> bit) & 1) * 2 - 1))),
    );
    for (const [threshold, dimensions] of [
      [1, 3],
      [0.6, 2],
      [0.3, 1],
    ]) {
      const found = await seen(model(identity(3)), even, { threshold });
      expect(found.layer('train', 'fc').values.intrinsicDimensionality).toBe(dimensions);
    }
  });

  it('B03: the average of the saturations is the average of the saturations', async () => {
    const net = model(identity(4, 'one'), tf.layers.dense({ units: 1, name: 'two' }));
    const tracker = new SaturationTracker(join(folder, 'run'), net, { averageSaturation: true });
    pass(tracker, net, held(normalTensor([500, 4], 1)), 'val');
    const [one, two] = await tracker.addSaturations();
    await tracker.close();
    const [[, average]] = pointsOf(await summariesOf(join(folder, 'run', 'val')), 'average-saturation');
    expect([one.saturation, two.saturation, average]).toEqual([1, 1, 1]);
  });

  it('B04: each layer and split has an embedding of its own, with the deviations of the principal components', async () => {
    const net = model(identity(3, 'one'), identity(3, 'two'));
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', net, { stats: ['embed'], saveTo: [store] });
    const scaled = (seed: number, ...deviations: number[]) =>
      held(tf.tidy(() => normalTensor([900, 3], seed).mul(deviations).add(70)));
    pass(tracker, net, scaled(1, 4.85, 3.07, 0.1));
    pass(tracker, net, scaled(2, 1, 1, 9), 'val');
    await tracker.addSaturations();
    await tracker.close();
    for (const layer of ['one', 'two']) {
      for (const [split, expected] of [
        ['train', [4.85, 3.07]],
        ['val', [9, 1]],
      ] as const) {
        const points = store.layer(split, layer).embedding!;
        for (const axis of [0, 1]) {
          const values = points.filter((_, i) => i % 2 === axis);
          const mean = values.reduce((a, b) => a + b) / values.length;
          const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
          expect(Math.abs(mean)).toBeLessThan(0.01);
          expect(Math.abs(deviation / expected[axis] - 1)).toBeLessThan(0.1);
        }
      }
    }
  });

  it('B05: TensorBoard gets one file per split, a tag per layer, a step per epoch, covariances or not', async () => {
    const net = model(identity(3, 'one'), identity(3, 'two'));
    const logdir = join(folder, 'run');
    const tracker = new SaturationTracker(logdir, net, { stats: ['lsat', 'idim', 'cov'] });
    for (let epoch = 0; epoch < 4; epoch++) {
      for (const split of ['train', 'val'] as const) pass(tracker, net, held(normalTensor([20, 3], epoch)), split);
      await tracker.addSaturations();
    }
    await tracker.close();
    for (const split of ['train', 'val']) {
      expect(readdirSync(join(logdir, split))).toHaveLength(1);
      for (const tag of ['saturation/one', 'saturation/two', 'intrinsic-dimensionality/one']) {
        expect(pointsOf(await summariesOf(join(logdir, split)), tag).map(([step]) => step)).toEqual([1, 2, 3, 4]);
      }
    }
  });

  it('B08, B27: a filter drops what it says and nothing of a similar name', () => {
    const net = model(
      tf.layers.conv2d({ inputShape: [5, 5, 1], filters: 2, kernelSize: 2, name: 'conv' }),
      tf.layers.conv2d({ filters: 2, kernelSize: 2, name: 'convolution' }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 2, name: 'fc' }),
    );
    const names = (layers: SaturationOptions['layers']) => {
      const tracker = new SaturationTracker('unused', net, { layers, saveTo: [new RecordingStore()] });
      void tracker.close();
      return tracker.layerNames;
    };
    expect(names((layer) => layer.name !== 'convolution')).toEqual(['conv', 'fc']);
    expect(names((layer) => !layer.getClassName().startsWith('Conv'))).toEqual(['fc']);
  });

  it('B09: an epoch without validation, and addSaturations twice in a row, are nothing special', async () => {
    const net = model(identity(3));
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
    const x = held(normalTensor([20, 3], 1));
    for (const splits of [['train', 'val'], ['train'], [], ['val', 'train']] as const) {
      for (const split of splits) pass(tracker, net, x, split);
      await tracker.addSaturations();
    }
    await tracker.close();
    expect(store.epochs.map(({ layers }) => layers.map(({ split }) => split).sort())).toEqual([
      ['train', 'val'],
      ['train'],
      [],
      ['train', 'val'],
    ]);
  });

  it('B12: a single layer goes in a list and has its name; by itself it is a clear error', async () => {
    const layer = identity(3, 'alone');
    const net = model(layer);
    expect(() => new SaturationTracker('unused', layer as never)).toThrow(/A single layer goes in a list: \[layer\]/);
    const tracker = new SaturationTracker('unused', [layer], { saveTo: [new RecordingStore()] });
    pass(tracker, net, held(normalTensor([20, 3], 1)));
    expect((await tracker.addSaturations()).map(({ layer: name, samples }) => [name, samples])).toEqual([
      ['alone', 20],
    ]);
    await tracker.close();
  });

  it('B13: layers of the same name, and names that look like the numbers added to those, are all kept apart', async () => {
    const layers = ['fc', 'fc', 'fc_2', 'fc'].map((name, i) =>
      tf.layers.dense({ inputShape: [2], units: i + 1, name }),
    );
    const nets = layers.map((layer) => model(layer));
    const tracker = new SaturationTracker('unused', layers, { saveTo: [new RecordingStore()] });
    const x = held(normalTensor([9, 2], 1));
    for (const net of nets) pass(tracker, net, x);
    const found = await tracker.addSaturations();
    await tracker.close();
    expect(new Set(tracker.layerNames).size).toBe(4);
    expect(found.map(({ features, samples }) => [features, samples])).toEqual([
      [1, 9],
      [2, 9],
      [3, 9],
      [4, 9],
    ]);
  });

  it('B14: with two trackers, one with a log interval, a layer used twice counts twice for each, and no hook is left', async () => {
    const twice = tf.layers.dense({ units: 3, name: 'twice' });
    const input = tf.input({ shape: [3] });
    const net = held(tf.model({ inputs: input, outputs: twice.apply(twice.apply(input)) as tf.SymbolicTensor }));
    const trackers = [1, 2].map(
      (logInterval) => new SaturationTracker('unused', net, { logInterval, saveTo: [new RecordingStore()] }),
    );
    const x = held(normalTensor([10, 3], 1));
    for (let step = 0; step < 4; step++) {
      trackers[0].record('train', () => trackers[1].record('train', () => tf.dispose(net.predictOnBatch(x))));
    }
    const samples = [];
    for (const tracker of trackers) {
      samples.push((await tracker.addSaturations()).map((each) => each.samples));
      await tracker.close();
    }
    expect(samples).toEqual([[80], [40]]);
    expect(Object.getOwnPropertyNames(twice)).not.toContain('call');
  });

  it('B15: a hooked model can be saved, and cloned by its configuration', async () => {
    const net = model(identity(3, 'one'), identity(3, 'two'));
    const tracker = new SaturationTracker(join(folder, 'run'), net);
    const saved: tf.io.ModelArtifacts[] = [];
    const handler = tf.io.withSaveHandler(async (artifacts) => {
      saved.push(artifacts);
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    });
    await net.save(handler);
    await tracker.close();
    await net.save(handler);
    expect(saved[0].modelTopology).toEqual(saved[1].modelTopology);
    const clone = held(await tf.models.modelFromJSON(net.toJSON(null, false) as never));
    expect(clone.layers.map(({ name }) => name)).toEqual(['one', 'two']);
  });

  it('B16: NaN and Infinity in a batch stop neither the training nor the statistics', async () => {
    const net = model(identity(3));
    net.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', net, { saveTo: [store], logInterval: 1 });
    const values = Array.from({ length: 60 }, (_, i) => Math.sin(i));
    values[4] = Number.NaN;
    values[31] = Number.POSITIVE_INFINITY;
    const [x, y] = [held(tf.tensor2d(values, [20, 3])), held(tf.zeros([20, 3]))];
    const { epoch } = await net.fit(x, y, { epochs: 2, batchSize: 20, verbose: 0, callbacks: tracker.callback() });
    await tracker.close();
    expect(epoch).toEqual([0, 1]);
    expect(store.layer('train', 'fc')).toMatchObject({ samples: 18, rejected: 2 });
    // By then the weights are NaN.
    expect(store.layer('train', 'fc', 1)).toMatchObject({
      samples: 0,
      rejected: 20,
      values: { saturation: Number.NaN },
    });
  });

  it('B17: constants of any size, one per feature, have saturation 0', async () => {
    const constants = Array.from({ length: 64 }, (_, i) => (10 * i) / 63);
    const x = held(tf.tidy(() => tf.tile(tf.tensor2d([constants]), [500, 1]) as tf.Tensor));
    const { values, covariance } = (await seen(model(identity(64)), x)).layer('train', 'fc');
    expect(values).toEqual({ saturation: 0, intrinsicDimensionality: 0 });
    expect(covariance!.every((each) => each === 0)).toBe(true);
  });

  it('B18: a mean a thousand times the deviations changes nothing', async () => {
    const deviations = Array.from({ length: 16 }, (_, i) => 2 ** (3 - Math.floor(i / 2)));
    // Multiples of 1/256, so that adding 1000 rounds nothing in float32.
    const rows = Float32Array.from(normals(400 * 16, 1), (v, i) => Math.round(v * deviations[i % 16] * 256) / 256);
    const at = async (mean: number) =>
      (
        await seen(
          model(identity(16)),
          held(
            tf.tensor2d(
              rows.map((v) => v + mean),
              [400, 16],
            ),
          ),
          { threshold: 0.999 },
        )
      ).layer('train', 'fc');
    const [zero, thousand] = [await at(0), await at(1000)];
    expect(thousand.values).toEqual(zero.values);
    const largest = Math.max(...zero.covariance!);
    zero.covariance!.forEach((each, i) => {
      expect(Math.abs(thousand.covariance![i] - each)).toBeLessThan(1e-10 * largest);
    });
  });

  it('B20: the logarithm of the determinant neither underflows nor overflows', async () => {
    for (const deviation of [1e-6, 1e6]) {
      const x = held(tf.tidy(() => normalTensor([400, 80], 1).mul(deviation)));
      const store = await seen(model(identity(80)), x, { stats: ['det', 'logDeterminant'] });
      const { determinant, logDeterminant } = store.layer('train', 'fc').values;
      expect(determinant).toBe(deviation < 1 ? 0 : Number.POSITIVE_INFINITY);
      expect(Math.abs(logDeterminant! - 160 * Math.log(deviation))).toBeLessThan(20);
    }
  });

  it('B22, B23: a dense layer sees every token, whatever it is called, and the last step is one of time', async () => {
    const net = model(
      tf.layers.dense({ inputShape: [7, 3], units: 5, name: 'encoder_output' }),
      tf.layers.lstm({ units: 4, returnSequences: true, name: 'decoder_lstm' }),
      tf.layers.dense({ units: 2, name: 'decoder_output' }),
    );
    const store = await seen(net, held(normalTensor([11, 7, 3], 1)), { stats: ['lsat'] });
    expect(store.samples()).toEqual({
      'train/encoder_output': 77,
      'train/decoder_lstm': 11,
      'train/decoder_output': 77,
    });
  });

  it('B24: transposed, one- and three-dimensional convolutions, embeddings, GRUs and wrappers put out rows', async () => {
    const text = model(
      tf.layers.embedding({ inputDim: 9, outputDim: 4, inputLength: 6, name: 'embedding' }),
      tf.layers.conv1d({ filters: 3, kernelSize: 2, name: 'conv1d' }),
      tf.layers.bidirectional({ layer: tf.layers.gru({ units: 2, returnSequences: true }) as tf.RNN, name: 'both' }),
      tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 3 }), name: 'each' }),
      tf.layers.gru({ units: 3, name: 'gru' }),
    );
    const words = held(tf.tidy(() => tf.range(0, 48).mod(9).reshape([8, 6])));
    expect((await seen(text, words)).samples()).toEqual({
      'train/embedding': 48,
      'train/conv1d': 40,
      'train/both': 8,
      'train/each': 40,
      'train/gru': 8,
    });
    const volume = model(
      tf.layers.conv3d({ inputShape: [4, 4, 4, 1], filters: 2, kernelSize: 2, name: 'conv3d' }),
      tf.layers.conv3dTranspose({ filters: 3, kernelSize: 2, name: 'transpose3d' }),
    );
    expect((await seen(volume, held(normalTensor([2, 4, 4, 4, 1], 1)))).samples()).toEqual({
      'train/conv3d': 2 * 27,
      'train/transpose3d': 2 * 64,
    });
    const image = model(
      tf.layers.conv2dTranspose({ inputShape: [3, 3, 2], filters: 2, kernelSize: 2, name: 'transpose' }),
      tf.layers.separableConv2d({ filters: 2, kernelSize: 2, name: 'separable' }),
    );
    expect((await seen(image, held(normalTensor([5, 3, 3, 2], 1)))).samples()).toEqual({
      'train/transpose': 5 * 16,
      'train/separable': 5 * 9,
    });
  });

  it('B29: maxSamples counts images, and no interval leaves an epoch empty', async () => {
    const net = model(tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 2, kernelSize: 1, name: 'conv' }));
    const x = held(normalTensor([6, 8, 8, 1], 1));
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', net, { maxSamples: 10, logInterval: 10, saveTo: [store] });
    for (const batches of [9, 12, 25]) {
      for (let batch = 0; batch < batches; batch++) pass(tracker, net, x);
      await tracker.addSaturations();
    }
    await tracker.close();
    expect([0, 1, 2].map((epoch) => store.layer('train', 'conv', epoch).samples)).toEqual([6 * 64, 10 * 64, 10 * 64]);
  });

  it('E02: after stop, resume and an epoch without validation it goes on', async () => {
    const net = model(identity(3));
    const tracker = new SaturationTracker('unused', net, {
      stats: ['trc', 'dtrc', 'cov'],
      saveTo: [new RecordingStore()],
    });
    const x = held(normalTensor([20, 3], 1));
    tracker.stop();
    pass(tracker, net, x);
    expect(await tracker.addSaturations()).toEqual([]);
    tracker.resume();
    pass(tracker, net, x);
    expect((await tracker.addSaturations()).map(({ split, samples }) => [split, samples])).toEqual([['train', 20]]);
    await tracker.close();
  });

  it('E04: a frozen layer is recorded with the split that runs, not as validation', async () => {
    const frozen = identity(3, 'frozen');
    const net = model(frozen, tf.layers.dense({ units: 2, name: 'head' }));
    frozen.trainable = false;
    net.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
    const [x, y] = [held(normalTensor([20, 3], 1)), held(normalTensor([20, 2], 2))];
    await net.fit(x, y, { epochs: 1, verbose: 0, callbacks: tracker.callback() });
    await tracker.close();
    expect(store.samples()).toEqual({ 'train/frozen': 20, 'train/head': 20 });
  });
});

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type PcaLayer, pcaLayer, setPcaThresholds } from '../src/pca-layers.js';
import { SaturationTracker } from '../src/saturation-tracker.js';
import { CsvStore } from '../src/stores/csv-store.js';
import { EpochTable } from '../src/stores/epoch-table.js';
import { MemoryStoreFiles } from '../src/stores/memory-store-files.js';
import { NpyStore } from '../src/stores/npy-store.js';
import { reconstructCsv } from '../src/stores/reconstruct-csv.js';
import { storeOf } from '../src/stores/store-of.js';
import { normalTensor } from './support/backends.js';
import { epochOf, layer } from './support/epochs.js';

// One test per known error of Delve 0.1.50 that could have a twin here. A row's letter and number stand in its name.

const delveOutputs = fileURLToPath(new URL('fixtures/delve_outputs', import.meta.url));

/** What a csv store has written so far. */
const tableOf = (files: MemoryStoreFiles, path = 'run.csv') =>
  EpochTable.parse(new TextDecoder().decode(files.files.get(path)));

describe("Delve's errors have no twin in the stores", () => {
  let files: MemoryStoreFiles;
  let folder: string;
  beforeEach(() => {
    files = new MemoryStoreFiles();
    folder = mkdtempSync(join(tmpdir(), 'delve-bugs-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
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
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 5, inputShape: [3], name: 'fc_one' })] });
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
  beforeEach(async () => {
    await tf.setBackend('cpu');
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  });
  afterEach(() => {
    vi.restoreAllMocks();
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

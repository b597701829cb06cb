import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Stat } from '../../src/saturation/stats.js';
import { EpochTable } from '../../src/stores/epoch-table.js';
import { resolveOptions, type SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { dense, freeWeights, normalTensor, recurrent, seedWeights } from '../support/models.js';
import { distance, normals, twoPassCovariance } from '../support/random.js';
import { summariesOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

// Every option of a tracker changes what a real model shows in the way that it says.

catchWarnings();

describe.each(backends)('the options of a tracker on %s', (backend) => {
  let conv: tf.LayersModel;
  let images: tf.Tensor4D;
  /** The convolution's output, N x 6 x 5 x 4. */
  let maps: Float32Array;
  beforeAll(async () => {
    await useBackend(backend);
    conv = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [8, 7, 2], filters: 4, kernelSize: 3, activation: 'tanh', name: 'conv' }),
      ],
    });
    seedWeights(conv, 5);
    images = normalTensor([30, 8, 7, 2], 6) as tf.Tensor4D;
    maps = tf.tidy(() => (conv.predict(images) as tf.Tensor).dataSync() as Float32Array);
  });

  /** One layer after one pass over some inputs. */
  async function shown(model: tf.LayersModel, x: tf.Tensor, layer: string, options: SaturationOptions) {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, {
      stats: ['cov', 'lsat', 'idim'],
      ...options,
      saveTo: [store],
    });
    tracker.record('val', () => tf.tidy(() => void model.predictOnBatch(x)));
    await tracker.addSaturations();
    await tracker.close();
    return store.layer('val', layer);
  }

  const at = (n: number, h: number, w: number, c: number) => maps[((n * 6 + h) * 5 + w) * 4 + c];
  const places = (n: number, c: number) =>
    Array.from({ length: 30 }, (_, place) => at(n, Math.floor(place / 5), place % 5, c));
  const perImage = (reduce: (values: number[]) => number) =>
    Float64Array.from({ length: 30 * 4 }, (_, i) => reduce(places(Math.floor(i / 4), i % 4)));

  it.each([
    ['channelwise', 4, () => Float64Array.from(maps)],
    ['mean', 4, () => perImage((values) => values.reduce((a, b) => a + b) / 30)],
    ['max', 4, () => perImage((values) => Math.max(...values))],
    ['median', 4, () => perImage((values) => values.sort((a, b) => a - b)[14])],
    ['flatten', 120, () => Float64Array.from(maps)],
  ] as const)('convMethod %s decides how maps become samples', async (convMethod, features, rows) => {
    const found = await shown(conv, images, 'conv', { convMethod });
    const expected = rows();
    expect([found.samples, found.features]).toEqual([expected.length / features, features]);
    expect(distance(found.covariance!, twoPassCovariance(expected, features))).toBeLessThan(1e-6);
  });

  it.each(['nearest', 'bilinear'] as const)(
    'downsample shrinks maps to 3 by %s, before anything else',
    async (method) => {
      const found = await shown(conv, images, 'conv', { downsample: { size: 3, method } });
      // torch.nn.functional.interpolate: nearest takes floor(i * 6 / 3), floor(i * 5 / 3); bilinear (i + 0.5) * scale - 0.5.
      const positions = (length: number) =>
        [0, 1, 2].map((i) => (method === 'nearest' ? Math.floor((i * length) / 3) : ((i + 0.5) * length) / 3 - 0.5));
      const rows: number[] = [];
      for (let n = 0; n < 30; n++) {
        for (const h of positions(6))
          for (const w of positions(5)) for (let c = 0; c < 4; c++) rows.push(between(n, h, w, c));
      }
      expect([found.samples, found.features]).toEqual([30 * 9, 4]);
      expect(distance(found.covariance!, twoPassCovariance(rows, 4))).toBeLessThan(1e-6);
    },
  );

  function between(n: number, h: number, w: number, c: number): number {
    const [top, left] = [Math.floor(h), Math.floor(w)];
    const row = (y: number) => at(n, y, left, c) * (1 - (w - left)) + at(n, y, Math.min(left + 1, 4), c) * (w - left);
    return row(top) * (1 - (h - top)) + row(Math.min(top + 1, 5)) * (h - top);
  }

  it.each([
    ['lastTimestep', 12, 4],
    ['timestepwise', 12, 20],
    ['tokens', 60, 4],
    [undefined, 12, 4],
  ] as const)(
    'timeseriesMethod %s decides how sequences become samples',
    async (timeseriesMethod, samples, features) => {
      const model = recurrent.build();
      const x = recurrent.inputs(12, 3) as tf.Tensor;
      const found = await shown(model, x, 'lstm', { timeseriesMethod });
      expect([found.samples, found.features]).toEqual([samples, features]);
      const output = tf.tidy(() => (model.layers[0].apply(x) as tf.Tensor).dataSync());
      const rows =
        timeseriesMethod === 'timestepwise' || timeseriesMethod === 'tokens'
          ? Float64Array.from(output)
          : Float64Array.from({ length: 48 }, (_, i) => output[(Math.floor(i / 4) * 5 + 4) * 4 + (i % 4)]);
      expect(distance(found.covariance!, twoPassCovariance(rows, features))).toBeLessThan(1e-6);
      // A wrapper's sequence is read by tokens unless asked otherwise.
      const each = await shown(model, x, 'each', { timeseriesMethod });
      expect(each.samples).toBe(timeseriesMethod === undefined || timeseriesMethod === 'tokens' ? 60 : 12);
      x.dispose();
      freeWeights(model);
    },
  );

  it('activations chooses what a layer puts out, or what it has before its activation', async () => {
    const model = dense.build();
    const x = dense.inputs(50, 1) as tf.Tensor;
    const [after, before] = [
      await shown(model, x, 'hidden', { activations: 'output' }),
      await shown(model, x, 'hidden', { activations: 'preActivation' }),
    ];
    const [kernel, bias] = model.layers[0].getWeights();
    const linear = Float64Array.from(tf.tidy(() => x.matMul(kernel).add(bias).dataSync() as Float32Array));
    expect(distance(before.covariance!, twoPassCovariance(linear, 8))).toBeLessThan(1e-6);
    expect(
      distance(
        after.covariance!,
        twoPassCovariance(
          linear.map((v) => Math.max(0, v)),
          8,
        ),
      ),
    ).toBeLessThan(1e-6);
    x.dispose();
    freeWeights(model);
  });

  it('activations reaches the layer that TimeDistributed wraps, before its activation', async () => {
    const each = tf.layers.timeDistributed({
      layer: tf.layers.dense({ units: 4, activation: 'sigmoid' }),
      inputShape: [5, 3],
      name: 'each',
    });
    const model = tf.sequential({ layers: [each] });
    seedWeights(model, 3);
    const x = normalTensor([20, 5, 3], 1);
    const plain = tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync());
    const found = await shown(model, x, 'each', { activations: 'preActivation' });
    const [kernel, bias] = model.getWeights();
    const linear = Float64Array.from(
      tf.tidy(() => x.reshape([100, 3]).matMul(kernel).add(bias).dataSync() as Float32Array),
    );
    expect(found.samples).toBe(100);
    expect(distance(found.covariance!, twoPassCovariance(linear, 4))).toBeLessThan(1e-6);
    expect(tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync())).toEqual(plain);
    x.dispose();
    freeWeights(model);
  });

  it('threshold and rule decide how many dimensions count', async () => {
    const results = [];
    for (const options of [{}, { threshold: 0.5 }, { threshold: 1 }, { rule: 'delve' as const }]) {
      results.push(
        await shown(conv, images, 'conv', { ...options, convMethod: 'flatten', stats: ['idim', 'spectrum'] }),
      );
    }
    const [standard, half, all, delve] = results.map(({ values }) => values.intrinsicDimensionality!);
    const shares = results[0].spectrum!.explainedVariance();
    expect(standard).toBe(shares.findIndex((share) => share >= 0.99) + 1);
    expect(half).toBe(shares.findIndex((share) => share >= 0.5) + 1);
    // 30 images span 29 directions about their mean.
    expect(all).toBe(29);
    expect(delve).toBe(standard - 1);
  });

  it('layers drops, keeps and renames layers', async () => {
    const model = dense.build();
    const tracker = new SaturationTracker('unused', model, {
      saveTo: [new RecordingStore()],
      layers: ({ name }) => (name === 'hidden' ? 'block 1' : name.startsWith('dropout') ? 'dropped' : false),
    });
    expect(tracker.layerNames).toEqual(['block 1', 'dropped']);
    await tracker.close();
    freeWeights(model);
  });

  it("sampling 'auto' uses two rows of a map for one that is needed, other places in each pass", async () => {
    const model = tf.sequential({
      layers: [tf.layers.conv2d({ inputShape: [32, 32, 8], filters: 8, kernelSize: 1, useBias: false, name: 'map' })],
    });
    const identity = tf.tidy(() => tf.eye(8).reshape([1, 1, 8, 8]));
    model.layers[0].setWeights([identity]);
    const stores = [new RecordingStore(), new RecordingStore()];
    const trackers = (['all', 'auto'] as const).map(
      (sampling, i) => new SaturationTracker('unused', model, { sampling, saveTo: [stores[i]] }),
    );
    // The last four features vary only in the last column of the map.
    const isLast = tf.tidy(() => tf.range(0, 32).equal(31).reshape([1, 1, 32, 1]).mul(3));
    const mask = tf.tidy(() => tf.concat([tf.ones([1, 1, 32, 4]), tf.tile(isLast, [1, 1, 1, 4])], 3));
    for (let epoch = 0; epoch < 2; epoch++) {
      for (let batch = 0; batch < 70; batch++) {
        const x = tf.tidy(() => normalTensor([4, 32, 32, 8], batch).mul(mask));
        trackers[0].record('train', () => trackers[1].record('train', () => tf.dispose(model.predictOnBatch(x))));
        x.dispose();
      }
      for (const tracker of trackers) await tracker.addSaturations();
    }
    for (const tracker of trackers) await tracker.close();
    for (const epoch of [0, 1]) {
      const [all, auto] = stores.map((store) => store.layer('train', 'map', epoch));
      expect(all.samples).toBe(70 * 4 * 1024);
      // Outside fit, the number of rows of the first epoch is unknown: all are used.
      if (epoch === 0) expect(auto.samples).toBe(all.samples);
      else expect(Math.abs(auto.samples - 2 * 65_536)).toBeLessThan(70);
      expect(all.values.saturation).toBe(1);
      expect(auto.values.saturation).toBe(1);
    }
    tf.dispose([identity, isLast, mask]);
    freeWeights(model);
  });

  it("sampling 'auto' uses fewer rows if they are many, and shows the same saturation within 0.01", async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ inputShape: [50, 128], units: 128, activation: 'relu', name: 'tokens' }),
        tf.layers.globalAveragePooling1d({ name: 'pool' }),
        tf.layers.dense({ units: 10, name: 'few' }),
      ],
    });
    seedWeights(model, 2);
    const stores = [new RecordingStore(), new RecordingStore()];
    const trackers = (['all', 'auto'] as const).map(
      (sampling, i) => new SaturationTracker('unused', model, { sampling, saveTo: [stores[i]] }),
    );
    const deviations = tf.range(1, 129).pow(-0.5);
    for (let epoch = 0; epoch < 2; epoch++) {
      for (let batch = 0; batch < 100; batch++) {
        const x = tf.tidy(() => normalTensor([10, 50, 128], batch).mul(deviations));
        trackers[0].record('train', () => trackers[1].record('train', () => tf.dispose(model.predictOnBatch(x))));
        x.dispose();
      }
      await Promise.all(trackers.map((tracker) => tracker.addSaturations()));
    }
    for (const tracker of trackers) await tracker.close();
    for (const epoch of [0, 1]) {
      for (const layer of ['tokens', 'few']) {
        const [all, auto] = stores.map((store) => store.layer('train', layer, epoch));
        expect(Math.abs(auto.values.saturation! - all.values.saturation!)).toBeLessThan(0.01);
        expect(all.samples).toBe(layer === 'few' ? 1000 : 50_000);
        // Of a layer of ten, one direction is more than 0.01: so few rows are all used.
        if (layer === 'few') expect(auto.samples).toBe(1000);
        // Outside fit the number of rows of the first epoch is unknown: all are used.
        else if (epoch === 0) expect(auto.samples).toBe(50_000);
        else expect(auto.samples).toBeLessThan(0.5 * 32_000);
      }
    }
    deviations.dispose();
    freeWeights(model);
  });

  it("precision 'float64' is exact if a mean is far larger than the deviations", async () => {
    const layer = tf.layers.dense({
      units: 3,
      inputShape: [3],
      useBias: false,
      kernelInitializer: 'identity',
      name: 'same',
    });
    const model = tf.sequential({ layers: [layer] });
    const values = normals(600 * 3, 1).map((v, i) => 1000 + v * [1, 0.1, 0.01][i % 3]);
    const x = tf.tensor2d(values, [600, 3]);
    const found = await shown(model, x, 'same', { precision: 'float64' });
    const expected = twoPassCovariance(values, 3);
    expect(distance(found.covariance!, expected)).toBeLessThan(1e-10 * expected[0]);
    x.dispose();
    freeWeights(model);
  });

  it('stats measures each statistic that is asked for, and nothing else', async () => {
    const model = dense.build();
    const x = dense.inputs(60, 1) as tf.Tensor;
    const stats: Stat[] = [
      ...['saturation', 'intrinsicDimensionality', 'trace', 'determinant', 'logDeterminant', 'diagonalTrace'],
      ...['participationRatio', 'entropyRank', 'simpsonIndex', 'powerLawExponent', 'conditionNumber'],
    ] as Stat[];
    for (const stat of stats) {
      const { values, spectrum, covariance, embedding } = await shown(model, x, 'output', { stats: [stat] });
      expect(Object.keys(values)).toEqual([stat]);
      expect([spectrum, covariance, embedding]).toEqual([undefined, undefined, undefined]);
    }
    expect((await shown(model, x, 'output', { stats: ['spectrum'] })).spectrum?.samples).toBe(60);
    expect((await shown(model, x, 'output', { stats: ['cov'] })).covariance).toHaveLength(9);
    expect((await shown(model, x, 'output', { stats: ['embed'] })).embedding).toHaveLength(120);
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { stats: ['drift'], saveTo: [store] });
    for (let epoch = 0; epoch < 2; epoch++) {
      tracker.record('val', () => tf.dispose(model.predictOnBatch(x)));
      await tracker.addSaturations();
    }
    await tracker.close();
    expect(store.layer('val', 'output', 0).values).toEqual({});
    expect(store.layer('val', 'output', 1).values.drift).toBeCloseTo(0, 6);
    x.dispose();
    freeWeights(model);
  });

  it('saveTo saves to every store, alone and together, by name or as an object', async () => {
    const model = dense.build();
    const x = dense.inputs(60, 1) as tf.Tensor;
    const logdir = join(temporaryFolder(), 'run');
    const own = new RecordingStore();
    const printed: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((...args) => void printed.push(args.join(' ')));
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed.push(String(text));
      return true;
    });
    const tracker = new SaturationTracker(logdir, model, {
      saveTo: ['tensorboard', 'csv', 'npy', 'plot', 'console', own],
      stats: ['lsat', 'cov'],
    });
    tracker.record('train', () => tf.dispose(model.predictOnBatch(x)));
    const results = await tracker.addSaturations();
    await tracker.close();
    vi.restoreAllMocks();
    const { saturation } = results[0];
    expect(own.layer('train', 'hidden').values.saturation).toBe(saturation);
    const csv = EpochTable.parse(readFileSync(`${logdir}.csv`, 'utf8'));
    expect(csv.value(0, 'train-saturation_hidden')).toBe(saturation);
    expect(
      existsSync(join(logdir, '_train-covariance-matrix_hidden', '_train-covariance-matrix_hidden_epoch0.npy')),
    ).toBe(true);
    expect(readdirSync(join(logdir, '..'))).toContain('run_lsat_train_epoch_0.png');
    expect(printed.join('')).toContain('hidden');
    const tags = (await summariesOf(join(logdir, 'train'))).map(({ tag }) => tag);
    expect(tags).toContain('saturation/hidden');
    x.dispose();
    freeWeights(model);
  });
});

it('the options are not changed, and have their documented defaults', () => {
  const options: SaturationOptions = Object.freeze({ stats: Object.freeze(['lsat']) as never, saveTo: 'csv' as const });
  expect(resolveOptions(options)).toMatchObject({
    scalars: ['saturation'],
    correctsOnlyFew: false,
    saveTo: ['csv'],
  });
  expect(resolveOptions({})).toEqual({
    scalars: ['saturation', 'saturationCorrected', 'saturationLow', 'saturationHigh', 'intrinsicDimensionality'],
    correctsOnlyFew: true,
    spectrum: true,
    covariance: false,
    embedding: false,
    neighbors: false,
    units: false,
    classes: false,
    classesByName: false,
    findEvery: Number.POSITIVE_INFINITY,
    threshold: 0.99,
    rule: 'paper',
    layers: undefined,
    exclude: undefined,
    activations: 'output',
    deterministic: false,
    stopOn: [],
    convMethod: 'channelwise',
    timeseriesMethod: undefined,
    downsample: undefined,
    saveTo: ['tensorboard'],
    sampling: 'all',
    precision: 'auto',
    logInterval: 1,
    maxSamples: Number.POSITIVE_INFINITY,
    maxWidth: 4096,
    wideLayers: 'sketch',
    resetCovariance: true,
    averageSaturation: false,
    profileHistogram: false,
    storedEigenvalues: 4096,
    role: 'alone',
    initialEpoch: 0,
    handleSignals: false,
    signal: undefined,
    forCorrected: false,
  });
});

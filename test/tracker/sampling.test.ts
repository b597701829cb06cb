import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readHistory } from '../../src/saturation/runs.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { extractSaturation } from '../../src/tracker/extract-saturation.js';
import type { SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();

const features = 100;
const rows = 16_000;

/** Orders of data. Each makes rows x features; all but the last need every batch to be seen. */
const orders: Record<string, () => tf.Tensor2D> = {
  'sorted by class': () => tf.concat(classes(20)),
  'in blocks that come back': () => {
    const [a, b, c] = classes(3, 12);
    const blocks = Array.from({ length: 8 }, (_, k) =>
      [a, b, c].map((part) => part.slice([k * 666, 0], [666, features])),
    );
    return tf.concat(blocks.flat()) as tf.Tensor2D;
  },
  drifting: () => {
    const [a, b] = classes(2, 30, rows);
    const time = tf.linspace(0, 1, rows).expandDims(1);
    return a.mul(tf.sub(1, time)).add(b.mul(time.square())).add(time.mul(4));
  },
  'a series with periods that fit the batches': () => {
    const periods = tf.tensor1d(
      Array.from({ length: features }, (_, i) => [2, 3, 4, 5, 8, 10, 20, 25, 50, 125][i % 10] * (1 + (i >> 3))),
    );
    const time = tf.range(0, rows).expandDims(1);
    return tf
      .sin(
        time
          .div(periods)
          .mul(2 * Math.PI)
          .add(tf.range(0, features)),
      )
      .mul(tf.range(1, features + 1).pow(-0.5));
  },
  'one batch unlike all others': () => {
    const [a, b] = classes(2, 20, rows);
    return tf.concat([a.slice([0, 0], [rows - 250, features]), b.slice([0, 0], [250, features])]) as tf.Tensor2D;
  },
  'in any order': () => tf.randomNormal([rows, features], 0, 1, 'float32', 5).mul(tf.range(1, features + 1).pow(-0.5)),
};

/** Classes, each in a subspace of its own. */
function classes(count: number, dimensions = 4, size = Math.floor(rows / count)): tf.Tensor2D[] {
  return Array.from({ length: count }, (_, k) => {
    const directions = tf.randomNormal([dimensions, features], 0, 1, 'float32', 100 + k);
    return tf.randomNormal([size, dimensions], 0, 1, 'float32', 1 + k).matMul(directions) as tf.Tensor2D;
  });
}

describe.each(backends)("sampling 'auto' on %s shows the saturation of all rows within 0.01", (backend) => {
  const toDispose: { dispose(): void }[] = [];
  beforeAll(() => useBackend(backend));
  afterEach(() => {
    for (const each of toDispose.splice(0)) each.dispose();
  });

  function held<T extends { dispose(): void }>(each: T): T {
    toDispose.push(each);
    return each;
  }

  /** A model whose first layer puts out its input, and does not change. */
  function identity(inputShape: number[] = [features]): tf.Sequential {
    const model = tf.sequential();
    model.add(
      tf.layers.dense({ units: features, inputShape, name: 'id', kernelInitializer: 'identity', trainable: false }),
    );
    if (inputShape.length > 1) model.add(tf.layers.globalAveragePooling1d({ name: 'pool' }));
    model.add(tf.layers.dense({ units: 1, name: 'output' }));
    model.compile({ optimizer: tf.train.sgd(0), loss: 'meanSquaredError' });
    return held(model);
  }

  /** Two trackers of the layer 'id', with all rows and with 'auto'. */
  function pair(model: tf.LayersModel) {
    const stores = { all: new RecordingStore(), auto: new RecordingStore() };
    const trackers = (['all', 'auto'] as const).map(
      (sampling) =>
        new SaturationTracker('unused', model, {
          sampling,
          saveTo: [stores[sampling]],
          layers: ({ name }) => name === 'id',
        }),
    );
    return { stores, trackers };
  }

  function expectAlike(
    stores: Record<'all' | 'auto', RecordingStore>,
    split: 'train' | 'val',
    epoch: number,
    most: number,
  ) {
    const [all, auto] = [stores.all, stores.auto].map((store) => store.layer(split, 'id', epoch));
    const where = `${split}, epoch ${epoch}`;
    expect(Math.abs(auto.values.saturation! - all.values.saturation!), where).toBeLessThanOrEqual(0.0101);
    expect(auto.samples, where).toBeLessThanOrEqual(most * all.samples);
  }

  it.each(Object.keys(orders))('in fit, of training and validation data: %s', async (order) => {
    const model = identity();
    const x = held(tf.tidy(() => orders[order]()));
    const y = held(tf.zeros([x.shape[0], 1]));
    const { stores, trackers } = pair(model);
    await model.fit(x, y, {
      epochs: 3,
      batchSize: 250,
      shuffle: false,
      verbose: 0,
      validationData: [x, y],
      callbacks: trackers.map((tracker) => tracker.callback()),
    });
    for (const tracker of trackers) await tracker.close();
    for (const epoch of [0, 1, 2]) {
      for (const split of ['train', 'val'] as const) expectAlike(stores, split, epoch, 0.5);
    }
  });

  it('in fitDataset and in loops of record, from the second epoch on with fewer rows', async () => {
    const model = identity();
    const x = held(tf.tidy(orders['sorted by class']));
    const batch = (k: number) => x.slice([k * 250, 0], [250, features]);
    const dataset = tf.data
      .array(Array.from({ length: 64 }, (_, k) => k))
      .mapAsync(async (k) => ({ xs: batch(k), ys: tf.zeros([250, 1]) })) as never;
    const first = pair(model);
    await model.fitDataset(dataset, {
      epochs: 2,
      verbose: 0,
      validationData: dataset,
      callbacks: first.trackers.map((tracker) => tracker.callback()),
    });
    for (const tracker of first.trackers) await tracker.close();
    const second = pair(model);
    for (let epoch = 0; epoch < 2; epoch++) {
      for (let k = 0; k < 64; k++) {
        const pass = () => tf.tidy(() => void model.predictOnBatch(batch(k)));
        second.trackers[0].record('val', () => second.trackers[1].record('val', pass));
      }
      for (const tracker of second.trackers) await tracker.addSaturations();
    }
    for (const tracker of second.trackers) await tracker.close();
    for (const [epoch, most] of [
      [0, 1],
      [1, 0.5],
    ]) {
      expectAlike(first.stores, 'train', epoch, most);
      expectAlike(first.stores, 'val', epoch, most);
      expectAlike(second.stores, 'val', epoch, most);
    }
  });

  it('of a few long series, whose steps are all different', async () => {
    const model = identity([800, features]);
    const x = held(tf.tidy(() => orders['sorted by class']().reshape([20, 800, features])));
    const y = held(tf.zeros([20, 1]));
    const { stores, trackers } = pair(model);
    await model.fit(x, y, {
      epochs: 3,
      batchSize: 4,
      shuffle: false,
      verbose: 0,
      callbacks: trackers.map((tracker) => tracker.callback()),
    });
    for (const tracker of trackers) await tracker.close();
    for (const epoch of [0, 1, 2]) expectAlike(stores, 'train', epoch, 1);
  });

  it('after a fit on more data, and in extractSaturation', async () => {
    const model = identity();
    const x = held(tf.tidy(orders['sorted by class']));
    const part = held(tf.tidy(() => x.gather(tf.range(0, 16_000, 10, 'int32'))));
    const { stores, trackers } = pair(model);
    for (const data of [x, part]) {
      const y = held(tf.zeros([data.shape[0], 1]));
      await model.fit(data, y, {
        epochs: 1,
        batchSize: 200,
        shuffle: false,
        verbose: 0,
        validationData: [data, y],
        callbacks: trackers.map((tracker) => tracker.callback()),
      });
    }
    for (const tracker of trackers) await tracker.close();
    for (const split of ['train', 'val'] as const) {
      expectAlike(stores, split, 0, 0.5);
      expectAlike(stores, split, 1, 1);
    }
    const options = { progress: false, layers: ({ name }: { name: string }) => name === 'id' };
    const batches = tf.tidy(() => tf.split(x, 64));
    const all = await extractSaturation(model, batches, options);
    const auto = await extractSaturation(model, batches, { ...options, sampling: 'auto' });
    expect(auto.get('id')!.saturation()).toBe(all.get('id')!.saturation());
    tf.dispose(batches);
  });
});

describe.each(backends)('effectiveSamples on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  const warnings = catchWarnings();

  /** Images whose places are alike: a random 4 x 4 field, drawn out to 14 x 14. Channel i has the variance 1 / i. */
  function smoothImages(count: number, seed: number): tf.Tensor4D {
    return tf.tidy(() => {
      const coarse = tf.randomNormal([count, 4, 4, 64], 0, 1, 'float32', seed) as tf.Tensor4D;
      return tf.image.resizeNearestNeighbor(coarse, [14, 14]).mul(tf.range(1, 65).pow(-0.5)) as tf.Tensor4D;
    });
  }

  /** What a tracker with these options says of tensors that it observes. */
  async function observed(passes: tf.Tensor[], options: SaturationOptions) {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', [tf.layers.dense({ units: 1 })], { ...options, saveTo: [store] });
    for (const pass of passes) tracker.observe('map', pass, 'val');
    await tracker.addSaturations();
    await tracker.close();
    tf.dispose(passes);
    return store.layer('val', 'map');
  }

  it('judges by images whether a saturation can be trusted: few images with many places cannot', async () => {
    const few = await observed([smoothImages(2, 1)], {});
    expect([few.samples, few.effectiveSamples, few.spectrum!.effectiveSamples]).toEqual([392, 32, 32]);
    const eigenvalues = Array.from({ length: 64 }, (_, i) => 1 / (i + 1));
    const truth = Spectrum.fromEigenvalues(eigenvalues).saturation();
    expect(truth - few.saturation).toBeGreaterThan(0.3);
    expect(few.spectrum!.isReliable({ samples: 1e6 })).toBe(true);
    expect(few.spectrum!.isReliable()).toBe(false);
    expect(warnings.join()).toContain('392 rows, worth 32 independent ones, are few for 64 features');
    const many = await observed([smoothImages(400, 2)], {});
    expect([many.samples, many.effectiveSamples]).toEqual([78_400, 6400]);
    expect(many.spectrum!.isReliable()).toBe(true);
    expect(truth - many.saturation).toBeLessThan(0.05);
  });

  it('counts what is used: all passes, with maxSamples, logInterval and sampling', async () => {
    const counts = async (options: SaturationOptions, sizes = [3, 2]) => {
      const { samples, effectiveSamples } = await observed(
        sizes.map((size, seed) => smoothImages(size, seed)),
        { stats: ['saturation'], ...options },
      );
      return [samples, effectiveSamples];
    };
    expect(await counts({})).toEqual([5 * 196, 5 * 16]);
    expect(await counts({ maxSamples: 4 })).toEqual([4 * 196, 4 * 16]);
    expect(await counts({ logInterval: 2 })).toEqual([3 * 196, 3 * 16]);
    expect(await counts({ downsample: { size: 2 } })).toEqual([5 * 4, 5 * 4]);
    expect(await counts({ convMethod: 'mean' })).toEqual([5, 5]);
    expect(await counts({ convMethod: 'max' })).toEqual([5, 5]);
  });

  it('leaves rows out that are not finite, at what they were worth', async () => {
    const x = smoothImages(10, 3);
    const broken = tf.tidy(() => tf.concat([x, x.slice(0, 2).mul(Number.NaN)]));
    x.dispose();
    const found = await observed([broken], { stats: ['saturation'] });
    expect([found.samples, found.rejected, found.effectiveSamples]).toEqual([1960, 392, 160]);
    const nothing = await observed([tf.fill([4, 14, 14, 64], Number.NaN)], { stats: ['saturation'] });
    expect([nothing.samples, nothing.effectiveSamples]).toEqual([0, 0]);
  });

  it('stands in the run, and is read back', async () => {
    const logdir = temporaryFolder();
    const tracker = new SaturationTracker(logdir, [tf.layers.dense({ units: 1 })]);
    tf.tidy(() => {
      tracker.observe('map', smoothImages(3, 1), 'val');
      tracker.observe('rows', tf.randomNormal([70, 2]), 'val');
    });
    await tracker.addSaturations();
    await tracker.close();
    const read = (await readHistory(logdir)).lastOf('val');
    expect(read.map(({ samples, effectiveSamples }) => [samples, effectiveSamples])).toEqual([
      [588, 48],
      [70, 70],
    ]);
  });

  it('goes on in another process, from states of before it was counted too', async () => {
    const passes = [smoothImages(3, 1), smoothImages(2, 2)];
    const layer = tf.layers.dense({ units: 1 });
    const first = new SaturationTracker('unused', [layer], { saveTo: [new RecordingStore()] });
    first.observe('map', passes[0], 'val');
    const bytes = first.toBytes();
    await first.close();
    const text = new TextDecoder('latin1').decode(bytes);
    // Version 1 had neither a checksum of its line nor other parts.
    const older = Uint8Array.from(
      text
        .replace(/2 [0-9a-f]{8}/, '1')
        .replace(/,"rows":\d+,"effectiveRows":\d+/, '')
        .replace(/\{"accumulator":(\d+)\}/, '$1'),
      (letter) => letter.charCodeAt(0),
    );
    expect(older.length).toBeLessThan(bytes.length);
    for (const state of [bytes, older]) {
      const store = new RecordingStore();
      const tracker = new SaturationTracker('unused', [layer], { saveTo: [store] });
      tracker.restore(state);
      tracker.observe('map', passes[1], 'val');
      await tracker.addSaturations();
      await tracker.close();
      const { samples, effectiveSamples } = store.layer('val', 'map');
      expect([samples, effectiveSamples]).toEqual([5 * 196, 5 * 16]);
    }
    tf.dispose(passes);
  });

  it('starts anew in every epoch, unless the covariance goes on', async () => {
    for (const resetCovariance of [true, false]) {
      const store = new RecordingStore();
      const layers = [tf.layers.dense({ units: 1 })];
      const tracker = new SaturationTracker('unused', layers, { saveTo: [store], resetCovariance });
      for (let epoch = 0; epoch < 2; epoch++) {
        tf.tidy(() => tracker.observe('map', smoothImages(3, epoch), 'val'));
        await tracker.addSaturations();
      }
      await tracker.close();
      const counts = [0, 1].map((epoch) => store.layer('val', 'map', epoch).effectiveSamples);
      expect(counts).toEqual(resetCovariance ? [48, 48] : [48, 96]);
    }
  });
});

describe("sampling 'corrected' shows the corrected saturation of all rows within 0.02, from a fifteenth of them", () => {
  const features = 100;
  beforeAll(() => useBackend('cpu'));

  it.each(Object.keys(orders))('%s', async (order) => {
    const model = tf.sequential({
      layers: [tf.layers.dense({ units: features, inputShape: [features], name: 'id', kernelInitializer: 'identity' })],
    });
    const x = tf.tidy(() => orders[order]());
    const batches = Array.from({ length: Math.ceil(x.shape[0] / 250) }, (_, k) =>
      x.slice([250 * k, 0], [Math.min(250, x.shape[0] - 250 * k), features]),
    );
    const extract = async (sampling: 'all' | 'corrected') =>
      (await extractSaturation(model, batches, { sampling, progress: false })).get('id')!;
    const [all, few] = [await extract('all'), await extract('corrected')];
    expect(few.samples).toBeLessThanOrEqual(1024 + 64);
    for (const threshold of [0.9, 0.99]) {
      const [truth, found] = [all, few].map((spectrum) => spectrum.saturationEstimate({ threshold }).saturation);
      expect(Math.abs(found - truth)).toBeLessThanOrEqual(0.0201);
    }

    // Who asked for few rows is not told of it.
    expect(warnings.filter((text) => /are few for/.test(text))).toEqual([]);
    tf.dispose([x, ...batches]);
    model.dispose();
  });

  it('in every epoch of a fit, for layers of many rows, too', async () => {
    const model = tf.sequential({
      layers: [tf.layers.dense({ units: 8, inputShape: [8], name: 'id', kernelInitializer: 'identity' })],
    });
    model.compile({ optimizer: tf.train.sgd(0), loss: 'meanSquaredError' });
    const x = tf.randomNormal([4000, 8], 0, 1, 'float32', 1);
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { sampling: 'corrected', saveTo: [store] });
    await model.fit(x, x, { epochs: 2, batchSize: 250, shuffle: false, verbose: 0, callbacks: tracker.callback() });
    await tracker.close();
    for (const epoch of [0, 1]) {
      const { values, samples } = store.layer('train', 'id', epoch);
      expect(samples).toBeGreaterThanOrEqual(1024);
      expect(samples).toBeLessThan(1100);
      expect(values.saturationCorrected).toBe(1);
    }
    x.dispose();
    model.dispose();
  });

  it('warns of layers with too few rows to correct', async () => {
    const model = tf.sequential({ layers: [tf.layers.dense({ units: features, inputShape: [features], name: 'id' })] });
    const batches = [tf.randomNormal([30, features], 0, 1, 'float32', 1)];
    await extractSaturation(model, batches, { sampling: 'corrected', progress: false });
    expect(warnings.join()).toMatch(/30 rows are few for 100 features/);
    tf.dispose(batches);
    model.dispose();
  });
});

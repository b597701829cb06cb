import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TrainingPhase } from '../../src/activations/training-phase.js';
import type { SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, useBackend } from '../support/backends.js';
import { dense, normalTensor, ownKeysOf, seedWeights } from '../support/models.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

catchWarnings();

describe('record', () => {
  const phase = () => new TrainingPhase();

  it('takes precedence over everything else, and the innermost call over the others', () => {
    const each = phase();
    expect(each.current(true)).toBeUndefined();
    each.record('val', () => {
      expect(each.current(true)).toBe('val');
      each.record('train', () => expect(each.current(false)).toBe('train'));
      expect(each.current(false)).toBe('val');
    });
    expect(each.current(true)).toBeUndefined();
  });

  it('ends when its function ends, however it ends', async () => {
    const each = phase();
    expect(() =>
      each.record('val', () => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    expect(each.current(false)).toBeUndefined();
    const failing = each.record('val', async () => {
      await Promise.resolve();
      throw new Error('later');
    });
    expect(each.current(false)).toBe('val');
    await expect(failing).rejects.toThrow('later');
    expect(each.current(false)).toBeUndefined();
  });

  it('follows, of async functions that overlap, the one that began last and still runs', async () => {
    const each = phase();
    const gates = [deferred(), deferred(), deferred()];
    const splits = ['train', 'val', 'train'] as const;
    const running = splits.map((split, index) => each.record(split, () => gates[index].promise));
    expect(each.current(false)).toBe('train');
    gates[2].resolve();
    await running[2];
    expect(each.current(false)).toBe('val');
    gates[0].resolve();
    await running[0];
    expect(each.current(false)).toBe('val');
    gates[1].resolve();
    await running[1];
    expect(each.current(false)).toBeUndefined();
  });

  it('returns what its function returns', async () => {
    const each = phase();
    expect(each.record('val', () => 7)).toBe(7);
    expect(await each.record('val', async () => 8)).toBe(8);
    expect(each.current(false)).toBeUndefined();
  });
});

describe.each(backends)('the training phase on %s', (backend) => {
  const models: tf.LayersModel[] = [];
  const tensors: tf.Tensor[] = [];
  beforeAll(() => useBackend(backend));
  afterEach(() => {
    // The models of a GAN share weights.
    for (const weight of new Set(models.splice(0).flatMap((model) => model.weights))) weight.read().dispose();
    tf.dispose(tensors.splice(0));
  });

  function held<T extends tf.Tensor>(tensor: T): T {
    tensors.push(tensor);
    return tensor;
  }

  function compiled(layers: tf.layers.Layer[], seed = 1): tf.Sequential {
    const model = tf.sequential({ layers });
    seedWeights(model, seed);
    model.compile({ optimizer: tf.train.sgd(0.01), loss: 'meanSquaredError' });
    models.push(model);
    return model;
  }

  it('records the discriminator of a GAN inside the combined model that trains, and not when it trains by itself', async () => {
    const discriminator = compiled([
      tf.layers.dense({ inputShape: [4], units: 6, name: 'd1' }),
      tf.layers.dense({ units: 1, name: 'd2' }),
    ]);
    const generator = tf.layers.dense({ inputShape: [2], units: 4, name: 'g' });
    const combined = compiled([generator, discriminator]);
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', discriminator, { saveTo: [store] });
    const real = held(normalTensor([5, 4], 1));
    const ones = held(tf.ones([5, 1]));
    class Adversary extends tf.Callback {
      override async onEpochBegin() {
        // The discriminator's own predictions and losses in between are not recorded.
        tf.dispose(discriminator.predict(real));
        tf.dispose(discriminator.evaluate(real, ones));
      }
    }
    const [noise, labels] = [held(normalTensor([20, 2], 2)), held(tf.ones([20, 1]))];
    await combined.fit(noise, labels, {
      epochs: 1,
      batchSize: 10,
      verbose: 0,
      validationSplit: 0.5,
      callbacks: [new Adversary(), tracker.callback()],
    });
    await discriminator.fit(real, ones, { epochs: 1, verbose: 0 });
    await tracker.addSaturations();
    await tracker.close();
    expect(store.samples(0)).toEqual({ 'train/d1': 10, 'train/d2': 10, 'val/d1': 10, 'val/d2': 10 });
    expect(store.epochs[1].layers).toEqual([]);
  });

  it('records a GAN that trains batch by batch only inside record', async () => {
    const discriminator = compiled([tf.layers.dense({ inputShape: [4], units: 3, name: 'd' })]);
    const combined = compiled([tf.layers.dense({ inputShape: [2], units: 4, name: 'g' }), discriminator]);
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', combined, { saveTo: [store] });
    const [noise, real, target] = [normalTensor([7, 2], 1), normalTensor([7, 4], 2), normalTensor([7, 3], 3)].map(held);
    for (let step = 0; step < 2; step++) {
      tf.dispose(await discriminator.trainOnBatch(real, target));
      await tracker.record('train', async () => tf.dispose(await combined.trainOnBatch(noise, target)));
    }
    await tracker.addSaturations();
    await tracker.close();
    expect(tracker.layerNames).toEqual(['g', `${discriminator.name}/d`]);
    expect(store.samples()).toEqual({ 'train/g': 14, [`train/${discriminator.name}/d`]: 14 });
  });

  it('ignores Monte-Carlo dropout in a callback, which sets training: true outside the steps of fit', async () => {
    const model = compiled([
      tf.layers.dense({ inputShape: [6], units: 5, name: 'hidden' }),
      tf.layers.dropout({ rate: 0.5, seed: 1 }),
      tf.layers.dense({ units: 3, name: 'output' }),
    ]);
    const [x, y] = [held(normalTensor([12, 6], 1)), held(normalTensor([12, 3], 2))];
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    class MonteCarlo extends tf.Callback {
      override async onBatchEnd() {
        for (let draw = 0; draw < 4; draw++) tf.dispose(model.apply(x, { training: true }) as tf.Tensor);
      }
    }
    await model.fit(x, y, {
      epochs: 1,
      batchSize: 4,
      verbose: 0,
      validationData: [x, y],
      callbacks: [new MonteCarlo(), tracker.callback()],
    });
    await tracker.close();
    expect(store.samples()).toEqual({ 'train/hidden': 12, 'train/output': 12, 'val/hidden': 12, 'val/output': 12 });
  });

  it('counts a custom loop and fits with and without the callback correctly after a fit that threw', async () => {
    const model = compiled([tf.layers.dense({ inputShape: [6], units: 3, name: 'only' })]);
    const keys = ownKeysOf(model);
    const [x, y] = [held(normalTensor([12, 6], 1)), held(normalTensor([12, 3], 2))];
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    class Failing extends tf.Callback {
      override async onBatchEnd(batch: number) {
        if (batch === 1) throw new Error('out of luck');
      }
    }
    const options = { epochs: 1, batchSize: 4, verbose: 0 as const };
    const callbacks = [tracker.callback(), new Failing()];
    await expect(model.fit(x, y, { ...options, callbacks })).rejects.toThrow('out of luck');
    // The tracker did not learn that this fit ended; it must not take either of these for it.
    await model.fit(x, y, { ...options, validationData: [x, y] });
    tf.dispose(await model.trainOnBatch(x, y));
    tf.dispose([model.predict(x) as tf.Tensor, model.evaluate(x, y) as tf.Tensor]);
    await tracker.record('train', async () => tf.dispose(await model.trainOnBatch(x, y)));
    expect((await tracker.addSaturations()).map(({ split, samples }) => [split, samples])).toEqual([['train', 20]]);
    await model.fit(x, y, { ...options, validationData: [x, y], callbacks: tracker.callback() });
    await tracker.close();
    expect(store.samples(1)).toEqual({ 'train/only': 12, 'val/only': 12 });
    expect(ownKeysOf(model)).toEqual(keys);
  });

  it('counts the next fitDataset correctly after one that threw in the middle', async () => {
    const model = dense.build();
    models.push(model);
    const batches = (count: number, fails = false) =>
      tf.data.array(Array.from({ length: count }, (_, i) => i)).mapAsync(async (i) => {
        if (fails && i === 1) throw new Error('no such file');
        return { xs: dense.inputs(5, i) as tf.Tensor, ys: dense.targets(5, i) as tf.Tensor };
      });
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    const options = () => ({
      epochs: 1,
      verbose: 0 as const,
      validationData: batches(2),
      callbacks: tracker.callback(),
    });
    await expect(model.fitDataset(batches(3, true) as never, options() as never)).rejects.toThrow('no such file');
    expect((await tracker.addSaturations()).map(({ split, samples }) => [split, samples])).toEqual([
      ['train', 5],
      ['train', 5],
    ]);
    await model.fitDataset(batches(3) as never, options() as never);
    await tracker.close();
    expect(store.samples(1)).toEqual({ 'train/hidden': 15, 'train/output': 15, 'val/hidden': 10, 'val/output': 10 });
  });

  it('records a nested model that comes first by its layers, in fit and its validation', async () => {
    const block = tf.sequential({
      name: 'block',
      layers: [
        tf.layers.dense({ inputShape: [6], units: 4, name: 'first' }),
        tf.layers.dense({ units: 5, name: 'second' }),
      ],
    });
    const model = compiled([block, tf.layers.dense({ units: 3, name: 'output' })]);
    const [x, y] = [held(normalTensor([12, 6], 1)), held(normalTensor([12, 3], 2))];
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    await model.fit(x, y, { epochs: 1, batchSize: 4, verbose: 0, validationSplit: 0.5, callbacks: tracker.callback() });
    await tracker.close();
    expect(tracker.layerNames).toEqual(['block/first', 'block/second', 'output']);
    const six = { 'block/first': 6, 'block/second': 6, output: 6 };
    expect(store.samples()).toEqual(
      Object.fromEntries(
        ['train', 'val'].flatMap((split) => Object.entries(six).map(([name, n]) => [`${split}/${name}`, n])),
      ),
    );
  });

  it('separates two concurrent fits of two models by their trackers', async () => {
    const models = [1, 2].map((seed) => compiled([tf.layers.dense({ inputShape: [6], units: 3, name: 'only' })], seed));
    const stores = [new RecordingStore(), new RecordingStore()];
    const trackers = models.map((model, i) => new SaturationTracker('unused', model, { saveTo: [stores[i]] }));
    const [x, y] = [held(normalTensor([12, 6], 1)), held(normalTensor([12, 3], 2))];
    await Promise.all(
      models.map((model, i) =>
        model.fit(x, y, {
          epochs: 2,
          batchSize: 3 + i,
          verbose: 0,
          validationSplit: 0.25,
          callbacks: trackers[i].callback(),
        }),
      ),
    );
    for (const [i, tracker] of trackers.entries()) {
      await tracker.close();
      for (const epoch of [0, 1]) expect(stores[i].samples(epoch)).toEqual({ 'train/only': 9, 'val/only': 3 });
    }
  });

  it('ignores gradients that a user computes in a callback', async () => {
    const model = compiled([tf.layers.dense({ inputShape: [6], units: 3, name: 'only' })]);
    const [x, y] = [held(normalTensor([12, 6], 1)), held(normalTensor([12, 3], 2))];
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model, { saveTo: [store] });
    class Saliency extends tf.Callback {
      override async onBatchEnd() {
        tf.tidy(() => void tf.grad((input) => (model.apply(input) as tf.Tensor).sum())(x));
      }
    }
    await model.fit(x, y, { epochs: 1, batchSize: 6, verbose: 0, callbacks: [new Saliency(), tracker.callback()] });
    await tracker.close();
    expect(store.samples()).toEqual({ 'train/only': 12 });
  });

  describe('with logInterval, a batch', () => {
    const [batches, items] = [8, 5];

    /** One encoder model, two levels deep, on two inputs of very different data, and a layer that is shared. */
    function siamese() {
      const inner = tf.sequential({
        name: 'inner',
        layers: [tf.layers.dense({ inputShape: [4], units: 3, name: 'e1' })],
      });
      const encoder = tf.sequential({ name: 'enc', layers: [inner, tf.layers.dense({ units: 4, name: 'e2' })] });
      const shared = tf.layers.dense({ units: 3, name: 'shared' });
      const inputs = [tf.input({ shape: [4] }), tf.input({ shape: [4] })];
      const encoded = inputs.map((input) => shared.apply(encoder.apply(input)) as tf.SymbolicTensor);
      const joined = tf.layers.concatenate().apply(encoded);
      const outputs = tf.layers.dense({ units: 1, name: 'head' }).apply(joined) as tf.SymbolicTensor;
      const model = tf.model({ inputs, outputs });
      seedWeights(model, 3);
      // A learning rate of 0: every batch sees the same weights.
      model.compile({ optimizer: tf.train.sgd(0), loss: 'meanSquaredError' });
      models.push(model);
      const rows = batches * items;
      const x = [
        held(normalTensor([rows, 4], 1)),
        held(tf.fill([rows, 4], 3).add(normalTensor([rows, 4], 2).mul(0.1))),
      ];
      return { model, x, y: held(normalTensor([rows, 1], 3)), e1: inner.layers[0] };
    }

    /** The trace of a layer's covariance over both branches of every n-th batch, by TensorFlow.js. */
    function traceOf(layer: tf.layers.Layer, x: readonly tf.Tensor[], n: number): number {
      return tf.tidy(() => {
        const used = Array.from({ length: batches }, (_, i) => i).filter((batch) => batch % n === 0);
        const parts = x.flatMap((each) => used.map((batch) => each.slice([batch * items, 0], [items, 4])));
        return tf
          .moments(layer.apply(tf.concat(parts)) as tf.Tensor, 0)
          .variance.sum()
          .dataSync()[0];
      });
    }

    function tracked(model: tf.LayersModel | tf.layers.Layer[], options: SaturationOptions) {
      const store = new RecordingStore();
      return {
        store,
        tracker: new SaturationTracker('unused', model, { ...options, stats: ['trace'], saveTo: [store] }),
      };
    }

    it.each([1, 2, 4])('has every branch of a model that is applied twice (every %i.)', async (logInterval) => {
      const { model, x, y, e1 } = siamese();
      const { store, tracker } = tracked(model, { logInterval });
      const fit = { epochs: 1, batchSize: items, shuffle: false, verbose: 0 as const };
      await model.fit(x, y, { ...fit, validationData: [x, y], callbacks: tracker.callback() });
      const used = (batches / logInterval) * items;
      for (const split of ['train', 'val']) {
        const found = store.layer(split, 'enc/inner/e1');
        expect(found.samples).toBe(2 * used);
        expect(found.values.trace! / traceOf(e1, x, logInterval)).toBeCloseTo(1, 4);
        expect(store.layer(split, 'enc/e2').samples).toBe(2 * used);
        expect(store.layer(split, 'shared').samples).toBe(2 * used);
        expect(store.layer(split, 'head').samples).toBe(used);
      }
      await tracker.close();
    });

    it.each(['predict', 'evaluate', 'evaluateDataset', 'fit', 'fitDataset'])(
      'is one of those that %s runs inside record',
      async (method) => {
        const { model, x, y, e1 } = siamese();
        const { store, tracker } = tracked(model, { logInterval: 2 });
        const dataset = () =>
          tf.data.array(Array.from({ length: batches }, (_, i) => i)).mapAsync(async (i) => ({
            xs: x.map((each) => each.slice([i * items, 0], [items, 4])),
            ys: y.slice([i * items, 0], [items, 1]),
          })) as never;
        const runs: Record<string, () => unknown> = {
          predict: () => model.predict(x, { batchSize: items }),
          evaluate: () => model.evaluate(x, y, { batchSize: items }),
          evaluateDataset: () => model.evaluateDataset(dataset(), {}),
          fit: () => model.fit(x, y, { epochs: 1, batchSize: items, shuffle: false, verbose: 0 }),
          fitDataset: () => model.fitDataset(dataset(), { epochs: 1, verbose: 0 }),
        };
        // The second call's batches count like the first one's: neither is left out.
        await tracker.record('val', async () => {
          for (let call = 0; call < 2; call++) {
            const result = await runs[method]();
            if (!method.startsWith('fit')) tf.dispose(result as tf.Tensor);
          }
        });
        await tracker.addSaturations();
        expect(store.layer('val', 'enc/inner/e1').samples).toBe(2 * 2 * (batches / 2) * items);
        expect(store.layer('val', 'enc/inner/e1').values.trace! / traceOf(e1, x, 2)).toBeCloseTo(1, 4);
        await tracker.close();
      },
    );

    it('is one call of record otherwise: a discriminator sees real and generated data in each', async () => {
      const discriminator = compiled([tf.layers.dense({ inputShape: [4], units: 3, name: 'd' })]);
      const [real, fake] = [held(normalTensor([5, 4], 1)), held(normalTensor([7, 4], 2))];
      const [yes, no] = [held(tf.ones([5, 3])), held(tf.zeros([7, 3]))];
      const optimizer = tf.train.sgd(0.01);
      const loss = (x: tf.Tensor) => (discriminator.apply(x, { training: true }) as tf.Tensor).square().mean();
      const steps: Record<string, () => unknown> = {
        'one gradient': () => optimizer.minimize(() => loss(real).add(loss(fake)) as tf.Scalar),
        'two gradients': () => {
          optimizer.minimize(() => loss(real) as tf.Scalar);
          optimizer.minimize(() => loss(fake) as tf.Scalar);
        },
        trainOnBatch: async () => {
          tf.dispose(await discriminator.trainOnBatch(real, yes));
          tf.dispose(await discriminator.trainOnBatch(fake, no));
        },
        apply: () => tf.dispose([discriminator.apply(real), discriminator.apply(fake)] as tf.Tensor[]),
        predict: () => tf.dispose([discriminator.predict(real), discriminator.predict(fake)] as tf.Tensor[]),
      };
      for (const [name, step] of Object.entries(steps)) {
        const { store, tracker } = tracked(discriminator, { logInterval: 3 });
        for (let count = 0; count < 4; count++) await tracker.record('train', step);
        await tracker.addSaturations();
        // The first and the fourth.
        expect(store.layer('train', 'd').samples, name).toBe(2 * 12);
        await tracker.close();
      }
      optimizer.dispose();
    });

    it('is all steps of a wrapped layer, and all that is observed in one call of record', async () => {
      const wrapped = tf.layers.dense({ units: 2, name: 'wrapped' });
      const model = compiled([tf.layers.timeDistributed({ layer: wrapped, inputShape: [4, 3] })]);
      const x = held(normalTensor([5, 4, 3], 1));
      const { store, tracker } = tracked([wrapped], { logInterval: 2 });
      for (let count = 0; count < 4; count++) {
        tracker.record('val', () => {
          tf.dispose(model.predict(x) as tf.Tensor);
          for (let part = 0; part < 3; part++) tracker.observe('part', held(normalTensor([2, 3], part)), 'val');
        });
        // Outside of record, each call is a batch.
        for (let part = 0; part < 3; part++) tracker.observe('alone', held(normalTensor([2, 3], part)), 'val');
      }
      await tracker.addSaturations();
      const calls = store.layer('val', 'wrapped').samples / (2 * 5);
      expect(calls).toBeGreaterThanOrEqual(4);
      expect(Number.isInteger(calls)).toBe(true);
      expect(store.layer('val', 'part').samples).toBe(2 * 3 * 2);
      expect(store.layer('val', 'alone').samples).toBe(6 * 2);
      await tracker.close();
    });

    it('gives each of its calls the same items when maxSamples cuts it', async () => {
      const { model, x, y } = siamese();
      const { store, tracker } = tracked(model, { maxSamples: 7 });
      const fit = { epochs: 2, batchSize: items, shuffle: false, verbose: 0 as const };
      await model.fit(x, y, { ...fit, callbacks: tracker.callback() });
      for (const epoch of [0, 1]) {
        expect(store.layer('train', 'enc/e2', epoch).samples).toBe(14);
        expect(store.layer('train', 'head', epoch).samples).toBe(7);
      }
      await tracker.close();
    });
  });
});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

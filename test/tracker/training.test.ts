import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, useBackend } from '../support/backends.js';
import {
  convolutional,
  dense,
  embedding,
  freeWeights,
  normalTensor,
  ownKeysOf,
  recurrent,
  shared,
  type Trainable,
  trainables,
  trainsConvolutions,
} from '../support/models.js';
import { normals } from '../support/random.js';
import { RecordingStore } from '../support/recording-store.js';

const toDispose: (tf.Tensor | tf.LayersModel)[] = [];
afterEach(() => {
  for (const each of toDispose.splice(0)) each.dispose();
});

/** Disposes of tensors after the test. */
function held<T extends tf.Tensor | tf.Tensor[]>(tensors: T): T {
  toDispose.push(...(Array.isArray(tensors) ? tensors : [tensors]));
  return tensors;
}

function model(trainable: Trainable): tf.LayersModel {
  const built = trainable.build();
  toDispose.push(built);
  return built;
}

function fitOptions(trainable: Trainable, callbacks: tf.CustomCallback[] | tf.Callback[] = []): tf.ModelFitArgs {
  return {
    epochs: 2,
    batchSize: 8,
    shuffle: false,
    verbose: 0,
    validationData: [held(trainable.inputs(12, 5)), held(trainable.targets(12, 6))] as never,
    callbacks: callbacks as tf.Callback[],
  };
}

describe.each(backends)('a tracked training on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  describe.each(trainables(backend).map((each) => [each.name, each] as const))('%s', (_name, trainable) => {
    it('trains to bit-identical weights and history, leaks nothing and leaves the model as it was', async () => {
      const inputs = held(trainable.inputs(24, 1));
      const targets = held(trainable.targets(24, 2));
      const plain = model(trainable);
      const plainHistory = await plain.fit(inputs, targets, fitOptions(trainable));
      const hooked = model(trainable);
      const options = fitOptions(trainable);
      const ownKeys = ownKeysOf(hooked);
      const before = tf.memory().numTensors;
      const store = new RecordingStore();
      const tracker = new SaturationTracker('unused', hooked, { saveTo: [store] });
      const history = await hooked.fit(inputs, targets, { ...options, callbacks: [tracker.callback()] });
      await tracker.close();
      // The optimizer's momenta are made on the first step of the first fit and are the model's own.
      const momenta =
        (hooked.optimizer as tf.Optimizer).getClassName() === 'Momentum' ? hooked.trainableWeights.length : 0;
      expect(tf.memory().numTensors - before - momenta).toBe(0);
      expect(history.history).toEqual(plainHistory.history);
      const [a, b] = [plain.getWeights(), hooked.getWeights()];
      for (let i = 0; i < a.length; i++) expect(b[i].dataSync()).toEqual(a[i].dataSync());
      expect(ownKeysOf(hooked)).toEqual(ownKeys);
      expect(store.epochs).toHaveLength(2);
      const names = new Set(store.epochs[0].layers.map((layer) => layer.layer));
      expect([...names]).toEqual(tracker.layerNames);
    });
  });

  it('leaves no tensor behind in 10,000 hooked steps', async () => {
    const net = model({ ...dense, build: () => tf.sequential({ layers: [linearDense()] }) });
    const x = held(dense.inputs(2, 1)) as tf.Tensor2D;
    const optimizer = tf.train.sgd(0.001);
    const step = () => {
      optimizer.minimize(() => (net.apply(x, { training: true }) as tf.Tensor).square().mean() as tf.Scalar);
    };
    const tracker = new SaturationTracker('unused', net, { saveTo: [new RecordingStore()] });
    tracker.record('train', step);
    const before = tf.memory();
    for (let i = 0; i < 10_000; i++) {
      tracker.record('train', step);
      if (i % 1000 === 999) await tracker.addSaturations();
    }
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
    await tracker.close();
    optimizer.dispose();
  });

  it('counts every training row and every validation row once, apart', async () => {
    const store = new RecordingStore();
    const net = model(dense);
    const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
    await net.fit(held(dense.inputs(24, 1)), held(dense.targets(24, 2)), fitOptions(dense, [tracker.callback()]));
    await tracker.close();
    for (const epoch of [0, 1]) {
      expect(store.samples(epoch)).toEqual({
        'train/hidden': 24,
        'train/output': 24,
        'val/hidden': 12,
        'val/output': 12,
      });
      expect(store.epochs[epoch]).toMatchObject({ epoch, step: epoch + 1, threshold: 0.99, rule: 'paper' });
    }
  });

  it('counts a shared layer once per call and a multi-output layer once, however often TensorFlow.js runs it', async () => {
    const store = new RecordingStore();
    const net = model(shared);
    const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
    const targets = held(shared.targets(16, 2));
    await net.fit(held(shared.inputs(16, 1)), targets, { ...fitOptions(shared, [tracker.callback()]), epochs: 1 });
    await tracker.close();
    expect(store.samples()).toEqual({
      'train/encoder': 16,
      'train/twice': 32,
      'train/block/inner': 16,
      'train/left': 16,
      'train/right': 16,
      'val/encoder': 12,
      'val/twice': 24,
      'val/block/inner': 12,
      'val/left': 12,
      'val/right': 12,
    });
  });

  it('has the covariance of exactly the activations of the split (Delve B01 had the last batch only)', async () => {
    const store = new RecordingStore();
    const net = model(dense);
    const inputs = held(dense.inputs(50, 1));
    const tracker = new SaturationTracker('unused', net, { saveTo: [store], stats: ['covariance', 'saturation'] });
    tracker.record('val', () => {
      for (let from = 0; from < 50; from += 10)
        tf.tidy(() => void net.predict((inputs as tf.Tensor2D).slice([from, 0], [10, 6])));
    });
    await tracker.addSaturations();
    await tracker.close();
    const expected = new CovarianceAccumulator(8);
    tf.tidy(() => expected.update((net.layers[0].apply(inputs) as tf.Tensor).dataSync()));
    const found = store.layer('val', 'hidden');
    expect(found.samples).toBe(50);
    expect(relativeError(found.covariance!, expected.covariance())).toBeLessThan(1e-6);
    expect(found.values.saturation).toBe(Spectrum.of(expected).saturation());
  });

  it("does not count a user's predict and evaluate in the middle of a fit", async () => {
    const store = new RecordingStore();
    const net = model(dense);
    const extra = held(dense.inputs(7, 9)) as tf.Tensor;
    const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
    const options = fitOptions(dense);
    const [valX, valY] = options.validationData as [tf.Tensor, tf.Tensor];
    const meddle = () =>
      tf.tidy(() => {
        net.predict(extra);
        net.predictOnBatch(extra);
        net.evaluate(valX, valY);
        net.apply(extra, { training: true });
      });
    class Meddler extends tf.Callback {
      override async onBatchBegin() {
        meddle();
      }
      override async onBatchEnd() {
        meddle();
      }
      override async onEpochBegin() {
        meddle();
      }
      override async onEpochEnd() {
        meddle();
      }
    }
    const callbacks = [new Meddler(), tracker.callback(), new Meddler()] as tf.Callback[];
    await net.fit(held(dense.inputs(24, 1)), held(dense.targets(24, 2)), { ...options, epochs: 1, callbacks });
    meddle();
    await tracker.addSaturations();
    await tracker.close();
    expect(store.samples()).toEqual({ 'train/hidden': 24, 'train/output': 24, 'val/hidden': 12, 'val/output': 12 });
    expect(store.epochs[1].layers).toEqual([]);
  });

  it.each(['tensors', 'dataset'])(
    "distinguishes fitDataset's validation on %s from a user's evaluate on the same data",
    async (kind) => {
      const store = new RecordingStore();
      const net = model(dense);
      const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
      const batches = (count: number, seed: number) =>
        tf.data.array(Array.from({ length: count }, (_, i) => i)).mapAsync(async (i) => ({
          xs: dense.inputs(5, seed + i) as tf.Tensor,
          ys: dense.targets(5, seed + i) as tf.Tensor,
        }));
      const tensors = [held(dense.inputs(12, 5)), held(dense.targets(12, 6))] as [tf.Tensor, tf.Tensor];
      const validationData = kind === 'tensors' ? tensors : batches(3, 50);
      class Evaluator extends tf.Callback {
        override async onBatchEnd() {
          await this.evaluate();
        }
        override async onEpochEnd() {
          await this.evaluate();
        }
        async evaluate() {
          const scores =
            kind === 'tensors'
              ? net.evaluate(...tensors)
              : await net.evaluateDataset(validationData as ReturnType<typeof batches>, {} as never);
          tf.dispose(scores);
        }
      }
      await net.fitDataset(batches(4, 20), {
        epochs: 2,
        verbose: 0,
        validationData: validationData as never,
        callbacks: [new Evaluator(), tracker.callback()] as tf.Callback[],
      });
      await tracker.close();
      const val = kind === 'tensors' ? 12 : 15;
      for (const epoch of [0, 1]) {
        expect(store.samples(epoch)).toEqual({
          'train/hidden': 20,
          'train/output': 20,
          'val/hidden': val,
          'val/output': val,
        });
      }
    },
  );

  it('records nothing outside fit and record, and async functions inside record until they settle', async () => {
    const store = new RecordingStore();
    const net = model(dense);
    const x = held(dense.inputs(4, 1)) as tf.Tensor;
    const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
    const predict = () => tf.tidy(() => void net.predict(x));
    predict();
    const running = tracker.record('train', async () => {
      predict();
      await Promise.resolve();
      predict();
      return 'done';
    });
    expect(await running).toBe('done');
    predict();
    expect(() =>
      tracker.record('val', () => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    predict();
    await tracker.addSaturations();
    await tracker.close();
    expect(store.samples()).toEqual({ 'train/hidden': 8, 'train/output': 8 });
  });

  it('lets the event loop turn in a loop of recorded steps that never would', async () => {
    const tracker = new SaturationTracker('unused', model(dense), { saveTo: [new RecordingStore()] });
    let turned = false;
    setTimeout(() => {
      turned = true;
    }, 0);
    for (const start = performance.now(); !turned && performance.now() - start < 2000; ) {
      expect(await tracker.record('train', async () => 'done')).toBe('done');
    }
    expect(turned).toBe(true);
    await tracker.close();
  });

  it('records custom training loops, on the same tensors step after step', async () => {
    const store = new RecordingStore();
    const net = model(shared);
    const x = held(shared.inputs(6, 1)) as tf.Tensor;
    const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
    const optimizer = tf.train.sgd(0.01);
    for (let step = 0; step < 3; step++) {
      tracker.record('train', () =>
        optimizer.minimize(() => {
          const [left] = net.apply(x, { training: true }) as tf.Tensor[];
          return left.square().mean() as tf.Scalar;
        }),
      );
      await tracker.record('train', async () => tf.dispose(await net.trainOnBatch(x, held(shared.targets(6, 2)))));
    }
    optimizer.dispose();
    await tracker.addSaturations();
    await tracker.close();
    expect(store.samples()).toMatchObject({ 'train/encoder': 36, 'train/twice': 72, 'train/left': 36 });
  });

  it('leaves rows with a NaN out, counts them, and goes on; without a finite row the stats are NaN', async () => {
    const store = new RecordingStore();
    // Linear: the wasm backend's relu turns NaN into 0.
    const net = model({ ...dense, build: () => tf.sequential({ layers: [linearDense()] }) });
    const values = normals(40 * 6, 4);
    values[3 * 6] = Number.NaN;
    values[9 * 6 + 5] = Number.POSITIVE_INFINITY;
    const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
    tracker.record('train', () => tf.tidy(() => void net.predict(tf.tensor2d(values, [40, 6]))));
    tracker.record('val', () => tf.tidy(() => void net.predict(tf.fill([4, 6], Number.NaN))));
    const results = await tracker.addSaturations();
    await tracker.close();
    const clean = new CovarianceAccumulator(8);
    tf.tidy(() => clean.update((net.layers[0].apply(tf.tensor2d(values, [40, 6])) as tf.Tensor).dataSync()));
    expect(clean.rejected).toBe(2);
    expect(store.layer('train', 'hidden')).toMatchObject({ samples: 38, rejected: 2 });
    expect(store.layer('train', 'hidden').values.saturation).toBe(Spectrum.of(clean).saturation());
    expect(store.layer('val', 'hidden')).toMatchObject({ samples: 0, rejected: 4, values: { saturation: Number.NaN } });
    expect(results.find((each) => each.split === 'val')?.saturation).toBeNaN();
  });

  it('gives a dead and a constant layer saturation 0', async () => {
    const store = new RecordingStore();
    const net = model(dense);
    net.layers[0].setWeights([tf.zeros([6, 8]), tf.range(0, 8).mul(1.3)]);
    const tracker = new SaturationTracker('unused', net, {
      saveTo: [store],
      layers: (layer) => layer.name === 'hidden',
    });
    tracker.record('train', () => tf.tidy(() => void net.predict(held(dense.inputs(300, 1)) as tf.Tensor)));
    await tracker.addSaturations();
    await tracker.close();
    expect(store.layer('train', 'hidden').values).toMatchObject({ saturation: 0, intrinsicDimensionality: 0 });
  });

  it('saves and clones a model while it is hooked, without a trace', async () => {
    const net = model(dense);
    const before = JSON.stringify(net.toJSON());
    const tracker = new SaturationTracker('unused', net, { saveTo: [new RecordingStore()] });
    expect(JSON.stringify(net.toJSON())).toBe(before);
    let saved: tf.io.ModelArtifacts | undefined;
    await net.save(
      tf.io.withSaveHandler(async (artifacts) => {
        saved = artifacts;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      }),
    );
    const loaded = await tf.loadLayersModel(tf.io.fromMemory(saved!));
    toDispose.push(loaded);
    expect(Object.keys(net.layers[0])).not.toContain('call');
    const x = held(dense.inputs(3, 1)) as tf.Tensor;
    tf.tidy(() => {
      expect((loaded.predict(x) as tf.Tensor).dataSync()).toEqual((net.predict(x) as tf.Tensor).dataSync());
    });
    await tracker.close();
  });

  it('lets two trackers watch one model and close in any order', async () => {
    const net = model(dense);
    const keys = ownKeysOf(net);
    const stores = [new RecordingStore(), new RecordingStore()];
    const trackers = stores.map((store) => new SaturationTracker('unused', net, { saveTo: [store] }));
    const x = held(dense.inputs(4, 1)) as tf.Tensor;
    const options = fitOptions(dense);
    const y = held(dense.targets(4, 1)) as tf.Tensor;
    await net.fit(x, y, { ...options, epochs: 1, callbacks: trackers.map((tracker) => tracker.callback()) });
    await trackers[0].close();
    await net.fit(x, y, { ...options, epochs: 1, callbacks: [trackers[1].callback()] });
    await trackers[1].close();
    expect(stores[0].epochs).toHaveLength(1);
    expect(stores[1].epochs.map((epoch) => epoch.layers.length)).toEqual([4, 4]);
    expect(ownKeysOf(net)).toEqual(keys);
  });

  it('counts a layer of several outputs once per pass for each of two trackers, whatever the other one records', async () => {
    const input = tf.input({ shape: [4, 2] });
    const encoder = tf.layers.lstm({ units: 3, returnState: true, name: 'encoder' });
    const net = tf.model({ inputs: input, outputs: encoder.apply(input) as tf.SymbolicTensor[] });
    const [first, second] = [0, 1].map(() => new SaturationTracker('unused', net, { saveTo: [new RecordingStore()] }));
    // On the same tensor, for which only a new record makes another pass.
    const x = held(normalTensor([6, 4, 2], 1));
    const pass = () => tf.tidy(() => void net.apply(x));
    first.record('train', pass);
    first.record('train', pass);
    second.record('train', pass);
    first.record('val', () => second.record('val', pass));
    const counts = async (tracker: SaturationTracker) =>
      (await tracker.addSaturations()).map(({ split, layer, samples }) => [split, layer, samples]);
    expect(await counts(first)).toEqual([
      ['train', 'encoder', 12],
      ['val', 'encoder', 6],
    ]);
    expect(await counts(second)).toEqual([
      ['train', 'encoder', 6],
      ['val', 'encoder', 6],
    ]);
    await first.close();
    await second.close();
    freeWeights(net);
  });

  it('reads masked steps as padding: tokens of an embedding are the words only', async () => {
    if (!trainsConvolutions(backend)) return;
    const store = new RecordingStore();
    const net = model(embedding);
    const x = held(embedding.inputs(9, 1)) as tf.Tensor;
    const words = x.dataSync().filter((word) => word !== 0).length;
    const tracker = new SaturationTracker('unused', net, { saveTo: [store], timeseriesMethod: 'tokens' });
    tracker.record('val', () => tf.tidy(() => void net.predict(x)));
    await tracker.addSaturations();
    await tracker.close();
    expect(words).toBeLessThan(54);
    expect(store.samples()).toEqual({ 'val/embedding': words, 'val/gru': words, 'val/lstm': 9, 'val/output': 9 });
  });

  it('shows what a layer has before its fused activation when asked to, training still bit-identical', async () => {
    const trainable = trainsConvolutions(backend) ? convolutional : dense;
    const name = trainable === dense ? 'hidden' : 'conv';
    const inputs = held(trainable.inputs(16, 1));
    const targets = held(trainable.targets(16, 2));
    const plain = model(trainable);
    await plain.fit(inputs, targets, fitOptions(trainable));
    const hooked = model(trainable);
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', hooked, {
      saveTo: [store],
      activations: 'preActivation',
      stats: ['covariance'],
    });
    await hooked.fit(inputs, targets, fitOptions(trainable, [tracker.callback()]));
    const [a, b] = [plain.getWeights(), hooked.getWeights()];
    for (let i = 0; i < a.length; i++) expect(b[i].dataSync()).toEqual(a[i].dataSync());
    const before = tf.memory().numTensors;
    tracker.record('val', () => tf.tidy(() => void hooked.predict(inputs)));
    expect(tf.memory().numTensors).toBe(before);
    await tracker.addSaturations();
    await tracker.close();
    const layer = hooked.getLayer(name) as tf.layers.Layer & {
      kernel: { read(): tf.Tensor };
      bias: { read(): tf.Tensor };
    };
    const expected = new CovarianceAccumulator(layer.bias.read().shape[0]);
    tf.tidy(() => {
      const x = inputs as tf.Tensor4D;
      const kernel = layer.kernel.read();
      const product = trainable === dense ? x.matMul(kernel as never) : tf.conv2d(x, kernel as tf.Tensor4D, 1, 'valid');
      expected.update(product.add(layer.bias.read()).dataSync());
    });
    const found = store.layer('val', name, 2);
    expect(found.samples).toBe(expected.count);
    expect(relativeError(found.covariance!, expected.covariance())).toBeLessThan(1e-5);
  });

  it('stops and resumes, and skips what is left out in between (Delve B10 crashed)', async () => {
    const store = new RecordingStore();
    const net = model(dense);
    const x = held(dense.inputs(4, 1)) as tf.Tensor;
    const tracker = new SaturationTracker('unused', net, { saveTo: [store], stats: ['trace', 'dtrc', 'cov'] });
    const pass = () => tracker.record('train', () => tf.tidy(() => void net.predict(x)));
    tracker.stop();
    expect(tracker.isRecording).toBe(false);
    pass();
    expect(await tracker.addSaturations()).toEqual([]);
    tracker.resume();
    pass();
    expect((await tracker.addSaturations()).map((each) => each.samples)).toEqual([4, 4]);
    expect(await tracker.addSaturations()).toEqual([]);
    await tracker.close();
    expect(tracker.isRecording).toBe(false);
  });

  it('stops for good when its signal aborts, and leaves the model as it was', async () => {
    const net = model(dense);
    const keys = ownKeysOf(net);
    const controller = new AbortController();
    const tracker = new SaturationTracker('unused', net, { saveTo: [new RecordingStore()], signal: controller.signal });
    expect(tracker.isRecording).toBe(true);
    controller.abort();
    tracker.resume();
    tracker.observe('latent', held(normalTensor([20, 4], 1)), 'val');
    tracker.record('val', () => tf.dispose(net.predict(held(dense.inputs(4, 1)) as tf.Tensor)));
    expect(tracker.isRecording).toBe(false);
    expect(await tracker.addSaturations()).toEqual([]);
    expect(ownKeysOf(net)).toEqual(keys);
    await tracker.close();
  });

  it('uses every n-th batch from the first, and at most maxSamples items', async () => {
    const store = new RecordingStore();
    const net = model(recurrent);
    const x = held(recurrent.inputs(10, 1)) as tf.Tensor;
    const sparse = new SaturationTracker('unused', net, {
      saveTo: [store],
      logInterval: 10,
      timeseriesMethod: 'tokens',
    });
    const capped = new SaturationTracker('unused', net, {
      saveTo: [store],
      maxSamples: 13,
      timeseriesMethod: 'tokens',
    });
    for (let pass = 0; pass < 9; pass++) {
      sparse.record('train', () => capped.record('train', () => tf.tidy(() => void net.predict(x))));
    }
    await sparse.addSaturations();
    await capped.addSaturations();
    expect(store.samples(0)).toMatchObject({ 'train/lstm': 50, 'train/output': 10 });
    expect(store.samples(1)).toMatchObject({ 'train/lstm': 65, 'train/output': 13 });
    await sparse.close();
    await capped.close();
  });

  it('lets the moments grow over epochs with resetCovariance: false', async () => {
    const store = new RecordingStore();
    const net = model(dense);
    const x = held(dense.inputs(10, 1)) as tf.Tensor;
    const tracker = new SaturationTracker('unused', net, { saveTo: [store], resetCovariance: false });
    for (let epoch = 0; epoch < 3; epoch++) {
      tracker.record('train', () => tf.tidy(() => void net.predict(x)));
      void tracker.addSaturations();
    }
    await tracker.close();
    expect([0, 1, 2].map((epoch) => store.layer('train', 'hidden', epoch).samples)).toEqual([10, 20, 30]);
  });

  it('goes on in another process from toBytes, in the middle of an epoch', async () => {
    const [whole, first, second] = [new RecordingStore(), new RecordingStore(), new RecordingStore()];
    const net = model(dense);
    const x = held(dense.inputs(30, 1)) as tf.Tensor2D;
    const pass = (tracker: SaturationTracker, from: number) =>
      tracker.record('train', () => tf.tidy(() => void net.predict(x.slice([from, 0], [10, 6]))));
    const all = new SaturationTracker('unused', net, { saveTo: [whole], stats: ['cov'] });
    const before = new SaturationTracker('unused', net, { saveTo: [first] });
    for (const from of [0, 10, 20]) pass(all, from);
    for (const from of [0, 10]) pass(before, from);
    const bytes = before.toBytes();
    await before.close();
    const after = new SaturationTracker('unused', net, { saveTo: [second], stats: ['cov'] });
    after.restore(bytes);
    pass(after, 20);
    await all.addSaturations();
    await after.addSaturations();
    const [a, b] = [whole.layer('train', 'hidden'), second.layer('train', 'hidden')];
    expect([b.samples, b.effectiveSamples]).toEqual([30, 30]);
    expect(relativeError(b.covariance!, a.covariance!)).toBeLessThan(1e-12);
    expect(() => after.restore(bytes.subarray(0, 90))).toThrow(RangeError);
    expect(() => after.restore(new Uint8Array(100))).toThrow(
      /restore: expected the bytes of toBytes\(\) or take\(\), got/,
    );
    const damaged = bytes.slice();
    damaged[damaged.indexOf('{'.charCodeAt(0))] = 0;
    expect(() => after.restore(damaged)).toThrow(RangeError);
    await all.close();
    await after.close();
  });

  it('refuses the state of another model, and changes nothing then; names that were observed are any model’s', async () => {
    const small = (name: string, units: number) =>
      tf.sequential({ layers: [tf.layers.dense({ name, units, inputShape: [3] })] });
    const stateOf = (net: tf.LayersModel, act: (tracker: SaturationTracker) => void) => {
      const tracker = new SaturationTracker('unused', net, { saveTo: [] });
      act(tracker);
      const bytes = tracker.toBytes();
      void tracker.close();
      return bytes;
    };
    const x = held(tf.randomNormal([9, 3], 0, 1, 'float32', 1)) as tf.Tensor2D;
    const pass = (net: tf.LayersModel) => (tracker: SaturationTracker) => {
      tracker.record('train', () => tf.tidy(() => void net.predict(x)));
      tracker.observe('mine', x, 'train');
    };
    const [four, five, other] = [small('a', 4), small('a', 5), small('b', 4)];
    const state = stateOf(four, pass(four));
    for (const [net, message] of [
      [five, /restore: expected 5 features of layer 'a' \(train\), got 4/],
      [other, /restore: expected the layers that are tracked \('b'\), got 'a' \(train\)/],
    ] as const) {
      const store = new RecordingStore();
      const tracker = new SaturationTracker('unused', net, { saveTo: [store] });
      expect(() => tracker.restore(state)).toThrow(RangeError);
      expect(() => tracker.restore(state)).toThrow(message);
      pass(net)(tracker);
      await tracker.addSaturations();
      expect(store.epochs[0].layers.map(({ samples }) => samples)).toEqual([9, 9]);
      await tracker.close();
    }
    const observed = stateOf(four, (tracker) => tracker.observe('mine', x, 'train'));
    const tracker = new SaturationTracker('unused', other, { saveTo: [] });
    tracker.restore(observed);
    tracker.observe('mine', x, 'train');
    const results = await tracker.addSaturations();
    expect(results.map(({ layer, samples }) => [layer, samples])).toEqual([['mine', 18]]);
    await tracker.close();
    for (const net of [four, five, other]) net.dispose();
  });

  it('observes any tensor under a name', async () => {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model(dense), { saveTo: [store] });
    tracker.observe('latent', held(normalTensor([20, 4], 1)), 'val');
    tracker.observe('map', held(normalTensor([2, 3, 3, 5], 1)), 'val');
    expect(tracker.layerNames).toEqual(['hidden', 'output', 'latent', 'map']);
    await tracker.addSaturations();
    await tracker.close();
    expect(store.samples()).toEqual({ 'val/latent': 20, 'val/map': 18 });
    expect(() => tracker.observe('', held(tf.zeros([1])), 'val')).toThrow(/name: expected a non-empty string/);
    expect(() => tracker.observe('x', 3 as never, 'val')).toThrow(/observe 'x': expected a tensor/);
    expect(() => tracker.record('test' as never, () => {})).toThrow(
      /split: expected 'train' or 'val', got the string "test"/,
    );
  });

  it('never lets a failing store reach the training, and throws its error from close', async () => {
    const net = model(dense);
    const good = new RecordingStore();
    const bad = {
      add() {
        throw new Error('disk full');
      },
    };
    const tracker = new SaturationTracker('unused', net, { saveTo: [bad, good] });
    await net.fit(held(dense.inputs(8, 1)), held(dense.targets(8, 2)), fitOptions(dense, [tracker.callback()]));
    await expect(tracker.close()).rejects.toThrow(/disk full/);
    expect(good.epochs).toHaveLength(2);
  });
});

describe('options', () => {
  it.each([
    [{ threshold: 0 }, /threshold: expected a number in \(0, 1\], got number 0/],
    [{ threshold: 99 }, /threshold/],
    [{ threshold: '0.9' as never }, /threshold: expected .*, got the string "0.9"/],
    [{ stats: ['lsat_eval' as never] }, /stats: expected names out of .*got the string "lsat_eval"/],
    [{ stats: ['saturatoin' as never] }, /got the string "saturatoin"; did you mean 'saturation'\?$/],
    [{ stats: ['helth' as never] }, /did you mean 'health'\?$/],
    [{ saveTo: ['tensorbord' as never] }, /did you mean 'tensorboard'\?$/],
    [{ saveTo: ['nothing of the kind' as never] }, /got the string "nothing of the kind"$/],
    [{ convMethod: 'typo' as never }, /convMethod: expected one of 'channelwise'.*got the string "typo"/],
    [{ logInterval: 0 }, /logInterval: expected an integer >= 1, got number 0/],
    [{ maxSamples: 1.5 }, /maxSamples/],
    [{ downsample: { size: 0 } }, /downsample.size/],
    [{ saveTo: ['nowhere' as never] }, /saveTo.*"nowhere"/],
    [{ averageSaturation: 'yes' as never }, /averageSaturation: expected true or false/],
    [{ layers: 'conv' as never }, /layers: expected a function/],
  ])('%o is a clear error', (options, message) => {
    expect(() => new SaturationTracker('unused', dense.build(), options)).toThrow(message);
  });
});

function linearDense(): tf.layers.Layer {
  return tf.layers.dense({ inputShape: [6], units: 8, name: 'hidden' });
}

function relativeError(found: Float64Array, expected: Float64Array): number {
  const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return found.reduce((max, value, i) => Math.max(max, Math.abs(value - expected[i])), 0) / largest;
}

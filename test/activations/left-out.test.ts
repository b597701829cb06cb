import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { extractSaturation } from '../../src/tracker/extract-saturation.js';
import type { SaturationOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { backends, useBackend } from '../support/backends.js';
import { freeWeights, normalTensor } from '../support/models.js';
import { normals, twoPassCovariance } from '../support/random.js';
import { RecordingStore } from '../support/recording-store.js';
import { catchWarnings } from '../support/warnings.js';

// What a recorder cannot use it leaves out, in one message, and the rest counts.

describe.each(backends)('what a recorder leaves out on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  const warnings = catchWarnings();
  /** All but the warnings of few rows. */
  const told = () =>
    warnings.filter((warning) => !warning.includes('rows are few') && !warning.includes('independent'));

  function trackerOf(options: SaturationOptions = {}, model: object = [tf.layers.dense({ units: 1 })]) {
    const store = new RecordingStore();
    const tracker = new SaturationTracker('unused', model as tf.LayersModel, { ...options, saveTo: [store] });
    return { store, tracker };
  }

  describe('activations of any type', () => {
    it('are read as the numbers that they are: int32 beyond 2^24 too', async () => {
      const { store, tracker } = trackerOf({ stats: ['covariance'] });
      // Odd numbers above 2^24, which float32 would round to even ones.
      const integers = Int32Array.from({ length: 400 }, (_, i) => 2 ** 24 + 2 * ((i * 37) % 11) + 1);
      const large = tf.tensor2d(integers, [100, 4], 'int32');
      const wide = tf.tensor2d(integers, [4, 100], 'int32');
      const flags = tf.tensor2d(
        normals(300, 1).map((value) => Number(value > 0)),
        [100, 3],
        'bool',
      );
      tracker.observe('large', large, 'val');
      tracker.observe('wide', wide, 'val');
      tracker.observe('flags', flags, 'val');
      const epoch = await tracker.addSaturations();
      expect(epoch.map(({ layer, samples, features }) => [layer, samples, features])).toEqual([
        ['large', 100, 4],
        ['wide', 4, 100],
        ['flags', 100, 3],
      ]);
      for (const [name, tensor, width] of [
        ['large', large, 4],
        ['wide', wide, 100],
        ['flags', flags, 3],
      ] as const) {
        const expected = twoPassCovariance(Float64Array.from(tensor.dataSync()), width);
        const found = store.layer('val', name).covariance!;
        const largest = Math.max(...expected);
        for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i])).toBeLessThan(1e-9 * largest);
      }
      await tracker.close();
      tf.dispose([large, wide, flags]);
    });

    it.each(['int32', 'bool'] as const)(
      'are read in maps, where many rows are reduced on the device: %s',
      async (dtype) => {
        const { store, tracker } = trackerOf({ stats: ['covariance'] });
        const values = normals(40 * 8 * 8 * 4, 5).map((value) =>
          dtype === 'bool' ? Number(value > 0) : Math.round(1e6 * value),
        );
        const maps = tf.tensor4d(values, [40, 8, 8, 4], dtype);
        tracker.observe('maps', maps, 'val');
        await tracker.addSaturations();
        await tracker.close();
        const expected = twoPassCovariance(Float64Array.from(values), 4);
        const found = store.layer('val', 'maps').covariance!;
        const largest = Math.max(...expected);
        for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i])).toBeLessThan(1e-9 * largest);
        maps.dispose();
      },
    );

    it('are refused by name if they are no real numbers: once in a model, and nothing is left behind', async () => {
      class Constant extends tf.layers.Layer {
        readonly #make: () => tf.Tensor;
        constructor(name: string, make: () => tf.Tensor) {
          super({ name });
          this.#make = make;
        }
        override call() {
          return this.#make();
        }
        static className = 'Constant';
      }
      const words = () => tf.tensor2d(['a', 'b'], [2, 1]);
      // The wasm backend has no complex numbers.
      const complex = () => (backend === 'wasm' ? words() : tf.complex(tf.ones([5, 2]), tf.ones([5, 2])));
      const [spectrogram, tokens, rows] = [
        new Constant('spectrogram', complex),
        new Constant('tokens', words),
        new Constant('rows', () => tf.randomNormal([5, 2])),
      ];
      const { store, tracker } = trackerOf({}, [spectrogram, tokens, rows]);
      const x = tf.zeros([1, 1]);
      const before = tf.memory().numTensors;
      for (let pass = 0; pass < 3; pass++) {
        tracker.record('val', () => tf.tidy(() => void [spectrogram, tokens, rows].map((layer) => layer.apply(x))));
      }
      const got = backend === 'wasm' ? 'string' : 'complex64';
      expect(() => tf.tidy(() => tracker.observe('mine', complex(), 'val'))).toThrow(
        `output: expected a tensor of float32, int32 or bool, got ${got}`,
      );
      expect(tf.memory().numTensors).toBe(before);
      await tracker.addSaturations();
      expect(store.samples()).toEqual({ 'val/rows': 15 });
      expect(told().map((warning) => warning.replace('SaturationTracker: ', ''))).toEqual([
        `layer 'spectrogram': output: expected a tensor of float32, int32 or bool, got ${got}`,
        "layer 'tokens': output: expected a tensor of float32, int32 or bool, got string",
      ]);
      await expect(tracker.close()).rejects.toThrow(/'spectrogram'.*got .*'tokens'.*got string/);
      x.dispose();
    });
  });

  describe('layers that are too wide', () => {
    it('are named in one warning with the option, whatever the splits and passes', async () => {
      const model = tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 30, outputDim: 8, inputLength: 5, name: 'words' }),
          tf.layers.dense({ units: 41, name: 'vocabulary', activation: 'softmax' }),
          tf.layers.dense({ units: 40, name: 'edge' }),
          tf.layers.dense({ units: 50, name: 'wider' }),
        ],
      });
      const { store, tracker } = trackerOf({ stats: ['trace'], maxWidth: 40, wideLayers: 'leaveOut' }, model);
      const x = tf.zeros([2, 5], 'int32');
      const before = tf.memory().numTensors;
      for (const split of ['train', 'val', 'val'] as const) {
        tracker.record(split, () => tf.tidy(() => void model.predict(x)));
        await Promise.resolve();
      }
      expect(tf.memory().numTensors).toBe(before);
      expect(told()).toEqual([
        "Layers of more than maxWidth = 40 features are left out: 'vocabulary' (41 features), 'wider' (50 " +
          "features). Memory grows with the square of the width, and time with its cube; the option maxWidth sets the limit, and wideLayers: 'sketch' measures them within bounds",
      ]);
      await tracker.addSaturations();
      await tracker.close();
      expect(Object.keys(store.samples())).toEqual(['train/words', 'val/words', 'train/edge', 'val/edge']);
      x.dispose();
      freeWeights(model);
    });

    it('are those above the limit that is set; Infinity sets none', async () => {
      const counted = async (maxWidth: number | undefined, layer = 'rows', options: SaturationOptions = {}) => {
        const { store, tracker } = trackerOf({ stats: ['trace'], maxWidth, wideLayers: 'leaveOut', ...options });
        tf.tidy(() => tracker.observe(layer, layer === 'rows' ? tf.ones([3, 5000]) : tf.ones([3, 30, 30, 8]), 'val'));
        await tracker.addSaturations();
        await tracker.close();
        return store.epochs[0]?.layers.map(({ features }) => features) ?? [];
      };
      expect(await counted(undefined)).toEqual([]);
      expect(await counted(4999)).toEqual([]);
      expect(await counted(5000)).toEqual([5000]);
      expect(await counted(Number.POSITIVE_INFINITY)).toEqual([5000]);
      // The width is that of the sample matrix, not of the layer.
      expect(await counted(undefined, 'map')).toEqual([8]);
      expect(await counted(undefined, 'map', { convMethod: 'flatten' })).toEqual([]);
      expect(await counted(undefined, 'map', { convMethod: 'flatten', downsample: { size: 20 } })).toEqual([3200]);
      for (const maxWidth of [0, 0.5, -1, Number.NaN]) {
        expect(() => trackerOf({ maxWidth })).toThrow(/maxWidth: expected an integer >= 1/);
      }
      expect(() => trackerOf({ maxWidth: '9' as never })).toThrow(TypeError);
    });

    it('are left out of lists of layers, of what comes before an activation, and of extractSaturation', async () => {
      const dense = tf.layers.dense({ units: 20, name: 'wide', activation: 'relu', inputShape: [3] });
      const model = tf.sequential({ layers: [dense, tf.layers.dense({ units: 2, name: 'output' })] });
      const x = normalTensor([9, 3], 1);
      const { store, tracker } = trackerOf({ maxWidth: 10, wideLayers: 'leaveOut', activations: 'preActivation' }, [
        dense,
      ]);
      tracker.record('val', () => tf.tidy(() => void model.predict(x)));
      await tracker.addSaturations();
      await tracker.close();
      expect(store.epochs.flatMap(({ layers }) => layers)).toEqual([]);
      const spectra = await extractSaturation(model, x, { maxWidth: 10, wideLayers: 'leaveOut', progress: false });
      expect([...spectra.keys()]).toEqual(['output']);
      const ofWidth = told().filter((warning) => warning.includes('maxWidth = 10'));
      expect(ofWidth.map((warning) => warning.includes("out: 'wide' (20 features). "))).toEqual([true, true]);
      x.dispose();
      freeWeights(model);
    });
  });

  describe('passes of another width', () => {
    const lengths = [7, 5, 7, 9, 11, 7];

    it.each<[string, SaturationOptions, (length: number) => number[], number]>([
      ['sequences as rows', { timeseriesMethod: 'timestepwise' }, (length) => [4, length, 3], 21],
      ['maps as rows', { convMethod: 'flatten' }, (length) => [4, length, length, 2], 98],
      ['rows', {}, (length) => [4, length], 7],
      ['rows, sampled', { sampling: 'auto' }, (length) => [4, length], 7],
    ])('bring one message, and the others count: %s', async (_, options, shapeOf, features) => {
      const { store, tracker } = trackerOf({ stats: ['spectrum'], ...options });
      const before = tf.memory().numTensors;
      const used: number[] = [];
      for (const [seed, length] of lengths.entries()) {
        const pass = normalTensor(shapeOf(length), seed);
        if (length === 7) used.push(...pass.dataSync());
        tracker.observe('layer', pass, 'val');
        pass.dispose();
      }
      expect(tf.memory().numTensors).toBe(before);
      await tracker.addSaturations();
      expect(store.samples()).toEqual({ 'val/layer': 12 });
      const covariance = twoPassCovariance(Float64Array.from(used), features);
      const truth = Spectrum.of(Float64Array.from(covariance));
      const found = store.layer('val', 'layer').spectrum!;
      expect(Math.abs(found.trace / truth.trace - 1)).toBeLessThan(1e-6);
      expect(told()).toHaveLength(1);
      expect(told()[0]).toMatch(
        new RegExp(
          `layer 'layer' \\(val\\): output: expected ${features} features as in earlier passes, got .*are left out`,
        ),
      );
      await expect(tracker.close()).rejects.toThrow(/features as in earlier passes/);
    });

    it('begin another epoch', async () => {
      const { store, tracker } = trackerOf({ stats: ['trace'] });
      for (const shape of [
        [40, 8, 8, 3],
        [40, 8, 8, 5],
      ]) {
        tf.tidy(() => tracker.observe('layer', normalTensor(shape, 1), 'val'));
        await tracker.addSaturations();
      }
      await tracker.close();
      expect([0, 1].map((epoch) => store.layer('val', 'layer', epoch).features)).toEqual([3, 5]);
      expect(told()).toEqual([]);
    });
  });
});

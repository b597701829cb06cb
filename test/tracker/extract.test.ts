import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Batches, eachBatch } from '../../src/activations/batches.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { extractMoments, extractSaturation } from '../../src/tracker/extract-saturation.js';
import { backends, useBackend } from '../support/backends.js';
import { dense, freeWeights, normalTensor, recurrent, seedWeights } from '../support/models.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();
afterEach(() => {
  vi.restoreAllMocks();
});

describe.each(backends)('extractSaturation on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it('gives the spectrum of every layer over all batches, in order of depth, and leaves everything as it was', async () => {
    const model = dense.build();
    const batches = [1, 2, 3].map((seed) => dense.inputs(30, seed) as tf.Tensor);
    const weights = model.getWeights().map((weight) => weight.dataSync());
    const keys = Reflect.ownKeys(model.layers[0]);
    const before = tf.memory().numTensors;
    const spectra = await extractSaturation(model, batches, { progress: false });
    expect(tf.memory().numTensors).toBe(before);
    expect(batches.map(({ isDisposed }) => isDisposed)).toEqual([false, false, false]);
    expect(model.getWeights().map((weight) => weight.dataSync())).toEqual(weights);
    expect(Reflect.ownKeys(model.layers[0])).toEqual(keys);
    expect([...spectra.keys()]).toEqual(['hidden', 'output']);
    const expected = new CovarianceAccumulator(8);
    for (const batch of batches) tf.tidy(() => expected.update((model.layers[0].apply(batch) as tf.Tensor).dataSync()));
    const [found, truth] = [spectra.get('hidden')!, Spectrum.of(expected)];
    expect(found.samples).toBe(90);
    for (let i = 0; i < 8; i++) {
      expect(Math.abs(found.eigenvalues[i] - truth.eigenvalues[i])).toBeLessThan(1e-6 * truth.eigenvalues[0]);
    }
    for (const threshold of [0.5, 0.9, 0.99]) expect(found.saturation(threshold)).toBe(truth.saturation(threshold));
    tf.dispose(batches);
    model.dispose();
  });

  it.each([
    ['auto', 64],
    ['auto', 640],
    ['float64', 640],
  ] as const)('knows rounding from variance: precision %s, batches of %i', async (precision, size) => {
    // The probabilities of a softmax add up to 1, and 48 linear units on 12 others have 12 directions. What is left is rounding.
    const model = tf.sequential({
      layers: [
        tf.layers.dense({
          inputShape: [20],
          units: 12,
          activation: 'tanh',
          kernelInitializer: tf.initializers.glorotNormal({ seed: 1 }),
        }),
        tf.layers.dense({ name: 'linear', units: 48, kernelInitializer: tf.initializers.glorotNormal({ seed: 2 }) }),
        tf.layers.dense({
          name: 'softmax',
          units: 10,
          activation: 'softmax',
          kernelInitializer: tf.initializers.glorotNormal({ seed: 3 }),
        }),
      ],
    });
    const batches = Array.from({ length: 1920 / size }, (_, i) => normalTensor([size, 20], 10 + i));
    const spectra = await extractSaturation(model, batches, { precision, progress: false });
    const softmax = spectra.get('softmax')!;
    expect([softmax.rank, softmax.conditionNumber, softmax.logDeterminant, softmax.determinant]).toEqual([
      9,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      0,
    ]);
    expect(softmax.intrinsicDimensionality(1)).toBe(9);
    expect([spectra.get('linear')!.rank, spectra.get('linear')!.conditionNumber]).toEqual([
      12,
      Number.POSITIVE_INFINITY,
    ]);
    tf.dispose(batches);
    model.dispose();
  });

  it('accepts async batches, elements of a data set, lists and inputs by name', async () => {
    const [a, b] = [tf.input({ shape: [3], name: 'a' }), tf.input({ shape: [2], name: 'b' })];
    const joined = tf.layers.concatenate().apply([a, b]) as tf.SymbolicTensor;
    const output = tf.layers.dense({ units: 4, name: 'joint' }).apply(joined) as tf.SymbolicTensor;
    const model = tf.model({ inputs: [a, b], outputs: output });
    const [left, right] = [normalTensor([7, 3], 1), normalTensor([7, 2], 2)];
    async function* stream() {
      yield [left, right];
      yield { xs: [left, right], ys: right };
      yield { xs: { b: right, a: left } };
    }
    const spectra = await extractSaturation(model, stream(), { progress: false });
    const thrice = await extractSaturation(
      model,
      [
        [left, right],
        [left, right],
        [left, right],
      ],
      { progress: false },
    );
    expect(spectra.get('joint')!.samples).toBe(21);
    expect(spectra.get('joint')!.eigenvalues).toEqual(thrice.get('joint')!.eigenvalues);
    await expect(extractSaturation(model, [{ xs: { a: left, c: right } }], { progress: false })).rejects.toThrow(
      /expected a tensor for the model's input 'b', got tensors for a, c/,
    );
    tf.dispose([left, right]);
    model.dispose();
  });

  describe('takes batches as TensorFlow.js users hold them, and leaves no tensor behind:', () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ xs: [i, Math.sin(i), i % 7], ys: [i % 2] }));
    const all = () => tf.tensor2d(rows.map(({ xs }) => xs));
    const dataset = () => tf.data.array(rows).batch(8);
    const parts = () => tf.tidy(() => tf.split(all(), 5));
    /** What disposes of the tensors that a source made and that stay the caller's. */
    const own = (tensors: tf.Tensor[]) => ({ batches: tensors, dispose: () => tf.dispose(tensors) });
    type Source = { batches: Batches; dispose?: () => void };
    const sources: Record<string, () => Source | Promise<Source>> = {
      'a data set of { xs, ys }': () => ({ batches: dataset() }),
      'a data set of tensors': () => ({ batches: tf.data.array(rows.map(({ xs }) => xs)).batch(8) }),
      'a data set of lists': () => ({ batches: dataset().map((element) => [(element as { xs: tf.Tensor }).xs]) }),
      'a data set of inputs by name': () => ({
        batches: dataset().map((element) => ({ values: (element as { xs: tf.Tensor }).xs })),
      }),
      'a data set of { xs } by name': () => ({
        batches: dataset().map((element) => ({ xs: { values: (element as { xs: tf.Tensor }).xs } })),
      }),
      'a shuffled data set from a generator': () => ({
        batches: tf.data
          .generator(function* () {
            yield* rows;
          })
          .shuffle(10, '1')
          .batch(8)
          .prefetch(2),
      }),
      'the iterator of a data set': async () => ({ batches: (await dataset().iterator()) as unknown as Batches }),
      'a list of tensors': () => own(parts()),
      'a set of tensors': () => {
        const { batches, dispose } = own(parts());
        return { batches: new Set(batches), dispose };
      },
      'a list of promises': () => {
        const { batches, dispose } = own(parts());
        return { batches: batches.map((batch) => Promise.resolve(batch)), dispose };
      },
      'a list of { xs, ys }': () => {
        const { batches, dispose } = own(parts());
        return { batches: batches.map((xs) => ({ xs, ys: xs })), dispose };
      },
      'a generator that disposes of what it yields': () => ({
        batches: (function* () {
          for (const part of parts()) {
            yield part;
            part.dispose();
          }
        })(),
      }),
      'a generator function': () => ({
        batches: function* () {
          for (const part of parts()) {
            yield { values: part };
            part.dispose();
          }
        },
      }),
      'an async generator function': () => ({
        batches: async function* () {
          for (const part of parts()) {
            yield { xs: part };
            part.dispose();
          }
        },
      }),
      'a single tensor': () => {
        const x = all();
        return { batches: x, dispose: () => x.dispose() };
      },
      'a single { xs }': () => {
        const x = all();
        return { batches: { xs: [x] }, dispose: () => x.dispose() };
      },
    };

    it.each(Object.keys(sources))('%s', async (name) => {
      const input = tf.input({ shape: [3], name: 'values' });
      const output = tf.layers.dense({ units: 4, name: 'd' }).apply(input) as tf.SymbolicTensor;
      const model = tf.model({ inputs: input, outputs: output });
      // TensorFlow.js itself leaves tensors of some data sets behind: what counts is what is left beside them.
      const drain = async (source: Batches) => {
        for await (const batch of eachBatch(source, 'test')) void batch;
      };
      const leftBy = async (use: (source: Batches) => Promise<unknown>) => {
        const before = tf.memory().numTensors;
        const { batches, dispose } = await sources[name]();
        await use(batches);
        dispose?.();
        return tf.memory().numTensors - before;
      };
      const plain = await leftBy(drain);
      let spectrum: Spectrum | undefined;
      const left = await leftBy(async (batches) => {
        spectrum = (await extractSaturation(model, batches, { progress: false })).get('d');
      });
      expect(left).toBe(plain);
      expect(left).toBe(0);
      const expected = new CovarianceAccumulator(4);
      tf.tidy(() => expected.update((model.predict(all()) as tf.Tensor).dataSync()));
      expect(spectrum!.samples).toBe(40);
      const { eigenvalues } = Spectrum.of(expected);
      for (const [i, value] of spectrum!.eigenvalues.entries()) {
        expect(Math.abs(value - eigenvalues[i])).toBeLessThan(1e-6 * eigenvalues[0]);
      }
      freeWeights(model);
    });

    it('stops early without a tensor left: at an error of the model, of the source, and at an abort', async () => {
      const model = tf.sequential({ layers: [tf.layers.dense({ units: 4, inputShape: [3], name: 'd' })] });
      const controller = new AbortController();
      const before = tf.memory().numTensors;
      const ends: string[] = [];
      async function* stream(kind: string) {
        const held = tf.zeros([2, 3]);
        try {
          yield held;
          if (kind === 'abort') controller.abort(new Error('enough'));
          if (kind === 'source') throw new Error('disk full');
          const wrong = tf.zeros([2, 5]);
          try {
            yield kind === 'model' ? wrong : held;
          } finally {
            wrong.dispose();
          }
        } finally {
          held.dispose();
          ends.push(kind);
        }
      }
      const options = { progress: false };
      await expect(extractSaturation(model, stream('model'), options)).rejects.toThrow(/shape/);
      await expect(extractSaturation(model, stream('source'), options)).rejects.toThrow('disk full');
      const { signal } = controller;
      await expect(extractSaturation(model, stream('abort'), { ...options, signal })).rejects.toThrow('enough');
      expect(ends).toEqual(['model', 'source', 'abort']);
      const wrong = tf.data.array([[1, 2, 3, 4, 5]]).batch(1);
      await expect(extractSaturation(model, wrong, options)).rejects.toThrow(/shape/);
      expect(tf.memory().numTensors).toBe(before);
      expect(model.layers.every((layer) => !Object.hasOwn(layer, 'call'))).toBe(true);
      freeWeights(model);
    });

    it.each<[string, unknown, RegExp]>([
      [
        'elements that are no batches',
        tf.data.array(rows),
        /expected batches of tensors, got an object.*dataset\.batch/,
      ],
      ['numbers', [[1, 2, 3]], /expected batches of tensors, got an array of 3/],
      ['an empty list of inputs', [[]], /expected batches of tensors, got an array of 0/],
      ['text', 'images', /got the string "images"/],
      ['null', null, /expected batches: a tf\.data\.Dataset, an iterable.*got null/],
      ['a number', 12, /got number 12/],
      ['an object', { data: [1] }, /got an object/],
      ['a null batch', [null], /got null/],
    ])('%s are refused in words', async (_, batches, message) => {
      const model = tf.sequential({ layers: [tf.layers.dense({ units: 4, inputShape: [3], name: 'd' })] });
      await expect(extractSaturation(model, batches as Batches, { progress: false })).rejects.toThrow(message);
      await expect(extractSaturation(model, batches as Batches, { progress: false })).rejects.toThrow(TypeError);
      freeWeights(model);
    });

    it('[xs, ys] is refused with what to do', async () => {
      const model = tf.sequential({ layers: [tf.layers.dense({ units: 4, inputShape: [3], name: 'd' })] });
      const pairs = tf.data.zip([
        tf.data.array(rows.map(({ xs }) => xs)).batch(4),
        tf.data.array(rows.map(({ ys }) => ys)).batch(4),
      ]);
      await expect(extractSaturation(model, pairs as Batches, { progress: false })).rejects.toThrow(
        'batches: expected 1 tensors, one for each input of the model, got 2. If a batch is [xs, ys], make it { xs, ys }',
      );
      freeWeights(model);
    });
  });

  it('uses a share of the rows by default if it knows how many there are, and all of them if asked to', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [24, 24, 3], filters: 12, kernelSize: 3, activation: 'tanh', name: 'conv' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 2, name: 'output' }),
      ],
    });
    seedWeights(model, 4);
    const images = normalTensor([600, 24, 24, 3], 2);
    const batches = tf.tidy(() => tf.split(images, 12));
    const size = 12;
    const options = { progress: false, layers: ({ name }: { name: string }) => name === 'conv' };
    const spectra = new Map<string, Spectrum>();
    for (const [name, source, sampling] of [
      ['list', batches, undefined],
      ['data set', { size, iterator: async () => iteratorOf(batches) }, 'auto'],
      ['no size', { iterator: async () => iteratorOf(batches) }, 'auto'],
      ['endless', { size: Number.POSITIVE_INFINITY, iterator: async () => iteratorOf(batches) }, undefined],
      ['stream', new Set(batches), undefined],
      ['all', batches, 'all'],
    ] as const) {
      spectra.set(name, (await extractSaturation(model, source, { ...options, sampling })).get('conv')!);
    }
    const all = 600 * 22 * 22;
    const samples = Object.fromEntries([...spectra].map(([name, spectrum]) => [name, spectrum.samples]));
    expect(samples).toMatchObject({ 'no size': all, endless: all, stream: all, all });
    for (const name of ['list', 'data set']) {
      expect(samples[name]).toBeLessThan(0.5 * all);
      // A layer of 12 features: one direction is more than 0.01.
      expect(Math.abs(spectra.get(name)!.saturation() - spectra.get('all')!.saturation())).toBeLessThan(1.5 / 12);
    }
    tf.dispose([images, batches]);
    freeWeights(model);
  });

  it('reads activations by the options of a tracker', async () => {
    const model = recurrent.build();
    const x = recurrent.inputs(12, 1) as tf.Tensor;
    const spectra = await extractSaturation(model, [x], {
      progress: false,
      timeseriesMethod: 'timestepwise',
      layers: (layer) => layer.name === 'lstm' && 'first',
      maxSamples: 10,
    });
    expect([...spectra].map(([name, { samples, features }]) => [name, samples, features])).toEqual([['first', 10, 20]]);
    x.dispose();
    model.dispose();
  });

  it('leaves out layers of which no row is finite', async () => {
    // Linear: the wasm backend's relu turns NaN into 0.
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ inputShape: [2], units: 3, name: 'one' }),
        tf.layers.dense({ units: 2, name: 'broken' }),
      ],
    });
    model.layers[1].setWeights([tf.fill([3, 2], Number.NaN), tf.zeros([2])]);
    const x = normalTensor([9, 2], 1);
    expect([...(await extractSaturation(model, [x], { progress: false })).keys()]).toEqual(['one']);
    expect(warnings.join()).toMatch(/(^|Error: |Warning: )9 of 9 rows of layer 'broken' held a NaN or Infinity/);
    x.dispose();
    model.dispose();
  });

  it('warns of few rows by the names of layers alone: there is no split, and long folders say nothing', async () => {
    const names = ['one', 'two', 'three', 'four'].map((name) => `${'a/long/folder/'.repeat(9)}${name}`);
    const model = tf.sequential({
      layers: names.map((name) => tf.layers.dense({ inputShape: [32], units: 32, name })),
    });
    const x = normalTensor([40, 32], 1);
    await extractSaturation(model, [x], { progress: false });
    const lines = warnings.join().split('\n');
    expect(lines[0]).toMatch(/Layer "one": 40 rows are few for 32 features/);
    expect(lines.slice(3)).toEqual(['The same holds for 1 more layers.']);
    x.dispose();
    model.dispose();
  });

  it('requires a batch, stops at an abort, passes errors on, and removes its hooks whatever happens', async () => {
    const model = dense.build();
    const keys = Reflect.ownKeys(model.layers[0]);
    const x = dense.inputs(9, 1) as tf.Tensor;
    await expect(extractSaturation(model, [], { progress: false })).rejects.toThrow(/at least one batch/);
    const controller = new AbortController();
    const aborting = (function* () {
      yield x;
      controller.abort(new Error('enough'));
      yield x;
    })();
    await expect(extractSaturation(model, aborting, { progress: false, signal: controller.signal })).rejects.toThrow(
      'enough',
    );
    const wrong = normalTensor([4, 5], 1);
    await expect(extractSaturation(model, [x, wrong], { progress: false })).rejects.toThrow(/shape/);
    expect(Reflect.ownKeys(model.layers[0])).toEqual(keys);
    tf.dispose([x, wrong]);
    model.dispose();
  });

  it('draws a progress line on the terminal when asked to, and none otherwise', async () => {
    const written: string[] = [];
    const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    const model = dense.build();
    const x = dense.inputs(9, 1) as tf.Tensor;
    await extractSaturation(model, [x, x], { progress: false });
    expect(written).toEqual([]);
    await extractSaturation(model, [x, x], { progress: true });
    spy.mockRestore();
    expect(written.join('')).toMatch(/1 batches.*\r.*2 batches\n$/);
    x.dispose();
    model.dispose();
  });
});

/** Gives clones, because what a data set gives is disposed of. */
function iteratorOf(batches: readonly tf.Tensor[]) {
  const left = [...batches];
  return {
    async next() {
      const value = left.shift()?.clone();
      return value === undefined ? { done: true, value } : { done: false, value };
    },
  };
}

describe.each(backends)('extractMoments on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it('of parts merge to those of the whole, in order of depth, with the same bits each time', async () => {
    const model = dense.build();
    const batches = [1, 2, 3, 4].map((seed) => dense.inputs(300, seed) as tf.Tensor);
    const before = tf.memory().numTensors;
    const sharded = async () => {
      const root = await extractMoments(model, batches.slice(0, 2), { progress: false });
      const rest = await extractMoments(model, batches.slice(2), { progress: false });
      for (const [layer, moments] of rest) root.get(layer)!.merge(CovarianceAccumulator.fromBytes(moments.toBytes()));
      return root;
    };
    const [once, again] = [await sharded(), await sharded()];
    expect(tf.memory().numTensors).toBe(before);
    expect([...once.keys()]).toEqual(['hidden', 'output']);
    const whole = await extractSaturation(model, batches, { progress: false, sampling: 'all', precision: 'float64' });
    for (const [layer, moments] of once) {
      expect(moments.count).toBe(1200);
      expect(again.get(layer)!.toBytes()).toEqual(moments.toBytes());
      const [found, truth] = [Spectrum.of(moments), whole.get(layer)!];
      for (const threshold of [0.5, 0.9, 0.99]) expect(found.saturation(threshold)).toBe(truth.saturation(threshold));
    }
    // Two passes over the outputs themselves.
    const hidden = tf.tidy(() =>
      tf.concat(batches.map((batch) => model.layers[0].apply(batch) as tf.Tensor)).dataSync(),
    );
    const mean = once.get('hidden')!.mean();
    for (let unit = 0; unit < 8; unit++) {
      let sum = 0;
      for (let row = 0; row < 1200; row++) sum += hidden[row * 8 + unit];
      expect(mean[unit]).toBeCloseTo(sum / 1200, 6);
    }
    tf.dispose(batches);
    model.dispose();
  });

  it('are those whose spectra extractSaturation gives of all rows, bit for bit', async () => {
    const model = dense.build();
    const batches = [1, 2, 3].map((seed) => dense.inputs(100, seed) as tf.Tensor);
    const moments = await extractMoments(model, batches, { progress: false });
    const options = { progress: false, sampling: 'all', deterministic: true } as const;
    const spectra = await extractSaturation(model, batches, options);
    expect([...spectra.keys()]).toEqual([...moments.keys()]);
    for (const [layer, accumulator] of moments) {
      expect(spectra.get(layer)!.eigenvalues).toEqual(Spectrum.of(accumulator).eigenvalues);
    }
    tf.dispose(batches);
    model.dispose();
  });

  it('refuses what would leave rows out, and a source without batches', async () => {
    const model = dense.build();
    const wrong = { sampling: 'auto' } as object;
    await expect(extractMoments(model, [], wrong)).rejects.toThrow(/extractMoments: .*sampling/);
    await expect(extractMoments(model, [], { progress: false })).rejects.toThrow(
      'batches: expected at least one batch',
    );
    model.dispose();
  });
});

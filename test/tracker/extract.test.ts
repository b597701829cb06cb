import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { extractSaturation } from '../../src/tracker/extract-saturation.js';
import { backends, useBackend } from '../support/backends.js';
import { dense, normalTensor, recurrent } from '../support/models.js';
import { catchWarnings } from '../support/warnings.js';

catchWarnings();
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

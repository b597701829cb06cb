import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { measureWeights } from '../../src/onnx.js';
import { weightMeasuresOf } from '../../src/statistics/weights.js';
import { measureWeights as measureInTfjs } from '../../src/tfjs.js';
import { fixtures } from './support.js';

describe('the weights of ONNX models', () => {
  it('measure as those of the same layers in TensorFlow.js', async () => {
    const { w1, w2 } = fixtures.mlp.weights;
    const kernel = fixtures.cnn.weights['features.0.weight'];
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ name: 'features/0', filters: 8, kernelSize: 3, inputShape: [7, 5, 3], useBias: false }),
        tf.layers.globalAveragePooling2d({}),
        tf.layers.dense({ name: 'between', units: 10 }),
        tf.sequential({
          name: 'inner',
          layers: [
            tf.layers.dense({ name: 'fc1', units: 12, inputShape: [10], useBias: false }),
            tf.layers.dense({ name: 'fc2', units: 5, useBias: false }),
          ],
        }),
      ],
    });
    const tensorOf = ({ dims, data }: { dims: readonly number[]; data: Float32Array }) => tf.tensor(data, [...dims]);
    model.layers[0].setWeights([tf.transpose(tensorOf(kernel), [2, 3, 1, 0])]);
    model.layers[3].setWeights([tensorOf(w1), tf.transpose(tensorOf(w2))]);
    const inTfjs = await measureInTfjs(model);
    expect([...inTfjs.keys()]).toEqual(['features/0', 'between', 'inner/fc1', 'inner/fc2']);
    const [mlp, cnn] = [await measureWeights(fixtures.mlp.bytes), await measureWeights(fixtures.cnn.bytes)];
    expect([...mlp.layers.keys(), ...cnn.layers.keys()]).toEqual(['fc1', 'fc2', 'features/0', 'up', 'head']);
    for (const [name, twin] of [
      ['fc1', 'inner/fc1'],
      ['fc2', 'inner/fc2'],
      ['features/0', 'features/0'],
    ]) {
      const [found, expected] = [mlp.layers.get(name) ?? cnn.layers.get(name), inTfjs.get(twin)!];
      expect(found!.matrices, name).toBe(expected.matrices);
      for (const key of [
        'alpha',
        'alphaWeighted',
        'logNorm',
        'logSpectralNorm',
        'logAlphaNorm',
        'stableRank',
      ] as const) {
        // Few singular values have no alpha.
        if (Number.isNaN(expected[key])) expect(found![key]).toBeNaN();
        else expect(found![key], `${name}: ${key}`).toBeCloseTo(expected[key], 9);
      }
    }
    // The squared Frobenius norm by hand.
    const sum = w1.data.reduce((total, value) => total + value * value, 0);
    expect(mlp.layers.get('fc1')!.logNorm).toBeCloseTo(Math.log10(sum), 9);
  });

  it('of half precision are read, what is packed or elsewhere is named', async () => {
    expect([...(await measureWeights(fixtures.half.bytes)).layers.keys()]).toEqual(['fc']);
    const why = async (bytes: Uint8Array) => (await measureWeights(bytes)).leftOut.map((each) => each.why);
    expect(await why(fixtures.integers.bytes)).toEqual(['its weights are quantized']);
    expect(await why(fixtures.fourBits.bytes)).toEqual(['its weights are quantized']);
    expect(await why(fixtures.mlp.external!.model)).toEqual(Array(2).fill('its values are in another file'));
    await expect(measureWeights('m.onnx' as never)).rejects.toThrow(/expected the bytes of an .onnx file, got/);
  });
});

it('measures of singular values are those that their definitions give', () => {
  const values = Float64Array.from({ length: 20 }, (_, i) => 3 / (i + 1));
  const squares = [...values].map((value) => value * value);
  const { alpha, alphaWeighted, logAlphaNorm, logNorm, logSpectralNorm, stableRank } = weightMeasuresOf(
    values,
    [20, 30],
    1,
  );
  expect(alpha).toBeGreaterThan(1);
  expect(alphaWeighted).toBeCloseTo(alpha * Math.log10(9), 12);
  expect(logSpectralNorm).toBeCloseTo(Math.log10(9), 12);
  expect(10 ** logNorm).toBeCloseTo(
    squares.reduce((a, b) => a + b),
    9,
  );
  expect(10 ** logAlphaNorm).toBeCloseTo(
    squares.reduce((a, b) => a + b ** alpha, 0),
    9,
  );
  expect(stableRank).toBeCloseTo(squares.reduce((a, b) => a + b) / 9, 12);
});

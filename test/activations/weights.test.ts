import * as tf from '@tensorflow/tfjs';
import { Matrix, SingularValueDecomposition } from 'ml-matrix';
import { beforeAll, describe, expect, it } from 'vitest';
import { layerKernel } from '../../src/activations/weights.js';
import { normals } from '../support/random.js';

beforeAll(() => tf.setBackend('cpu'));

/** The singular values of n x d numbers, by ml-matrix. */
function singularValuesOf(values: ArrayLike<number>, n: number, d: number): number[] {
  return new SingularValueDecomposition(Matrix.from1DArray(n, d, Array.from(values)), { autoTranspose: true }).diagonal;
}

describe('the singular values of a kernel', () => {
  it.each([
    [40, 12],
    [12, 40],
  ])('of a dense layer of %i inputs and %i units', async (inputs, units) => {
    const layer = tf.layers.dense({ units, inputShape: [inputs] });
    layer.build([null, inputs]);
    const kernel = normals(inputs * units, 1);
    layer.setWeights([tf.tensor2d(kernel, [inputs, units]), tf.zeros([units])]);
    const found = await layerKernel(layer);
    const expected = singularValuesOf(kernel, inputs, units);
    expect(found?.singularValues).toHaveLength(12);
    for (const [i, value] of expected.entries()) expect(found?.singularValues[i]).toBeCloseTo(value, 9);
  });

  it('of a convolution are those of all its places', async () => {
    const layer = tf.layers.conv2d({ filters: 5, kernelSize: 2, inputShape: [8, 8, 3] });
    layer.build([null, 8, 8, 3]);
    const kernel = normals(4 * 15, 2);
    layer.setWeights([tf.tensor4d(kernel, [2, 2, 3, 5]), tf.zeros([5])]);
    const found = await layerKernel(layer);
    const expected = [0, 1, 2, 3]
      .flatMap((place) => singularValuesOf(kernel.subarray(place * 15, place * 15 + 15), 3, 5))
      .sort((a, b) => b - a);
    expect(found?.singularValues).toHaveLength(12);
    for (const [i, value] of expected.entries()) expect(found?.singularValues[i]).toBeCloseTo(value, 9);
  });

  it('know whether training may change them, in a model that is frozen as a whole too', async () => {
    const layer = tf.layers.dense({ units: 3, inputShape: [4] });
    const model = tf.sequential({ layers: [layer] });
    expect((await layerKernel(layer))?.isTrainable).toBe(true);
    model.trainable = false;
    expect((await layerKernel(layer))?.isTrainable).toBe(false);
    model.trainable = true;
    layer.trainable = false;
    expect((await layerKernel(layer))?.isTrainable).toBe(false);
  });

  it('are none of a layer without a kernel', async () => {
    expect(await layerKernel(tf.layers.flatten())).toBeUndefined();
    const normalization = tf.layers.batchNormalization();
    normalization.build([null, 4]);
    expect(await layerKernel(normalization)).toBeUndefined();
  });
});

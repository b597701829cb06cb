import * as tf from '@tensorflow/tfjs';
import { expect } from 'vitest';
import type { LayerStatistics } from '../../src/saturation/epoch.js';
import { healthReference, rowsFrom, vector } from './health-reference.js';
import { uniform } from './random.js';

const { from, values } = healthReference.classes;
export const reference = values;
export const { n, d } = from;
export const classes = 5;
const rows = rowsFrom(from);
const draw = uniform(7);
export const weights = Array.from({ length: classes }, () => vector(draw, d, 1));
export const bias = vector(draw, classes, 0.1);
export const labels = Array.from({ length: n }, (_, i) => i % classes);

type Loss = 'categoricalCrossentropy' | 'sparseCategoricalCrossentropy' | 'meanSquaredError';

/** A layer that passes the reference's rows on, and the reference's classifier; a rate of 0 keeps them as they are. */
export function classifier(loss: Loss = 'categoricalCrossentropy', rate = 0): tf.LayersModel {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ name: 'features', units: d, inputShape: [d], weights: [tf.eye(d), tf.zeros([d])] }),
      tf.layers.dropout({ rate: 0 }),
      tf.layers.dense({
        name: 'digit',
        units: classes,
        activation: 'softmax',
        weights: [tf.tidy(() => tf.tensor2d(weights.map((row) => [...row])).transpose()), tf.tensor1d([...bias])],
      }),
    ],
  });
  model.compile({ optimizer: tf.train.sgd(rate), loss });
  return model;
}

export const xs = () => tf.tensor2d(Float32Array.from(rows), [n, d]);
export const oneHot = () => tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), classes).cast('float32'));

/** Expects the numbers of the reference. @param digits of all but the last */
export function expectReference({ values: found }: LayerStatistics, digits = 4): void {
  expect(found.collapseNC1).toBeCloseTo(reference.nc1, digits);
  expect(found.collapseNC2Norms).toBeCloseTo(reference.nc2Norms, digits);
  expect(found.collapseNC2Angles).toBeCloseTo(reference.nc2Angles, digits);
  expect(found.collapseNC3).toBeCloseTo(reference.nc3, digits);
  expect(found.collapseNC4).toBeCloseTo(reference.nc4, 10);
}

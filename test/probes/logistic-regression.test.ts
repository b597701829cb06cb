import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SampleMatrix } from '../../src/activations/samples.js';
import { LogisticRegression } from '../../src/probes/logistic-regression.js';

const reference = JSON.parse(readFileSync(new URL('../fixtures/probes/reference.json', import.meta.url), 'utf8'));
const bytes = (name: string) => new Uint8Array(Buffer.from(reference[name], 'base64'));
const labels = bytes('labels_uint8');
const trainLabels = labels.slice(0, reference.train);
const testLabels = labels.slice(reference.train);

/** The fixture's images in 0..1, and the two layers on them, computed here in float64. */
function activations(): Record<'pixels' | 'conv' | 'dense', Float64Array[]> {
  const kernel = new Float32Array(bytes('kernel_float32').buffer);
  const dense = new Float32Array(bytes('dense_float32').buffer);
  const raw = bytes('pixels_uint8');
  const pixels: Float64Array[] = [];
  const conv: Float64Array[] = [];
  const hidden: Float64Array[] = [];
  for (let image = 0; image < reference.train + reference.test; image++) {
    const pixel = Float64Array.from(raw.subarray(image * 64, image * 64 + 64), (value) => value / 16);
    const map = new Float64Array(96);
    for (let y = 0; y < 4; y++)
      for (let x = 0; x < 4; x++)
        for (let c = 0; c < 6; c++) {
          let sum = 0;
          for (let i = 0; i < 2; i++)
            for (let j = 0; j < 2; j++) sum += pixel[(2 * y + i) * 8 + 2 * x + j]! * kernel[(i * 2 + j) * 6 + c]!;
          map[(y * 4 + x) * 6 + c] = Math.max(sum, 0);
        }
    pixels.push(pixel);
    conv.push(map);
    hidden.push(
      Float64Array.from({ length: reference.hidden }, (_, unit) =>
        Math.max(
          0,
          map.reduce((sum, value, at) => sum + value * dense[at * reference.hidden + unit]!, 0),
        ),
      ),
    );
  }
  return { pixels, conv, dense: hidden };
}

function rows(samples: readonly Float64Array[]): SampleMatrix {
  const features = samples[0]!.length;
  const values = new Float64Array(samples.length * features);
  samples.forEach((sample, row) => void values.set(sample, row * features));
  return { values, rows: samples.length, features };
}

function objective(model: LogisticRegression, samples: SampleMatrix, classes: ArrayLike<number>, l2: number): number {
  let value = 0;
  for (const weight of model.weights) value += 0.5 * l2 * weight ** 2;
  for (let row = 0; row < samples.rows; row++) {
    const scores = Array.from(model.bias, (bias, k) => {
      let sum = bias;
      for (let f = 0; f < samples.features; f++) {
        sum += samples.values[row * samples.features + f]! * model.weights[f * model.classes + k]!;
      }
      return sum;
    });
    const top = Math.max(...scores);
    value += top + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0)) - scores[classes[row]!]!;
  }
  return value;
}

describe('LogisticRegression against scikit-learn on the same activations', () => {
  const layers = activations();
  for (const [name, layer] of [
    ['pixels', 'pixels'],
    ['conv', 'conv'],
    ['dense', 'dense'],
    ['denseStrong', 'dense'],
  ] as const) {
    test(`${name}: the same optimum, and the same accuracy`, () => {
      const expected = reference[name];
      const train = rows(layers[layer].slice(0, reference.train));
      const held = rows(layers[layer].slice(reference.train));
      const model = LogisticRegression.fit(train, trainLabels, { l2: expected.l2 });
      expect(model.converged).toBe(true);
      expect(objective(model, train, trainLabels, expected.l2) / expected.objective).toBeCloseTo(1, 6);
      expect(model.accuracy(train, trainLabels)).toBe(expected.trainAccuracy);
      expect(model.accuracy(held, testLabels)).toBe(expected.testAccuracy);
    });
  }

  test('the same coefficients, feature by feature', () => {
    const train = rows(layers.dense.slice(0, reference.train));
    const model = LogisticRegression.fit(train, trainLabels, { tolerance: 1e-8 });
    expect(model.weights).toHaveLength(reference.dense.coefficients.length);
    for (const [at, weight] of reference.dense.coefficients.entries()) expect(model.weights[at]).toBeCloseTo(weight, 3);
  });
});

describe('LogisticRegression', () => {
  test('scale and offset of a feature do not keep it from the optimum', () => {
    const values = Float64Array.from({ length: 400 }, (_, at) =>
      at % 2 === 0 ? 1e6 + Math.sin(at) * 1e3 : Math.cos(at) * 1e-3,
    );
    const samples = { values, rows: 200, features: 2 };
    const classes = Uint8Array.from({ length: 200 }, (_, row) => (Math.sin(2 * row) > 0 ? 1 : 0));
    const model = LogisticRegression.fit(samples, classes);
    expect(model.accuracy(samples, classes)).toBeGreaterThan(0.98);
  });

  test('a constant feature gets no weight, one class only is always right', () => {
    const samples = { values: Float32Array.from([1, 5, 2, 5, 3, 5, 4, 5]), rows: 4, features: 2 };
    const model = LogisticRegression.fit(samples, [0, 0, 1, 1]);
    expect([...model.weights.slice(2)]).toEqual([0, 0]);
    expect(model.accuracy(samples, [0, 0, 1, 1])).toBe(1);
    expect(LogisticRegression.fit(samples, [0, 0, 0, 0]).accuracy(samples, [0, 0, 0, 0])).toBe(1);
  });

  test('at the optimum every gradient is zero: sum of errors per class and per feature against the penalty', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: -3, max: 3, noNaN: true }), fc.nat(2)),
          {
            minLength: 6,
            maxLength: 40,
          },
        ),
        (points) => {
          const samples = {
            values: Float64Array.from(points.flatMap(([a, b]) => [a, b] as number[])),
            rows: points.length,
            features: 2,
          };
          const classes = points.map(([, , k]) => k);
          const model = LogisticRegression.fit(samples, classes, { tolerance: 1e-9 });
          const gradient = Float64Array.from(model.weights);
          for (let row = 0; row < samples.rows; row++) {
            const scores = Array.from(model.bias, (bias, k) => {
              const at = (f: number) => samples.values[row * 2 + f]! * model.weights[f * model.classes + k]!;
              return Math.exp(bias + at(0) + at(1));
            });
            const sum = scores.reduce((total, score) => total + score, 0);
            scores.forEach((score, k) => {
              const error = score / sum - (k === classes[row] ? 1 : 0);
              for (let f = 0; f < 2; f++) gradient[f * model.classes + k]! += error * samples.values[row * 2 + f]!;
            });
          }
          for (const component of gradient) expect(Math.abs(component)).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('input that does not fit says so', () => {
    const samples = { values: Float64Array.of(1, 2), rows: 2, features: 1 };
    expect(() => LogisticRegression.fit(samples, [0])).toThrow(/a label per sample \(2.*got 1/);
    expect(() => LogisticRegression.fit(samples, [0, -1])).toThrow(/got -1 for sample 1/);
    expect(() => LogisticRegression.fit(samples, [0, 1], { l2: -1 })).toThrow(/l2 >= 0, got -1/);
    expect(() => LogisticRegression.fit({ ...samples, values: Float64Array.of(1, Number.NaN) }, [0, 1])).toThrow(
      /got NaN or Infinity in feature 0/,
    );
    const model = LogisticRegression.fit(samples, [0, 1]);
    expect(() => model.predict({ values: Float64Array.of(1, 2), rows: 1, features: 2 })).toThrow(
      /expected 1 features, got 2/,
    );
  });
});

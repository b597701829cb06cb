import { describe, expect, it } from 'vitest';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { LinearCka } from '../../src/statistics/linear-cka.js';
import { NeuralCollapse } from '../../src/statistics/neural-collapse.js';
import { weightAlphaOf } from '../../src/statistics/spectrum-measures.js';
import { solveAccumulator } from '../../src/statistics/threads/solve.js';
import { twoNNOf } from '../../src/statistics/two-nn.js';
import { healthReference, rowsFrom, vector } from '../support/health-reference.js';
import { gaussianRows, uniform } from '../support/random.js';

// The expected numbers are those of the reference implementations: test/fixtures/health/reference.py says which.

const { from, values } = healthReference.classes;
const { n, d } = from;
const classes = 5;
const rows = rowsFrom(from);
const labels = Array.from({ length: n }, (_, i) => i % classes);
const draw = uniform(7);
const weights = Array.from({ length: classes }, () => vector(draw, d, 1));
const bias = vector(draw, classes, 0.1);
/** Rows from one number up to another one. */
const part = (all: Float64Array, features: number, start: number, end: number) =>
  all.subarray(start * features, end * features);

describe('NeuralCollapse', () => {
  const of = (start: number, end: number, shift = 0) => {
    const collapse = new NeuralCollapse(d, classes);
    collapse.update(
      part(rows, d, start, end).map((x) => x + shift),
      labels.slice(start, end),
    );
    return collapse;
  };
  const expectReference = (collapse: NeuralCollapse) => {
    const found = collapse.measures(weights.flatMap((row) => [...row]));
    for (const name of ['nc1', 'nc2Norms', 'nc2Angles', 'nc3'] as const) {
      expect(found[name], name).toBeCloseTo(values[name], 10);
    }
  };

  it('equals the reference', () => {
    const collapse = of(0, n);
    expectReference(collapse);
    const logits = (row: Float64Array) =>
      weights.map((weight, c) => weight.reduce((sum, w, j) => sum + w * row[j], bias[c]));
    const predictions = labels.map((_, i) => {
      const scores = logits(part(rows, d, i, i + 1));
      return scores.indexOf(Math.max(...scores));
    });
    expect(collapse.mismatch(rows, predictions)).toBeCloseTo(values.nc4, 12);
    expect(collapse.measures().nc3).toBeUndefined();
  });

  it('merges, far from zero too, and leaves out rows that are not finite', () => {
    const collapse = of(0, 101);
    collapse.merge(of(101, n));
    collapse.merge(new NeuralCollapse(d, classes));
    collapse.update(new Float64Array(d).fill(Number.NaN), [1]);
    expect(collapse.count).toBe(n);
    expectReference(collapse);
    const far = new NeuralCollapse(d, classes);
    far.merge(of(0, 7, 1e5));
    far.merge(of(7, n, 1e5));
    expect(far.measures().nc1).toBeCloseTo(values.nc1, 7);
  });

  it('is 0 where all rows are their class’s corner of a simplex', () => {
    const collapse = new NeuralCollapse(3, 3);
    for (let c = 0; c < 3; c++) {
      const corner = [0, 0, 0];
      corner[c] = 1;
      collapse.update([...corner, ...corner], [c, c]);
    }
    const found = collapse.measures([1, 0, 0, 0, 1, 0, 0, 0, 1].map((x) => x - 1 / 3));
    for (const value of Object.values(found)) expect(value).toBeCloseTo(0, 12);
  });

  it('refuses what it cannot count', () => {
    expect(() => new NeuralCollapse(3, 1)).toThrow(/classes: expected an integer >= 2, got/);
    expect(() => of(0, n).update(new Float64Array(d), [5])).toThrow(/labels: expected integers from 0 to 4, got/);
    expect(() => of(0, n).update(new Float64Array(d), [1, 2])).toThrow(/update: expected 2 rows of 24 features/);
    expect(() => of(0, 4).measures()).toThrow(/measures: expected rows of each class, got none of class 4/);
    expect(() => of(0, n).measures([1])).toThrow(/weights: expected 5 x 24 numbers/);
    expect(() => of(0, n).merge(new NeuralCollapse(d, 4))).toThrow(/merge: expected one of 24 features and 5 classes/);
    expect(() => of(0, n).mismatch([1], [1])).toThrow(/mismatch: expected 1 rows of 24 features/);
  });
});

describe('LinearCka', () => {
  const e = 30;
  const other = rowsFrom({ seed: 8, n, d: e, offset: 0.5, relu: true }).map((x, at) => {
    const [i, j] = [Math.floor(at / e), at % e];
    return x + (j < d ? rows[i * d + j] : 0);
  });
  const of = (start: number, end: number, shift = 0) => {
    const cka = new LinearCka(d, e);
    cka.update(
      part(rows, d, start, end).map((x) => x + shift),
      part(other, e, start, end).map((x) => x - 2 * shift),
    );
    return cka;
  };

  it('equals the debiased alignment of whole Gram matrices', () => {
    expect(of(0, n).value()).toBeCloseTo(healthReference.cka, 11);
  });

  it('merges and does not depend on batches, nor on where zero is', () => {
    const cka = of(0, 100);
    cka.update(part(rows, d, 100, 103), part(other, e, 100, 103));
    cka.merge(of(103, n));
    cka.merge(new LinearCka(d, e));
    expect(cka.count).toBe(n);
    expect(cka.value()).toBeCloseTo(healthReference.cka, 11);
    const far = new LinearCka(d, e);
    far.merge(of(0, 50, 1e4));
    far.merge(of(50, n, 1e4));
    expect(far.value()).toBeCloseTo(healthReference.cka, 9);
  });

  it('is 1 for a rotated and scaled copy, near 0 for rows that have nothing to do with each other', () => {
    const cka = new LinearCka(2, 2);
    const x = gaussianRows(50, [2, 1], 1);
    cka.update(
      x,
      x.map((_, at) => (at % 2 === 0 ? 3 * x[at + 1] : -3 * x[at - 1])),
    );
    expect(cka.value()).toBeCloseTo(1, 12);
    const unrelated = new LinearCka(3, 4);
    unrelated.update(gaussianRows(2000, [1, 1, 1], 2), gaussianRows(2000, [1, 1, 1, 1], 3));
    expect(Math.abs(unrelated.value())).toBeLessThan(0.01);
  });

  it('leaves out pairs that are not finite, and has no value of too few', () => {
    const cka = of(0, n);
    cka.update(new Float64Array(d), new Float64Array(e).fill(Number.POSITIVE_INFINITY));
    expect(cka.count).toBe(n);
    expect(of(0, 3).value()).toBeNaN();
    expect(() => cka.update(new Float64Array(d), new Float64Array(2 * e))).toThrow(/as many rows of 24 and of 30/);
    expect(() => cka.merge(new LinearCka(d, d))).toThrow(/merge: expected one of 24 and 30 features, got 24 and 24/);
    expect(() => new LinearCka(0, 2)).toThrow(/LinearCka: expected positive integers of features, got/);
  });
});

describe('the alpha of weights', () => {
  it.each(Object.entries(healthReference.weights))('of a %s matrix equals WeightWatcher’s', (_name, reference) => {
    const { seed, inputs, outputs, power } = reference.from;
    const next = uniform(seed);
    const matrix = new CovarianceAccumulator(outputs);
    for (let i = 0; i < inputs; i++) matrix.update(vector(next, outputs, 1).map((x) => x ** power));
    const { singularValues = [] } = solveAccumulator(matrix, { singularValues: true });
    expect(singularValues).toHaveLength(Math.min(inputs, outputs));
    expect(weightAlphaOf(singularValues)).toBeCloseTo(reference.values.alpha, 9);
  });

  it('says nothing of few', () => {
    expect(weightAlphaOf([1, 2, 3, 4, 5, 6, 7, 1e-3])).toBeNaN();
  });
});

describe('TwoNN', () => {
  it('finds the dimension of a curved surface', () => {
    const next = uniform(3);
    const sheet = Float32Array.from({ length: 800 * 3 }, () => 0);
    for (let i = 0; i < 800; i++) {
      const [angle, height] = [3 * next(), 2 * next()];
      sheet.set([Math.cos(angle), Math.sin(angle), height], 3 * i);
    }
    expect(Math.abs(twoNNOf(sheet, 3) - 2)).toBeLessThan(0.2);
  });

  it('leaves out rows that are there twice, and says nothing of few', () => {
    const once = Float32Array.from(gaussianRows(200, [1, 1, 1], 5));
    const twice = new Float32Array(once.length + 30);
    twice.set(once);
    twice.set(once.subarray(0, 30), once.length);
    expect(twoNNOf(twice, 3)).toBeGreaterThan(2);
    expect(twoNNOf(once.subarray(0, 27), 3)).toBeNaN();
    expect(twoNNOf(new Float32Array(300), 3)).toBeNaN();
  });
});

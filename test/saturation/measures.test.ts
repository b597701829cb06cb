import { Matrix, SingularValueDecomposition } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { type Eigenspace, measureLayer, solveOptionsFor } from '../../src/saturation/measure-layer.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Reservoir } from '../../src/statistics/reservoir.js';
import { solveAccumulator } from '../../src/statistics/threads/solve.js';
import { resolveOptions, type SaturationOptions } from '../../src/tracker/options.js';
import { distance, gaussianRows, relativeDistance, twoPassCovariance } from '../support/random.js';

/** Measures rows as a tracker with these options does. */
function measure(rows: Float64Array, features: number, options: SaturationOptions, previous?: Eigenspace) {
  const resolved = resolveOptions(options);
  const accumulator = new CovarianceAccumulator(features);
  accumulator.update(rows);
  const reservoir = new Reservoir(1000, features);
  reservoir.add(rows);
  const solved = solveAccumulator(accumulator, solveOptionsFor(resolved));
  return measureLayer('train', 'fc', solved, resolved.embedding ? reservoir : undefined, resolved, previous);
}

/** Rows in the plane of the axes a and b of four. */
function plane(a: number, b: number): Float64Array {
  const variances = [0, 0, 0, 0];
  variances[a] = 4;
  variances[b] = 1;
  return gaussianRows(200, variances, 3);
}

describe('scalars', () => {
  // Four orthogonal columns: the covariance is diagonal with 8, 4, 2, 2, so that every number is known by hand.
  const signs = [
    [1, 1, 1, 1],
    [1, -1, 1, -1],
    [1, 1, -1, -1],
    [1, -1, -1, 1],
  ];
  const columns = [8, 4, 2, 2].map(Math.sqrt);
  const rows = Float64Array.from(
    [...signs, ...signs.map((row) => row.map((x) => -x))].flat(),
    (x, i) => x * columns[i % 4],
  );
  const shares = [0.5, 0.25, 0.125, 0.125];
  const expected = {
    saturation: 0.75,
    intrinsicDimensionality: 3,
    trace: 16,
    determinant: 128,
    logDeterminant: Math.log(128),
    diagonalTrace: 16,
    participationRatio: 256 / 88,
    entropyRank: Math.exp(-shares.reduce((sum, p) => sum + p * Math.log(p), 0)),
    stableRank: 2,
    simpsonIndex: 0.34375,
    conditionNumber: 4,
  };

  it.each(Object.entries(expected))('%s of a known covariance is %d', (stat, value) => {
    const { statistics } = measure(rows, 4, { stats: [stat as never], threshold: 0.85 });
    expect(Object.keys(statistics.values)).toEqual([stat]);
    expect(statistics.values[stat as 'trace']).toBeCloseTo(value, 10);
  });

  it.each([
    ['lsat', 'saturation'],
    ['idim', 'intrinsicDimensionality'],
    ['trc', 'trace'],
    ['dtrc', 'diagonalTrace'],
    ['det', 'determinant'],
  ] as const)("Delve's %s is %s", (delve, ours) => {
    const { statistics } = measure(rows, 4, { stats: [delve], threshold: 0.85 });
    expect(Object.keys(statistics.values)).toEqual([ours]);
    expect(statistics.values[ours]).toBeCloseTo(expected[ours], 10);
  });

  it('counts by the rule that is asked for', () => {
    const { statistics } = measure(rows, 4, { stats: ['idim', 'lsat'], threshold: 0.85, rule: 'delve' });
    expect(statistics.values).toEqual({ saturation: 0.5, intrinsicDimensionality: 2 });
  });

  it('finds the exponent of a power law in the tail', () => {
    const variances = Array.from({ length: 60 }, (_, i) => (i + 1) ** -2);
    // The covariances are exact: every feature is plus and minus its deviation, one feature at a time.
    const exact = new Float64Array(120 * 60);
    for (let i = 0; i < 60; i++) {
      exact[2 * i * 60 + i] = Math.sqrt(60 * variances[i]);
      exact[(2 * i + 1) * 60 + i] = -Math.sqrt(60 * variances[i]);
    }
    const { statistics } = measure(exact, 60, { stats: ['powerLawExponent'] });
    // alpha = 1 + 1 / a, for eigenvalues i^-a.
    expect(Math.abs(statistics.values.powerLawExponent! - 1.5)).toBeLessThan(0.1);
  });

  it.each(['covariance', 'cov'] as const)('%s is that of the rows, and is there only if asked for', (stat) => {
    const data = gaussianRows(300, [3, 1, 0.5], 5, 100);
    const { statistics, spectrum } = measure(data, 3, { stats: [stat] });
    expect(relativeDistance(statistics.covariance!, twoPassCovariance(data, 3))).toBeLessThan(1e-12);
    expect(statistics).not.toHaveProperty('embedding');
    expect(statistics.spectrum).toBeUndefined();
    expect(spectrum?.samples).toBe(300);
    expect(measure(data, 3, { stats: ['spectrum'] }).statistics).not.toHaveProperty('covariance');
    expect(measure(data, 3, { stats: ['spectrum'] }).statistics.spectrum).toBeDefined();
  });
});

describe('embedding', () => {
  it.each(['embedding', 'embed'] as const)(
    '%s is the projection on the first two principal axes, up to sign',
    (stat) => {
      const mixed = gaussianRows(150, [9, 4, 1, 0.25, 0.1], 7);
      const turn = new Matrix([
        [1, 2, 0, -1, 0.5],
        [0, 1, 3, 1, -2],
        [2, 0, 1, 0, 1],
        [-1, 1, 1, 2, 0],
        [0.5, 0, -1, 1, 1],
      ]);
      const turned = Matrix.from1DArray(150, 5, mixed).mmul(turn).addRowVector([50, -20, 7, 0, 1000]);
      const rows = Float64Array.from(turned.to1DArray());
      const { statistics } = measure(rows, 5, { stats: [stat] });
      const centered = turned.clone().subRowVector(turned.mean('column'));
      const axes = new SingularValueDecomposition(centered, { autoTranspose: true }).rightSingularVectors;
      const reference = centered.mmul(axes.subMatrix(0, 4, 0, 1));
      expect(statistics.embedding).toHaveLength(300);
      for (const axis of [0, 1]) {
        const found = Float64Array.from({ length: 150 }, (_, i) => statistics.embedding![2 * i + axis]);
        const wanted = reference.getColumn(axis);
        const opposite = wanted.map((x) => -x);
        // Samples are kept in float32: 1000 has seven digits there.
        expect(Math.min(relativeDistance(found, wanted), relativeDistance(found, opposite))).toBeLessThan(1e-4);
      }
    },
  );

  it('of a layer one feature wide lies on the first axis', () => {
    const { statistics } = measure(Float64Array.of(1, 3), 1, { stats: ['embedding'] });
    expect(Array.from(statistics.embedding!, Math.abs)).toEqual([1, 0, 1, 0]);
  });
});

describe('drift', () => {
  const drift = (first: Float64Array, second: Float64Array) => {
    const { eigenspace } = measure(first, 4, { stats: ['drift'] });
    return measure(second, 4, { stats: ['drift'] }, eigenspace).statistics.values.drift;
  };

  it('is absent in the first epoch, 0 if nothing turned, 1 if all directions are new', () => {
    expect(measure(plane(0, 1), 4, { stats: ['drift'] }).statistics.values).toEqual({});
    expect(drift(plane(0, 1), plane(0, 1))).toBeCloseTo(0, 7);
    expect(drift(plane(0, 1), plane(1, 0))).toBeCloseTo(0, 7);
    expect(drift(plane(0, 1), plane(2, 3))).toBeCloseTo(1, 7);
    // One of two directions is new: sqrt(1 - 1/2).
    expect(drift(plane(0, 1), plane(1, 2))).toBeCloseTo(Math.SQRT1_2, 7);
  });

  it('is left out if the width has changed', () => {
    const { eigenspace } = measure(plane(0, 1), 4, { stats: ['drift'] });
    const three = gaussianRows(50, [1, 1, 1], 1);
    expect(measure(three, 3, { stats: ['drift', 'trace'] }, eigenspace).statistics.values).not.toHaveProperty('drift');
  });
});

describe('rows that are not finite', () => {
  it('are left out and counted', () => {
    const rows = gaussianRows(20, [2, 1], 1);
    const clean = rows.slice();
    const dirty = Float64Array.from([...rows, Number.NaN, 1, 2, Number.NEGATIVE_INFINITY]);
    const options: SaturationOptions = { stats: ['trace', 'embedding'] };
    const [found, expected] = [measure(dirty, 2, options).statistics, measure(clean, 2, options).statistics];
    expect(found).toMatchObject({ samples: 20, rejected: 2, values: expected.values });
    expect(distance(found.embedding!, expected.embedding!)).toBe(0);
  });

  it('leave NaN for every number asked for, and nothing else, if there is no finite row', () => {
    const rows = new Float64Array(8).fill(Number.NaN);
    const stats = ['lsat', 'idim', 'trace', 'det', 'drift', 'cov', 'embed', 'spectrum', 'conditionNumber'] as const;
    const measured = measure(rows, 2, { stats: [...stats] });
    const nan = Number.NaN;
    expect(measured).toEqual({
      statistics: {
        split: 'train',
        layer: 'fc',
        samples: 0,
        effectiveSamples: 0,
        rejected: 4,
        features: 2,
        saturation: nan,
        intrinsicDimensionality: nan,
        values: {
          saturation: nan,
          intrinsicDimensionality: nan,
          trace: nan,
          determinant: nan,
          drift: nan,
          conditionNumber: nan,
        },
      },
    });
  });

  it('a layer without variance has 0, not NaN', () => {
    const { statistics } = measure(new Float64Array(30).fill(0.1), 3, {
      stats: ['lsat', 'idim', 'trc', 'participationRatio'],
    });
    expect(statistics.values).toEqual({ saturation: 0, intrinsicDimensionality: 0, trace: 0, participationRatio: 0 });
  });
});

describe('solveOptionsFor', () => {
  it('asks for no more than is needed', () => {
    const options = (stats: SaturationOptions['stats']) => solveOptionsFor(resolveOptions({ stats }));
    const least = {
      vectors: 0,
      covariance: false,
      mean: false,
      collapse: false,
      singularValues: false,
      twoNN: false,
      kernel: false,
    };
    expect(options(['lsat', 'spectrum'])).toEqual(least);
    expect(options(['cov'])).toEqual({ ...least, covariance: true });
    expect(options(['embed'])).toEqual({ ...least, vectors: 2, mean: true });
    expect(options(['rankMe'])).toEqual({ ...least, singularValues: true });
    expect(options(['drift']).vectors).toBe(Number.POSITIVE_INFINITY);
  });
});

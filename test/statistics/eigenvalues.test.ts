import { describe, expect, it } from 'vitest';
import { driftOf, eigenvalues, symmetricEigen } from '../../src/statistics/eigenvalues.js';
import { numbers } from '../support/numeric-fixtures.js';
import { distance, gaussianRows, twoPassCovariance } from '../support/random.js';

describe('eigenvalues', () => {
  it.each(['n_gt_d', 'n_lt_d', 'rank_deficient', 'relu_sparse', 'mean_1e4_std_1', 'powerlaw_1'])(
    "are numpy's for %s, negative ones from rounding included",
    (name) => {
      const expected = numbers(`${name}/eig_twopass.npy`);
      const values = eigenvalues(numbers(`${name}/cov_twopass.npy`) as Float64Array);
      expect(distance(values, expected)).toBeLessThan(1e-14 * expected[0]);
    },
  );

  it('refuse what is not square', () => {
    expect(() => eigenvalues(new Float64Array(6))).toThrow(/d x d numbers, got 6/);
    expect(() => symmetricEigen(new Float64Array(0))).toThrow(RangeError);
  });
});

describe('symmetricEigen', () => {
  it('finds the axes that the data were made with', () => {
    const angle = 0.3;
    const rows = gaussianRows(50_000, [9, 1], 1);
    const turned = rows.map((_, i) => {
      const [a, b] = [rows[i - (i % 2)], rows[i - (i % 2) + 1]];
      return i % 2 === 0 ? a * Math.cos(angle) - b * Math.sin(angle) : a * Math.sin(angle) + b * Math.cos(angle);
    });
    const { values, vectors } = symmetricEigen(twoPassCovariance(turned, 2));
    expect(values[0]).toBeCloseTo(9, 0);
    expect(Math.abs(vectors[0] * Math.cos(angle) + vectors[1] * Math.sin(angle))).toBeCloseTo(1, 3);
  });
});

describe('driftOf', () => {
  /** Two unit vectors of length 4, the first turned by `angle` out of the first axis towards the third. */
  const plane = (angle: number) => Float64Array.of(Math.cos(angle), 0, Math.sin(angle), 0, 0, 1, 0, 0);

  it('is 0 for the same space, whatever its basis, and 1 for orthogonal spaces', () => {
    const swapped = Float64Array.of(0, -1, 0, 0, 1, 0, 0, 0);
    expect(driftOf(plane(0), swapped, 4, 2)).toBe(0);
    expect(driftOf(plane(0), Float64Array.of(0, 0, 0, 1, 0, 0, 1, 0), 4, 2)).toBe(1);
  });

  it.each([1e-9, 1e-3, 0.5, 1.2, Math.PI / 2])('is sin(angle) / sqrt 2 when one of two axes turns by %d', (angle) => {
    expect(driftOf(plane(0), plane(angle), 4, 2)).toBeCloseTo(Math.sin(angle) / Math.SQRT2, 14);
    expect(driftOf(plane(angle), plane(0), 4, 2)).toBeCloseTo(Math.sin(angle) / Math.SQRT2, 14);
    expect(driftOf(plane(0), plane(angle), 4, 1)).toBeCloseTo(Math.sin(angle), 14);
  });

  it('refuses more axes than there are', () => {
    expect(() => driftOf(plane(0), plane(1), 4, 3)).toThrow(RangeError);
    expect(() => driftOf(plane(0), plane(1), 4, 0)).toThrow(RangeError);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Spectrum } from '../../src/statistics/spectrum.js';
import {
  entropyRankOf,
  intrinsicDimensionalityOf,
  MIN_TAIL,
  participationRatioOf,
  powerLawExponentOf,
  simpsonIndexOf,
  stableRankOf,
} from '../../src/statistics/spectrum-measures.js';
import { numbers, spectrumValues } from '../support/numeric-fixtures.js';
import { uniform } from '../support/random.js';

describe('effective ranks', () => {
  it('are d when all eigenvalues are alike, and 1 when there is one', () => {
    const alike = new Float64Array(12).fill(0.3);
    const one = Float64Array.of(5, 0, 0);
    expect([participationRatioOf(alike), entropyRankOf(alike)].map((x) => Math.round(x * 1e9) / 1e9)).toEqual([12, 12]);
    expect([participationRatioOf(one), entropyRankOf(one), simpsonIndexOf(one)]).toEqual([1, 1, 1]);
    expect(simpsonIndexOf(alike)).toBeCloseTo(1 / 12, 12);
  });
});

describe('stableRankOf', () => {
  // numpy 2.4.6 on the samples, not the eigenvalues: c = x - x.mean(0); norm(c, 'fro')**2 / norm(c, 2)**2
  it.each([
    ['n_gt_d', 2.0782391881372297],
    ['n_lt_d', 3.6319910309430927],
    ['powerlaw_1', 4.743890903705771],
    ['rank_deficient', 1.5598878550552255],
    ['relu_sparse', 9.82544162776712],
    ['mean_1e4_std_1', 2.4148965454131632],
  ])('is what numpy finds from the norms of the samples %s', (name, expected) => {
    expect(stableRankOf(Float64Array.from(numbers(`${name}/eig_twopass.npy`)))).toBeCloseTo(expected, 10);
  });

  it('is what the formula says of a few eigenvalues by hand', () => {
    expect(stableRankOf(spectrumValues('three_50_30_20'))).toBeCloseTo(2, 14);
    expect(stableRankOf(spectrumValues('equal_100'))).toBe(100);
    expect(stableRankOf(spectrumValues('one_hot'))).toBe(1);
    expect(stableRankOf(spectrumValues('zeros'))).toBe(0);
    expect(Spectrum.fromEigenvalues([1, 2, 4, -1e-9]).stableRank).toBe(1.75);
  });

  it('lies between 1 and the rank, and does not change with the scale', () => {
    const eigenvalues = fc
      .array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 })
      .filter((values) => values.some((x) => x > 1e-3));
    fc.assert(
      fc.property(eigenvalues, fc.integer({ min: -400, max: 900 }), (values, exponent) => {
        const spectrum = Spectrum.fromEigenvalues(values);
        expect(spectrum.stableRank).toBeGreaterThanOrEqual(1);
        expect(spectrum.stableRank).toBeLessThanOrEqual(spectrum.rank);
        const scaled = Spectrum.fromEigenvalues(values.map((x) => x * 2 ** exponent));
        expect(scaled.stableRank).toBeCloseTo(spectrum.stableRank, 9);
      }),
    );
  });
});

describe('intrinsicDimensionalityOf', () => {
  it('never exceeds the number of eigenvalues when the sum is rounded below 1', () => {
    const thirds = new Float64Array(7).fill(0.1);
    expect(intrinsicDimensionalityOf(thirds, 1, 'paper')).toBeLessThanOrEqual(7);
  });
});

describe('powerLawExponentOf', () => {
  it.each([1.5, 2, 3, 4.5])('finds the exponent %d that a sample was drawn with', (alpha) => {
    const next = uniform(9);
    const sample = Float64Array.from({ length: 3000 }, () => (1 - next()) ** (-1 / (alpha - 1)))
      .sort()
      .reverse();
    expect(Math.abs(powerLawExponentOf(sample) - alpha) / (alpha - 1)).toBeLessThan(0.12);
  });

  it('finds the tail above a bulk that follows no power law', () => {
    const next = uniform(10);
    const tail = Float64Array.from({ length: 800 }, () => (1 - next()) ** -1);
    const bulk = Float64Array.from({ length: 1500 }, () => 0.2 + 0.8 * next());
    const alpha = powerLawExponentOf(
      Float64Array.of(...tail, ...bulk)
        .sort()
        .reverse(),
    );
    expect(Math.abs(alpha - 2)).toBeLessThan(0.2);
  });

  it('is 1 + 1 / a for eigenvalues i^-a, and does not change with the scale', () => {
    for (const a of [0.5, 1, 2]) {
      const values = Float64Array.from({ length: 1000 }, (_, i) => (i + 1) ** -a);
      expect(Math.abs(powerLawExponentOf(values) - (1 + 1 / a))).toBeLessThan(0.1 / a);
      const scaled = values.map((x) => x * 1e-200);
      expect(powerLawExponentOf(scaled)).toBeCloseTo(powerLawExponentOf(values), 9);
    }
  });

  it('is NaN where there is no tail to fit', () => {
    expect(powerLawExponentOf(new Float64Array(50))).toBeNaN();
    expect(powerLawExponentOf(new Float64Array(50).fill(2))).toBeNaN();
    expect(powerLawExponentOf(Float64Array.from({ length: MIN_TAIL }, (_, i) => 10 - i))).toBeNaN();
    expect(
      powerLawExponentOf(Float64Array.of(3, 2, 1, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22, 1e-23), 1e-15),
    ).toBeNaN();
  });
});

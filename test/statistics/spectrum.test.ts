import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { driftOf, eigenvalues, symmetricEigen } from '../../src/statistics/eigenvalues.js';
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
import { solveInBackground } from '../../src/statistics/threads/solver.js';
import { index, numbers, numericCases, spectrumValues } from '../support/numeric-fixtures.js';
import { distance, gaussianRows, twoPassCovariance, uniform } from '../support/random.js';

/** If the threshold lies on a cumulative fraction, rounding decides, and one more or less is right. */
function expectDimension(actual: number, expected: number | null, margin: number | null): void {
  if (margin !== null && margin < 1e-12) expect(Math.abs(actual - (expected ?? 0))).toBeLessThanOrEqual(1);
  else expect(actual).toBe(expected ?? 0);
}

const eigenvaluesOf = fc
  .array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 })
  .filter((values) => values.some((x) => x > 1e-3));

describe('Spectrum', () => {
  describe.each(Object.entries(index.spectra))("Delve's spectrum %s", (name, reference) => {
    const spectrum = Spectrum.fromEigenvalues(spectrumValues(name));

    it.each(Object.entries(reference.idim))('intrinsic dimensionality at %s', (threshold, expected) => {
      const dimension = (rule: 'paper' | 'delve') => spectrum.intrinsicDimensionality(Number(threshold), rule);
      expectDimension(dimension('paper'), expected.paper, expected.margin);
      expectDimension(dimension('delve'), expected.delve_metrics, expected.margin);
    });

    it('trace and determinant', () => {
      expect(spectrum.features).toBe(reference.d);
      expect(Math.abs(spectrum.trace - reference.dtrc)).toBeLessThanOrEqual(1e-12 * reference.dtrc);
      if (name !== 'negatives') {
        expect(Math.abs(spectrum.determinant - reference.det)).toBeLessThanOrEqual(1e-10 * reference.det);
      }
    });
  });

  describe.each(numericCases())('samples $name', (reference) => {
    const { samples, d, n } = reference;
    const accumulator = new CovarianceAccumulator(d);
    accumulator.update(samples);
    const spectrum = Spectrum.of(accumulator);

    it.each(Object.entries(reference.idim))('intrinsic dimensionality and saturation at %s', (key, expected) => {
      const threshold = Number(key);
      expectDimension(spectrum.intrinsicDimensionality(threshold), expected.paper_twopass, expected.margin);
      const delve = spectrum.intrinsicDimensionality(threshold, 'delve');
      expectDimension(delve, expected.delve_metrics_on_twopass_cov, expected.margin);
      if ((expected.margin ?? 1) >= 1e-12) {
        expect(spectrum.saturation(threshold, 'delve')).toBeCloseTo(expected.lsat_delve_metrics, 12);
      }
    });

    it('effective ranks, trace, determinant and the number of samples', () => {
      expect(spectrum.participationRatio).toBeCloseTo(reference.participation_ratio ?? 0, 8);
      expect(spectrum.simpsonIndex).toBeCloseTo(
        reference.participation_ratio ? 1 / reference.participation_ratio : 0,
        10,
      );
      expect(spectrum.entropyRank).toBeCloseTo(reference.entropy_effective_rank ?? 0, 8);
      expect(Math.abs(spectrum.trace - reference.trace_twopass)).toBeLessThanOrEqual(1e-11 * reference.trace_twopass);
      expect(spectrum.samples).toBe(n);
      // rank_deficient is singular up to the rounding of its float32 input: -1466 is the log of that rounding.
      const log = reference.logabsdet_from_svd_spectrum;
      if (typeof log === 'number' && log > -1000)
        expect(Math.abs(spectrum.logDeterminant - log)).toBeLessThan(1e-8 * -log);
      else expect(spectrum.logDeterminant).toBe(Number.NEGATIVE_INFINITY);
    });
  });

  it('does not change with the scale, from 1e-280 to 1e280', () => {
    const covariance = numbers('n_gt_d/cov_twopass.npy') as Float64Array;
    const plain = Spectrum.of(covariance);
    for (const scale of [1e-280, 1e-150, 1e-30, 1e30, 1e150, 1e280]) {
      const scaled = Spectrum.of(covariance.map((x) => x * scale));
      expect(
        distance(
          scaled.eigenvalues.map((x) => x / scale),
          plain.eigenvalues,
        ),
      ).toBeLessThan(1e-14);
      expect(scaled.saturation(0.9)).toBe(plain.saturation(0.9));
      expect(scaled.participationRatio).toBeCloseTo(plain.participationRatio, 9);
      expect(scaled.logDeterminant).toBeCloseTo(plain.logDeterminant + 32 * Math.log(scale), 6);
    }
  });

  it('does not change with the order of the features', () => {
    const rows = gaussianRows(400, [5, 1, 0.2, 0.1, 3], 1);
    const swapped = rows.map((_, i) => rows[i - (i % 5) + [3, 0, 4, 2, 1][i % 5]]);
    const [a, b] = [rows, swapped].map((x) => Spectrum.of(twoPassCovariance(x, 5)).eigenvalues);
    expect(distance(a, b)).toBeLessThan(1e-14);
  });

  it('does not change when a constant is added to every sample', () => {
    const rows = gaussianRows(900, [4, 1, 0.25, 0.01], 2);
    const spectra = [0, 1e3, -1e5].map((constant) => {
      const accumulator = new CovarianceAccumulator(4);
      accumulator.update(rows.map((x) => x + constant));
      return Spectrum.of(accumulator).eigenvalues;
    });
    expect(distance(spectra[1], spectra[0])).toBeLessThan(1e-11);
    expect(distance(spectra[2], spectra[0])).toBeLessThan(1e-9);
  });

  it('has the intrinsic dimensionality that the definition demands', () => {
    fc.assert(
      fc.property(
        eigenvaluesOf,
        fc.double({ min: 1e-6, max: 1, maxExcluded: true, noNaN: true }),
        (values, threshold) => {
          const spectrum = Spectrum.fromEigenvalues(values);
          const explained = spectrum.explainedVariance();
          const k = spectrum.intrinsicDimensionality(threshold);
          expect(k).toBeGreaterThanOrEqual(1);
          expect(k).toBeLessThanOrEqual(values.length);
          if (k < values.length) expect(explained[k - 1]).toBeGreaterThanOrEqual(threshold);
          if (k > 1) expect(explained[k - 2]).toBeLessThan(threshold);
          const delve = spectrum.intrinsicDimensionality(threshold, 'delve');
          expect(delve).toBe(explained.filter((c) => c < threshold).length);
          expect(spectrum.saturation(threshold)).toBe(k / values.length);
        },
      ),
    );
  });

  it('has its rank as the intrinsic dimensionality at a threshold of 1', () => {
    const rows = gaussianRows(300, [1, 1, 1], 41);
    const accumulator = new CovarianceAccumulator(6);
    // The last three are sums of the first three: their variance is rounding.
    for (let i = 0; i < 900; i += 3) {
      const [a, b, c] = rows.subarray(i, i + 3);
      accumulator.update([a, b, c, a + b, b - c, a - 3 * c]);
    }
    const spectrum = Spectrum.of(accumulator);
    expect(spectrum.intrinsicDimensionality(1)).toBe(3);
    expect(spectrum.intrinsicDimensionality(1, 'delve')).toBe(2);
    expect(spectrum.saturation(1)).toBe(0.5);
    expect(Spectrum.fromEigenvalues([1, 1e-30, 0]).intrinsicDimensionality(1)).toBe(2);
    expect(Spectrum.fromEigenvalues([0, 0]).intrinsicDimensionality(1, 'delve')).toBe(0);
  });

  it('keeps its effective ranks between 1 and d, and explains from 0 to 1 in rising steps', () => {
    fc.assert(
      fc.property(eigenvaluesOf, (values) => {
        const spectrum = Spectrum.fromEigenvalues(values);
        for (const rank of [spectrum.participationRatio, spectrum.entropyRank]) {
          expect(rank).toBeGreaterThan(1 - 1e-9);
          expect(rank).toBeLessThan(values.length + 1e-9);
        }
        const explained = spectrum.explainedVariance();
        expect(explained.every((c, i) => c <= 1 && c >= (explained[i - 1] ?? 0))).toBe(true);
        expect(explained.at(-1)).toBeCloseTo(1, 12);
      }),
    );
  });

  it('is all zero without variance', () => {
    for (const spectrum of [Spectrum.fromEigenvalues([0, 0]), Spectrum.of(new Float64Array(4))]) {
      const { trace, participationRatio, entropyRank, simpsonIndex, stableRank, determinant, rank } = spectrum;
      const measures = [trace, participationRatio, entropyRank, simpsonIndex, stableRank, determinant, rank];
      expect(measures).toEqual([0, 0, 0, 0, 0, 0, 0]);
      expect([spectrum.saturation(1), spectrum.saturation(0.5, 'delve')]).toEqual([0, 0]);
      expect(spectrum.explainedVariance()).toEqual(new Float64Array(2));
      expect(spectrum.logDeterminant).toBe(Number.NEGATIVE_INFINITY);
      expect(spectrum.conditionNumber).toBeNaN();
      expect(spectrum.powerLawExponent).toBeNaN();
    }
  });

  it('sets negative eigenvalues to zero and sorts', () => {
    const spectrum = Spectrum.fromEigenvalues([1, -1e-9, 4]);
    expect(spectrum.eigenvalues).toEqual(Float64Array.of(4, 1, 0));
    expect(spectrum.topK(2)).toEqual(Float64Array.of(4, 1));
    expect(spectrum.topK(9)).toEqual(spectrum.eigenvalues);
    expect(spectrum.rank).toBe(2);
    expect(spectrum.conditionNumber).toBe(Number.POSITIVE_INFINITY);
  });

  it('has a finite logarithm of a determinant outside the range of doubles', () => {
    const values = new Float64Array(512).fill(0.1);
    const spectrum = Spectrum.fromEigenvalues(values);
    expect(spectrum.determinant).toBe(0);
    expect(spectrum.logDeterminant).toBeCloseTo(512 * Math.log(0.1), 9);
    expect(Spectrum.fromEigenvalues(values.fill(10)).determinant).toBe(Number.POSITIVE_INFINITY);
    expect(Spectrum.fromEigenvalues([8, 2]).conditionNumber).toBe(4);
    expect(Spectrum.fromEigenvalues([8, 2]).determinant).toBeCloseTo(16, 12);
  });

  it('refuses what has no spectrum', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(() => Spectrum.of(Float64Array.of(1, 0, bad, 1))).toThrow(
        /covariance: expected finite numbers, got .* at entry \(1, 0\)/,
      );
      expect(() => Spectrum.fromEigenvalues([1, bad])).toThrow(RangeError);
    }
    expect(() => Spectrum.of(new Float64Array(5))).toThrow(/d x d numbers, got 5/);
    expect(() => Spectrum.of(new Float64Array(0))).toThrow(RangeError);
    expect(() => Spectrum.fromEigenvalues([])).toThrow(RangeError);
    expect(() => Spectrum.fromEigenvalues([1], { samples: -1 })).toThrow(RangeError);
    const spectrum = Spectrum.fromEigenvalues([1]);
    for (const threshold of [0, -1, 1.01, 99, Number.NaN])
      expect(() => spectrum.saturation(threshold)).toThrow(RangeError);
    expect(() => spectrum.saturation(0.9, 'pca' as 'paper')).toThrow(
      /rule: expected 'paper' or 'delve', got the string "pca"/,
    );
    expect(() => spectrum.topK(-1)).toThrow(RangeError);
  });

  describe('solve', () => {
    const rows = gaussianRows(
      3000,
      Float64Array.from({ length: 40 }, (_, i) => 1 / (i + 1)),
      3,
      100,
    );
    const accumulate = () => {
      const accumulator = new CovarianceAccumulator(40);
      accumulator.update(rows);
      return accumulator;
    };

    it('gives bit for bit what `of` gives, of an accumulator and of a covariance', async () => {
      const accumulator = accumulate();
      const covariance = accumulator.covariance();
      const [first, second] = await Promise.all([
        Spectrum.solve(accumulator),
        Spectrum.solve(covariance, { samples: 3000 }),
      ]);
      expect(first).toEqual(Spectrum.of(accumulator));
      expect(second.eigenvalues).toEqual(Spectrum.of(covariance).eigenvalues);
      expect([first.samples, second.samples]).toEqual([3000, 3000]);
      expect(accumulator.count).toBe(3000);
    });

    it('lets the input change at once, and takes an accumulator over with `reset`', async () => {
      const accumulator = accumulate();
      const expected = Spectrum.of(accumulator).eigenvalues;
      const covariance = accumulator.covariance();
      const promises = [
        Spectrum.solve(covariance),
        Spectrum.solve(accumulator),
        Spectrum.solve(accumulator, { reset: true }),
      ];
      covariance.fill(0);
      expect(accumulator.count).toBe(0);
      accumulator.update(rows.subarray(0, 80));
      for (const spectrum of await Promise.all(promises)) {
        expect(distance(spectrum.eigenvalues, expected)).toBeLessThan(1e-14);
      }
      expect(accumulator.count).toBe(2);
    });

    it('rejects as `of` throws', async () => {
      await expect(Spectrum.solve(Float64Array.of(1, 0, Number.NaN, 1))).rejects.toThrow(RangeError);
      await expect(Spectrum.solve(new Float64Array(3))).rejects.toThrow(RangeError);
      await expect(Spectrum.solve(new CovarianceAccumulator(3))).rejects.toThrow(/no finite row/);
    });

    it('finds eigenvectors, covariance and mean if they are asked for', async () => {
      const accumulator = accumulate();
      accumulator.update(new Float64Array(40).fill(Number.NaN));
      const solved = await solveInBackground(accumulator, { vectors: 2, covariance: true, mean: true }).result;
      expect([solved.count, solved.rejected, solved.features]).toEqual([3000, 1, 40]);
      expect(solved.covariance).toEqual(accumulator.covariance());
      expect(solved.mean).toEqual(accumulator.mean());
      expect(solved.vectors?.length).toBe(80);
      const { covariance, vectors, eigenvalues } = solved as Required<typeof solved>;
      for (let k = 0; k < 2; k++) {
        const v = vectors.subarray(k * 40, k * 40 + 40);
        const image = v.map((_, i) => v.reduce((sum, x, j) => sum + covariance[i * 40 + j] * x, 0));
        expect(
          distance(
            image,
            v.map((x) => x * eigenvalues[k]),
          ),
        ).toBeLessThan(1e-14);
      }
      expect((await solveInBackground(new CovarianceAccumulator(3)).result).count).toBe(0);
    });
  });
});

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

  it('is NaN if there is no tail to fit', () => {
    expect(powerLawExponentOf(new Float64Array(50))).toBeNaN();
    expect(powerLawExponentOf(new Float64Array(50).fill(2))).toBeNaN();
    expect(powerLawExponentOf(Float64Array.from({ length: MIN_TAIL }, (_, i) => 10 - i))).toBeNaN();
    expect(
      powerLawExponentOf(Float64Array.of(3, 2, 1, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22, 1e-23), 1e-15),
    ).toBeNaN();
  });
});

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

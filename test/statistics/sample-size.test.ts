import { describe, expect, it } from 'vitest';
import {
  isEstimateReliable,
  populationSpectrum,
  rowsNeeded,
  Spectrum,
  sampleSizeWarning,
  saturationShortfall,
} from '../../src/index.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { gaussianRows } from '../support/random.js';

const decays: Record<string, (i: number) => number> = {
  'i^-1/2': (i) => i ** -0.5,
  '1/i': (i) => 1 / i,
  'i^-2': (i) => i ** -2,
  'exp(-i/16)': (i) => Math.exp(-i / 16),
  flat: () => 1,
  'flat with a floor': (i) => (i <= 20 ? 1 : 1e-3),
  'rank 30': (i) => (i <= 30 ? 1 / i : 0),
};

function variancesOf(name: string, features: number): Float64Array {
  return Float64Array.from({ length: features }, (_, i) => decays[name](i + 1));
}

function sampled(variances: Float64Array, rows: number, seed: number): Spectrum {
  const accumulator = new CovarianceAccumulator(variances.length);
  accumulator.update(gaussianRows(rows, variances, seed));
  return Spectrum.of(accumulator);
}

/** Spectra that the constants of the estimate were not chosen by. */
const others: Record<string, (i: number, features: number) => number> = {
  'i^-0.8': (i) => i ** -0.8,
  'i^-1.2 on a floor': (i) => i ** -1.2 + 0.002,
  'exponential, 9 e-folds': (i, features) => Math.exp((-9 * i) / features),
  'two levels': (i, features) => (i <= features / 3 ? 6 : 0.5),
  'five spikes': (i) => (i <= 5 ? 40 : 1),
  'heavy tail': (i, features) => (features / i) ** 0.4,
  linear: (i, features) => 1 - (i - 1) / features,
};

function otherVariances(name: string, features: number): Float64Array {
  return Float64Array.from({ length: features }, (_, i) => others[name](i + 1, features));
}

describe('saturationEstimate', () => {
  it('of a layer that varies holds one direction at least', () => {
    for (const eigenvalues of [[3], [3, 1e-9], [3, 0, 0]]) {
      const spectrum = Spectrum.fromEigenvalues(eigenvalues, { samples: 480 });
      expect(spectrum.saturationEstimate().low * eigenvalues.length).toBeGreaterThanOrEqual(1);
    }
    // Delve counts the directions before the threshold, of which there may be none.
    expect(Spectrum.fromEigenvalues([3], { samples: 480 }).saturationEstimate({ rule: 'delve' }).low).toBe(0);
  });

  it.each([1, 1.5, 2, 4, 10])('%f rows per feature: its ends have 19 of 20 true saturations between them', (times) => {
    let cases = 0;
    let between = 0;
    let error = 0;
    let shownError = 0;
    let worst = 0;
    let seed = 1000 * times;
    for (const features of [48, 96, 160]) {
      for (const name of Object.keys(others)) {
        const variances = otherVariances(name, features);
        for (let draw = 0; draw < 3; draw++) {
          const spectrum = sampled(variances, Math.round(times * features), seed++);
          for (const threshold of [0.9, 0.99]) {
            const truth = Spectrum.fromEigenvalues(variances).saturation(threshold);
            const { saturation, low, high } = spectrum.saturationEstimate({ threshold });
            cases++;
            if (truth >= low - 1e-12 && truth <= high + 1e-12) between++;
            error += Math.abs(saturation - truth);
            shownError += Math.abs(spectrum.saturation(threshold) - truth);
            worst = Math.max(worst, Math.abs(saturation - truth));
            expect(low).toBeLessThanOrEqual(saturation);
            expect(high).toBeGreaterThanOrEqual(saturation);
          }
        }
      }
    }
    expect(between / cases).toBeGreaterThanOrEqual(0.95);
    expect(error).toBeLessThan(shownError / (times < 10 ? 4 : 2));
    expect(worst).toBeLessThan(times < 2 ? 0.2 : 0.1);
  });

  it('counts by the rule that was asked for', () => {
    const spectrum = sampled(variancesOf('1/i', 128), 256, 9);
    const [paper, delve] = (['paper', 'delve'] as const).map((rule) => spectrum.saturationEstimate({ rule }));
    expect(paper.saturation - delve.saturation).toBeCloseTo(1 / 128, 12);
    expect(paper.low - delve.low).toBeCloseTo(1 / 128, 12);
    expect(paper.high - delve.high).toBeCloseTo(1 / 128, 12);
  });

  it('says that it does not know below half a row per feature, or one of rows that are not independent', () => {
    const few = sampled(variancesOf('1/i', 128), 50, 10);
    const shown = few.saturation();
    expect(few.saturationEstimate()).toEqual({ saturation: Number.NaN, low: shown, high: 1 });
    expect(few.corrected()).toBeUndefined();
    expect(few.sampleSizeWarning('fc')).toMatch(/is too low, and so few independent rows cannot say by how much/);
    const many = sampled(variancesOf('1/i', 64), 1000, 11);
    expect(many.saturationEstimate({ samples: 63 }).saturation).toBeNaN();
    expect(many.saturationEstimate({ samples: 65 }).saturation).toBeGreaterThan(0.5);
    expect(Spectrum.fromEigenvalues(many.eigenvalues, { samples: 1000, effectiveSamples: 30 }).corrected()).toBe(
      undefined,
    );
  });
});

describe('corrected', () => {
  it('is a spectrum of the same trace, less steep than the sample', () => {
    const spectrum = sampled(variancesOf('1/i', 128), 128, 12);
    const corrected = spectrum.corrected();
    expect(corrected?.trace).toBeCloseTo(spectrum.trace, 10);
    expect(corrected?.saturation()).toBeGreaterThan(spectrum.saturation() + 0.15);
    expect(corrected?.participationRatio).toBeGreaterThan(spectrum.participationRatio);
    expect(spectrum.corrected()).toBe(corrected); // it is computed once
  });

  it('needs to know the number of rows', () => {
    expect(() => Spectrum.fromEigenvalues([1, 1]).corrected()).toThrow('samples: expected the number of rows');
  });
});

describe('correctedParticipationRatio', () => {
  it.each(['1/i', 'i^-1/2', 'exp(-i/16)', 'flat', 'flat with a floor'])(
    '%s: is near the truth from far fewer rows than features',
    (name) => {
      const variances = variancesOf(name, 256);
      const truth = Spectrum.fromEigenvalues(variances).participationRatio;
      for (const [rows, tolerance] of [
        [20, 0.35],
        [64, 0.15],
        [256, 0.08],
      ]) {
        const spectra = Array.from({ length: 8 }, (_, draw) => sampled(variances, rows, 300 + draw));
        const corrected = spectra.reduce((sum, spectrum) => sum + 1 / spectrum.correctedParticipationRatio, 0) / 8;
        expect(Math.abs(corrected * truth - 1)).toBeLessThan(tolerance);
        const shown = spectra.reduce((sum, { participationRatio }) => sum + 1 / participationRatio, 0) / 8;
        expect(Math.abs(corrected * truth - 1)).toBeLessThan(Math.abs(shown * truth - 1));
      }
    },
  );

  it('does so for features behind a ReLU, too', () => {
    const next = gaussianRows(20_000, new Float64Array(24).fill(1), 77);
    const weights = gaussianRows(24, new Float64Array(256).fill(1), 78);
    const relu = (from: number, rows: number) => {
      const accumulator = new CovarianceAccumulator(256);
      const row = new Float64Array(256);
      for (let r = from; r < from + rows; r++) {
        row.fill(0);
        for (let k = 0; k < 24; k++) for (let j = 0; j < 256; j++) row[j] += next[r * 24 + k] * weights[k * 256 + j];
        accumulator.update(row.map((x) => Math.max(0, x)));
      }
      return Spectrum.of(accumulator);
    };
    const truth = relu(0, 8000).participationRatio;
    const few = Array.from({ length: 10 }, (_, draw) => relu(8000 + 20 * draw, 20));
    const corrected = few.reduce((sum, spectrum) => sum + 1 / spectrum.correctedParticipationRatio, 0) / 10;
    expect(Math.abs(corrected * truth - 1)).toBeLessThan(0.2);
    for (const { participationRatio } of few) expect(participationRatio).toBeLessThan(0.75 * truth);
  });

  it('is NaN where rows cannot say, and 0 without variance', () => {
    expect(Spectrum.fromEigenvalues([2, 1]).correctedParticipationRatio).toBeNaN();
    expect(Spectrum.fromEigenvalues([2, 1], { samples: 3 }).correctedParticipationRatio).toBeNaN();
    expect(Spectrum.fromEigenvalues([0, 0], { samples: 3 }).correctedParticipationRatio).toBe(0);
    expect(Spectrum.fromEigenvalues([2, 1], { samples: 1e9 }).correctedParticipationRatio).toBeCloseTo(1.8, 7);
    expect(Spectrum.fromEigenvalues([1, 0, 0], { samples: 50 }).correctedParticipationRatio).toBeCloseTo(1, 12);
  });
});

describe('saturationShortfall', () => {
  const features = 128;
  const cases = Object.keys(decays).flatMap((name) => [1, 2, 4, 8, 20].map((times) => [name, times] as const));

  it.each(cases)(
    '%s, %i rows per feature: no less than the shortfall that simulation shows, and not far more',
    (name, times) => {
      const variances = variancesOf(name, features);
      for (const threshold of [0.9, 0.99]) {
        const truth = Spectrum.fromEigenvalues(variances).saturation(threshold);
        const spectrum = sampled(variances, times * features, 17 * times);
        const actual = truth - spectrum.saturation(threshold);
        const claimed = spectrum.saturationShortfall({ threshold });
        expect(claimed).toBeGreaterThanOrEqual(actual - 1e-12);
        expect(claimed).toBeLessThanOrEqual(1.3 * actual + 0.03 + 0.15 / times);
      }
    },
  );

  it('is what remains if fewer rows than features hide the other directions', () => {
    const spectrum = sampled(variancesOf('1/i', features), 40, 1);
    expect(spectrum.saturation() + spectrum.saturationShortfall()).toBe(1);
    // Rank 30 shows in full within 100 rows: nothing is hidden.
    expect(sampled(variancesOf('rank 30', features), 100, 2).saturationShortfall()).toBeLessThan(0.03);
  });

  it('is 0 without variance, and needs to know the number of rows', () => {
    expect(Spectrum.fromEigenvalues([0, 0], { samples: 1 }).saturationShortfall()).toBe(0);
    expect(() => Spectrum.fromEigenvalues([1, 1]).saturationShortfall()).toThrow(
      'samples: expected the number of rows, which this spectrum does not know, got undefined',
    );
    expect(Spectrum.fromEigenvalues([1, 1e-9]).saturationShortfall({ samples: 1000 })).toBe(0);
  });
});

describe('isReliable', () => {
  const variances = variancesOf('1/i', 256);

  it("warns on Delve's example: 256 features, 1/i, 256 rows (0.67 instead of 0.94)", () => {
    const spectrum = sampled(variances, 256, 3);
    expect(spectrum.intrinsicDimensionality()).toBeLessThan(190);
    expect(spectrum.isReliable()).toBe(false);
    expect(spectrum.sampleSizeWarning('dense_1')).toMatch(/^Layer "dense_1": 256 rows are few for 256 features/);
  });

  it('is not content with 1024 rows, which show 0.89', () => {
    const spectrum = sampled(variances, 1024, 7);
    expect(spectrum.saturation()).toBeCloseTo(0.89, 1);
    expect(spectrum.isReliable()).toBe(false);
  });

  it('is content with 2560 rows', () => {
    const spectrum = sampled(variances, 2560, 4);
    expect(Math.abs(spectrum.saturation() - 241 / 256)).toBeLessThan(0.05);
    expect(spectrum.isReliable()).toBe(true);
    expect(spectrum.sampleSizeWarning('dense_1')).toBeUndefined();
    expect(spectrum.isReliable({ tolerance: 0.001 })).toBe(false);
  });
});

describe('isReliable of narrow layers', () => {
  it.each([2, 4, 8, 12, 19])(
    '%i features: is content with a direction, of which hardly more is ever missing',
    (features) => {
      let cases = 0;
      let right = 0;
      let seed = 77 * features;
      for (const name of Object.keys(others)) {
        const variances = otherVariances(name, features);
        const truth = Spectrum.fromEigenvalues(variances).intrinsicDimensionality();
        for (const times of [4, 10, 40, 100]) {
          for (let draw = 0; draw < 4; draw++) {
            const spectrum = sampled(variances, times * features, seed++);
            if (!spectrum.isReliable()) continue;
            cases++;
            if (truth - spectrum.intrinsicDimensionality() <= 1) right++;
          }
        }
      }
      expect(cases).toBeGreaterThan(80);
      expect(right / cases).toBeGreaterThan(0.95);
    },
  );

  it('8 features of 9,600 rows are reliable, 3 rows of 2 features are not', () => {
    for (const name of Object.keys(others)) {
      expect(sampled(otherVariances(name, 8), 9600, 5).isReliable()).toBe(true);
      expect(sampled(otherVariances(name, 2), 3, 5).isReliable()).toBe(false);
    }
  });
});

describe('rows that are alike', () => {
  /** Rows of a layer behind a ReLU, of which some come several times and some are 0. */
  function alikeRows(rows: number, features: number, repeated: number, zeros: number, seed: number): Float64Array {
    const values = gaussianRows(
      rows,
      Float64Array.from({ length: features }, (_, i) => 1 / (i + 1)),
      seed,
    ).map((x) => Math.max(0, x));
    for (let row = 0; row < repeated; row++) values.copyWithin((rows - 1 - row) * features, 0, features);
    values.fill(0, features, (1 + zeros) * features);
    return values;
  }

  it.each([
    [16, 256, 1, 0],
    [16, 256, 3, 2],
    [40, 128, 0, 8],
    [64, 512, 20, 0],
    [24, 64, 4, 4],
  ])(
    '%i rows of %i features, %i repeated and %i of zeros, say nothing of directions that they do not show',
    (...shape) => {
      const [rows, features] = shape;
      for (let seed = 1; seed <= 5; seed++) {
        const accumulator = new CovarianceAccumulator(features);
        accumulator.update(alikeRows(...shape, seed));
        const spectrum = Spectrum.of(accumulator);
        expect(spectrum.rank).toBeLessThan(rows - 1);
        expect(spectrum.corrected()).toBeUndefined();
        expect(spectrum.saturationEstimate().high).toBe(1);
        expect(spectrum.isReliable()).toBe(false);
        expect(populationSpectrum(spectrum.eigenvalues, rows)).toBeUndefined();
      }
    },
  );

  it('are no hindrance where twice as many rows as directions show no more', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const variances = Float64Array.from({ length: 256 }, (_, i) => (i < 12 ? 1 / (i + 1) : 0));
      const accumulator = new CovarianceAccumulator(256);
      const values = gaussianRows(200, variances, seed);
      values.copyWithin(256, 0, 256);
      accumulator.update(values);
      expect(Spectrum.of(accumulator).isReliable()).toBe(true);
    }
  });
});

describe('rowsNeeded', () => {
  it.each(Object.keys(decays))('%s: that many rows show the saturation of all rows, to within 0.01', (name) => {
    const features = 128;
    const variances = variancesOf(name, features);
    const all = 30_000;
    const rows = Float32Array.from(gaussianRows(all, variances, 5));
    const whole = new CovarianceAccumulator(features);
    whole.update(rows);
    const spectrum = Spectrum.of(whole);
    for (const threshold of [0.9, 0.99]) {
      const needed = spectrum.rowsNeeded({ threshold });
      expect(needed).toBeLessThanOrEqual(all);
      const some = new CovarianceAccumulator(features);
      for (let k = 0; k < needed; k++) {
        const row = Math.floor((k * all) / needed);
        some.update(rows.subarray(row * features, (row + 1) * features));
      }
      const difference = Spectrum.of(some).saturation(threshold) - spectrum.saturation(threshold);
      expect(Math.abs(difference)).toBeLessThanOrEqual(0.01);
    }
  });

  it('asks for far fewer than all if the spectrum is steep', () => {
    const spectrum = Spectrum.fromEigenvalues(variancesOf('i^-2', 512), { samples: 1e6 });
    expect(spectrum.rowsNeeded()).toBeLessThan(50_000);
  });

  it('asks for all rows if the threshold lies on the edge between two dimensions', () => {
    const spectrum = Spectrum.fromEigenvalues([9, 1], { samples: 5000 });
    expect(spectrum.rowsNeeded({ threshold: 0.9 })).toBe(5000);
  });
});

it('the functions of 0.1.0 give what the methods give', () => {
  const spectrum = sampled(variancesOf('1/i', 64), 100, 6);
  expect(saturationShortfall(spectrum)).toBe(spectrum.saturationShortfall());
  expect(saturationShortfall(spectrum, { samples: 500 })).toBe(spectrum.saturationShortfall({ samples: 500 }));
  expect(isEstimateReliable(spectrum)).toBe(spectrum.isReliable());
  expect(isEstimateReliable(spectrum, { tolerance: 0.9 })).toBe(true);
  expect(sampleSizeWarning('a', spectrum)).toBe(spectrum.sampleSizeWarning('a'));
  expect(rowsNeeded(spectrum)).toBe(spectrum.rowsNeeded());
  expect(rowsNeeded(spectrum, { samples: 1e6 })).toBe(spectrum.rowsNeeded({ samples: 1e6 }));
});

import { describe, expect, it } from 'vitest';
import { isEstimateReliable, rowsNeeded, Spectrum, sampleSizeWarning, saturationShortfall } from '../../src/index.js';
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

describe('saturationShortfall', () => {
  const features = 128;
  const cases = Object.keys(decays).flatMap((name) => [1, 2, 4, 8, 20].map((times) => [name, times] as const));

  it.each(cases)('%s, %i rows per feature: close to the shortfall that simulation shows', (name, times) => {
    const variances = variancesOf(name, features);
    for (const threshold of [0.9, 0.99]) {
      const truth = Spectrum.fromEigenvalues(variances).saturation(threshold);
      const spectrum = sampled(variances, times * features, 17 * times);
      const actual = truth - spectrum.saturation(threshold);
      const predicted = spectrum.saturationShortfall({ threshold });
      if (times === 1) expect(predicted).toBeGreaterThanOrEqual(0.4 * actual - 0.02);
      else expect(Math.abs(predicted - actual)).toBeLessThanOrEqual(0.35 * actual + 0.03);
    }
  });

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

  it('is content with 2560 rows', () => {
    const spectrum = sampled(variances, 2560, 4);
    expect(Math.abs(spectrum.saturation() - 241 / 256)).toBeLessThan(0.05);
    expect(spectrum.isReliable()).toBe(true);
    expect(spectrum.sampleSizeWarning('dense_1')).toBeUndefined();
    expect(spectrum.isReliable({ tolerance: 0.001 })).toBe(false);
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

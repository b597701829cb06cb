import { describe, expect, it } from 'vitest';
import { SampleBudget } from '../../src/activations/sample-budget.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { numericCases } from '../support/numeric-fixtures.js';
import { gaussianRows } from '../support/random.js';

/** One epoch: batches are offered, every k-th row of each is used as the budget says. */
function epoch(budget: SampleBudget, samples: Float32Array | Float64Array, features: number, batch: number) {
  const rows = samples.length / features;
  const accumulator = new CovarianceAccumulator(features);
  budget.beginEpoch(rows);
  const used: number[] = [];
  for (let start = 0; start < rows; start += batch) {
    const size = Math.min(batch, rows - start);
    const wanted = budget.rowsToUse(size);
    used.push(wanted);
    for (let k = 0; k < wanted; k++) {
      const row = start + Math.floor((k * size) / wanted);
      accumulator.update(samples.subarray(row * features, (row + 1) * features));
    }
  }
  const spectrum = Spectrum.of(accumulator);
  budget.endEpoch();
  budget.adaptTo(spectrum);
  return { spectrum, used };
}

describe('SampleBudget', () => {
  it.each(numericCases())('fixture $name: within 0.01 of all rows, in every epoch', ({ samples, d }) => {
    const whole = new CovarianceAccumulator(d);
    whole.update(samples);
    for (const threshold of [0.9, 0.99]) {
      const expected = Spectrum.of(whole).saturation(threshold);
      const budget = new SampleBudget(d, { threshold });
      for (let e = 0; e < 3; e++) {
        const { spectrum } = epoch(budget, samples, d, 64);
        expect(Math.abs(spectrum.saturation(threshold) - expected)).toBeLessThanOrEqual(0.01);
      }
    }
  });

  describe.each([
    ['1/i', (i: number) => 1 / i],
    ['i^-2', (i: number) => i ** -2],
    ['exp(-i/8)', (i: number) => Math.exp(-i / 8)],
  ])('spectrum %s, 40 000 rows of 100 features', (_, decay) => {
    const features = 100;
    const samples = Float32Array.from(
      gaussianRows(
        100_000,
        Float64Array.from({ length: features }, (_, i) => decay(i + 1)),
        1,
      ),
    );
    const whole = new CovarianceAccumulator(features);
    whole.update(samples);
    const expected = Spectrum.of(whole).saturation();

    it('stays within 0.01 of all rows over five epochs and uses fewer', () => {
      const budget = new SampleBudget(features);
      for (let e = 0; e < 5; e++) {
        const { spectrum, used } = epoch(budget, samples, features, 200);
        expect(Math.abs(spectrum.saturation() - expected)).toBeLessThanOrEqual(0.0100001);
        expect(used.reduce((a, b) => a + b)).toBeLessThan(30_000);
      }
    });

    it('spreads the rows over the whole epoch', () => {
      const { used } = epoch(new SampleBudget(features), samples, features, 200);
      const quarter = used.length / 4;
      const shares = [0, 1, 2, 3].map((q) => used.slice(q * quarter, (q + 1) * quarter).reduce((a, b) => a + b));
      expect(Math.max(...shares)).toBeLessThanOrEqual(1.3 * Math.min(...shares));
    });
  });

  it('takes a part of a batch where one batch holds more rows than are needed', () => {
    const budget = new SampleBudget(128);
    budget.beginEpoch(50 * 65_536);
    const taken = Array.from({ length: 50 }, () => budget.rowsToUse(65_536));
    expect(Math.max(...taken)).toBe(512);
    expect(taken.filter((rows) => rows > 0).length).toBeGreaterThanOrEqual(16);
    expect(taken.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(64 * 128);
  });

  it('takes all rows of a short epoch, and of a first one of unknown length', () => {
    const short = new SampleBudget(64);
    short.beginEpoch(1000);
    expect(short.rowsToUse(1000)).toBe(1000);
    const unknown = new SampleBudget(100);
    unknown.beginEpoch();
    const first = Array.from({ length: 10 }, () => unknown.rowsToUse(10_000));
    expect(first).toEqual(new Array(10).fill(10_000));
    unknown.endEpoch();
    const second = Array.from({ length: 10 }, () => unknown.rowsToUse(10_000));
    expect(second.reduce((a, b) => a + b)).toBeLessThan(10_000);
  });

  it('learns from the epoch that ended, when the next one has begun and its rows have neighbours that were not counted', () => {
    const budget = new SampleBudget(128);
    budget.beginEpoch();
    expect(budget.rowsToUse(100_000)).toBe(100_000);
    budget.endEpoch();
    const next = Array.from({ length: 20 }, () => budget.rowsToUse(1000));
    expect(next).toContain(0);
    const eigenvalues = Float64Array.from({ length: 128 }, (_, i) => Math.exp(-i / 8));
    const needed = Spectrum.fromEigenvalues(eigenvalues).rowsNeeded();
    budget.adaptTo(Spectrum.fromEigenvalues(eigenvalues, { samples: 6_400_000 }));
    expect(budget.target).toBe(Math.max(128, needed));
    expect(needed).toBeLessThan(20_000);
  });

  it('takes all rows where more than half of them would be needed', () => {
    const taken = (expected: number) => {
      const budget = new SampleBudget(100);
      budget.beginEpoch(expected);
      return Array.from({ length: 100 }, () => budget.rowsToUse(expected / 100)).reduce((a, b) => a + b);
    };
    expect(taken(12_000)).toBe(12_000);
    expect(taken(16_000)).toBeLessThan(10_000);
  });

  it('takes 65,536 rows of a layer so narrow that one direction is more than 0.01, whatever its spectrum', () => {
    const budget = new SampleBudget(64);
    // Where some rows are left out, a sixteenth of those wanted is taken at a time.
    for (const [rows, least, most] of [
      [100_000, 100_000, 100_000],
      [100_000, 100_000, 100_000],
      [1_000_000, 65_536, 65_536 + 4096],
    ]) {
      budget.beginEpoch(rows);
      const taken = Array.from({ length: 100 }, () => budget.rowsToUse(rows / 100)).reduce((a, b) => a + b);
      expect(taken).toBeGreaterThanOrEqual(least);
      expect(taken).toBeLessThanOrEqual(most);
      budget.endEpoch();
      budget.adaptTo(
        Spectrum.fromEigenvalues(
          Float64Array.from({ length: 64 }, (_, i) => 2 ** -i),
          { samples: rows },
        ),
      );
    }
  });
});

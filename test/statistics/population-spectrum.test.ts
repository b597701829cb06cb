import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CovarianceAccumulator, populationSpectrum, Spectrum } from '../../src/index.js';
import { gaussianRows } from '../support/random.js';

/**
 * The eigenvalues that a flat spectrum of 1 shows: the quantiles of Marchenko and Pastur's law, whose density is
 * sqrt((b - x)(x - a)) / (2 pi c x) between a and b = (1 -+ sqrt c)^2.
 */
function marchenkoPastur(count: number, c: number): Float64Array {
  const a = (1 - Math.sqrt(c)) ** 2;
  const b = (1 + Math.sqrt(c)) ** 2;
  const steps = 200_000;
  const quantiles = new Float64Array(count);
  let below = 0;
  let found = 0;
  for (let i = 0; i < steps && found < count; i++) {
    const x = a + ((i + 0.5) / steps) * (b - a);
    below += (Math.sqrt((b - x) * (x - a)) / (2 * Math.PI * c * x)) * ((b - a) / steps);
    while (found < count && below >= (found + 0.5) / count) quantiles[count - ++found] = x;
  }
  return quantiles;
}

function eigenvaluesOf(variances: ArrayLike<number>, rows: number, seed: number): Float64Array {
  const accumulator = new CovarianceAccumulator(variances.length);
  accumulator.update(gaussianRows(rows, variances, seed));
  return Spectrum.of(accumulator).eigenvalues;
}

describe('populationSpectrum', () => {
  it.each([0.1, 0.5, 0.8])('finds the flat spectrum in Marchenko and Pastur’s law, c = %f', (c) => {
    const count = 300;
    const found = populationSpectrum(marchenkoPastur(count, c), count / c + 1) ?? [];
    for (const value of found) expect(Math.abs(value - 1)).toBeLessThan(0.12);
  });

  it('finds two levels, as many of each as there are', () => {
    const variances = Float64Array.from({ length: 400 }, (_, i) => (i < 100 ? 10 : 1));
    const found = populationSpectrum(eigenvaluesOf(variances, 800, 1), 800);
    const high = Array.from(found ?? []).filter((x) => x > 4);
    expect(Math.abs(high.length - 100)).toBeLessThanOrEqual(3);
    expect(high.reduce((sum, x) => sum + x, 0) / high.length).toBeCloseTo(10, 0);
  });

  it('leaves directions without variance at 0, and corrects the others as if they were all', () => {
    const variances = Float64Array.from({ length: 200 }, (_, i) => (i < 40 ? 1 / (i + 1) : 0));
    const eigenvalues = eigenvaluesOf(variances, 120, 2);
    const found = populationSpectrum(eigenvalues, 120);
    const alone = populationSpectrum(eigenvalues.subarray(0, 40), 120);
    expect(found?.subarray(40).every((x) => x === 0)).toBe(true);
    expect(found?.slice(0, 40)).toEqual(alone);
  });

  it('gives back much what it is given if rows are many', () => {
    const variances = Float64Array.from({ length: 100 }, (_, i) => 1 / (i + 1));
    const found = populationSpectrum(variances, 1e7) ?? [];
    for (const [i, value] of found.entries()) expect(Math.abs(value / variances[i] - 1)).toBeLessThan(0.2);
  });

  it('is descending, not negative, of the same sum, scales with the input, and is the same whenever it is asked', () => {
    // Below, numbers have fewer digits, and scaling would round them.
    const number = fc.double({ min: 0, max: 1, noNaN: true }).map((x) => (x < 1e-290 ? 0 : x));
    const spectra = fc.array(fc.oneof(number, fc.constant(0.5), fc.constant(0)), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(spectra, fc.integer({ min: 2, max: 500 }), (values, rows) => {
        const found = populationSpectrum(values, rows);
        if (found === undefined) {
          expect(rows).toBeLessThan(Math.max(2, values.length / 2));
          return;
        }
        expect(found).toHaveLength(values.length);
        for (let i = 0; i < found.length; i++) {
          expect(found[i]).toBeGreaterThanOrEqual(0);
          if (i > 0) expect(found[i]).toBeLessThanOrEqual(found[i - 1]);
        }
        const sum = values.reduce((total, x) => total + x, 0);
        expect(Math.abs(found.reduce((total, x) => total + x, 0) - sum)).toBeLessThanOrEqual(1e-9 * sum);
        expect(populationSpectrum([...values].reverse(), rows)).toEqual(found);
        const scaled = populationSpectrum(
          values.map((x) => x * 1024),
          rows,
        );
        expect(scaled).toEqual(found.map((x) => x * 1024));
      }),
    );
  });

  it('scales with the input to the ends of the range of doubles', () => {
    const values = [1, 0.7, 0.1, 0.1, 0.01];
    const found = populationSpectrum(values, 30)!;
    for (const exponent of [-1000, -500, 500, 1020]) {
      const scaled = populationSpectrum(
        values.map((x) => x * 2 ** exponent),
        30,
      );
      expect(scaled).toEqual(found.map((x) => x * 2 ** exponent));
    }
    for (const least of [2 ** -1074, 2 ** -1060]) {
      expect([...populationSpectrum([least, least, least], 4)!].every((x) => x >= 0 && x < 8 * least)).toBe(true);
    }
  });

  it('knows nothing below half a row per direction', () => {
    const flat = new Float64Array(100).fill(1);
    expect(populationSpectrum(flat, 49)).toBeUndefined();
    expect(populationSpectrum(flat, 50)).toBeDefined();
    expect(populationSpectrum(flat, 0)).toBeUndefined();
    expect(populationSpectrum([1], 1)).toBeUndefined();
  });

  it('has no variance where there is none, and takes rounding below 0 for 0', () => {
    expect(populationSpectrum([0, 0, 0], 10)).toEqual(new Float64Array(3));
    expect(populationSpectrum([0, -1e-18], 10)).toEqual(new Float64Array(2));
    expect(populationSpectrum([2, -1e-18, 0], 10)).toEqual(Float64Array.of(2, 0, 0));
    expect(populationSpectrum([], 10)).toEqual(new Float64Array(0));
  });

  it('refuses what is no spectrum or no number of rows', () => {
    expect(() => populationSpectrum([1, Number.NaN], 10)).toThrow(
      'populationSpectrum: expected finite numbers, got number NaN at index 1',
    );
    expect(() => populationSpectrum([Number.POSITIVE_INFINITY], 10)).toThrow(RangeError);
    for (const rows of [Number.NaN, -1, Number.POSITIVE_INFINITY, '10' as unknown as number]) {
      expect(() => populationSpectrum([1, 2], rows)).toThrow('populationSpectrum: expected a number of rows, got');
    }
  });
});

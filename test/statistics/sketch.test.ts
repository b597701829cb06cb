import { afterAll, describe, expect, it } from 'vitest';
import { kernelsName, useKernels } from '../../src/kernels/kernels.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { CovarianceSketch } from '../../src/statistics/sketch.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { gaussianRows } from '../support/random.js';

const features = 601;
const chosen = kernelsName();

/** Rows whose variance is spread over features as `variance` says, turned by a reflection so that no feature is a direction. */
function rowsOf(count: number, variance: (i: number) => number, seed: number, mean = 0, turn = 3): Float32Array {
  const rows = gaussianRows(
    count,
    Float64Array.from({ length: features }, (_, i) => variance(i)),
    seed,
  );
  const u = Float64Array.from({ length: features }, (_, i) => Math.sin(turn * i + turn));
  const norm = u.reduce((sum, x) => sum + x * x, 0);
  return Float32Array.from(rows, (x, at) => {
    const start = at - (at % features);
    if (at === start) {
      let product = 0;
      for (let j = 0; j < features; j++) product += rows[start + j] * u[j];
      for (let j = 0; j < features; j++) rows[start + j] -= (2 * product * u[j]) / norm;
    }
    return (at === start ? rows[at] : x) + mean;
  });
}

function sketchOf(...batches: Float32Array[]): CovarianceSketch {
  const sketch = new CovarianceSketch(features);
  for (const batch of batches) sketch.update(batch);
  return sketch;
}

function exactOf(...batches: Float32Array[]): Spectrum {
  const accumulator = new CovarianceAccumulator(features);
  for (const batch of batches) accumulator.update(batch);
  return Spectrum.of(accumulator);
}

describe.each([chosen, 'wasm', 'typescript'] as const)(
  'a sketch of wide rows, beside the exact covariance (%s)',
  (name) => {
    afterAll(() => useKernels(chosen));

    it.each<[string, Float32Array[]]>([
      ['40 directions', [rowsOf(700, (i) => (i < 40 ? 1 / (i + 1) : 0), 1)]],
      ['1/i', [rowsOf(900, (i) => 1 / (i + 1), 2)]],
      ['flat', [rowsOf(900, () => 1, 3)]],
      ['exp(-i/16), far from zero', [rowsOf(900, (i) => Math.exp(-i / 16), 4, 50)]],
      [
        'other directions than the first rows had',
        [rowsOf(300, (i) => (i < 9 ? 1 : 0), 5), rowsOf(600, (i) => (i > 200 && i < 260 ? 1 : 0), 6, 0, 2)],
      ],
      ['more variance later', [rowsOf(300, (i) => 1e-4 / (i + 1), 7), rowsOf(500, (i) => 1 / (i + 1), 8, 3)]],
    ])('its bounds hold whatever the threshold: %s', (_, batches) => {
      useKernels(name);
      const exact = exactOf(...batches);
      const solved = sketchOf(...batches).solve();
      const spectrum = Spectrum.fromSolved(solved);
      expect(spectrum.isSketch).toBe(true);
      expect(Math.abs(spectrum.trace / exact.trace - 1)).toBeLessThan(2e-6);
      const { resolved, unresolved, rounding } = solved.sketch!;
      let [known, all] = [0, 0];
      resolved.forEach((x, k) => {
        known += x;
        all += exact.eigenvalues[k];
        expect(x).toBeLessThan(exact.eigenvalues[k] + rounding);
        expect(known).toBeLessThan(all + rounding);
        expect(known + unresolved).toBeGreaterThan(all - rounding);
      });
      for (const threshold of [0.3, 0.5, 0.9, 0.95, 0.99, 0.999]) {
        const truth = exact.saturation(threshold);
        const { low, high } = spectrum.saturationBounds(threshold);
        expect(low, `low at ${threshold}`).toBeLessThanOrEqual(truth);
        expect(high, `high at ${threshold}`).toBeGreaterThanOrEqual(truth);
        const shown = spectrum.saturation(threshold);
        expect(shown).toBeGreaterThanOrEqual(low);
        expect(shown).toBeLessThanOrEqual(high + 1 / features);
        expect(spectrum.saturationBounds(threshold, 'delve').high).toBeCloseTo(high - 1 / features, 12);
      }
    });

    it('says exactly how many directions there are if it follows all of them', () => {
      useKernels(name);
      const rows = rowsOf(700, (i) => (i < 40 ? 1 / (i + 1) : 0), 1);
      const spectrum = Spectrum.fromSolved(sketchOf(rows).solve());
      const truth = exactOf(rows).saturation();
      expect(spectrum.saturationBounds()).toEqual({ low: truth, high: truth });
      expect(spectrum.saturation()).toBe(truth);
    });

    it('is exact of few rows', () => {
      useKernels(name);
      const rows = rowsOf(100, (i) => 1 / (i + 1), 9);
      const spectrum = Spectrum.fromSolved(sketchOf(rows).solve());
      expect(spectrum.isSketch).toBe(false);
      expect(spectrum.eigenvalues).toEqual(exactOf(rows).eigenvalues);
    });

    it('leaves out rows with NaN, before and after it has found its directions', () => {
      useKernels(name);
      const rows = rowsOf(700, (i) => 1 / (i + 1), 10);
      const damaged = rows.slice();
      for (const row of [3, 400, 699]) damaged[row * features + (row % features)] = Number.NaN;
      const kept = Float32Array.from(rows).filter((_, at) => ![3, 400, 699].includes(Math.floor(at / features)));
      const { count, rejected, eigenvalues } = sketchOf(damaged).solve();
      expect({ count, rejected }).toEqual({ count: 697, rejected: 3 });
      const expected = exactOf(kept).trace;
      expect(Math.abs(eigenvalues.reduce((sum, x) => sum + x, 0) / expected - 1)).toBeLessThan(2e-6);
    });

    it('knows that rows that are all the same have no variance', () => {
      useKernels(name);
      const rows = new Float32Array(600 * features).fill(0.1);
      const spectrum = Spectrum.fromSolved(sketchOf(rows).solve());
      expect(spectrum.trace).toBe(0);
      expect(spectrum.saturationBounds()).toEqual({ low: 0, high: 0 });
      // Variance that comes later is seen as what it is: unknown but for its sum.
      const later = rowsOf(300, (i) => (i < 5 ? 1 : 0), 11);
      const { low, high } = Spectrum.fromSolved(sketchOf(rows, later).solve()).saturationBounds();
      const truth = exactOf(rows, later).saturation();
      expect(low).toBeLessThanOrEqual(truth);
      expect(high).toBeGreaterThanOrEqual(truth);
    });
  },
);

import { describe, expect, it } from 'vitest';
import { bandOf, repeatsOf, smoothed, thinned, withoutOutliers } from '../../src/dashboard/smooth.js';

describe('smoothed', () => {
  // By the formula of TensorBoard's chart, worked out by hand: last = w last + (1 - w) y, divided by 1 - w^n.
  it('is TensorBoard’s average without the bias of its beginning', () => {
    const [a, b, c] = smoothed(Float64Array.of(1, 2, 4), 0.5);
    expect(a).toBeCloseTo(1, 12);
    expect(b).toBeCloseTo((0.5 * 0.5 * 1 + 0.5 * 2) / 0.75, 12);
    expect(c).toBeCloseTo((0.25 * 0.5 * 1 + 0.5 * 0.5 * 2 + 0.5 * 4) / 0.875, 12);
  });

  it('leaves constants and what is not finite as they are, and counts the latter for nothing', () => {
    expect([...smoothed(Float64Array.of(0.1, 0.1, 0.1), 0.9)]).toEqual([0.1, 0.1, 0.1]);
    const [one, gap, endless, two] = smoothed(Float64Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, 2), 0.5);
    expect([one, gap, endless]).toEqual([1, Number.NaN, Number.POSITIVE_INFINITY]);
    expect(two).toBeCloseTo((0.25 * 1 + 0.5 * 2) / 0.75, 12);
    expect(smoothed(Float64Array.of(1, 5), 0)).toEqual(Float64Array.of(1, 5));
  });
});

it.each([
  ['sweep/seed1', 'sweep'],
  ['seed1', '.'],
  ['.', '.'],
  ['sweep/seed1/train', 'sweep/*/train'],
  ['seed1/validation', '*/validation'],
  ['val', 'val'],
  ['fold-1-train', '.'],
])('the mean of the run %j is that of %j, in which no other split is', (run, repeats) => {
  expect(repeatsOf(run)).toBe(repeats);
});

it('thinned keeps the ends, and every peak and trough', () => {
  const values = Float64Array.from({ length: 100_000 }, (_, i) =>
    i === 54_321 ? 9 : i === 777 ? -9 : Math.sin(i / 500),
  );
  const kept = thinned(values, 400);
  expect(kept.length).toBeLessThanOrEqual(400);
  for (const index of [0, 777, 54_321, 99_999]) expect(kept).toContain(index);
  expect([...kept].sort((a, b) => a - b)).toEqual(kept);
  expect(thinned(Float64Array.of(3, 1), 400)).toEqual([0, 1]);
  const gaps = thinned(new Float64Array(5000).fill(Number.NaN), 100);
  expect(gaps.length).toBeGreaterThan(0);
});

it('bandOf has mean, least and greatest value of the runs that have a step', () => {
  const band = bandOf([
    { steps: Float64Array.of(0, 10), values: Float64Array.of(1, 3) },
    { steps: Float64Array.of(0, 5, 10), values: Float64Array.of(3, 7, Number.NaN) },
  ]);
  expect([...band.steps]).toEqual([0, 5, 10]);
  expect([...band.mean]).toEqual([2, 7, 3]);
  expect([...band.least]).toEqual([1, 7, 3]);
  expect([...band.greatest]).toEqual([3, 7, 3]);
});

it('withoutOutliers is between the percentiles 5 and 95 of what is finite', () => {
  const values = Float64Array.from({ length: 101 }, (_, i) => (i === 100 ? 1e9 : i));
  expect(withoutOutliers([values, Float64Array.of(Number.NaN)])).toEqual([5, 95]);
  expect(withoutOutliers([Float64Array.of(Number.NaN)])).toBeUndefined();
});

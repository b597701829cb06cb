import { describe, expect, it } from 'vitest';
import { Reservoir } from '../../src/statistics/reservoir.js';

/** Rows of two columns: the row's number and its negative. */
const rowsOf = (from: number, to: number) =>
  Float32Array.from({ length: 2 * (to - from) }, (_, i) => (i % 2 === 0 ? 1 : -1) * (from + Math.floor(i / 2)));

const kept = (reservoir: Reservoir) => reservoir.rows().map(([first]) => first);

describe('Reservoir', () => {
  it('keeps every row while there is room, whole and as copies', () => {
    const reservoir = new Reservoir(10, 2);
    const rows = rowsOf(0, 4);
    reservoir.add(rows);
    rows.fill(99);
    reservoir.add(rowsOf(4, 6));
    expect(reservoir.rows().map((row) => [...row])).toEqual([
      [0, -0],
      [1, -1],
      [2, -2],
      [3, -3],
      [4, -4],
      [5, -5],
    ]);
    expect(reservoir.seen).toBe(6);
  });

  it('keeps no more than its capacity, each row once, whole rows only', () => {
    const reservoir = new Reservoir(16, 2);
    for (let from = 0; from < 1000; from += 100) reservoir.add(rowsOf(from, from + 100));
    expect(reservoir.seen).toBe(1000);
    expect(new Set(kept(reservoir)).size).toBe(16);
    for (const [first, second] of reservoir.rows()) expect(second).toBe(-first);
  });

  it('chooses all rows of a stream alike, wherever they stand in it', () => {
    const tenths = new Float64Array(10);
    const runs = 400;
    for (let seed = 1; seed <= runs; seed++) {
      const reservoir = new Reservoir(20, 2, seed);
      for (let from = 0; from < 500; from += 50) reservoir.add(rowsOf(from, from + 50));
      for (const row of kept(reservoir)) tenths[Math.floor(row / 50)]++;
    }
    // Each tenth is expected 2 * runs times; the count's deviation is below sqrt(2 * runs), so five of them are room enough.
    const expected = 2 * runs;
    for (const count of tenths) expect(Math.abs(count - expected)).toBeLessThan(5 * Math.sqrt(expected));
  });

  it('chooses the same for the same stream, something else for another seed', () => {
    const chosen = [1, 1, 2].map((seed) => {
      const reservoir = new Reservoir(8, 2, seed);
      reservoir.add(rowsOf(0, 300));
      return kept(reservoir);
    });
    expect(chosen[1]).toEqual(chosen[0]);
    expect(chosen[2]).not.toEqual(chosen[0]);
  });

  it('passes over rows with a NaN or Infinity, and what is less than a row', () => {
    const reservoir = new Reservoir(8, 2);
    reservoir.add([1, Number.NaN, 2, 2, Number.POSITIVE_INFINITY, 3, 4, 4, 5]);
    expect(kept(reservoir)).toEqual([2, 4]);
    expect(reservoir.seen).toBe(2);
  });
});

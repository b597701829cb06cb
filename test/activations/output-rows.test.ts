import { describe, expect, it } from 'vitest';
import { outputRows } from '../../src/activations/samples.js';

const counting = (length: number) => Float32Array.from({ length }, (_, k) => k);

describe('outputRows', () => {
  it('takes dense outputs and small maps as they are', () => {
    const values = counting(12);
    expect(outputRows(values, [3, 4], 1).values).toBe(values);
    expect(outputRows(values, [1, 2, 3, 2], 4).values).toBe(values);
  });

  it('takes the nearest places of a large map, as torch.nn.functional.interpolate does', () => {
    // torch 2.13: interpolate(arange(25).reshape(1, 1, 5, 5), size=3, mode='nearest') = rows 0, 1, 3 of columns 0, 1, 3.
    expect([...outputRows(counting(25), [1, 5, 5, 1], 3).values]).toEqual([0, 1, 3, 5, 6, 8, 15, 16, 18]);
  });

  it('shortens only the long side: no row is made up (Delve row B28)', () => {
    const { values, rows } = outputRows(counting(2 * 64 * 8 * 3), [2, 64, 8, 3], 32);
    expect(rows).toBe(2 * 32 * 8);
    expect(values.length / 3).toBe(2 * 32 * 8);
    expect([...values.subarray(0, 3)]).toEqual([0, 1, 2]);
    expect(new Set(values).size).toBe(values.length);
  });

  it('shortens maps of three dimensions, and every item of the batch', () => {
    expect([...outputRows(counting(16), [2, 2, 2, 2, 1], 1).values]).toEqual([0, 8]);
  });

  it('does not shorten sequences', () => {
    const values = counting(20);
    expect(outputRows(values, [1, 10, 2], 3).values).toBe(values);
  });

  it('leaves masked steps out', () => {
    expect([...outputRows(counting(8), [2, 2, 2], undefined, [1, 0, 0, 1]).values]).toEqual([0, 1, 6, 7]);
  });
});

import { describe, expect, it } from 'vitest';
import { PendingRows } from '../../src/statistics/covariance.js';

describe('PendingRows', () => {
  it('stay float32 until one batch is float64, and lose nothing then', () => {
    const pending = new PendingRows(2);
    expect(pending.rows).toBeUndefined();
    const first = Float32Array.of(0.1, 2);
    pending.widenFor(first);
    pending.append(first, 10);
    expect(pending.width).toBe(4);
    const second = Float64Array.of(0.1, 3);
    pending.widenFor(second);
    pending.append(second, 10);
    expect(pending.rows).toEqual(Float64Array.of(Math.fround(0.1), 2, 0.1, 3));
    pending.widenFor(first);
    expect(pending.width).toBe(8);
  });

  it('take out rows that are not finite, once, and keep the order of the others', () => {
    const pending = new PendingRows(2);
    const batch = Float32Array.of(1, 2, Number.NaN, 3, 4, 5, 6, Number.NEGATIVE_INFINITY);
    pending.widenFor(batch);
    pending.append(batch, 10);
    expect(pending.rejectNonFinite()).toBe(2);
    expect(pending.rejectNonFinite()).toBe(0);
    pending.append(Float32Array.of(7, 8, Number.NaN, 0), 10);
    expect(pending.rejectNonFinite()).toBe(1);
    expect(pending.rows).toEqual(Float32Array.of(1, 2, 4, 5, 7, 8));
  });

  it('have a Gram matrix about their mean, exactly zero for rows that are all alike', () => {
    const gram = (rows: number[]) => new PendingRows(3, Float64Array.from(rows)).gramMatrix().entries;
    expect(gram([1, 0, 5, 3, 2, 5])).toEqual(Float64Array.of(2, -2, 2));
    expect(gram([0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1, 0.2, 0.3])).toEqual(new Float64Array(6));
    expect(new PendingRows(3, Float64Array.of(1, -9, 2, 3, -11, 2)).largestMean()).toBe(10);
  });

  it('give large memory back when they are cleared', () => {
    const rows = new Float32Array(1000);
    const pending = new PendingRows(1, rows);
    pending.clear(1000);
    pending.append(Float32Array.of(7), 1000);
    expect(pending.rows?.buffer).toBe(rows.buffer);
    pending.clear(999);
    pending.widenFor(rows);
    pending.append(Float32Array.of(7), 1000);
    expect(pending.rows?.buffer).not.toBe(rows.buffer);
  });
});

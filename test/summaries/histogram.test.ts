import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketize, checkBuckets, histogramSummary } from '../../src/summaries/histogram.js';
import { doublesOf, reference } from '../support/summary-fixtures.js';

const rowsOf = (buckets: Float64Array) =>
  Array.from({ length: buckets.length / 3 }, (_, i) => Array.from(buckets.subarray(3 * i, 3 * i + 3)));

describe('bucketize', () => {
  it.each(reference.histograms)("equals TensorBoard's own histogram: $name", ({ data, buckets, rows }) => {
    const ours = Array.from(bucketize(data, buckets).buckets);
    expect(ours.length).toBe(rows.length);
    for (let i = 0; i < rows.length; i++) {
      if (i % 3 === 2) expect(ours[i]).toBe(rows[i]);
      else expect(Math.abs(ours[i] - rows[i])).toBeLessThanOrEqual(4e-16 * Math.abs(rows[i]) + 1e-320);
    }
  });

  it('makes 30 buckets where nothing else is asked', () => {
    expect(bucketize([1, 2]).buckets.length).toBe(90);
  });

  it('keeps its edges in order where the widths are subnormal', () => {
    for (const units of [1, 2, 3, 5, 7, 11]) {
      for (const count of [2, 4, 6, 7, 30]) {
        const values = Array.from({ length: units + 1 }, (_, i) => i * Number.MIN_VALUE);
        const { buckets } = bucketize(values, count);
        expect(() => checkBuckets(buckets)).not.toThrow();
        expect(buckets.filter((_, at) => at % 3 === 2).reduce((sum, counted) => sum + counted)).toBe(units + 1);
      }
    }
  });

  it('counts every finite value once, between the least and the greatest, for any values', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), fc.integer({ min: 1, max: 40 }), (values, count) => {
        const { buckets, rejected } = bucketize(values, count);
        const rows = rowsOf(buckets);
        const finite = values.filter(Number.isFinite);
        expect(rows.length).toBe(count);
        expect(rejected).toBe(values.length - finite.length);
        expect(rows.reduce((sum, row) => sum + row[2], 0)).toBe(finite.length);
        if (finite.length === 0) return;
        expect(rows[0][0]).toBe(Math.min(...finite) + 0);
        expect(rows[count - 1][1]).toBe(Math.max(...finite) + 0);
        expect(() => checkBuckets(buckets)).not.toThrow();
      }),
    );
  });

  it('spans ranges that overflow and ranges that underflow', () => {
    const max = Number.MAX_VALUE;
    expect(rowsOf(bucketize([-max, max, 0], 2).buckets)).toEqual([
      [-max, 0, 1],
      [0, max, 2],
    ]);
    const least = Number.MIN_VALUE;
    const rows = rowsOf(bucketize([0, least, 2 * least], 30).buckets);
    expect(rows.reduce((sum, row) => sum + row[2], 0)).toBe(3);
    expect([rows[0][0], rows[0][2], rows[29][1], rows[29][2]]).toEqual([0, 1, 2 * least, 1]);
  });

  it('leaves out NaN and infinities and says how many', () => {
    const { buckets, rejected } = bucketize([1, Number.NaN, 2, Infinity, -Infinity, 3], 2);
    expect(rejected).toBe(3);
    expect(rowsOf(buckets)).toEqual([
      [1, 2, 1],
      [2, 3, 2],
    ]);
    expect(bucketize([Number.NaN], 2)).toEqual({ buckets: new Float64Array(6), rejected: 1 });
  });

  it.each([0, -1, 1.5, Number.NaN, '3'])('refuses %s buckets', (count) => {
    expect(() => bucketize([1], count as number, 'histogram "w"')).toThrow(
      /^histogram "w": expected buckets to be a whole number/,
    );
  });
});

describe('histogramSummary', () => {
  it('is float64 [k, 3]', () => {
    const { plugin, dataClass, tensor } = histogramSummary(Float64Array.of(0, 1, 5, 1, 2, 7));
    expect([plugin, dataClass, tensor.dtype, tensor.tensorShape]).toEqual([
      'histograms',
      2,
      2,
      { dim: [{ size: 2 }, { size: 3 }] },
    ]);
    expect(doublesOf(tensor.tensorContent as Uint8Array)).toEqual([0, 1, 5, 1, 2, 7]);
  });
});

describe('checkBuckets', () => {
  it('takes buckets with gaps, fractions and none', () => {
    expect(Array.from(checkBuckets([0, 1, 0.5, 2, 3, 0]))).toEqual([0, 1, 0.5, 2, 3, 0]);
    expect(checkBuckets([]).length).toBe(0);
  });

  it.each([
    ['not k x 3', [0, 1], 'expected k x 3 numbers (left, right, count), got 2'],
    ['left above right', [1, 0, 1], 'bucket 0: expected left <= right'],
    ['overlap', [0, 2, 1, 1, 3, 1], 'bucket 1: expected it to begin at or after 2'],
    ['negative count', [0, 1, -1], 'bucket 0: expected a count of at least 0, got -1'],
    ['NaN edge', [Number.NaN, 1, 1], 'bucket 0: expected finite edges'],
    ['infinite edge', [0, Infinity, 1], 'bucket 0: expected finite edges'],
    ['infinite count', [0, 1, Infinity], 'bucket 0: expected a count of at least 0'],
  ])('refuses %s', (_, buckets, message) => {
    expect(() => checkBuckets(buckets, 'histogram "w"')).toThrow(RangeError);
    expect(() => checkBuckets(buckets, 'histogram "w"')).toThrow(`histogram "w": ${message}`);
  });
});

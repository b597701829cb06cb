import { describe, expect, it } from 'vitest';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';

describe('rows that wait in a CovarianceAccumulator', () => {
  it('stay float32 until one batch is float64, and lose nothing then', () => {
    const accumulator = new CovarianceAccumulator(2);
    expect(accumulator.copyState().rows).toBeUndefined();
    accumulator.update(Float32Array.of(0.1, 2));
    expect(accumulator.copyState().rows).toEqual(Float32Array.of(0.1, 2));
    accumulator.update(Float64Array.of(0.1, 3));
    expect(accumulator.copyState().rows).toEqual(Float64Array.of(Math.fround(0.1), 2, 0.1, 3));
    accumulator.update(Float32Array.of(0.5, 4));
    expect(accumulator.copyState().rows).toEqual(Float64Array.of(Math.fround(0.1), 2, 0.1, 3, 0.5, 4));
  });

  it('are taken out if they are not finite, once, and the others keep their order', () => {
    const accumulator = new CovarianceAccumulator(2);
    accumulator.update(Float32Array.of(1, 2, Number.NaN, 3, 4, 5, 6, Number.NEGATIVE_INFINITY));
    expect([accumulator.rejected, accumulator.count]).toEqual([2, 2]);
    expect([accumulator.rejected, accumulator.count]).toEqual([2, 2]);
    accumulator.update(Float32Array.of(7, 8, Number.NaN, 0));
    expect([accumulator.rejected, accumulator.count]).toEqual([3, 3]);
    expect(accumulator.takeState().rows).toEqual(Float32Array.of(1, 2, 4, 5, 7, 8));
  });

  it('have a Gram matrix about their mean, exactly zero for rows that are all alike', () => {
    const of = (features: number, rows: number[]) => {
      const accumulator = new CovarianceAccumulator(features);
      accumulator.update(rows);
      return accumulator;
    };
    const gram = (features: number, rows: number[]) => of(features, rows).spectralMatrix().entries;
    expect(gram(3, [1, 0, 5, 3, 2, 5])).toEqual(Float64Array.of(2, -2, 2));
    expect(gram(4, [0.1, 0.2, 0.3, 0.7, 0.1, 0.2, 0.3, 0.7, 0.1, 0.2, 0.3, 0.7])).toEqual(new Float64Array(6));
    expect(of(3, [1, -9, 2, 3, -11, 2]).largestMean()).toBe(10);
    expect(new CovarianceAccumulator(3).largestMean()).toBe(0);
  });

  it('give large memory back when they are folded, and go on using small memory', () => {
    const bytesAfter = (features: number, rows: number) => {
      const accumulator = new CovarianceAccumulator(features);
      accumulator.update(new Float32Array(rows * features).fill(1));
      accumulator.covariance();
      accumulator.update(new Float32Array(features).fill(7));
      return accumulator.takeState().rows?.buffer.byteLength;
    };
    expect(bytesAfter(3, 100)).toBe(100 * 3 * 4);
    expect(bytesAfter(1000, 500)).toBe(1 * 1000 * 4);
  });
});

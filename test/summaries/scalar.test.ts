import { describe, expect, it } from 'vitest';
import { readScalar, scalarSummary } from '../../src/summaries/scalar.js';
import { floatsOf } from '../support/summary-fixtures.js';

describe('scalarSummary', () => {
  it('is a float32 of rank 0, the only scalar that the Rust loader shows', () => {
    const { plugin, dataClass, tensor } = scalarSummary(0.1);
    expect([plugin, dataClass, tensor.dtype, tensor.tensorShape]).toEqual(['scalars', 1, 1, { dim: [] }]);
    expect(floatsOf(tensor.tensorContent as Uint8Array)).toEqual([Math.fround(0.1)]);
  });

  it('keeps NaN and infinities, and makes one of a number beyond float32', () => {
    const floatOf = (value: number) => floatsOf(scalarSummary(value).tensor.tensorContent as Uint8Array)[0];
    expect(floatOf(Number.NaN)).toBeNaN();
    expect(floatOf(-Infinity)).toBe(-Infinity);
    expect(floatOf(1e39)).toBe(Infinity);
  });
});

describe('readScalar', () => {
  it('takes a number, an array of one and a tensor of one, whatever its rank', async () => {
    expect(readScalar(2, 'test')).toBe(2);
    expect(readScalar([[3]], 'test')).toBe(3);
    expect(readScalar(Float32Array.of(4), 'test')).toBe(4);
    expect(await readScalar({ shape: [1, 1], data: async () => [5] }, 'test')).toBe(5);
  });

  it('refuses none and several, and says what came', () => {
    expect(() => readScalar([1, 2], 'scalar "loss"')).toThrow(
      'scalar "loss": expected a single number, got a Float64Array of 2 in the shape [2]',
    );
    expect(() => readScalar([], 'scalar "loss"')).toThrow(RangeError);
  });
});

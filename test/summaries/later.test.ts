import { describe, expect, it } from 'vitest';
import { type NumericArray, whenAllRead, whenRead } from '../../src/summaries/numbers.js';

const array = (...values: number[]): NumericArray => ({
  values: Float32Array.from(values),
  shape: [values.length],
  dtype: 'float32',
});
const sum = (arrays: readonly NumericArray[]) =>
  arrays.flatMap(({ values }) => Array.from(values)).reduce((a, b) => a + b);

describe('whenRead', () => {
  it('goes on at once where the value is there, and later where it is not', async () => {
    expect(whenRead(2, (value) => value + 1)).toBe(3);
    expect(await whenRead(Promise.resolve(2), (value) => value + 1)).toBe(3);
  });
});

describe('whenAllRead', () => {
  it('goes on at once where all values are there', () => {
    expect(whenAllRead([array(1), array(2, 3)] as const, sum)).toBe(6);
  });

  it('keeps the numbers of the call where another comes later, whatever becomes of their memory', async () => {
    const there = array(1, 2);
    const total = whenAllRead([there, Promise.resolve(array(10))] as const, sum);
    there.values.fill(100);
    expect(await total).toBe(13);
  });

  it('passes on what is no array, and rejects where one never comes', async () => {
    expect(await whenAllRead([Promise.resolve(1), undefined] as const, (values: readonly unknown[]) => values)).toEqual(
      [1, undefined],
    );
    await expect(whenAllRead([array(1), Promise.reject(new Error('gone'))] as const, () => 0)).rejects.toThrow('gone');
  });
});

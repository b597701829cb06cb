import { expect, test } from 'vitest';
import { poolPlaces } from '../../src/activations/samples.js';

test('a map of 4 x 4 averaged down to 2 x 2, channel by channel', () => {
  const values = Float32Array.from({ length: 32 }, (_, at) => (at % 2 === 0 ? at / 2 : 100));
  // Places 0..15 row by row: {0 1 4 5} {2 3 6 7} {8 9 12 13} {10 11 14 15}.
  expect([...poolPlaces(values, [1, 4, 4, 2], 4, false).values]).toEqual([2.5, 100, 4.5, 100, 10.5, 100, 12.5, 100]);
});

test('channels first gives the same rows', () => {
  const first = Float32Array.from([0, 1, 2, 3, 100, 100, 100, 100]);
  expect(poolPlaces(first, [1, 2, 2, 2], 1, true)).toEqual({ values: Float32Array.of(1.5, 100), rows: 1, features: 2 });
});

test('sides that do not divide evenly, sides that are small already, and vectors', () => {
  // Five places in two: 0 1 2 | 3 4.
  expect([...poolPlaces(Float32Array.of(1, 2, 3, 10, 20), [1, 5, 1], 2, false).values]).toEqual([2, 15]);
  expect([...poolPlaces(Float32Array.of(1, 2, 3), [1, 3, 1], 16, false).values]).toEqual([1, 2, 3]);
  expect(poolPlaces(Float32Array.of(1, 2, 3, 4), [2, 2], 16, false)).toEqual({
    values: Float32Array.of(1, 2, 3, 4),
    rows: 2,
    features: 2,
  });
});

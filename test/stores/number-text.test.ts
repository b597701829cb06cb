import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floatText, integerText, numberOfText } from '../../src/stores/epoch-table.js';

describe('floatText', () => {
  // What pandas 3.0 writes for these float64 values with DataFrame.to_csv.
  it.each([
    [0.5, '0.5'],
    [1, '1.0'],
    [0, '0.0'],
    [-0, '-0.0'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1.5e22, '1.5e+22'],
    [1e-4, '0.0001'],
    [1.2977484391337238e-6, '1.2977484391337238e-06'],
    [5e-324, '5e-324'],
    [1e100, '1e+100'],
    [-2.5e-10, '-2.5e-10'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [Number.NaN, ''],
  ])('writes %d as pandas does', (value, text) => {
    expect(floatText(value)).toBe(text);
  });

  it('reads back exactly', () => {
    fc.assert(fc.property(fc.double(), (value) => Object.is(numberOfText(floatText(value)), value)));
  });
});

describe('integerText', () => {
  it('writes a count without a point, and nothing for NaN', () => {
    expect(integerText(3)).toBe('3');
    expect(integerText(Number.NaN)).toBe('');
  });
});

describe('numberOfText', () => {
  it('reads an empty cell and what is not a number as NaN', () => {
    expect(numberOfText('')).toBeNaN();
    expect(numberOfText(undefined)).toBeNaN();
    expect(numberOfText('nan')).toBeNaN();
    expect(numberOfText('-inf')).toBe(-Infinity);
  });
});

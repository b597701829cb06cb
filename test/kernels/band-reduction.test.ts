import { describe, expect, it } from 'vitest';
import type { NumericKernels } from '../../src/kernels/numeric-kernels.js';
import { typescriptKernels } from '../../src/kernels/typescript/kernels.js';
import { createWasmKernels } from '../../src/kernels/wasm/kernels.js';
import { wasmBuilds } from '../support/kernels.js';
import { distance, gaussianRows, twoPassCovariance } from '../support/random.js';
import { withSpectrum } from '../support/stress-matrices.js';

describe.each(wasmBuilds)('eigenvalues by way of a band, %s', (build) => {
  const wasm = createWasmKernels(build);
  const wasmByBand = createWasmKernels(build, 1);
  // A band keeps 32 or 36 couplings and panels have as many rows: sizes about their multiples, and at and beyond the usual threshold.
  const sizes = [
    31, 32, 33, 34, 35, 36, 37, 38, 63, 64, 65, 66, 67, 71, 72, 73, 74, 75, 95, 97, 107, 109, 129, 161, 193, 226, 260,
    323,
  ];
  const large = [1792, 1795];
  const spectra: [string, (i: number, size: number) => number][] = [
    ['1/i', (i) => 1 / (i + 1)],
    ['exp(-i/8)', (i) => Math.exp(-i / 8)],
    ['both signs', (i, size) => (i % 2 ? -1 : 1) * Math.exp((8 * i) / size)],
    ['rank 40', (i) => (i < 40 ? 40 - i : 0)],
    ['rank 3', (i) => (i < 3 ? 3 - i : 0)],
    ['rank 1, huge', (i) => (i === 0 ? 1e200 : 0)],
    ['one cluster', (i) => 1 + i * 1e-15],
  ];

  /** Largest error, relative to the largest eigenvalue. */
  function errorOf(
    tested: NumericKernels,
    name: string,
    size: number,
    value: (i: number, size: number) => number,
  ): number {
    const spectrum = Float64Array.from({ length: size }, (_, i) => value(i, size));
    const { entries } = withSpectrum(name, spectrum, size, 2);
    const expected = spectrum.sort().reverse();
    const norm = Math.max(expected[0], -expected[size - 1]);
    return distance(tested.eigenvalues({ size, entries, packed: false }), expected) / norm;
  }

  it.each(spectra)('are the spectrum that matrices of any size were made with: %s', (name, value) => {
    for (const size of sizes) expect(errorOf(wasmByBand, name, size, value), `size ${size}`).toBeLessThan(1e-12);
  });

  it.each(large)(
    'are the spectrum that matrices were made with at size %i, from which on this way is chosen',
    (size) => {
      for (const [name, value] of spectra.slice(0, 5))
        expect(errorOf(wasm, name, size, value), name).toBeLessThan(1e-12);
    },
  );

  it.each([40, 66, 131, 1550])('are right at size %i for zeros and a diagonal, which need no reflection', (size) => {
    const entries = new Float64Array(size * size);
    expect(wasmByBand.eigenvalues({ size, entries, packed: false })).toEqual(new Float64Array(size));
    for (let i = 0; i < size; i++) entries[i * (size + 1)] = i % 7;
    const expected = Float64Array.from({ length: size }, (_, i) => i % 7)
      .sort()
      .reverse();
    expect(wasmByBand.eigenvalues({ size, entries, packed: false })).toEqual(expected);
  });

  it.each([
    ['couplings inside the band only', (i: number, j: number) => (Math.abs(i - j) <= 3 ? 1 / (1 + i + j) : 0)],
    [
      'couplings beyond the band only',
      (i: number, j: number) => (Math.abs(i - j) === 70 ? 1 + (Math.min(i, j) % 5) : 0),
    ],
    ['two blocks that are not coupled', (i: number, j: number) => (i < 60 === j < 60 ? Math.cos(i * j) : 0)],
    ['an arrow', (i: number, j: number) => (i === j ? i : Math.max(i, j) === 149 ? 1 : 0)],
  ])('are those of the TypeScript kernels: %s', (_, entry) => {
    const size = 150;
    const entries = Float64Array.from({ length: size * size }, (__, p) => {
      const [i, j] = [Math.floor(p / size), p % size];
      return entry(Math.max(i, j), Math.min(i, j));
    });
    const expected = typescriptKernels.eigenvalues({ size, entries, packed: false });
    const values = wasmByBand.eigenvalues({ size, entries, packed: false });
    expect(distance(values, expected)).toBeLessThan(1e-12 * Math.max(expected[0], -expected[size - 1]));
  });

  it('are the same in memory that other work has used', () => {
    const entries = twoPassCovariance(gaussianRows(50, new Float64Array(100).fill(1), 8), 100);
    const fresh = createWasmKernels(build, 1);
    const values = fresh.eigenvalues({ size: 100, entries, packed: false });
    fresh.addOuterProducts(new Float64Array(500 * 1001), new Float64Array(1e5).fill(Number.NaN), 100, 1000);
    expect(fresh.eigenvalues({ size: 100, entries, packed: false })).toEqual(values);
  });

  it('are refused for NaN, as elsewhere', () => {
    const entries = new Float64Array(1600).fill(1);
    entries[41 * 10] = Number.NaN;
    expect(() => wasmByBand.eigenvalues({ size: 40, entries, packed: false })).toThrow(
      'covariance: expected finite numbers, got NaN at entry (10, 10)',
    );
  });
});

import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { kernels, kernelsName, useKernels } from '../../src/kernels/kernels.js';
import { newMoments, unpack } from '../../src/kernels/moments.js';
import type { NumericKernels } from '../../src/kernels/numeric-kernels.js';
import type { SymmetricMatrix } from '../../src/kernels/symmetric.js';
import { typescriptKernels } from '../../src/kernels/typescript/kernels.js';
import { newUnitSums } from '../../src/kernels/units.js';
import { fused, wasm as plain } from '../../src/kernels/wasm/generated/wasm.js';
import { createWasmKernels } from '../../src/kernels/wasm/kernels.js';
import { wasmBuilds } from '../support/kernels.js';
import { distance, gaussianRows, relativeDistance, twoPassCovariance } from '../support/random.js';
import { type StressMatrix, stressMatrices, withSpectrum } from '../support/stress-matrices.js';

const wasm = createWasmKernels('wasm');
const all: [string, NumericKernels][] = [
  ...wasmBuilds.map((name): [string, NumericKernels] => [name, createWasmKernels(name)]),
  ['typescript', typescriptKernels],
];
const byBand = wasmBuilds.map((name): [string, NumericKernels] => [
  `${name} by way of a band`,
  createWasmKernels(name, 1),
]);

function full({ size, entries }: StressMatrix): SymmetricMatrix {
  return { size, entries, packed: false };
}

/** Largest absolute entry; eigenvalues are accurate relative to the norm, which lies between this and size times this. */
function magnitude(entries: Float64Array): number {
  return entries.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

/** ml-matrix fails at extreme scales, so it gets the matrix with entries up to 1. */
function mlMatrixValues({ size, entries }: StressMatrix): Float64Array {
  const scale = magnitude(entries);
  if (scale === 0) return new Float64Array(size);
  const scaled = Matrix.from1DArray(
    size,
    size,
    Array.from(entries, (x) => x / scale),
  );
  const values = new EigenvalueDecomposition(scaled, { assumeSymmetric: true }).realEigenvalues;
  return Float64Array.from(values, (x) => x * scale)
    .sort()
    .reverse();
}

describe('the chosen kernels', () => {
  it('are the fastest WebAssembly that runs here, chosen once', () => {
    expect(kernels().name).toBe(wasmBuilds.at(-1));
    expect(kernels()).toBe(kernels());
  });

  it.each([plain, fused])('take less than 13.5 KB', ({ base64 }) => {
    expect(atob(base64).length).toBeLessThan(13.5 * 1024);
  });

  it('are those that are asked for, until others are', () => {
    const before = kernelsName();
    for (const name of ['typescript', 'wasm', before] as const) {
      useKernels(name);
      expect(kernelsName()).toBe(name);
    }
  });

  it('are refused if there are none of that name, with those that run here', () => {
    expect(() => useKernels('avx' as 'wasm')).toThrow(
      /^useKernels: expected kernels that run here \(.*'wasm', 'typescript'\), got "avx"$/,
    );
  });
});

describe('if WebAssembly is not available', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  it.each([
    ['missing', undefined],
    [
      'without SIMD or forbidden by a policy',
      {
        Module: class {
          constructor() {
            throw new Error('CompileError');
          }
        },
      },
    ],
  ])('the TypeScript kernels are chosen: %s', async (_, webAssembly) => {
    vi.resetModules();
    vi.stubGlobal('WebAssembly', webAssembly);
    const fresh = await import('../../src/kernels/kernels.js');
    expect(fresh.kernelsName()).toBe('typescript');
    expect(() => fresh.useKernels('wasm')).toThrow(/expected kernels that run here \('typescript'\), got "wasm"/);
    const values = fresh.kernels().eigenvalues({ size: 2, entries: Float64Array.of(2, 1, 1, 2), packed: false });
    expect(distance(values, [3, 1])).toBeLessThan(1e-15);
  });
});

describe('500 stress matrices', () => {
  const matrices = stressMatrices();

  it('are at least 500', () => {
    expect(matrices.length).toBeGreaterThanOrEqual(500);
  });

  it.each([...all, ...byBand])('%s: eigenvalues within 1e-12 of the largest of the references', (_, tested) => {
    for (const matrix of matrices) {
      const values = tested.eigenvalues(full(matrix));
      const expected = matrix.eigenvalues ?? mlMatrixValues(matrix);
      const norm = Math.max(Math.abs(expected[0]), Math.abs(expected[expected.length - 1]));
      // At the end of the double range the spacing, 5e-324, is coarser than 1e-12 of the largest.
      const tolerance = Math.max(1e-12 * norm, 2 * matrix.size * 5e-324);
      expect(distance(values, expected), matrix.name).toBeLessThanOrEqual(tolerance);
    }
  });

  it.each(all.slice(0, -1))('%s and TypeScript agree to 1e-12 of the largest', (_, tested) => {
    for (const matrix of matrices) {
      const a = tested.eigenvalues(full(matrix));
      const tolerance = Math.max(1e-12 * Math.max(a[0], -a[a.length - 1]), 2 * matrix.size * 5e-324);
      expect(distance(a, typescriptKernels.eigenvalues(full(matrix))), matrix.name).toBeLessThanOrEqual(tolerance);
    }
  });

  it.each(all)('%s: eigenvectors are orthonormal and reproduce the matrix', (_, tested) => {
    for (const matrix of matrices) {
      const { size, entries, name } = matrix;
      const scale = magnitude(entries);
      if (size > 64 || (scale > 0 && scale < 1e-290)) continue;
      const { values, vectors } = tested.eigen(full(matrix));
      expect(distance(values, tested.eigenvalues(full(matrix))), name).toBeLessThanOrEqual(1e-12 * size * scale);
      let skew = 0;
      let residue = 0;
      for (let k = 0; k < size; k++) {
        const v = vectors.subarray(k * size, (k + 1) * size);
        for (let other = 0; other <= k; other++) {
          let inner = 0;
          for (let i = 0; i < size; i++) inner += v[i] * vectors[other * size + i];
          skew = Math.max(skew, Math.abs(inner - (other === k ? 1 : 0)));
        }
        for (let i = 0; i < size; i++) {
          let image = 0;
          for (let j = 0; j < size; j++) image += (entries[i * size + j] / (scale || 1)) * v[j];
          residue = Math.max(residue, Math.abs(image - (values[k] / (scale || 1)) * v[i]));
        }
      }
      expect(skew, name).toBeLessThan(1e-12);
      expect(residue, name).toBeLessThan(1e-12 * size);
    }
  });
});

describe('eigenvectors of a large matrix', () => {
  it('reproduce it', () => {
    const size = 1026;
    const { entries } = withSpectrum(
      '1/i',
      Float64Array.from({ length: size }, (_, i) => 1 / (i + 1)),
      3,
      2,
    );
    const { values, vectors } = wasm.eigen({ size, entries, packed: false });
    let residue = 0;
    for (const k of [0, 1, 2, 511, 512, 1024, 1025]) {
      const v = vectors.subarray(k * size, (k + 1) * size);
      expect(Math.abs(v.reduce((sum, x) => sum + x * x, 0) - 1)).toBeLessThan(1e-12);
      for (let i = 0; i < size; i++) {
        let image = 0;
        for (let j = 0; j < size; j++) image += entries[i * size + j] * v[j];
        residue = Math.max(residue, Math.abs(image - values[k] * v[i]));
      }
    }
    expect(residue).toBeLessThan(1e-12);
  });
});

describe.each(all)('%s eigenvalues', (_, tested) => {
  it('of one number are that number', () => {
    expect(tested.eigenvalues({ size: 1, entries: Float64Array.of(-3), packed: true })).toEqual(Float64Array.of(-3));
    const { values, vectors } = tested.eigen({ size: 1, entries: Float64Array.of(7), packed: true });
    expect([values[0], Math.abs(vectors[0])]).toEqual([7, 1]);
  });

  it('are the same from a packed triangle, and the input stays as it is', () => {
    const square = twoPassCovariance(gaussianRows(60, new Float64Array(31).fill(1), 4), 31);
    const packed = new Float64Array((31 * 32) / 2);
    for (let i = 0, p = 0; i < 31; i++) for (let j = 0; j <= i; j++, p++) packed[p] = square[i * 31 + j];
    const copy = packed.slice();
    const values = tested.eigenvalues({ size: 31, entries: packed, packed: true });
    expect(values).toEqual(tested.eigenvalues({ size: 31, entries: square, packed: false }));
    expect(packed).toEqual(copy);
  });

  it('keep the digits of small eigenvalues of graded matrices, whichever end is the large one', () => {
    const size = 14;
    const graded = new Float64Array(size * size);
    for (let i = 0; i < size; i++) {
      graded[i * size + i] = 10 ** -i;
      if (i > 0) graded[i * size + i - 1] = graded[(i - 1) * size + i] = 0.3 * 10 ** -i;
    }
    for (const solve of [tested.eigenvalues, (matrix: SymmetricMatrix) => tested.eigen(matrix).values]) {
      const down = solve({ size, entries: graded, packed: false });
      const up = solve({ size, entries: graded.slice().reverse(), packed: false });
      down.forEach((x, k) => {
        expect(Math.abs(up[k] / x - 1)).toBeLessThan(1e-12);
      });
      expect(down[size - 1]).toBeGreaterThan(0.5e-13);
    }
  });

  it('read the lower triangle only', () => {
    const values = tested.eigenvalues({ size: 2, entries: Float64Array.of(2, Number.NaN, 0, 1), packed: false });
    expect(values).toEqual(Float64Array.of(2, 1));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('refuse %s and say where', (bad) => {
    const entries = new Float64Array(16).fill(1);
    entries[13] = bad;
    for (const solve of [tested.eigenvalues, tested.eigen]) {
      expect(() => solve({ size: 4, entries, packed: false })).toThrow(RangeError);
      expect(() => solve({ size: 4, entries, packed: false })).toThrow(
        `covariance: expected finite numbers, got ${bad} at entry (3, 1)`,
      );
    }
  });
});

describe.each(all)('%s moments', (_, tested) => {
  it.each([
    [1, 1],
    [5, 2],
    [191, 3],
    [192, 4],
    [193, 5],
    [700, 66],
    [400, 131],
  ])('of %i rows of %i features are the two-pass ones', (rows, features) => {
    const variances = Float64Array.from({ length: features }, (_, i) => 1 / (1 + i));
    for (const samples of [
      gaussianRows(rows, variances, 5, 20),
      Float32Array.from(gaussianRows(rows, variances, 6, 20)),
    ]) {
      const moments = newMoments(features);
      moments.shift.set(samples.subarray(0, features));
      expect(tested.addRows(moments, samples, 0, rows)).toBe(0);
      expect(moments.count).toBe(rows);
      const covariance = unpack(moments.scatter, features, 1 / rows);
      expect(relativeDistance(covariance, twoPassCovariance(samples, features))).toBeLessThan(1e-12);
    }
  });

  it.each([
    [64, 1],
    [700, 3],
    [500, 12],
    [700, 66],
    [1000, 131],
  ])('of %i rows of %i features may be multiplied in float32: within 1e-7', (rows, features) => {
    const variances = Float64Array.from({ length: features }, (_, i) => 1 / (1 + i));
    for (const mean of [0, 20, 1e5]) {
      const samples = Float32Array.from(gaussianRows(rows, variances, 6, mean));
      const moments = newMoments(features);
      moments.shift.set(samples.subarray(0, features));
      expect(tested.addRows(moments, samples, 0, rows, true)).toBe(0);
      const covariance = unpack(moments.scatter, features, 1 / rows);
      const error = relativeDistance(covariance, twoPassCovariance(samples, features));
      expect(error).toBeLessThan(1e-7);
      // If it were as exact as float64, it would not be the float32 product.
      if (tested.name !== 'typescript' && features > 1) expect(error).toBeGreaterThan(1e-12);
    }
  });

  it('accept a part of the rows, one part after the other', () => {
    const samples = gaussianRows(1000, [1, 2, 3], 7);
    const moments = newMoments(3);
    moments.shift.set(samples.subarray(300, 303));
    for (const [first, count] of [
      [100, 300],
      [400, 1],
      [401, 499],
    ]) {
      tested.addRows(moments, samples, first, count);
    }
    const covariance = unpack(moments.scatter, 3, 1 / 800);
    expect(relativeDistance(covariance, twoPassCovariance(samples.subarray(300, 2700), 3))).toBeLessThan(1e-12);
  });

  it.each([1, 2, 3, 5, 8, 13])('sum what tells dead units and outliers, of %i units', (d) => {
    const n = 300;
    const values = gaussianRows(n, new Float64Array(d).fill(2), d).map((x, at) => (at % d === 1 ? 0 : Math.max(-1, x)));
    values.fill(0.1, 10 * d, 11 * d); // a row of one number
    values[20 * d] = Number.NaN;
    values[30 * d + d - 1] = Number.NEGATIVE_INFINITY;
    const sums = newUnitSums(d);
    tested.addUnits(sums, values.subarray(0, 7 * d), 7);
    tested.addUnits(sums, values.subarray(7 * d), n - 7);
    const rows = Array.from({ length: n }, (_, i) => [...values.subarray(i * d, (i + 1) * d)]).filter((row) =>
      row.every(Number.isFinite),
    );
    const mean = (numbers: number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
    const kurtoses = rows
      .filter((row) => new Set(row).size > 1)
      .map((row) => {
        const moment = (k: number) => mean(row.map((x) => (x - mean(row)) ** k));
        return moment(4) / moment(2) ** 2;
      });
    const [count, largest, varied, kurtosis] = sums.counts;
    expect([count, largest, varied]).toEqual([n - 2, Math.max(...rows.flat().map(Math.abs)), kurtoses.length]);
    expect(kurtosis).toBeCloseTo(
      kurtoses.reduce((sum, x) => sum + x, 0),
      8,
    );
    for (let j = 0; j < d; j++) {
      expect(sums.absolute[j]).toBeCloseTo(rows.length * mean(rows.map((row) => Math.abs(row[j]))), 8);
      expect(sums.nonzero[j]).toBe(rows.filter((row) => row[j] !== 0).length);
    }
  });

  it('add outer products as they are', () => {
    const packed = Float64Array.of(100, 0, 0);
    tested.addOuterProducts(packed, Float64Array.of(1, 2, 3, 4), 2, 2);
    expect(packed).toEqual(Float64Array.of(110, 14, 20));
  });

  it.each([
    [1, 1, 1],
    [20, 3, 2],
    [37, 513, 10],
    [300, 64, 25],
  ])('sum %i rows of %i numbers by class, %i classes', (n, d, classes) => {
    const rows = Float32Array.from(gaussianRows(n, new Float64Array(d).fill(1), 7));
    const labels = Int32Array.from({ length: n }, (_, i) => (i * i) % classes);
    const expected = new Float64Array(classes * d);
    for (let i = 0; i < n * d; i++) expected[labels[Math.floor(i / d)] * d + (i % d)] += rows[i];
    const sums = tested.sumByClass(rows, labels, classes);
    expect(sums).toHaveLength(classes * d);
    for (const [i, sum] of sums.entries()) expect(sum).toBeCloseTo(expected[i], 10);
    rows[0] = Number.NaN;
    expect(tested.sumByClass(rows, labels, classes)[0]).toBeNaN();
  });
});

describe('WebAssembly memory', () => {
  it('serves large, small and again large matrices', () => {
    const large = twoPassCovariance(gaussianRows(50, new Float64Array(300).fill(1), 8), 300);
    const small = Float64Array.of(2, 1, 1, 2);
    const values = wasm.eigenvalues({ size: 300, entries: large, packed: false });
    expect(distance(wasm.eigenvalues({ size: 2, entries: small, packed: false }), [3, 1])).toBeLessThan(1e-15);
    expect(wasm.eigenvalues({ size: 300, entries: large, packed: false })).toEqual(values);
  });
});

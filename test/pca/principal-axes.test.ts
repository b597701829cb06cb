import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { orthonormalBasis, principalAxes } from '../../src/pca/principal-axes.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { principalReference } from '../support/affine-projection.js';
import { normals } from '../support/random.js';

describe('principalAxes', () => {
  const data = Float64Array.from(normals(200 * 6, 1), (value, k) => 5 + value * ((k % 6) + 1));
  const rows = new CovarianceAccumulator(6);
  rows.update(data);

  it.each([true, false])('are those of a second, independent solver (centering %o)', (centering) => {
    const reference = principalReference(new Matrix(toRows(data, 6)), centering);
    const { center, axes, eigenvalues, samples } = principalAxes(rows, centering);
    expect(samples).toBe(200);
    for (let k = 0; k < 6; k++) {
      expect(center[k]).toBeCloseTo(reference.mean[k], 5);
      expect(eigenvalues[k] / reference.eigenvalues[k]).toBeCloseTo(1, 6);
      // Column k, up to its sign.
      const column = Array.from({ length: 6 }, (_, i) => axes[i * 6 + k]);
      const along = column.reduce((sum, value, i) => sum + value * reference.axes(k + 1).get(i, k), 0);
      expect(Math.abs(along)).toBeCloseTo(1, 6);
    }
  });
});

describe('orthonormalBasis', () => {
  it.each([1, 7, 64])('is orthonormal in %d dimensions', (size) => {
    const basis = new Matrix(toRows(orthonormalBasis(normals(size * size, 3), size), size));
    const identity = basis.transpose().mmul(basis).sub(Matrix.eye(size));
    expect(Math.max(...identity.to1DArray().map(Math.abs))).toBeLessThan(1e-6);
  });

  it('stays orthonormal if the numbers are almost dependent', () => {
    const numbers = Float64Array.from(normals(16, 4), (value, k) => 1 + 1e-9 * value + (k < 4 ? 1e-9 * k : 0));
    const basis = new Matrix(toRows(orthonormalBasis(numbers, 4), 4));
    const identity = basis.transpose().mmul(basis).sub(Matrix.eye(4));
    expect(Math.max(...identity.to1DArray().map(Math.abs))).toBeLessThan(1e-6);
  });

  it('prefers no direction: the first vector lies along each axis equally', () => {
    const [size, bases] = [3, 2000];
    const numbers = normals(size * size * bases, 5);
    const along = [0, 0, 0];
    for (let k = 0; k < bases; k++) {
      const basis = orthonormalBasis(numbers.subarray(k * 9, k * 9 + 9), size);
      for (let j = 0; j < size; j++) along[j] += basis[j * size] ** 2 / bases;
    }
    // Mean 1/3, standard error sqrt(4/45/2000) = 0.0067.
    for (const share of along) expect(Math.abs(share - 1 / 3)).toBeLessThan(0.03);
  });
});

function toRows(values: ArrayLike<number>, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, row) =>
    Array.from({ length: width }, (_, k) => values[row * width + k]),
  );
}

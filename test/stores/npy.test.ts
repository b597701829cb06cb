import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeNpy, encodeNpy } from '../../src/stores/npy.js';

const folder = new URL('../fixtures/delve_outputs/run/', import.meta.url);
const delveFile = (name: string, epoch: number) => readFileSync(new URL(`${name}/${name}_epoch${epoch}.npy`, folder));

/** A file in the words of the format's specification, for types and orders that this library does not write. */
function npyBytes(descr: string, fortran: boolean, shape: string, values: Uint8Array): Uint8Array {
  const header = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }\n`;
  const prefix = [0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0];
  return Uint8Array.from([...prefix, ...Buffer.from(header), ...values]);
}

describe('npy', () => {
  it("reads Delve's files", () => {
    expect(decodeNpy(delveFile('train_accuracy', 1))).toEqual({
      dtype: 'float64',
      shape: [],
      values: Float64Array.of(0.6),
    });
    expect(decodeNpy(delveFile('_train-intrinsic-dimensionality_fc_one', 0)).dtype).toBe('int64');
    const covariance = decodeNpy(delveFile('_train-covariance-matrix_fc_one', 0));
    expect(covariance.shape).toEqual([5, 5]);
    const trace = [0, 6, 12, 18, 24].reduce((sum, k) => sum + covariance.values[k], 0);
    expect(trace).toBeCloseTo(1.9020044342860876, 15);
  });

  it.each([
    ['_train-covariance-matrix_fc_one', 1],
    ['_eval-intrinsic-dimensionality_block-0', 2],
    ['train_accuracy', 0],
  ] as const)('writes %s byte for byte as numpy did', (name, epoch) => {
    const bytes = delveFile(name, epoch);
    expect(Buffer.from(encodeNpy(decodeNpy(bytes))).equals(bytes)).toBe(true);
  });

  it('keeps every float64, NaN and infinities too', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), (numbers) => {
        const values = Float64Array.from(numbers);
        expect(decodeNpy(encodeNpy({ dtype: 'float64', shape: [values.length], values })).values).toEqual(values);
      }),
    );
  });

  it('reads column-major, big-endian and narrow types', () => {
    const columnMajor = npyBytes('|i1', true, '(2, 3)', Uint8Array.of(1, 4, 2, 5, 3, 6));
    expect(decodeNpy(columnMajor)).toMatchObject({ shape: [2, 3], values: Float64Array.of(1, 2, 3, 4, 5, 6) });
    expect(decodeNpy(npyBytes('>i2', false, '(2,)', Uint8Array.of(1, 0, 255, 255))).values).toEqual(
      Float64Array.of(256, -1),
    );
    const narrow = { dtype: 'float32', shape: [], values: Float64Array.of(0.5) } as const;
    expect(decodeNpy(npyBytes('<f4', false, '()', new Uint8Array(Float32Array.of(0.5).buffer)))).toEqual(narrow);
    expect(decodeNpy(encodeNpy({ ...narrow, shape: [] }))).toEqual(narrow);
  });

  it.each([
    ['something else', Uint8Array.from(Buffer.from('PK\u0003\u0004 not an array')), 'NUMPY'],
    ['a torn file', delveFile('_train-covariance-matrix_fc_one', 0).subarray(0, 200), '72 of 200 bytes'],
    ['a pickled object', npyBytes('|O', false, '()', Uint8Array.of(1)), "'|O'"],
  ])('refuses %s, naming the file', (_, bytes, why) => {
    expect(() => decodeNpy(bytes, 'x.npy')).toThrow(RangeError);
    expect(() => decodeNpy(bytes, 'x.npy')).toThrow(/^x\.npy/);
    expect(() => decodeNpy(bytes, 'x.npy')).toThrow(why);
  });

  it('refuses a shape that does not hold the values', () => {
    expect(() => encodeNpy({ dtype: 'float64', shape: [2, 2], values: new Float64Array(3) })).toThrow(RangeError);
  });
});

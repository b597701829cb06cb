import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describe as describeValue } from '../../src/errors.js';
import { type Numbers, type NumericArray, readNumbers, whenAllRead, whenRead } from '../../src/summaries/numbers.js';
import { readScalar, scalarSummary } from '../../src/summaries/scalar.js';
import { floatsOf } from '../support/summary-fixtures.js';

const read = (value: Numbers) => {
  const numbers = readNumbers(value, 'test') as NumericArray;
  return { values: Array.from(numbers.values), shape: [...numbers.shape], dtype: numbers.dtype };
};
const wrong = (value: unknown) => () => readNumbers(value as Numbers, 'histogram "w"');

describe('readNumbers', () => {
  it('reads a number as one value without axes', () => {
    expect(read(2.5)).toEqual({ values: [2.5], shape: [], dtype: 'float64' });
    expect(read(true)).toEqual({ values: [1], shape: [], dtype: 'bool' });
  });

  it('reads typed arrays and knows which pixels they would be', () => {
    expect(read(Float32Array.of(0.5, 1))).toEqual({ values: [0.5, 1], shape: [2], dtype: 'float32' });
    expect(read(Uint8Array.of(7))).toEqual({ values: [7], shape: [1], dtype: 'uint8' });
    expect(read(Uint8ClampedArray.of(7)).dtype).toBe('uint8');
    expect(read(Int16Array.of(-3))).toEqual({ values: [-3], shape: [1], dtype: 'int32' });
    expect(read(BigInt64Array.of(-3n, 2n))).toEqual({ values: [-3, 2], shape: [2], dtype: 'float64' });
  });

  it('does not copy a typed array', () => {
    const values = Float32Array.of(1, 2);
    expect((readNumbers(values, 'test') as NumericArray).values).toBe(values);
  });

  it('reads nested arrays row by row, rows of typed arrays included', () => {
    expect(
      read([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    ).toEqual({ values: [1, 2, 3, 4, 5, 6], shape: [2, 3], dtype: 'float64' });
    expect(
      read([
        [[1], [2]],
        [[3], [4]],
      ]),
    ).toEqual({ values: [1, 2, 3, 4], shape: [2, 2, 1], dtype: 'float64' });
    expect(read([Float32Array.of(1, 2), Float32Array.of(3, 4)]).values).toEqual([1, 2, 3, 4]);
    expect(read([])).toEqual({ values: [], shape: [0], dtype: 'float64' });
    expect(read([[], []])).toEqual({ values: [], shape: [2, 0], dtype: 'float64' });
  });

  it('keeps booleans apart from numbers', () => {
    expect(read([true, false])).toEqual({ values: [1, 0], shape: [2], dtype: 'bool' });
    expect(read([[true], [false]]).dtype).toBe('bool');
    expect(read([[true], [0]]).dtype).toBe('float64');
  });

  it('reads a flat array with its shape beside it', () => {
    expect(read({ data: Uint8Array.of(1, 2, 3, 4), shape: [2, 2] })).toEqual({
      values: [1, 2, 3, 4],
      shape: [2, 2],
      dtype: 'uint8',
    });
    expect(wrong({ data: [1, 2, 3], shape: [2, 2] })).toThrow(
      'histogram "w": expected 4 values for the shape [2, 2], got 3',
    );
  });

  it('gives back any rectangular array', () => {
    const matrix = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 5 })).chain(([rows, columns]) =>
      fc.array(fc.array(fc.double(), { minLength: columns, maxLength: columns }), {
        minLength: rows,
        maxLength: rows,
      }),
    );
    fc.assert(
      fc.property(matrix, (rows) => {
        expect(read(rows)).toEqual({ values: rows.flat(), shape: [rows.length, rows[0].length], dtype: 'float64' });
      }),
    );
  });

  it.each([
    ['rows of different lengths', [[1, 2], [3]], RangeError, 'got a row of 1'],
    ['a number among rows', [[1], 2], RangeError, 'got number 2'],
    ['a row among numbers', [1, [2]], RangeError, 'position 1'],
    ['deeper rows later', [[1], [[2]]], RangeError, 'position 1'],
    ['a text', '3', TypeError, 'got the string "3"'],
    ['a text inside', [1, 'x'], TypeError, 'expected a number at position 1, got the string "x"'],
    ['a hole', [1, undefined], TypeError, 'got undefined'],
    ['null', null, TypeError, 'got null'],
    ['an object', { a: 1 }, TypeError, 'got an object of class Object'],
    ['a DataView', new DataView(new ArrayBuffer(8)), TypeError, 'DataView'],
  ])('refuses %s and says what it is for', (_, value, type, message) => {
    expect(wrong(value)).toThrow(type);
    expect(wrong(value)).toThrow(message);
    expect(wrong(value)).toThrow(/^histogram "w"/);
  });
});

describe('readNumbers of an array whose memory is gone', () => {
  const transferred = () => {
    const array = Float32Array.of(1, 2, 3);
    structuredClone(array, { transfer: [array.buffer] });
    return array;
  };
  /** A view that ends beyond its buffer, which was made smaller. */
  const shrunk = () => {
    type Resizable = ArrayBuffer & { resize(bytes: number): void };
    const Buffer = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => Resizable;
    const buffer = new Buffer(16, { maxByteLength: 32 });
    const array = new Float32Array(buffer, 4, 3);
    buffer.resize(8);
    return array;
  };
  const grown = () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
    const array = new Float32Array(memory.buffer, 0, 3);
    memory.grow(1);
    return array;
  };

  it.each([
    ['transferred', transferred],
    ['shrunk', shrunk],
    ['replaced, as memory of WebAssembly that grows', grown],
  ])('refuses it if its buffer was %s', (_, make) => {
    const lost = make();
    const values = [lost, { data: lost, shape: [0] }, { data: lost, shape: [3] }, [lost], [[lost, lost]]];
    const tensor = { shape: [3], dataSync: () => lost, data: async () => lost };
    for (const value of [...values, tensor]) {
      expect(wrong(value)).toThrow(TypeError);
      expect(wrong(value)).toThrow(
        'histogram "w": expected values in memory, got a Float32Array whose buffer was transferred or shrunk',
      );
    }
  });

  it('takes arrays that are empty, or views of what is left of a smaller buffer', () => {
    expect(read(new Float32Array(0)).values).toEqual([]);
    expect(read(new Float32Array(new ArrayBuffer(8), 8, 0)).values).toEqual([]);
    expect(read(new Uint8Array(new SharedArrayBuffer(2))).values).toEqual([0, 0]);
    type Resizable = ArrayBuffer & { resize(bytes: number): void };
    const Buffer = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => Resizable;
    const buffer = new Buffer(16, { maxByteLength: 32 });
    const array = new Float32Array(buffer);
    buffer.resize(4);
    expect(read(array).values).toEqual([0]);
  });
});

describe('readNumbers of a tensor', () => {
  it('reads it at once if it can, with its shape and type', () => {
    expect(
      read(
        tf.tensor2d([
          [1, 2],
          [3, 4],
        ]),
      ),
    ).toEqual({ values: [1, 2, 3, 4], shape: [2, 2], dtype: 'float32' });
    expect(read(tf.tensor1d([1, 2], 'int32')).dtype).toBe('int32');
    expect(read(tf.tensor1d([true, false])).dtype).toBe('bool');
    expect(read(tf.variable(tf.scalar(3)))).toEqual({ values: [3], shape: [], dtype: 'float32' });
  });

  it('waits if it cannot be read synchronously', async () => {
    const webgpu = {
      shape: [2],
      dtype: 'float32',
      dataSync: () => {
        throw new Error('not on this backend');
      },
      data: async () => Float32Array.of(1, 2),
    };
    expect(await readNumbers(webgpu, 'test')).toEqual({ values: Float32Array.of(1, 2), shape: [2], dtype: 'float32' });
    expect(await readNumbers({ shape: [], data: async () => [5] }, 'test')).toEqual({
      values: Float64Array.of(5),
      shape: [],
      dtype: 'float64',
    });
  });

  it('reads it even if the caller disposes it before its values are there', async () => {
    const tensor = tf.tensor1d([1, 2, 3]);
    const before = tf.memory().numTensors;
    Object.defineProperty(tensor, 'dataSync', {
      value: () => {
        throw new Error('not on this backend');
      },
    });
    const reading = readNumbers(tensor, 'test');
    tensor.dispose();
    expect(Array.from((await reading).values)).toEqual([1, 2, 3]);
    expect(tf.memory().numTensors).toBe(before - 1);
  });

  it('rejects, and says what for, if the values never come', async () => {
    const lost = { shape: [2], data: () => Promise.reject(new Error('device lost')) };
    await expect(readNumbers(lost, 'scalar "loss"')).rejects.toThrow(
      'scalar "loss": the tensor could not be read: device lost',
    );
  });

  it('refuses texts, complex numbers and what is disposed', () => {
    expect(wrong(tf.tensor1d(['a']))).toThrow('dtype string');
    expect(wrong(tf.complex([1], [2]))).toThrow('dtype complex64');
    const tensor = tf.scalar(1);
    tensor.dispose();
    expect(wrong(tensor)).toThrow('histogram "w": expected a tensor that is not disposed');
  });
});

describe('describe', () => {
  it('names values shortly', () => {
    expect(describeValue(undefined)).toBe('undefined');
    expect(describeValue(Number.NaN)).toBe('number NaN');
    expect(describeValue(3n)).toBe('bigint 3');
    expect(describeValue(new Float32Array(2))).toBe('a Float32Array of 2');
    expect(describeValue(Object.create(null))).toBe('an object of class null prototype');
  });
});

const array = (...values: number[]): NumericArray => ({
  values: Float32Array.from(values),
  shape: [values.length],
  dtype: 'float32',
});
const sum = (arrays: readonly NumericArray[]) =>
  arrays.flatMap(({ values }) => Array.from(values)).reduce((a, b) => a + b);

describe('whenRead', () => {
  it('continues at once if the value is there, and later if it is not', async () => {
    expect(whenRead(2, (value) => value + 1)).toBe(3);
    expect(await whenRead(Promise.resolve(2), (value) => value + 1)).toBe(3);
  });
});

describe('whenAllRead', () => {
  it('continues at once if all values are there', () => {
    expect(whenAllRead([array(1), array(2, 3)] as const, sum)).toBe(6);
  });

  it('keeps the numbers of the call if another comes later, whatever becomes of their memory', async () => {
    const there = array(1, 2);
    const total = whenAllRead([there, Promise.resolve(array(10))] as const, sum);
    there.values.fill(100);
    expect(await total).toBe(13);
  });

  it('passes on what is not an array, and rejects if an array never comes', async () => {
    expect(await whenAllRead([Promise.resolve(1), undefined] as const, (values: readonly unknown[]) => values)).toEqual(
      [1, undefined],
    );
    await expect(whenAllRead([array(1), Promise.reject(new Error('gone'))] as const, () => 0)).rejects.toThrow('gone');
  });
});

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
  it('accepts a number, an array of one and a tensor of one, whatever its rank', async () => {
    expect(readScalar(2, 'test')).toBe(2);
    expect(readScalar([[3]], 'test')).toBe(3);
    expect(readScalar(Float32Array.of(4), 'test')).toBe(4);
    expect(await readScalar({ shape: [1, 1], data: async () => [5] }, 'test')).toBe(5);
  });

  it('refuses no number and several numbers, and says what came', () => {
    expect(() => readScalar([1, 2], 'scalar "loss"')).toThrow(
      'scalar "loss": expected a single number, got a Float64Array of 2 in the shape [2]',
    );
    expect(() => readScalar([], 'scalar "loss"')).toThrow(RangeError);
  });
});

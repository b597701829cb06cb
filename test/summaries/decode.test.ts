import { describe, expect, test } from 'vitest';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { decodeSummaryValue } from '../../src/summaries/plugins.js';

const { DataType, HistogramProto, Summary, TensorProto } = tensorboard;
const utf8 = (text: string) => new TextEncoder().encode(text);
const shape = (...sizes: number[]) => ({ dim: sizes.map((size) => ({ size })) });

function decodeAs(plugin: string, tensor: tensorboard.ITensorProto, content = new Uint8Array(0)) {
  return decodeSummaryValue({ plugin, content }, { field: 8, bytes: TensorProto.encode(tensor).finish() });
}

const decodeV1 = (field: number, bytes: Uint8Array) =>
  decodeSummaryValue({ plugin: '', content: new Uint8Array(0) }, { field, bytes });

describe('a scalar is a number whatever tensor holds it', () => {
  test.each([
    ['float32, rank 0', { dtype: DataType.DT_FLOAT, tensorShape: {}, floatVal: [1.5] }, 1.5],
    ['float64, which the Rust loader drops', { dtype: DataType.DT_DOUBLE, doubleVal: [0.1] }, 0.1],
    ['shape [1], which the Rust loader drops', { dtype: DataType.DT_FLOAT, tensorShape: shape(1), floatVal: [2] }, 2],
    ['int64', { dtype: DataType.DT_INT64, int64Val: [-7] }, -7],
    ['bool', { dtype: DataType.DT_BOOL, boolVal: [true] }, 1],
    ['half', { dtype: DataType.DT_HALF, halfVal: [0x3e00] }, 1.5],
  ])('%s', (_, tensor, value) => {
    expect(decodeAs('scalars', tensor)).toBe(value);
  });

  test('several numbers, or a text, stay a tensor', () => {
    const two = { dtype: DataType.DT_FLOAT, tensorShape: shape(2), floatVal: [1, 2] };
    expect(decodeAs('scalars', two)).toEqual({ dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) });
    expect(decodeAs('scalars', { dtype: DataType.DT_STRING, stringVal: [utf8('1')] })).toMatchObject({
      dtype: 'string',
    });
  });
});

describe('a histogram', () => {
  test('is k x 3 in float64, from float32, too', () => {
    const tensor = { dtype: DataType.DT_FLOAT, tensorShape: shape(2, 3), floatVal: [0, 1, 5, 1, 2, 6] };
    expect(decodeAs('histograms', tensor)).toEqual({ buckets: Float64Array.of(0, 1, 5, 1, 2, 6) });
  });

  test('of another shape stays a tensor', () => {
    const tensor = { dtype: DataType.DT_DOUBLE, tensorShape: shape(3, 2), doubleVal: [0, 1, 5, 1, 2, 6] };
    expect(decodeAs('histograms', tensor)).toMatchObject({ dtype: 'float64', shape: [3, 2] });
  });

  // Expectations: what tensorboard 2.21's data_compat.migrate_value makes of the same HistogramProto.
  test.each([
    [
      'v1, empty buckets at both ends dropped, min and max at the outside',
      { min: -2, max: 3, bucketLimit: [-2.5, -1, 0, 1, 4, 1e308], bucket: [0, 2, 0, 1, 3, 0] },
      [-2, -1, 2, -1, 0, 0, 0, 1, 1, 1, 3, 3],
    ],
    ['v1, one bucket', { min: 1, max: 2, bucketLimit: [5], bucket: [4] }, [1, 2, 4]],
    ['v1, all empty', { min: 0, max: 0, bucketLimit: [1, 2], bucket: [0, 0] }, []],
    ['v1, nothing', {}, []],
  ])('%s', (_, histogram, buckets) => {
    expect(decodeV1(5, HistogramProto.encode(histogram).finish())).toEqual({ buckets: Float64Array.from(buckets) });
  });

  test('v1 with more limits than counts is an error', () => {
    const histogram = HistogramProto.encode({ bucketLimit: [1, 2, 3], bucket: [1] }).finish();
    expect(() => decodeV1(5, histogram)).toThrow('3 bucket limits and 1 count');
  });
});

describe('images', () => {
  const image = Uint8Array.of(1, 2, 3);

  test('v2: width, height, any number of images', () => {
    for (const count of [0, 1, 3]) {
      const stringVal = [utf8('12'), utf8('7'), ...new Array<Uint8Array>(count).fill(image)];
      const value = decodeAs('images', { dtype: DataType.DT_STRING, tensorShape: shape(2 + count), stringVal });
      expect(value).toMatchObject({ width: 12, height: 7, encoded: { length: count } });
    }
  });

  test('without a size stay a tensor', () => {
    const stringVal = [utf8('wide'), utf8('7'), image];
    expect(decodeAs('images', { dtype: DataType.DT_STRING, tensorShape: shape(3), stringVal })).toMatchObject({
      dtype: 'string',
      shape: [3],
    });
  });

  test('v1', () => {
    const stored = Summary.Image.encode({ width: 3, height: 4, colorspace: 3, encodedImageString: image }).finish();
    expect(decodeV1(4, new Uint8Array(stored))).toEqual({ width: 3, height: 4, encoded: [image] });
  });
});

describe('audio and text', () => {
  test('TF2 clips lose their label column, and keep the labels', () => {
    const stringVal = ['a', 'label a', 'b', 'label b'].map(utf8);
    const content = Uint8Array.of(0x10, 11);
    const value = decodeAs('audio', { dtype: DataType.DT_STRING, tensorShape: shape(2, 2), stringVal }, content);
    expect(value).toMatchObject({ labels: ['label a', 'label b'], contentType: 'audio/wav', encoded: { length: 2 } });
  });

  test('a clip whose metadata does not say what it is', () => {
    const tensor = { dtype: DataType.DT_STRING, tensorShape: shape(1), stringVal: [utf8('x')] };
    expect(decodeAs('audio', tensor)).not.toHaveProperty('contentType');
    expect(decodeAs('audio', tensor, Uint8Array.of(0xff))).not.toHaveProperty('contentType');
  });

  test('a table of texts keeps its shape', () => {
    const stringVal = ['a', 'b', 'ç', 'd', 'e', 'f'].map(utf8);
    expect(decodeAs('text', { dtype: DataType.DT_STRING, tensorShape: shape(2, 3), stringVal })).toEqual({
      shape: [2, 3],
      strings: ['a', 'b', 'ç', 'd', 'e', 'f'],
    });
  });
});

test('a plugin nobody knows gets its tensor', () => {
  const tensor = { dtype: DataType.DT_INT32, tensorShape: shape(2), intVal: [1, -2] };
  expect(decodeAs('mine', tensor)).toEqual({ dtype: 'int32', shape: [2], data: Int32Array.of(1, -2) });
});

test('what is not the message it should be is an error', () => {
  for (const field of [4, 5, 6, 8]) expect(() => decodeV1(field, Uint8Array.of(0x0f))).toThrow();
});

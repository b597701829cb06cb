import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import type { TensorValue } from '../../src/event/event.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { decodeSummaryValue } from '../../src/summaries/plugins.js';
import { decodeTensor } from '../../src/summaries/tensor.js';

const { DataType, HistogramProto, Summary, TensorProto } = tensorboard;
const utf8 = (text: string) => new TextEncoder().encode(text);
const shape = (...sizes: number[]) => ({ dim: sizes.map((size) => ({ size })) });

function decodeAs(plugin: string, tensor: tensorboard.ITensorProto, content = new Uint8Array(0)) {
  return decodeSummaryValue({ plugin, content }, { field: 8, bytes: encodeMessage(TensorProto, tensor) });
}

const decodeV1 = (field: number, bytes: Uint8Array) =>
  decodeSummaryValue({ plugin: '', content: new Uint8Array(0) }, { field, bytes });

describe('a scalar is a number whatever tensor holds it', () => {
  it.each([
    ['float32, rank 0', { dtype: DataType.DT_FLOAT, tensorShape: {}, floatVal: [1.5] }, 1.5],
    ['float64, which the Rust loader drops', { dtype: DataType.DT_DOUBLE, doubleVal: [0.1] }, 0.1],
    ['shape [1], which the Rust loader drops', { dtype: DataType.DT_FLOAT, tensorShape: shape(1), floatVal: [2] }, 2],
    ['int64', { dtype: DataType.DT_INT64, int64Val: [-7] }, -7],
    ['bool', { dtype: DataType.DT_BOOL, boolVal: [true] }, 1],
    ['half', { dtype: DataType.DT_HALF, halfVal: [0x3e00] }, 1.5],
  ])('%s', (_, tensor, value) => {
    expect(decodeAs('scalars', tensor)).toBe(value);
  });

  it('several numbers, or a text, stay a tensor', () => {
    const two = { dtype: DataType.DT_FLOAT, tensorShape: shape(2), floatVal: [1, 2] };
    expect(decodeAs('scalars', two)).toEqual({ dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) });
    expect(decodeAs('scalars', { dtype: DataType.DT_STRING, stringVal: [utf8('1')] })).toMatchObject({
      dtype: 'string',
    });
  });
});

describe('a histogram', () => {
  it('is k x 3 in float64, from float32, too', () => {
    const tensor = { dtype: DataType.DT_FLOAT, tensorShape: shape(2, 3), floatVal: [0, 1, 5, 1, 2, 6] };
    expect(decodeAs('histograms', tensor)).toEqual({ buckets: Float64Array.of(0, 1, 5, 1, 2, 6) });
  });

  it('of another shape stays a tensor', () => {
    const tensor = { dtype: DataType.DT_DOUBLE, tensorShape: shape(3, 2), doubleVal: [0, 1, 5, 1, 2, 6] };
    expect(decodeAs('histograms', tensor)).toMatchObject({ dtype: 'float64', shape: [3, 2] });
  });

  // Expectations: what tensorboard 2.21's data_compat.migrate_value makes of the same HistogramProto.
  it.each([
    [
      'v1, empty buckets at both ends dropped, min and max at the outside',
      {
        min: -2,
        max: 3,
        num: 6,
        sum: 4.5,
        sumSquares: 30,
        bucketLimit: [-2.5, -1, 0, 1, 4, 1e308],
        bucket: [0, 2, 0, 1, 3, 0],
      },
      [-2, -1, 2, -1, 0, 0, 0, 1, 1, 1, 3, 3],
    ],
    ['v1, one bucket', { min: 1, max: 2, bucketLimit: [5], bucket: [4] }, [1, 2, 4]],
    ['v1, all empty', { min: 0, max: 0, bucketLimit: [1, 2], bucket: [0, 0] }, []],
    ['v1, nothing', {}, []],
  ])('%s', (_, histogram, buckets) => {
    const { max = 0, min = 0, num = 0, sum = 0, sumSquares = 0 } = histogram as tensorboard.IHistogramProto;
    expect(decodeV1(5, encodeMessage(HistogramProto, histogram))).toEqual({
      buckets: Float64Array.from(buckets),
      ...{ max, min, num, sum, sumSquares },
    });
  });

  it('v1 with more limits than counts is an error', () => {
    const histogram = encodeMessage(HistogramProto, { bucketLimit: [1, 2, 3], bucket: [1] });
    expect(() => decodeV1(5, histogram)).toThrow('3 bucket limits and 1 count');
  });
});

describe('images', () => {
  const image = Uint8Array.of(1, 2, 3);

  it('of v2 are width, height and any number of images', () => {
    for (const count of [0, 1, 3]) {
      const stringVal = [utf8('12'), utf8('7'), ...new Array<Uint8Array>(count).fill(image)];
      const value = decodeAs('images', { dtype: DataType.DT_STRING, tensorShape: shape(2 + count), stringVal });
      expect(value).toMatchObject({ width: 12, height: 7, encoded: { length: count } });
    }
  });

  it('without a size stay a tensor', () => {
    const stringVal = [utf8('wide'), utf8('7'), image];
    expect(decodeAs('images', { dtype: DataType.DT_STRING, tensorShape: shape(3), stringVal })).toMatchObject({
      dtype: 'string',
      shape: [3],
    });
  });

  it('of v1 are one encoded image', () => {
    const stored = encodeMessage(Summary.Image, { width: 3, height: 4, colorspace: 3, encodedImageString: image });
    expect(decodeV1(4, new Uint8Array(stored))).toEqual({ width: 3, height: 4, encoded: [image] });
  });
});

describe('audio and text', () => {
  it('of TF2 lose their label column, and keep the labels', () => {
    const stringVal = ['a', 'label a', 'b', 'label b'].map(utf8);
    const content = Uint8Array.of(0x10, 11);
    const value = decodeAs('audio', { dtype: DataType.DT_STRING, tensorShape: shape(2, 2), stringVal }, content);
    expect(value).toMatchObject({ labels: ['label a', 'label b'], contentType: 'audio/wav', encoded: { length: 2 } });
  });

  it('have no content type if the metadata does not say it', () => {
    const tensor = { dtype: DataType.DT_STRING, tensorShape: shape(1), stringVal: [utf8('x')] };
    expect(decodeAs('audio', tensor)).not.toHaveProperty('contentType');
    expect(decodeAs('audio', tensor, Uint8Array.of(0xff))).not.toHaveProperty('contentType');
  });

  it('keep the shape of a table', () => {
    const stringVal = ['a', 'b', 'ç', 'd', 'e', 'f'].map(utf8);
    expect(decodeAs('text', { dtype: DataType.DT_STRING, tensorShape: shape(2, 3), stringVal })).toEqual({
      shape: [2, 3],
      strings: ['a', 'b', 'ç', 'd', 'e', 'f'],
    });
  });
});

it('the value of an unknown plugin is a tensor', () => {
  const tensor = { dtype: DataType.DT_INT32, tensorShape: shape(2), intVal: [1, -2] };
  expect(decodeAs('mine', tensor)).toEqual({ dtype: 'int32', shape: [2], data: Int32Array.of(1, -2) });
});

it('bytes that are not the message they should be are an error', () => {
  for (const field of [4, 5, 6, 8]) expect(() => decodeV1(field, Uint8Array.of(0x0f))).toThrow();
});

const decode = (tensor: tensorboard.ITensorProto) => decodeTensor(encodeMessage(TensorProto, tensor));

/** numpy 2: np.array(values, dtype).tobytes().hex(), little-endian. */
const stored: [string, number, string, unknown][] = [
  ['float32', DataType.DT_FLOAT, '0000c03f000000c0', Float32Array.of(1.5, -2)],
  ['float64', DataType.DT_DOUBLE, '000000000000f83f00000000000000c0', Float64Array.of(1.5, -2)],
  ['int32', DataType.DT_INT32, 'ffffffff00000080', Int32Array.of(-1, -2147483648)],
  ['uint32', DataType.DT_UINT32, 'ffffffff01000000', Uint32Array.of(4294967295, 1)],
  ['int16', DataType.DT_INT16, 'ffff0080', Int16Array.of(-1, -32768)],
  ['uint16', DataType.DT_UINT16, 'ffff0080', Uint16Array.of(65535, 32768)],
  ['int8', DataType.DT_INT8, 'ff80', Int8Array.of(-1, -128)],
  ['uint8', DataType.DT_UINT8, 'ff80', Uint8Array.of(255, 128)],
  ['bool', DataType.DT_BOOL, '0001', Uint8Array.of(0, 1)],
  ['int64', DataType.DT_INT64, 'ffffffffffffffff0000000000000080', BigInt64Array.of(-1n, -(2n ** 63n))],
  ['uint64', DataType.DT_UINT64, 'ffffffffffffffff0000000000000080', BigUint64Array.of(2n ** 64n - 1n, 2n ** 63n)],
  ['float16', DataType.DT_HALF, '003e00c0', Float32Array.of(1.5, -2)],
  ['bfloat16', DataType.DT_BFLOAT16, 'c03f00c0', Float32Array.of(1.5, -2)],
];

describe('tensor_content', () => {
  it.each(stored)('%s', (dtype, type, hex, data) => {
    const tensor = { dtype: type, tensorShape: shape(2, 1), tensorContent: new Uint8Array(Buffer.from(hex, 'hex')) };
    expect(decode(tensor)).toEqual({ dtype, shape: [2, 1], data });
  });

  // IEEE 754-2019, table 3.5 and the usual worked examples.
  it.each([
    ['0100', 2 ** -24],
    ['ff03', 1023 * 2 ** -24],
    ['0004', 2 ** -14],
    ['ff7b', 65504],
    ['007c', Infinity],
    ['00fc', -Infinity],
    ['007e', Number.NaN],
    ['5535', 0.333251953125],
    ['0080', -0],
  ])('half precision %s', (hex, value) => {
    const tensorContent = new Uint8Array(Buffer.from(hex, 'hex'));
    expect(decode({ dtype: DataType.DT_HALF, tensorShape: {}, tensorContent }).data[0]).toBe(value);
  });

  it('of a type without a typed array is an error', () => {
    const tensorContent = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const read = (dtype: number) => () => decode({ dtype, tensorShape: shape(8), tensorContent });
    expect(read(DataType.DT_FLOAT8_E4M3FN)).toThrow('a tensor of type float8_e4m3fn, which has no decoding');
    expect(read(77)).toThrow('a tensor of type type 77, which has no decoding');
  });

  it.each([
    [[2], 5],
    [[2], 12],
    [[], 8],
    [[2, 3], 20],
    [[0], 4],
    [[1e9, 1e9, 1e9], 4],
  ])('that does not fill the shape %j is an error', (sizes, bytes) => {
    const tensor = { dtype: DataType.DT_FLOAT, tensorShape: shape(...sizes), tensorContent: new Uint8Array(bytes) };
    expect(() => decode(tensor)).toThrow(`a float32 tensor of shape [${sizes.join(', ')}] with ${bytes} bytes`);
  });
});

describe('values stored one by one', () => {
  const values: [string, tensorboard.ITensorProto, unknown][] = [
    ['float32', { dtype: DataType.DT_FLOAT, floatVal: [1.5, Number.NaN] }, Float32Array.of(1.5, Number.NaN)],
    ['float64', { dtype: DataType.DT_DOUBLE, doubleVal: [0.1, -Infinity] }, Float64Array.of(0.1, -Infinity)],
    ['int32', { dtype: DataType.DT_INT32, intVal: [-1, 2147483647] }, Int32Array.of(-1, 2147483647)],
    ['int16', { dtype: DataType.DT_INT16, intVal: [-1, 3] }, Int16Array.of(-1, 3)],
    ['int8', { dtype: DataType.DT_INT8, intVal: [-128, 3] }, Int8Array.of(-128, 3)],
    ['uint8', { dtype: DataType.DT_UINT8, intVal: [255, 3] }, Uint8Array.of(255, 3)],
    ['uint32', { dtype: DataType.DT_UINT32, uint32Val: [4294967295, 0] }, Uint32Array.of(4294967295, 0)],
    ['int64', { dtype: DataType.DT_INT64, int64Val: [-1, 300] }, BigInt64Array.of(-1n, 300n)],
    ['uint64', { dtype: DataType.DT_UINT64, uint64Val: [1, 300] }, BigUint64Array.of(1n, 300n)],
    ['bool', { dtype: DataType.DT_BOOL, boolVal: [true, false] }, Uint8Array.of(1, 0)],
    ['float16', { dtype: DataType.DT_HALF, halfVal: [0x3e00, 0xc000] }, Float32Array.of(1.5, -2)],
    ['bfloat16', { dtype: DataType.DT_BFLOAT16, halfVal: [0x3fc0, 0xc000] }, Float32Array.of(1.5, -2)],
  ];
  it.each(values)('%s', (dtype, tensor, data) => {
    expect(decode({ ...tensor, tensorShape: shape(2) })).toEqual({ dtype, shape: [2], data });
  });

  it('can be unpacked, as proto2 writers store them, and packed in several pieces', () => {
    const floats = [0x2d, 0, 0, 0xc0, 0x3f, 0x2a, 8, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40];
    const bytes = Uint8Array.from([0x08, 1, 0x12, 4, 0x12, 2, 0x08, 3, ...floats]);
    expect(decodeTensor(bytes)).toEqual({ dtype: 'float32', shape: [3], data: Float32Array.of(1.5, 2, 3) });
    const integers = Uint8Array.from([0x08, 3, 0x12, 4, 0x12, 2, 0x08, 3, 0x38, 7, 0x3a, 3, 0x80, 1, 9]);
    expect(decodeTensor(integers)).toEqual({ dtype: 'int32', shape: [3], data: Int32Array.of(7, 128, 9) });
  });

  it('can be one value that stands for all, up to a million', () => {
    expect(decode({ dtype: DataType.DT_FLOAT, tensorShape: shape(2, 2), floatVal: [3] }).data).toEqual(
      Float32Array.of(3, 3, 3, 3),
    );
    const million = { dtype: DataType.DT_INT64, tensorShape: shape(2 ** 20), int64Val: [5] };
    expect((decode(million).data as BigInt64Array).every((value) => value === 5n)).toBe(true);
    const more = { dtype: DataType.DT_FLOAT, tensorShape: shape(2 ** 20 + 1), floatVal: [3] };
    expect(() => decode(more)).toThrow('a float32 tensor of shape [1048577] with 1 value');
  });

  it.each<[string, tensorboard.ITensorProto, TensorValue['data']]>([
    ['int64', { dtype: DataType.DT_INT64, int64Val: [7] }, new BigInt64Array(200).fill(7n)],
    ['float16', { dtype: DataType.DT_HALF, halfVal: [0x3e00] }, new Float32Array(200).fill(1.5)],
    ['bool', { dtype: DataType.DT_BOOL, boolVal: [true] }, new Uint8Array(200).fill(1)],
    ['string', { dtype: DataType.DT_STRING, stringVal: [Uint8Array.of(65)] }, new Array(200).fill(Uint8Array.of(65))],
  ])('that stand for all are made once, when they are asked for: %s', (dtype, tensor, data) => {
    const read = decode({ ...tensor, tensorShape: shape(20, 10) });
    expect(Object.getOwnPropertyDescriptor(read, 'data')).not.toHaveProperty('value');
    expect(read).toEqual({ dtype, shape: [20, 10], data });
    expect({ ...read }.data).toBe(read.data);
    expect(structuredClone(read)).toEqual({ dtype, shape: [20, 10], data });
  });

  it('that stand for all may be complex numbers', () => {
    const one = [0x4a, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]; // scomplex_val: 1, 2
    const { data } = decodeTensor(
      Uint8Array.from([0x08, DataType.DT_COMPLEX64, 0x12, 5, 0x12, 3, 0x08, 0xc8, 1, ...one]),
    );
    expect(data).toEqual(Float32Array.from({ length: 400 }, (_, at) => 1 + (at % 2)));
  });

  it('are an error if one does not fit the type', () => {
    const uint8 = { dtype: DataType.DT_UINT8, tensorShape: shape(2) };
    expect(() => decode({ ...uint8, intVal: [255, 300] })).toThrow('a uint8 tensor with the value 300');
    expect(() => decode({ ...uint8, uint32Val: [2 ** 32 - 1, 0] })).toThrow('a uint8 tensor with the value 4294967295');
    const uint64 = { dtype: DataType.DT_UINT64, tensorShape: shape(1), int64Val: [-1] };
    expect(() => decode(uint64)).toThrow('a uint64 tensor with the value -1');
  });

  it('are an error if they are in the field of another type', () => {
    const tensor = { dtype: DataType.DT_FLOAT, doubleVal: [1, 2] };
    expect(() => decode({ ...tensor, tensorShape: shape(2) })).toThrow(
      'a float32 tensor of shape [2] with 0 values, and others in double_val',
    );
    expect(() => decode(tensor)).toThrow('a float32 tensor of shape [] with 0 values, and others in double_val');
  });

  it('are an error if they are too few or too many', () => {
    for (const floatVal of [[1, 2], [1, 2, 3, 4], []]) {
      const tensor = { dtype: DataType.DT_FLOAT, tensorShape: shape(3), floatVal };
      expect(() => decode(tensor)).toThrow(`shape [3] with ${floatVal.length} values`);
    }
  });

  it('are an error if they are cut off in the middle of one', () => {
    expect(() => decodeTensor(Uint8Array.from([0x08, 1, 0x2a, 5, 0, 0, 0x80, 0x3f, 0]))).toThrow(RangeError);
  });
});

describe('strings', () => {
  const utf8 = (...texts: string[]) => texts.map((text) => new TextEncoder().encode(text));

  it('are bytes of any kind', () => {
    const stringVal = [...utf8('a', ''), Uint8Array.of(0xff, 0)];
    const read = decode({ dtype: DataType.DT_STRING, tensorShape: shape(3), stringVal });
    expect(read).toMatchObject({ dtype: 'string', shape: [3] });
    expect(read.data.length).toBe(3);
    for (const [index, expected] of stringVal.entries()) {
      expect(Array.from(read.data[index] as Uint8Array)).toEqual(Array.from(expected));
    }
  });

  it('can be one that stands for all; any other mismatch is an error', () => {
    const read = decode({ dtype: DataType.DT_STRING, tensorShape: shape(2), stringVal: utf8('x') });
    expect(read.data.length).toBe(2);
    const three = { dtype: DataType.DT_STRING, tensorShape: shape(2), stringVal: utf8('a', 'b', 'c') };
    expect(() => decode(three)).toThrow('a string tensor of shape [2] with 3 values');
  });

  it('are refused by the hundred thousand', () => {
    const empties = new Uint8Array(2 * (2 ** 18 + 1));
    for (let at = 0; at < empties.length; at += 2) empties[at] = 0x42;
    expect(() => decodeTensor(Uint8Array.from([0x08, 7, ...empties]))).toThrow('more than 262144 strings');
  });
});

/** test/fixtures/tensors/generate.py: what TensorBoard's make_ndarray, torch and numpy find in these. */
const tensors: {
  matrix: Record<string, [proto: string, elements: string | null][]>;
  torch: Record<string, [proto: string, shape: number[], elements: string]>;
} = JSON.parse(readFileSync('test/fixtures/tensors/tensors.json', 'utf8'));

/** The elements as the fixture has them: little-endian; strings each behind its length. */
function elementsOf({ data }: TensorValue): string {
  if (!Array.isArray(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');
  return data
    .map((text) => Buffer.concat([Buffer.from(Uint32Array.of(text.length).buffer), text]).toString('hex'))
    .join('');
}

describe('tensors of every type, with elements in every field, are what TensorBoard and torch find in them:', () => {
  it.each(Object.entries(tensors.matrix))('%s', (_, rows) => {
    for (const [proto, expected] of rows) {
      const bytes = new Uint8Array(Buffer.from(proto, 'hex'));
      if (expected === null) expect(() => decodeTensor(bytes), proto).toThrow(RangeError);
      else expect(elementsOf(decodeTensor(bytes)), proto).toBe(expected);
    }
  });

  it.each(Object.entries(tensors.torch))('%s, as torch writes it', (_, [proto, shape, expected]) => {
    const tensor = decodeTensor(new Uint8Array(Buffer.from(proto, 'hex')));
    expect(tensor.shape).toEqual(shape);
    expect(elementsOf(tensor)).toBe(expected);
  });
});

describe('a shape', () => {
  it('is refused if it is negative', () => {
    expect(() => decode({ dtype: DataType.DT_FLOAT, tensorShape: shape(-1) })).toThrow('a dimension of -1');
  });

  it('is refused if it is giant with few values behind it', () => {
    for (const sizes of [[2 ** 40], [2 ** 30, 2 ** 30], new Array(254).fill(1000)]) {
      const empty = { dtype: DataType.DT_DOUBLE, tensorShape: shape(...sizes) };
      expect(() => decode(empty)).toThrow('with 0 values');
      expect(() => decode({ ...empty, doubleVal: [1] })).toThrow('with 1 value');
      expect(() => decode({ ...empty, dtype: DataType.DT_STRING, stringVal: [new Uint8Array(1)] })).toThrow('string');
    }
    expect(() => decode({ dtype: DataType.DT_FLOAT, tensorShape: shape(...new Array(255).fill(1)) })).toThrow(
      'more than 254 dimensions',
    );
  });

  it('is refused if it is beyond what a number can count', () => {
    // dim { size: 2^53 }, a varint of eight bytes.
    const size = [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    expect(() => decodeTensor(Uint8Array.from([0x08, 1, 0x12, 11, 0x12, 9, ...size]))).toThrow('a dimension of 9007');
  });

  it('is that of an empty tensor if it is absent and there are no values', () => {
    expect(decode({})).toEqual({ dtype: 'float32', shape: [0], data: new Float32Array(0) });
    expect(decode({ dtype: DataType.DT_FLOAT })).toEqual({ dtype: 'float32', shape: [0], data: new Float32Array(0) });
    expect(decode({ dtype: DataType.DT_STRING })).toEqual({ dtype: 'string', shape: [0], data: [] });
  });
});

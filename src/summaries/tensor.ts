/**
 * TensorProto, in both directions. Writers put numbers into `tensor_content` and strings into `string_val`; the reader also
 * takes tensors whose elements are stored one by one, checks what they claim before it allocates anything, and returns typed
 * arrays.
 * Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/tensor.proto
 */
import { toLittleEndian } from '../encoding/bytes.js';
import { WireReader, WireType } from '../encoding/protobuf.js';
import type { TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { type NumericData, type TensorLayout, tensorLayouts, tensorTypeName } from './tensor-types.js';

const { DataType } = tensorboard;
const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder();

/** A float32 tensor. Both of TensorBoard's loaders draw scalars and PR curves of this type only. */
export function floatTensor(values: ArrayLike<number>, shape: readonly number[]): tensorboard.ITensorProto {
  return numericTensor(DataType.DT_FLOAT, toLittleEndian(Float32Array.from(values)), shape);
}

/** A float64 tensor; the values must not change before it is encoded. */
export function doubleTensor(values: Float64Array, shape: readonly number[]): tensorboard.ITensorProto {
  return numericTensor(DataType.DT_DOUBLE, toLittleEndian(values), shape);
}

/** An int32 tensor. */
export function int32Tensor(values: ArrayLike<number>, shape: readonly number[]): tensorboard.ITensorProto {
  return numericTensor(DataType.DT_INT32, toLittleEndian(Int32Array.from(values)), shape);
}

/** A uint8 tensor. */
export function uint8Tensor(values: ArrayLike<number>, shape: readonly number[]): tensorboard.ITensorProto {
  return numericTensor(DataType.DT_UINT8, Uint8Array.from(values), shape);
}

/** A tensor of strings: text is encoded as UTF-8, bytes are stored as they are. */
export function stringTensor(
  strings: readonly (string | Uint8Array)[],
  shape: readonly number[],
): tensorboard.ITensorProto {
  return {
    dtype: DataType.DT_STRING,
    tensorShape: shapeProto(shape),
    stringVal: strings.map((text) => (typeof text === 'string' ? utf8Encoder.encode(text) : text)),
  };
}

function numericTensor(
  dtype: tensorboard.DataType,
  tensorContent: Uint8Array,
  shape: readonly number[],
): tensorboard.ITensorProto {
  return { dtype, tensorShape: shapeProto(shape), tensorContent };
}

function shapeProto(shape: readonly number[]): tensorboard.ITensorShapeProto {
  return { dim: shape.map((size) => ({ size })) };
}

/** The text in one string of a tensor; what is not UTF-8 becomes U+FFFD. */
export function textOf(bytes: Uint8Array): string {
  return utf8Decoder.decode(bytes);
}

/** Whether a tensor of this type holds real numbers. */
export function isNumeric(dtype: string): boolean {
  return /^(u?int|b?float|bool)/.test(dtype);
}

/**
 * A tensor may store one value for all its elements. It is repeated at most this often, so that a few bytes that claim a
 * giant shape allocate nothing.
 */
const maxRepeated = 2 ** 20;
/** More strings in one tensor are refused: two bytes of a file suffice for a string that takes a hundred in memory. */
const maxStrings = 2 ** 20;
/** TensorFlow's own limit. Source: tensorflow/core/framework/tensor_shape.h (MaxDimensions). */
const maxDimensions = 254;

const empty: Uint8Array = new Uint8Array(0);

/** The tensor that a summary without any value is read as. */
export function nullTensor(): TensorValue {
  return { dtype: 'float32', shape: [0], data: new Float32Array(0) };
}

/**
 * Decodes a TensorProto from an untrusted source. Its elements are counted before anything is allocated for them, and numbers
 * are read directly into a typed array: protobufjs would hold each in an object or an array slot first, so that a small file
 * could take many times its size.
 *
 * Strings, and the stored bytes of types without a typed array, are views of `bytes`.
 *
 * @throws RangeError if it is not a TensorProto, a dimension is negative, or the shape does not match the number of elements
 * stored
 */
export function decodeTensor(bytes: Uint8Array): TensorValue {
  const wire = new WireReader();
  const { dtype, shape, content } = readFrame(wire, bytes);
  if (dtype === DataType.DT_STRING) return decodeStrings(wire, bytes, shape);
  const layout = tensorLayouts.get(dtype);
  if (!layout) {
    if (dtype === DataType.DT_INVALID && content.length === 0) return nullTensor();
    return { dtype: tensorTypeName(dtype), shape, data: content };
  }
  const { name } = layout;
  const elements = countElements(shape);
  if (content.length > 0) {
    if (elements * layout.bytes === content.length) return { dtype: name, shape, data: layout.fromContent(content) };
    throw new RangeError(`a ${name} tensor of ${describeShape(shape)} with ${content.length} bytes of content`);
  }
  const stored = countValues(wire, bytes, layout);
  // Writers of summaries without values leave out the shape as well.
  if (stored === 0 && shape.length === 0) return { dtype: name, shape: [0], data: layout.allocate(0) };
  if (stored !== elements) checkRepeat(name, shape, elements, stored);
  return { dtype: name, shape, data: readValues(wire, bytes, layout, elements) };
}

interface Frame {
  dtype: number;
  shape: number[];
  content: Uint8Array;
}

/** Reads everything of a TensorProto except the elements that are stored one by one. */
function readFrame(wire: WireReader, bytes: Uint8Array): Frame {
  let dtype = 0;
  let content: Uint8Array = empty;
  const shape: number[] = [];
  wire.open(bytes, 0, bytes.length);
  while (wire.field()) {
    if (wire.number === 1 && wire.wireType === WireType.varint) {
      wire.varint();
      dtype = wire.low;
    } else if (wire.number === 2 && wire.wireType === WireType.bytes) {
      wire.range();
      const { position } = wire;
      readShape(wire, bytes, wire.rangeStart, wire.rangeEnd, shape);
      wire.open(bytes, position, bytes.length);
    } else if (wire.number === 4 && wire.wireType === WireType.bytes) {
      wire.range();
      content = bytes.subarray(wire.rangeStart, wire.rangeEnd);
    } else {
      wire.skip();
    }
  }
  return { dtype, shape, content };
}

/** Appends the dimensions of a TensorShapeProto. */
function readShape(wire: WireReader, bytes: Uint8Array, start: number, end: number, shape: number[]): void {
  wire.open(bytes, start, end);
  while (wire.field()) {
    if (wire.number !== 2 || wire.wireType !== WireType.bytes) {
      wire.skip();
      continue;
    }
    wire.range();
    const { position } = wire;
    if (shape.length === maxDimensions) throw new RangeError(`a tensor of more than ${maxDimensions} dimensions`);
    shape.push(readDimension(wire, bytes, wire.rangeStart, wire.rangeEnd));
    wire.open(bytes, position, end);
  }
}

function readDimension(wire: WireReader, bytes: Uint8Array, start: number, end: number): number {
  let size = 0;
  wire.open(bytes, start, end);
  while (wire.field()) {
    if (wire.number === 1 && wire.wireType === WireType.varint) {
      wire.varint();
      size = (wire.high | 0) * 2 ** 32 + wire.low;
    } else {
      wire.skip();
    }
  }
  if (size < 0 || !Number.isSafeInteger(size)) throw new RangeError(`a tensor with a dimension of ${size}`);
  return size;
}

/** Counts the elements that are stored one by one; proto3 packs them, older writers may not. */
function countValues(wire: WireReader, bytes: Uint8Array, layout: TensorLayout): number {
  const { field, wireType } = layout;
  const width = wireType === WireType.fixed32 ? 4 : 8;
  let count = 0;
  wire.open(bytes, 0, bytes.length);
  while (wire.field()) {
    const matches = wire.number === field;
    const packed = wire.wireType === WireType.bytes;
    if (matches && wire.wireType === wireType) count++;
    wire.skip();
    if (!matches || !packed) continue;
    if (wireType !== WireType.varint) {
      count += Math.floor((wire.rangeEnd - wire.rangeStart) / width);
    } else {
      for (let at = wire.rangeStart; at < wire.rangeEnd; at++) if (bytes[at] < 0x80) count++;
    }
  }
  return count;
}

/** Reads the elements that are stored one by one; a single one fills the tensor. */
function readValues(wire: WireReader, bytes: Uint8Array, layout: TensorLayout, elements: number): NumericData {
  const { field, wireType } = layout;
  const values = layout.allocate(elements);
  let read = 0;
  wire.open(bytes, 0, bytes.length);
  while (wire.field()) {
    if (wire.number !== field) {
      wire.skip();
    } else if (wire.wireType === wireType) {
      values[read++] = layout.read(wire);
    } else if (wire.wireType === WireType.bytes) {
      wire.range();
      const { position } = wire;
      wire.open(bytes, wire.rangeStart, wire.rangeEnd);
      while (wire.position < wire.end) values[read++] = layout.read(wire);
      wire.open(bytes, position, bytes.length);
    } else {
      wire.skip();
    }
  }
  return read === 1 && elements > 1 ? (values.fill(values[0] as never) as NumericData) : values;
}

function decodeStrings(wire: WireReader, bytes: Uint8Array, shape: number[]): TensorValue {
  const strings: Uint8Array[] = [];
  wire.open(bytes, 0, bytes.length);
  while (wire.field()) {
    const isString = wire.number === 8 && wire.wireType === WireType.bytes;
    wire.skip();
    if (!isString) continue;
    if (strings.length === maxStrings) throw new RangeError(`a tensor of more than ${maxStrings} strings`);
    strings.push(bytes.subarray(wire.rangeStart, wire.rangeEnd));
  }
  const elements = countElements(shape);
  if (strings.length === elements) return { dtype: 'string', shape, data: strings };
  if (strings.length === 0 && shape.length === 0) return { dtype: 'string', shape: [0], data: [] };
  checkRepeat('string', shape, elements, strings.length);
  return { dtype: 'string', shape, data: new Array<Uint8Array>(elements).fill(strings[0]) };
}

/** Accepts a single value for all elements; any other mismatch is an error, as it is for TensorBoard. */
function checkRepeat(name: string, shape: number[], elements: number, stored: number): void {
  if (stored === 1 && elements <= maxRepeated) return;
  throw new RangeError(`a ${name} tensor of ${describeShape(shape)} with ${stored} value${stored === 1 ? '' : 's'}`);
}

/** The product of a shape; Infinity, instead of an inexact number, if it is beyond 2^53. */
function countElements(shape: readonly number[]): number {
  if (shape.includes(0)) return 0;
  let elements = 1;
  for (const length of shape) elements *= length;
  return Number.isSafeInteger(elements) ? elements : Infinity;
}

function describeShape(shape: readonly number[]): string {
  const shown = shape.slice(0, 8).join(', ');
  return `shape [${shown}${shape.length > 8 ? `, ... ${shape.length} dimensions` : ''}]`;
}

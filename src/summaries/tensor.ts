/**
 * TensorProto, in both directions. Writers put numbers into `tensor_content` and strings into `string_val`; the reader also
 * takes tensors whose elements are stored one by one, checks what they claim before it allocates anything, and returns typed
 * arrays.
 * Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/tensor.proto
 */
import { lazy, toLittleEndian, utf8Encoder } from '../encoding/bytes.js';
import { WireReader, WireType } from '../encoding/protobuf.js';
import { describe } from '../errors.js';
import type { TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import type { NumericArray } from './numbers.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { type NumericData, type TensorLayout, tensorLayouts, tensorTypeName, valueFields } from './tensor-types.js';

const DataType = tensorboard.DataType;
const utf8Decoder = /* @__PURE__ */ lazy(() => new TextDecoder());

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
    stringVal: strings.map((text) => (typeof text === 'string' ? utf8Encoder().encode(text) : text)),
  };
}

/** Options of addTensor. */
export interface TensorOptions {
  /** Name of the plugin that the tensor is for. Default: 'tensor', as torch's `add_tensor` has it, which no page shows. */
  plugin?: string;
  /** What the plugin is told about the tag: text or bytes. It counts on the tag's first event in a file. */
  content?: string | Uint8Array;
}

/** @throws TypeError if an option is of the wrong type */
export function checkTensorOptions({ plugin, content }: TensorOptions, call: string): void {
  if (plugin !== undefined && (typeof plugin !== 'string' || plugin === '')) {
    throw new TypeError(`${call}: expected plugin to be a non-empty string, got ${describe(plugin)}`);
  }
  if (content !== undefined && typeof content !== 'string' && !(content instanceof Uint8Array)) {
    throw new TypeError(`${call}: expected content to be text or a Uint8Array, got ${describe(content)}`);
  }
}

/** A tensor for a plugin of one's own, of the numbers' type; booleans become uint8. Both loaders keep its tag. */
export function tensorSummary(
  { values, shape, dtype }: NumericArray,
  { plugin = 'tensor', content }: TensorOptions = {},
): PluginSummary {
  const isFloat = dtype === 'float32' || dtype === 'float64';
  const tensor = isFloat
    ? dtype === 'float64'
      ? doubleTensor(Float64Array.from(values), shape)
      : floatTensor(values, shape)
    : dtype === 'int32'
      ? int32Tensor(values, shape)
      : uint8Tensor(values, shape);
  const bytes = typeof content === 'string' ? utf8Encoder().encode(content) : content;
  return { plugin, dataClass: DataClass.tensor, tensor, ...(bytes === undefined ? {} : { content: bytes }) };
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
  return utf8Decoder().decode(bytes);
}

/** Whether a tensor of this type holds real numbers. */
export function isNumeric(dtype: string): boolean {
  return /^(u?int|b?float|bool)/.test(dtype);
}

/**
 * A tensor may store one element that stands for all. It is repeated at most this often, and only when it is asked for if
 * that is more than `maxFilled` times: a few bytes that claim a giant shape allocate nothing.
 */
const maxRepeated = 2 ** 20;
const maxFilled = 128;
/** More strings in one tensor are refused: two bytes of a file suffice for a string that takes a hundred in memory. */
const maxStrings = 2 ** 18;
/** TensorFlow's own limit. Source: tensorflow/core/framework/tensor_shape.h (MaxDimensions). */
const maxDimensions = 254;

/** Number of the field string_val. */
const stringVal = 8;

const empty: Uint8Array = new Uint8Array(0);

const noNumbers = new Float32Array(0);

/** The tensor that a summary without any value is read as. */
export function nullTensor(): TensorValue {
  return { dtype: 'float32', shape: [0], data: noNumbers };
}

/**
 * Decodes a TensorProto from an untrusted source, as TensorBoard's `make_ndarray` does. Its elements are counted before
 * anything is allocated for them, and numbers are read directly into a typed array: a codec would hold each in an object
 * or an array slot first, so that a small file could take many times its size.
 * Source: https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/util/tensor_util.py (make_ndarray)
 *
 * Strings are views of `bytes`.
 *
 * @throws MalformedMessageError if it is not a TensorProto; RangeError if it is one whose type has no decoding, whose shape
 * does not match the number of elements stored, or whose elements do not fit its type
 */
export function decodeTensor(bytes: Uint8Array): TensorValue {
  const wire = new WireReader();
  const frame = readFrame(wire, bytes);
  const { dtype, content } = frame;
  const elements = countElements(frame);
  if (dtype === DataType.DT_STRING) return decodeStrings(wire, bytes, frame, elements);
  const layout = tensorLayouts.get(dtype);
  if (!layout) {
    if (dtype === DataType.DT_INVALID && isAbsent(frame)) return nullTensor();
    throw new RangeError(`a tensor of type ${tensorTypeName(dtype)}, which has no decoding`);
  }
  const { name } = layout;
  if (content.length > 0) {
    if (elements * layout.bytes !== content.length) throw mismatch(frame, name, `${content.length} bytes of content`);
    return { dtype: name, shape: frame.shape, data: layout.fromContent(content) };
  }
  const isStored = (number: number) => elements > 0 && (frame.fields & (1 << number)) !== 0;
  const field = layout.fields.find(isStored) ?? layout.fields[0];
  const numbers = countNumbers(wire, bytes, layout, field);
  if (isAbsent(frame)) return { dtype: name, shape: [0], data: layout.allocate(0) };
  checkCount(frame, name, elements, numbers / layout.numbers);
  const { shape } = frame;
  const data = readElements(wire, bytes, layout, field, numbers);
  return numbers === elements * layout.numbers
    ? { dtype: name, shape, data }
    : repeated(name, shape, elements, () => fill(data, elements));
}

/** The tensors whose elements are not there before they are asked for. */
const unfilled = new WeakSet<TensorValue>();

/** Whether a tensor stores one element for so many that they are not there before they are asked for. */
export function isUnfilled(tensor: TensorValue): boolean {
  return unfilled.has(tensor);
}

/** A tensor of equal elements. @param make makes all of them */
function repeated(dtype: string, shape: number[], elements: number, make: () => TensorValue['data']): TensorValue {
  if (elements <= maxFilled) return { dtype, shape, data: make() };
  let made: TensorValue['data'] | undefined;
  const tensor: TensorValue = {
    dtype,
    shape,
    get data() {
      made ??= make();
      return made;
    },
  };
  unfilled.add(tensor);
  return tensor;
}

/** The numbers of one element as often as a tensor has elements. */
function fill(element: NumericData, elements: number): NumericData {
  const all = new (element.constructor as new (length: number) => NumericData)(elements * element.length);
  for (let at = 0; at < all.length; at++) all[at] = element[at % element.length];
  return all;
}

/** What a TensorProto says of its elements. */
interface Frame {
  dtype: number;
  /** The length of each dimension; those beyond `maxDimensions` are left out. */
  shape: number[];
  /** The number of dimensions. */
  dimensions: number;
  content: Uint8Array;
  /** A bit for the number of each field that holds elements one by one. */
  fields: number;
}

/** Reads everything of a TensorProto except the elements that are stored one by one. */
function readFrame(wire: WireReader, bytes: Uint8Array): Frame {
  const frame: Frame = { dtype: 0, shape: [], dimensions: 0, content: empty, fields: 0 };
  wire.open(bytes, 0, bytes.length);
  while (wire.field()) {
    if (wire.number === 1 && wire.wireType === WireType.varint) {
      wire.varint();
      frame.dtype = wire.low;
    } else if (wire.number === 2 && wire.wireType === WireType.bytes) {
      wire.range();
      const { position } = wire;
      readShape(wire, bytes, wire.rangeStart, wire.rangeEnd, frame);
      wire.open(bytes, position, bytes.length);
    } else if (wire.number === 4 && wire.wireType === WireType.bytes) {
      wire.range();
      frame.content = bytes.subarray(wire.rangeStart, wire.rangeEnd);
    } else {
      const { number, wireType } = wire;
      wire.skip();
      const isEmpty = wireType === WireType.bytes && wire.rangeStart === wire.rangeEnd && number !== stringVal;
      if (number in valueFields && !isEmpty) frame.fields |= 1 << number;
    }
  }
  return frame;
}

/** Appends the dimensions of a TensorShapeProto. */
function readShape(wire: WireReader, bytes: Uint8Array, start: number, end: number, frame: Frame): void {
  wire.open(bytes, start, end);
  while (wire.field()) {
    if (wire.number !== 2 || wire.wireType !== WireType.bytes) {
      wire.skip();
      continue;
    }
    wire.range();
    const { position } = wire;
    const size = readDimension(wire, bytes, wire.rangeStart, wire.rangeEnd);
    if (frame.dimensions < maxDimensions) frame.shape.push(size);
    frame.dimensions++;
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
  return size;
}

/** Counts the numbers that are stored one by one in a field; proto3 packs them, older writers may not. */
function countNumbers(wire: WireReader, bytes: Uint8Array, { wireType }: TensorLayout, field: number): number {
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

/** Reads the numbers that are stored one by one in a field. */
function readElements(
  wire: WireReader,
  bytes: Uint8Array,
  layout: TensorLayout,
  field: number,
  numbers: number,
): NumericData {
  const { isExact, wireType } = layout;
  const stored = layout.allocate(numbers);
  let count = 0;
  const readNext = () => {
    const value = layout.read(wire, field);
    stored[count] = value;
    if (isExact && stored[count] !== value && count < stored.length) {
      throw new RangeError(`a ${layout.name} tensor with the value ${value}`);
    }
    count++;
  };
  wire.open(bytes, 0, bytes.length);
  while (wire.field()) {
    if (wire.number !== field) {
      wire.skip();
    } else if (wire.wireType === wireType) {
      readNext();
    } else if (wire.wireType === WireType.bytes) {
      wire.range();
      const { position } = wire;
      wire.open(bytes, wire.rangeStart, wire.rangeEnd);
      while (wire.position < wire.end) readNext();
      wire.open(bytes, position, bytes.length);
    } else {
      wire.skip();
    }
  }
  return layout.convert?.(stored) ?? stored;
}

function decodeStrings(wire: WireReader, bytes: Uint8Array, frame: Frame, elements: number): TensorValue {
  if (frame.content.length > 0) throw mismatch(frame, 'string', `${frame.content.length} bytes of content`);
  const strings: Uint8Array[] = [];
  wire.open(bytes, 0, bytes.length);
  while (wire.field()) {
    const isString = wire.number === stringVal && wire.wireType === WireType.bytes;
    wire.skip();
    if (!isString) continue;
    if (strings.length === maxStrings) throw new RangeError(`a tensor of more than ${maxStrings} strings`);
    strings.push(bytes.subarray(wire.rangeStart, wire.rangeEnd));
  }
  const { shape } = frame;
  if (isAbsent(frame)) return { dtype: 'string', shape: [0], data: [] };
  checkCount(frame, 'string', elements, strings.length);
  if (strings.length === elements) return { dtype: 'string', shape, data: strings };
  return repeated('string', shape, elements, () => new Array<Uint8Array>(elements).fill(strings[0]));
}

/** Whether a tensor holds nothing at all: writers of summaries without values leave out the shape as well. */
function isAbsent({ content, dimensions, fields }: Frame): boolean {
  return dimensions === 0 && content.length === 0 && fields === 0;
}

/** Accepts a single value for all elements; any other mismatch is an error, as it is for TensorBoard. */
function checkCount(frame: Frame, name: string, elements: number, stored: number): void {
  if (stored === elements || (stored === 1 && elements <= maxRepeated)) return;
  const others = Object.entries(valueFields).flatMap(([field, label]) =>
    frame.fields & (1 << Number(field)) ? label : [],
  );
  const found = stored === 0 && others.length > 0 ? `, and others in ${others.join(' and ')}` : '';
  throw mismatch(frame, name, `${stored} value${stored === 1 ? '' : 's'}${found}`);
}

/**
 * The product of a shape; Infinity, instead of an inexact number, if it is beyond 2^53.
 *
 * @throws RangeError if it is no shape
 */
function countElements({ dimensions, shape }: Frame): number {
  if (dimensions > maxDimensions) throw new RangeError(`a tensor of more than ${maxDimensions} dimensions`);
  let elements = 1;
  for (const length of shape) {
    if (length < 0 || !Number.isSafeInteger(length)) throw new RangeError(`a tensor with a dimension of ${length}`);
    elements *= length;
  }
  if (shape.includes(0)) return 0;
  return Number.isSafeInteger(elements) ? elements : Infinity;
}

function mismatch({ shape }: Frame, name: string, stored: string): RangeError {
  const shown = shape.slice(0, 8).join(', ');
  const rest = shape.length > 8 ? `, ... ${shape.length} dimensions` : '';
  return new RangeError(`a ${name} tensor of shape [${shown}${rest}] with ${stored}`);
}

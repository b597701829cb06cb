/** The table of TensorFlow's data types: how the elements of each are stored in a TensorProto, and what it is called. */
import { fromLittleEndian } from '../encoding/bytes.js';
import { fromBfloat16, fromHalf } from '../encoding/half-precision.js';
import { type WireReader, WireType } from '../encoding/protobuf.js';
import type { TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';

const DataType = tensorboard.DataType;

/** The typed arrays that a tensor's numbers are read into. */
export type NumericData = Exclude<TensorValue['data'], Uint8Array[]>;

/** How the elements of one DataType are stored in a TensorProto. */
export interface TensorLayout {
  /** TensorFlow's name of the type. */
  readonly name: string;
  /** Bytes of one element in `tensor_content`. */
  readonly bytes: number;
  /** Numbers that make one element: 2 for the real and the imaginary part of a complex number, otherwise 1. */
  readonly numbers: number;
  /**
   * Numbers of the TensorProto fields that may hold elements one by one. The first one that is not empty counts: torch has
   * integers in a field of the right width and the other sign.
   */
  readonly fields: readonly number[];
  /** Wire type of one such number. */
  readonly wireType: number;
  /** Converts `tensor_content`: little-endian elements of `bytes` bytes each. */
  fromContent(content: Uint8Array): NumericData;
  /** Allocates memory for numbers that are stored one by one. */
  allocate(count: number): NumericData;
  /**
   * Reads one number stored in one of `fields`.
   *
   * @param field the one it is stored in
   */
  read(wire: WireReader, field: number): number | bigint;
  /** Whether a number that the typed array cannot hold is an error. Otherwise it is rounded. */
  readonly isExact: boolean;
  /** Converts what `read` has returned, in the memory that `allocate` has returned. */
  convert?(stored: NumericData): NumericData;
}

/** The fields of TensorProto that hold elements one by one, by number. */
export const valueFields: Readonly<Record<number, string>> = {
  5: 'float_val',
  6: 'double_val',
  7: 'int_val',
  8: 'string_val',
  9: 'scomplex_val',
  10: 'int64_val',
  11: 'bool_val',
  12: 'dcomplex_val',
  13: 'half_val',
  14: 'resource_handle_val',
  15: 'variant_val',
  16: 'uint32_val',
  17: 'uint64_val',
  18: 'float8_val',
};

const intVal = 7;
const int64Val = 10;
const uint32Val = 16;
const uint64Val = 17;

interface TypedArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): NumericData;
  new (buffer: ArrayBuffer): NumericData;
}

/** Types whose elements are those of a typed array. */
function numbersIn(
  view: TypedArrayConstructor,
  name: string,
  fields: readonly number[],
  wireType: number,
  read: TensorLayout['read'],
  numbers = 1,
): TensorLayout {
  const width = view.BYTES_PER_ELEMENT;
  return {
    name,
    bytes: width * numbers,
    numbers,
    fields,
    wireType,
    fromContent: (content) => new view(fromLittleEndian(content, width)),
    allocate: (count) => new view(count),
    read,
    isExact: wireType === WireType.varint,
  };
}

/** Integers of at most 32 bits, of which int_val holds all but uint32. */
function integers(view: TypedArrayConstructor, name: string): TensorLayout {
  return numbersIn(view, name, [intVal, uint32Val], WireType.varint, readInt32);
}

function sixteenBitFloats(name: string, toNumber: (bits: number) => number): TensorLayout {
  return {
    name,
    bytes: 2,
    numbers: 1,
    fields: [13],
    wireType: WireType.varint,
    fromContent: (content) => Float32Array.from(new Uint16Array(fromLittleEndian(content, 2)), toNumber),
    allocate: (count) => new Uint32Array(count),
    read: readUint32,
    isExact: false,
    convert: (stored) => fromHalfVal(stored as Uint32Array, toNumber),
  };
}

/**
 * Converts the elements of a half_val: 16 bits each, with or without a sign, as TensorFlow writes and reads them; or the 32
 * bits of the float32 of the same value, as torch writes them. Of a number but zero those never fit into 16 bits.
 * Sources: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/tensor.cc (Helper of half_val),
 * https://github.com/pytorch/pytorch/blob/main/torch/utils/tensorboard/summary.py (_tensor_to_half_val)
 */
function fromHalfVal(stored: Uint32Array, toNumber: (bits: number) => number): Float32Array {
  const floats = new Float32Array(stored.buffer);
  // The bits are those of float32 already.
  if (stored.some((bits) => bits > 0xffff && bits < 0xffff8000)) return floats;
  for (let at = 0; at < stored.length; at++) floats[at] = toNumber(stored[at] & 0xffff);
  return floats;
}

function readFloat(wire: WireReader): number {
  return wire.float();
}

function readDouble(wire: WireReader): number {
  return wire.double();
}

function readUint32(wire: WireReader): number {
  wire.varint();
  return wire.low;
}

function readInt32(wire: WireReader, field: number): number {
  wire.varint();
  return field === uint32Val ? wire.low : wire.low | 0;
}

function readInt64(wire: WireReader, field: number): bigint {
  wire.varint();
  const high = field === uint64Val ? wire.high : wire.high | 0;
  return (BigInt(high) << 32n) | BigInt(wire.low);
}

function readBool(wire: WireReader): number {
  wire.varint();
  return wire.low === 0 && wire.high === 0 ? 0 : 1;
}

/**
 * By DataType. Strings, and types without a typed array, have no row. Sources:
 * https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/types.proto and tensor.proto
 */
export const tensorLayouts: ReadonlyMap<number, TensorLayout> = new Map([
  [DataType.DT_FLOAT, numbersIn(Float32Array, 'float32', [5], WireType.fixed32, readFloat)],
  [DataType.DT_DOUBLE, numbersIn(Float64Array, 'float64', [6], WireType.fixed64, readDouble)],
  [DataType.DT_COMPLEX64, numbersIn(Float32Array, 'complex64', [9], WireType.fixed32, readFloat, 2)],
  [DataType.DT_COMPLEX128, numbersIn(Float64Array, 'complex128', [12], WireType.fixed64, readDouble, 2)],
  [DataType.DT_INT32, integers(Int32Array, 'int32')],
  [DataType.DT_INT16, integers(Int16Array, 'int16')],
  [DataType.DT_INT8, integers(Int8Array, 'int8')],
  [DataType.DT_UINT16, integers(Uint16Array, 'uint16')],
  [DataType.DT_UINT8, integers(Uint8Array, 'uint8')],
  [DataType.DT_QINT32, integers(Int32Array, 'qint32')],
  [DataType.DT_QINT16, integers(Int16Array, 'qint16')],
  [DataType.DT_QINT8, integers(Int8Array, 'qint8')],
  [DataType.DT_QUINT16, integers(Uint16Array, 'quint16')],
  [DataType.DT_QUINT8, integers(Uint8Array, 'quint8')],
  [DataType.DT_UINT32, numbersIn(Uint32Array, 'uint32', [uint32Val, intVal], WireType.varint, readInt32)],
  [DataType.DT_INT64, numbersIn(BigInt64Array, 'int64', [int64Val, uint64Val], WireType.varint, readInt64)],
  [DataType.DT_UINT64, numbersIn(BigUint64Array, 'uint64', [uint64Val, int64Val], WireType.varint, readInt64)],
  [
    DataType.DT_BOOL,
    {
      ...numbersIn(Uint8Array, 'bool', [11], WireType.varint, readBool),
      fromContent: (content: Uint8Array) => content.map((byte) => (byte === 0 ? 0 : 1)),
    },
  ],
  [DataType.DT_HALF, sixteenBitFloats('float16', fromHalf)],
  [DataType.DT_BFLOAT16, sixteenBitFloats('bfloat16', fromBfloat16)],
]);

/** TensorFlow's name of a type without a row: 'resource' for DT_RESOURCE, 'type 99' for an unknown one. */
export function tensorTypeName(dtype: number): string {
  const name = DataType[dtype] as string | undefined;
  return name === undefined ? `type ${dtype}` : name.slice('DT_'.length).toLowerCase();
}

/** The DataType of a name as TensorFlow.js and Keras use it; undefined if the name is none. */
export function dataTypeOf(name: unknown): tensorboard.DataType | undefined {
  if (name === 'string') return DataType.DT_STRING;
  return [...tensorLayouts].find(([, layout]) => layout.name === name)?.[0];
}

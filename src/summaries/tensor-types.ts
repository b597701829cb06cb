/** The table of TensorFlow's data types: how the elements of each are stored in a TensorProto, and what it is called. */
import { fromLittleEndian } from '../encoding/bytes.js';
import { type WireReader, WireType } from '../encoding/protobuf.js';
import type { TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';

const { DataType } = tensorboard;

/** The typed arrays that a tensor's numbers are read into. */
export type NumericData = Exclude<TensorValue['data'], Uint8Array[]>;

/** How the elements of one DataType are stored in a TensorProto. */
export interface TensorLayout {
  /** TensorFlow's name of the type. */
  readonly name: string;
  /** Bytes of one element in `tensor_content`. */
  readonly bytes: number;
  /** Number of the TensorProto field that holds elements one by one. */
  readonly field: number;
  /** Wire type of one such element. */
  readonly wireType: number;
  /** Converts `tensor_content`: little-endian elements of `bytes` bytes each. */
  fromContent(content: Uint8Array): NumericData;
  /** Allocates memory for elements that are stored one by one. */
  allocate(elements: number): NumericData;
  /** Reads one element stored in `field`. */
  read(wire: WireReader): number | bigint;
}

/** IEEE 754 binary16 to number. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const word = new DataView(new ArrayBuffer(4));

/** bfloat16, the upper half of a float32, to number. */
function fromBfloat16(bits: number): number {
  word.setUint32(0, (bits & 0xffff) * 0x10000);
  return word.getFloat32(0);
}

interface TypedArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): NumericData;
  new (buffer: ArrayBuffer): NumericData;
}

function layout(
  name: string,
  view: TypedArrayConstructor,
  field: number,
  wireType: number,
  read: TensorLayout['read'],
): TensorLayout {
  const bytes = view.BYTES_PER_ELEMENT;
  return {
    name,
    bytes,
    field,
    wireType,
    fromContent: (content) => new view(fromLittleEndian(content, bytes)),
    allocate: (elements) => new view(elements),
    read,
  };
}

function sixteenBitFloats(name: string, toNumber: (bits: number) => number): TensorLayout {
  return {
    name,
    bytes: 2,
    field: 13,
    wireType: WireType.varint,
    fromContent: (content) => Float32Array.from(new Uint16Array(fromLittleEndian(content, 2)), toNumber),
    allocate: (elements) => new Float32Array(elements),
    read: (wire) => toNumber(readUint32(wire)),
  };
}

function readUint32(wire: WireReader): number {
  wire.varint();
  return wire.low;
}

function readUint64(wire: WireReader): bigint {
  wire.varint();
  return (BigInt(wire.high) << 32n) | BigInt(wire.low);
}

function readBool(wire: WireReader): number {
  wire.varint();
  return wire.low === 0 && wire.high === 0 ? 0 : 1;
}

/** Field number of `int_val`, which all integers up to 32 bits but uint32 share. */
const intVal = 7;

/**
 * By DataType. Strings, and types without a typed array, have no row. Sources:
 * https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/types.proto and tensor.proto
 */
export const tensorLayouts: ReadonlyMap<number, TensorLayout> = new Map([
  [DataType.DT_FLOAT, layout('float32', Float32Array, 5, WireType.fixed32, (wire) => wire.float())],
  [DataType.DT_DOUBLE, layout('float64', Float64Array, 6, WireType.fixed64, (wire) => wire.double())],
  [DataType.DT_INT32, layout('int32', Int32Array, intVal, WireType.varint, readUint32)],
  [DataType.DT_INT16, layout('int16', Int16Array, intVal, WireType.varint, readUint32)],
  [DataType.DT_INT8, layout('int8', Int8Array, intVal, WireType.varint, readUint32)],
  [DataType.DT_UINT16, layout('uint16', Uint16Array, intVal, WireType.varint, readUint32)],
  [DataType.DT_UINT8, layout('uint8', Uint8Array, intVal, WireType.varint, readUint32)],
  [DataType.DT_UINT32, layout('uint32', Uint32Array, 16, WireType.varint, readUint32)],
  [DataType.DT_INT64, layout('int64', BigInt64Array, 10, WireType.varint, readUint64)],
  [DataType.DT_UINT64, layout('uint64', BigUint64Array, 17, WireType.varint, readUint64)],
  [DataType.DT_BOOL, layout('bool', Uint8Array, 11, WireType.varint, readBool)],
  [DataType.DT_HALF, sixteenBitFloats('float16', fromHalf)],
  [DataType.DT_BFLOAT16, sixteenBitFloats('bfloat16', fromBfloat16)],
]);

/** TensorFlow's name of a type without a row: 'complex64' for DT_COMPLEX64, 'type 99' for an unknown one. */
export function tensorTypeName(dtype: number): string {
  const name = DataType[dtype] as string | undefined;
  return name === undefined ? `type ${dtype}` : name.slice('DT_'.length).toLowerCase();
}

const typesByName = new Map([...tensorLayouts].map(([type, { name }]) => [name, type]));
typesByName.set('string', DataType.DT_STRING).set('complex64', DataType.DT_COMPLEX64);

/** The DataType of a name as TensorFlow.js and Keras use it; undefined if the name is none. */
export function dataTypeOf(name: unknown): tensorboard.DataType | undefined {
  return typesByName.get(name as string);
}

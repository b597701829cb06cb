import { tensorboard } from '../proto/tensorboard.js';

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * A TensorProto of float32 numbers in `tensor_content` (raw little-endian bytes). Both of TensorBoard's loaders draw
 * scalars and PR curves of this type only.
 */
export function floatTensor(values: ArrayLike<number>, shape: readonly number[]): tensorboard.ITensorProto {
  return {
    dtype: tensorboard.DataType.DT_FLOAT,
    tensorShape: shapeProto(shape),
    tensorContent: littleEndianBytes(Float32Array.from(values)),
  };
}

/** A TensorProto of float64 numbers in `tensor_content`; the values must not change before it is encoded. */
export function doubleTensor(values: Float64Array, shape: readonly number[]): tensorboard.ITensorProto {
  return {
    dtype: tensorboard.DataType.DT_DOUBLE,
    tensorShape: shapeProto(shape),
    tensorContent: littleEndianBytes(values),
  };
}

/** A TensorProto of int32 numbers in `tensor_content`. */
export function int32Tensor(values: ArrayLike<number>, shape: readonly number[]): tensorboard.ITensorProto {
  return {
    dtype: tensorboard.DataType.DT_INT32,
    tensorShape: shapeProto(shape),
    tensorContent: littleEndianBytes(Int32Array.from(values)),
  };
}

/** A TensorProto of uint8 numbers in `tensor_content`. */
export function uint8Tensor(values: ArrayLike<number>, shape: readonly number[]): tensorboard.ITensorProto {
  return {
    dtype: tensorboard.DataType.DT_UINT8,
    tensorShape: shapeProto(shape),
    tensorContent: Uint8Array.from(values),
  };
}

/** A TensorProto of strings: text is encoded as UTF-8, bytes go in as they are. */
export function stringTensor(
  strings: readonly (string | Uint8Array)[],
  shape: readonly number[],
): tensorboard.ITensorProto {
  return {
    dtype: tensorboard.DataType.DT_STRING,
    tensorShape: shapeProto(shape),
    stringVal: strings.map((text) => (typeof text === 'string' ? utf8.encode(text) : text)),
  };
}

const utf8 = new TextEncoder();

/** A shape as TensorBoard stores it; [] is a single value. */
export function shapeProto(shape: readonly number[]): tensorboard.ITensorShapeProto {
  return { dim: shape.map((size) => ({ size })) };
}

function littleEndianBytes(values: Float32Array | Float64Array | Int32Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (littleEndian) return bytes;
  const swapped = bytes.slice();
  const width = values.BYTES_PER_ELEMENT;
  for (let start = 0; start < swapped.length; start += width) swapped.subarray(start, start + width).reverse();
  return swapped;
}

import { tensorboard } from '../proto/tensorboard.js';

const utf8 = new TextEncoder();

/** An attribute of a graph's node, as TensorBoard shows it beside the graph: undefined where there is nothing to show. */
export function attribute(value: unknown): tensorboard.IAttrValue | undefined {
  switch (typeof value) {
    case 'string':
      return { s: utf8.encode(value) };
    case 'boolean':
      return { b: value };
    case 'number':
      return Number.isSafeInteger(value) ? { i: value } : { f: value };
  }
  if (!Array.isArray(value) || value.length === 0) return undefined;
  if (value.every((each) => Number.isSafeInteger(each))) return { list: { i: value } };
  if (value.every((each) => typeof each === 'number')) return { list: { f: value } };
  if (value.every((each) => typeof each === 'boolean')) return { list: { b: value } };
  if (value.every((each) => typeof each === 'string')) return { list: { s: value.map((each) => utf8.encode(each)) } };
  return undefined;
}

/** Shapes under the name that TensorBoard writes on edges; a length that varies (null) is -1. */
export function outputShapes(shapes: readonly (readonly (number | null)[])[]): tensorboard.IAttrValue {
  return { list: { shape: shapes.map((shape) => ({ dim: shape.map((size) => ({ size: size ?? -1 })) })) } };
}

/** The attribute that TensorBoard reads shapes from. */
export const outputShapesKey = '_output_shapes';

/** A data type by its TensorFlow.js or Keras name. */
export function dataType(dtype: unknown): tensorboard.IAttrValue | undefined {
  const types: Record<string, tensorboard.DataType> = {
    float32: tensorboard.DataType.DT_FLOAT,
    int32: tensorboard.DataType.DT_INT32,
    bool: tensorboard.DataType.DT_BOOL,
    string: tensorboard.DataType.DT_STRING,
    complex64: tensorboard.DataType.DT_COMPLEX64,
    float64: tensorboard.DataType.DT_DOUBLE,
    float16: tensorboard.DataType.DT_HALF,
    uint8: tensorboard.DataType.DT_UINT8,
    int64: tensorboard.DataType.DT_INT64,
  };
  return typeof dtype === 'string' && Object.hasOwn(types, dtype) ? { type: types[dtype] } : undefined;
}

/**
 * Nodes of a GraphDef: those of a TensorFlow.js GraphModel, read from either of the two places where it keeps its graph, and
 * the attributes that any node may have.
 */
import { utf8Encoder } from '../encoding/bytes.js';
import { tensorboard } from '../proto/tensorboard.js';
import { dataTypeOf } from './tensor-types.js';

/** What this package needs of a converted model; a TensorFlow.js GraphModel is one. */
export interface GraphModelLike {
  /** Computes the nodes named in `outputs` (default: the model's outputs). A LayersModel has no such method. */
  execute(inputs: unknown, outputs?: string | string[]): unknown;
  /** The same for models with control flow. */
  executeAsync?(inputs: unknown, outputs?: string | string[]): Promise<unknown>;
  /** Names of the nodes whose values are the model's outputs. */
  readonly outputNodes?: string[];
  /** The same for models that have no `outputNodes`. */
  readonly outputs?: {
    /** Name of the node. */
    name: string;
  }[];
  /** Tensors of the model's weights, by name of their node. */
  readonly weights?: Record<string, object[]>;
}

/** A GraphModel keeps the graph it was loaded from, in the JSON form of a GraphDef, and the graph it executes. */
interface LoadedGraph {
  artifacts?: { modelTopology?: { node?: JsonNode[] } };
  executor?: { graph?: { nodes?: Record<string, ExecutedNode> } };
}

interface JsonNode {
  name: string;
  op: string;
  input?: string[];
  device?: string;
  attr?: Record<string, Record<string, unknown>>;
}

/** A node of the graph that a GraphModel executes. */
export interface ExecutedNode {
  name: string;
  op: string;
  inputNames?: string[];
  attrParams?: Record<string, { value?: unknown }>;
}

/** Whether a model keeps its graph in one of the two places. */
export function isGraphModel(model: unknown): model is GraphModelLike {
  if (typeof model !== 'object' || model === null) return false;
  return storedNodes(model) !== undefined || executedNodes(model) !== undefined;
}

/** The operations of a GraphModel. Values of constants are left out: TensorBoard shows only types and shapes. */
export function graphModelNodes(model: GraphModelLike): tensorboard.INodeDef[] {
  const stored = storedNodes(model);
  if (stored !== undefined) return stored.map(fromJson);
  return (executedNodes(model) ?? []).map(fromExecutor);
}

function storedNodes(model: object): JsonNode[] | undefined {
  const nodes = (model as LoadedGraph).artifacts?.modelTopology?.node;
  return Array.isArray(nodes) ? nodes : undefined;
}

/** The nodes that a GraphModel executes; undefined if it holds none. */
export function executedNodes(model: object): ExecutedNode[] | undefined {
  const nodes = (model as LoadedGraph).executor?.graph?.nodes;
  return typeof nodes === 'object' && nodes !== null ? Object.values(nodes) : undefined;
}

function fromExecutor({ name, op, inputNames = [], attrParams = {} }: ExecutedNode): tensorboard.INodeDef {
  const attr: Record<string, tensorboard.IAttrValue> = {};
  for (const [key, { value }] of Object.entries(attrParams)) {
    const shown = attribute(value);
    if (shown !== undefined) attr[key] = shown;
  }
  return { name, op, input: inputNames, attr };
}

function fromJson({ name, op, input = [], device = '', attr = {} }: JsonNode): tensorboard.INodeDef {
  return {
    name,
    op,
    input,
    device,
    attr: Object.fromEntries(Object.entries(attr).map(([key, value]) => [key, attributeFromJson(value)])),
  };
}

/**
 * An attribute from protobuf's JSON form, in which bytes are base64, 64-bit integers strings and enumerations names.
 * Source: https://protobuf.dev/programming-guides/json/
 */
function attributeFromJson(value: Record<string, unknown>): tensorboard.IAttrValue {
  if ('s' in value) return { s: bytesFromJson(value.s) };
  if ('i' in value) return { i: Number(value.i) };
  if ('f' in value) return { f: Number(value.f) };
  if ('b' in value) return { b: value.b === true };
  if ('type' in value) return { type: typeFromJson(value.type) };
  if ('shape' in value) return { shape: shapeFromJson(value.shape) };
  if ('tensor' in value) return { tensor: tensorFromJson(value.tensor) };
  if ('list' in value) return { list: listFromJson(value.list) };
  return { placeholder: String(value.placeholder ?? Object.keys(value)[0] ?? '') };
}

function listFromJson(value: unknown): tensorboard.AttrValue.IListValue {
  const list = (value ?? {}) as Record<string, unknown[] | undefined>;
  return {
    s: list.s?.map(bytesFromJson),
    i: list.i?.map(Number),
    f: list.f?.map(Number),
    b: list.b?.map((each) => each === true),
    type: list.type?.map(typeFromJson),
    shape: list.shape?.map(shapeFromJson),
    tensor: list.tensor?.map(tensorFromJson),
  };
}

function bytesFromJson(value: unknown): Uint8Array {
  if (typeof value !== 'string') return Uint8Array.from((value as number[] | undefined) ?? []);
  try {
    return Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
  } catch {
    return new TextEncoder().encode(value); // some converters write the text itself
  }
}

function typeFromJson(value: unknown): tensorboard.DataType {
  if (typeof value === 'number') return value;
  return tensorboard.DataType[String(value) as keyof typeof tensorboard.DataType] ?? tensorboard.DataType.DT_INVALID;
}

function shapeFromJson(value: unknown): tensorboard.ITensorShapeProto {
  const shape = (value ?? {}) as { dim?: { size?: unknown; name?: string }[]; unknownRank?: boolean };
  return {
    dim: shape.dim?.map(({ size, name }) => ({ size: Number(size ?? 0), name: name ?? '' })),
    unknownRank: shape.unknownRank === true,
  };
}

function tensorFromJson(value: unknown): tensorboard.ITensorProto {
  const tensor = (value ?? {}) as { dtype?: unknown; tensorShape?: unknown };
  return { dtype: typeFromJson(tensor.dtype), tensorShape: shapeFromJson(tensor.tensorShape) };
}

/** A value as an attribute, which TensorBoard shows beside the graph; undefined if it cannot be shown. */
export function attribute(value: unknown): tensorboard.IAttrValue | undefined {
  switch (typeof value) {
    case 'string':
      return { s: utf8Encoder().encode(value) };
    case 'boolean':
      return { b: value };
    case 'number':
      return Number.isSafeInteger(value) ? { i: value } : { f: value };
  }
  if (!Array.isArray(value) || value.length === 0) return undefined;
  if (value.every((each) => Number.isSafeInteger(each))) return { list: { i: value } };
  if (value.every((each) => typeof each === 'number')) return { list: { f: value } };
  if (value.every((each) => typeof each === 'boolean')) return { list: { b: value } };
  if (value.every((each) => typeof each === 'string'))
    return { list: { s: value.map((each) => utf8Encoder().encode(each)) } };
  return undefined;
}

/** Shapes as the attribute `outputShapesKey`; a length that varies (null) is -1. */
export function outputShapes(shapes: readonly (readonly (number | null)[])[]): tensorboard.IAttrValue {
  return { list: { shape: shapes.map((shape) => ({ dim: shape.map((size) => ({ size: size ?? -1 })) })) } };
}

/** The name of the attribute whose shapes TensorBoard writes on edges. */
export const outputShapesKey = '_output_shapes';

/** A data type as an attribute, by its TensorFlow.js or Keras name; undefined if the name is none. */
export function dataType(name: unknown): tensorboard.IAttrValue | undefined {
  const type = dataTypeOf(name);
  return type === undefined ? undefined : { type };
}

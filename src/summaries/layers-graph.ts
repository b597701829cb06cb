/** Nodes of a GraphDef for the layers of a TensorFlow.js LayersModel, read from its configuration and from the live layers. */
import { describe } from '../errors.js';
import type { tensorboard } from '../proto/tensorboard.js';
import { attribute, dataType, outputShapes, outputShapesKey } from './graph-nodes.js';

/** The part of a TensorFlow.js LayersModel, Sequential or functional, that addGraph uses. */
export interface LayersModelLike {
  /** Called with (null, false), returns the model's configuration as an object, as tf.LayersModel does. */
  toJSON(unused?: unknown, returnString?: boolean): unknown;
  /** The model's layers. */
  readonly layers: readonly unknown[];
}

/** Whether a value has layers and a configuration. */
export function isLayersModel(model: unknown): model is LayersModelLike {
  if (typeof model !== 'object' || model === null) return false;
  const { toJSON, layers } = model as Partial<LayersModelLike>;
  return typeof toJSON === 'function' && Array.isArray(layers);
}

/** A layer in a model's configuration. */
interface LayerConfig {
  class_name: string;
  config: Record<string, unknown> & { name?: string; layers?: LayerConfig[] };
  name?: string;
  inbound_nodes?: unknown[];
}

/** Parts of a live layer that its configuration lacks. */
interface LiveLayer {
  name?: string;
  layers?: readonly LiveLayer[];
  outputShape?: unknown;
  countParams?(): number;
}

/**
 * A node for each layer of a model; the names of a nested model's layers begin with `<model>/`.
 *
 * @throws TypeError if the model's configuration lists no layers
 */
export function layersModelNodes(model: LayersModelLike, call: string): tensorboard.INodeDef[] {
  const json = model.toJSON(null, false);
  const root = (typeof json === 'string' ? JSON.parse(json) : json) as LayerConfig;
  if (!Array.isArray(root?.config?.layers)) {
    throw new TypeError(`${call}: expected a model whose toJSON() lists its layers, got ${describe(root)}`);
  }
  const nodes: tensorboard.INodeDef[] = [];
  addModel(root, '', [], model as unknown as LiveLayer, nodes);
  return nodes;
}

/**
 * Appends the nodes of a model, nested or not.
 *
 * @param calls the inputs of each call of this model by the model around it
 */
function addModel(
  model: LayerConfig,
  scope: string,
  calls: string[][],
  live: LiveLayer | undefined,
  nodes: tensorboard.INodeDef[],
): void {
  const layers = model.config.layers ?? [];
  const liveOf = (layer: LayerConfig) => live?.layers?.find(({ name }) => name === nameOf(layer));
  const add = (layer: LayerConfig, inputs: string[][]) => {
    if (layer.config.layers) addModel(layer, `${scope}${nodeName(layer)}/`, inputs, liveOf(layer), nodes);
    else nodes.push(layerNode(layer, scope, inputs.flat(), liveOf(layer)));
  };
  if (isFunctional(model)) {
    const inputNames = tensorRefs(model.config.input_layers).map(([name]) => name);
    const byName = new Map(layers.map((layer) => [nameOf(layer), layer]));
    for (const layer of layers) {
      const position = inputNames.indexOf(nameOf(layer));
      const fromOutside = position < 0 ? [] : calls.map((call) => call.slice(position, position + 1));
      const inside = (layer.inbound_nodes ?? []).map((call) =>
        tensorRefs(call).map((ref) => refTo(ref, byName, scope)),
      );
      add(layer, [...fromOutside, ...inside]);
    }
    return;
  }
  let inputs = calls;
  for (const [i, layer] of layers.entries()) {
    if (i === 0 && calls.length === 0 && layer.class_name !== 'InputLayer') {
      const input = inputNodeOf(layer, scope);
      nodes.push(input);
      inputs = [[input.name as string]];
    }
    add(layer, inputs);
    inputs = [[outputOf(layer, 0, scope)]];
  }
}

function isFunctional(model: LayerConfig): boolean {
  return Array.isArray(model.config.input_layers) && Array.isArray(model.config.output_layers);
}

/** The name of a layer's output tensor: for a nested model, that of the layer inside it which computes it. */
function outputOf(layer: LayerConfig, index: number, scope: string): string {
  const inner = layer.config.layers;
  if (!inner) return tensorName(`${scope}${nodeName(layer)}`, index);
  const innerScope = `${scope}${nodeName(layer)}/`;
  if (!isFunctional(layer))
    return inner.length === 0 ? innerScope : outputOf(inner[inner.length - 1], index, innerScope);
  const refs = tensorRefs(layer.config.output_layers);
  return refTo(refs[Math.min(index, refs.length - 1)], new Map(inner.map((each) => [nameOf(each), each])), innerScope);
}

function refTo([name, index]: [string, number], layers: ReadonlyMap<string, LayerConfig>, scope: string): string {
  const layer = layers.get(name);
  return layer ? outputOf(layer, index, scope) : tensorName(`${scope}${safe(name)}`, index);
}

/**
 * All [layer name, tensor index] in a part of the configuration, however deeply it is nested: Keras 2 and TensorFlow.js
 * write [name, node index, tensor index, kwargs], Keras 3 an object with a `keras_history` of the first three.
 */
function tensorRefs(part: unknown): [string, number][] {
  if (Array.isArray(part)) {
    const [name, node, index] = part;
    if (typeof name === 'string' && typeof node === 'number') return [[name, Number(index) || 0]];
    return part.flatMap(tensorRefs);
  }
  if (typeof part !== 'object' || part === null) return [];
  const { keras_history: history } = part as { keras_history?: unknown };
  return history === undefined ? Object.values(part).flatMap(tensorRefs) : tensorRefs(history);
}

function layerNode(
  layer: LayerConfig,
  scope: string,
  inputs: string[],
  live: LiveLayer | undefined,
): tensorboard.INodeDef {
  const attr: Record<string, tensorboard.IAttrValue> = {};
  addAttributes(layer.config, '', attr);
  const shapes = shapesOf(live);
  if (shapes !== undefined) attr[outputShapesKey] = outputShapes(shapes);
  const parameters = attempt(() => live?.countParams?.());
  if (parameters !== undefined) attr.parameters = { i: parameters };
  return { name: `${scope}${nodeName(layer)}`, op: layer.class_name, input: inputs, attr };
}

/** The input of a Sequential model, whose configuration does not name it. */
function inputNodeOf(layer: LayerConfig, scope: string): tensorboard.INodeDef {
  const shape = firstShape(layer);
  const attr: Record<string, tensorboard.IAttrValue> = {};
  if (shape !== undefined) attr[outputShapesKey] = outputShapes([shape]);
  return { name: `${scope}${nodeName(layer)}_input`, op: 'InputLayer', input: [], attr };
}

function firstShape(layer: LayerConfig): (number | null)[] | undefined {
  const shape = layer.config.batch_input_shape;
  if (Array.isArray(shape)) return shape;
  return layer.config.layers?.[0] && firstShape(layer.config.layers[0]);
}

/**
 * Adds a layer's settings as attributes. An initializer, a constraint or a wrapped layer is shown by its class; the settings
 * of a wrapped layer are added, too.
 */
function addAttributes(
  config: Record<string, unknown>,
  prefix: string,
  attr: Record<string, tensorboard.IAttrValue>,
): void {
  for (const [key, value] of Object.entries(config)) {
    if (key === 'name' || key === 'layers' || value === null) continue;
    const nested = value as { class_name?: unknown; config?: unknown };
    if (typeof nested === 'object' && typeof nested.class_name === 'string') {
      attr[`${prefix}${key}`] = attribute(nested.class_name) as tensorboard.IAttrValue;
      if (/layer|cell/.test(key) && typeof nested.config === 'object' && nested.config !== null) {
        addAttributes(nested.config as Record<string, unknown>, `${prefix}${key}.`, attr);
      }
      continue;
    }
    const shown = key === 'dtype' ? dataType(value) : key === 'batch_input_shape' ? undefined : attribute(value);
    if (shown !== undefined) attr[`${prefix}${key}`] = shown;
  }
}

function shapesOf(live: LiveLayer | undefined): (number | null)[][] | undefined {
  const shape = attempt(() => live?.outputShape); // throws if the layer is called with inputs of several shapes
  if (!Array.isArray(shape)) return undefined;
  return Array.isArray(shape[0]) ? shape : [shape];
}

/** Returns undefined if `read` throws. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function nameOf(layer: LayerConfig): string {
  return layer.name ?? layer.config.name ?? layer.class_name;
}

function nodeName(layer: LayerConfig): string {
  return safe(nameOf(layer));
}

/** Replaces colons, which would be read as a tensor's number, and carets, which would be read as control edges. */
function safe(name: string): string {
  return name.replace(/[:^]/g, '_');
}

function tensorName(node: string, index: number): string {
  return index === 0 ? node : `${node}:${index}`;
}

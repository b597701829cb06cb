import type { layers } from '@tensorflow/tfjs-layers';
import { warn } from '#platform';
import { describe, didYouMean, namesOf } from '../errors.js';
import { classNames, isModelLike, leafPaths } from '../insight/layer-graph.js';
import { passThroughClasses } from '../insight/layer-roles.js';

/** A TensorFlow.js layer. */
export type Layer = layers.Layer;

/*
 * Which layers of a model are tracked, under which names, and how their outputs are to be read.
 */

/** A layer whose output is tracked. */
export interface TrackedLayer {
  /** In tags, tables and files. */
  readonly name: string;
  readonly layer: Layer;
  /** What an output of rank 3 is: a map (N, space, C) or a sequence (N, T, C). */
  readonly kind: 'map' | 'sequence';
  /** Whether the layer is recurrent: by default, its last time step stands for the sequence. */
  readonly recurrent: boolean;
  /** How many dimensions of space a map has (1 to 3), before which steps of time may stand; 0 if that is unknown. */
  readonly spatialRank: number;
  /** Whether channels come before space. */
  readonly channelsFirst: boolean;
  /** Number of features, if an output is n x features. */
  readonly width: number | undefined;
}

/**
 * Which layers count. A list holds names, each of which keeps a layer of any kind, and regular expressions, which keep the layers
 * tracked by default that they match; a layer in a nested model is called `<model>/<layer>`, and its own name does, too. A
 * function is called for every layer that is not a model itself: `false` drops the layer, a string keeps it under that name (any
 * layer, also an activation or a normalization), and `true` keeps it if it is tracked by default.
 */
export type LayerFilter = ((layer: Layer) => boolean | string) | LayerPatterns;

/** Names of layers, and regular expressions for them. */
export type LayerPatterns = readonly (string | RegExp)[];

const convolutions = new Set([
  'Conv1D',
  'Conv2D',
  'Conv3D',
  'Conv2DTranspose',
  'Conv3DTranspose',
  'DepthwiseConv2D',
  'SeparableConv2D',
  'ConvLSTM2D',
]);
const recurrents = new Set(['RNN', 'SimpleRNN', 'GRU', 'LSTM', 'Bidirectional']);
const others = new Set(['Dense', 'Embedding']);

/** The name of the nearest class that is known here, so that a subclass counts as the class it extends. */
function knownClass(layer: Layer): string | undefined {
  return classNames(layer).find(
    (name) =>
      convolutions.has(name) ||
      recurrents.has(name) ||
      others.has(name) ||
      passThroughClasses.has(name) ||
      name === 'TimeDistributed',
  );
}

/** The class by which a layer's output is read: for TimeDistributed, the class of the layer it wraps. */
function outputClass(layer: Layer): string | undefined {
  const name = knownClass(layer);
  const inner = (layer as { layer?: Layer }).layer;
  return name === 'TimeDistributed' && inner !== undefined ? outputClass(inner) : name;
}

/**
 * Whether a layer has directions of its own to count: dense, convolutional, recurrent and embedding layers, their
 * subclasses and wrappers, and custom layers that hold weights.
 */
function isTrackedByDefault(layer: Layer): boolean {
  const name = outputClass(layer);
  if (name === undefined) return layer.weights.length > 0;
  return !passThroughClasses.has(name);
}

function trackedLayer(name: string, layer: Layer): TrackedLayer {
  const className = outputClass(layer) ?? '';
  return {
    name,
    layer,
    kind: convolutions.has(className) ? 'map' : 'sequence',
    recurrent: recurrents.has(className) && knownClass(layer) !== 'TimeDistributed',
    spatialRank: Number(/([123])D/.exec(className)?.[1] ?? 0),
    channelsFirst: (layer as { dataFormat?: string }).dataFormat === 'channelsFirst',
    width: widthOf(layer),
  };
}

function widthOf(layer: Layer): number | undefined {
  let shape: unknown;
  try {
    shape = layer.outputShape;
  } catch {
    return undefined; // not built yet, or of several inputs
  }
  const width: unknown = Array.isArray(shape) && shape.length === 2 ? shape[1] : undefined;
  return typeof width === 'number' ? width : undefined;
}

/**
 * The layers of a model (or of a list of layers and models) to track, in the order in which data passes them. The name of
 * a layer in a nested model is `<model>/<layer>`; a name that occurs again gets `_2`, `_3`, ...
 *
 * @param filter default: the layers that are tracked by default, and all layers that stand in the list themselves
 * @throws TypeError if the model has no layers, RangeError if the filter keeps none
 */
export function trackedLayers(
  model: Layer | readonly Layer[],
  filter?: LayerFilter,
  exclude?: LayerPatterns,
): TrackedLayer[] {
  const explicit = Array.isArray(model);
  if (!explicit && !isModelLike(model)) {
    throw new TypeError(
      `model: expected a LayersModel, a list of layers or { model, nodes }, got ${describe(model)}. A single layer goes in a list: [layer]`,
    );
  }
  const roots = explicit
    ? (model as readonly Layer[])
    : (model as unknown as { readonly layers: readonly Layer[] }).layers;
  for (const root of roots) {
    if (root === null || typeof root !== 'object' || typeof root.call !== 'function') {
      throw new TypeError(`model: expected a list of TensorFlow.js layers, got a list with ${describe(root)}`);
    }
  }
  const taken = new Set<string>();
  const tracked: TrackedLayer[] = [];
  const leaves = leafPaths(roots);
  if (isPatterns(filter)) checkPatterns('layers', filter, leaves);
  if (exclude !== undefined) checkPatterns('exclude', exclude, leaves);
  for (const [layer, path] of leaves) {
    if (exclude?.some((pattern) => isMatch(pattern, layer, path))) continue;
    const usual = isTrackedByDefault(layer) || (explicit && roots.includes(layer));
    const verdict = isPatterns(filter) ? verdictOf(filter, layer, path) : filter === undefined ? usual : filter(layer);
    if (typeof verdict !== 'boolean' && typeof verdict !== 'string') {
      throw new TypeError(
        `layers: expected the filter to return a boolean or a string for layer '${path}', got ${describe(verdict)}`,
      );
    }
    if (verdict === false || (verdict === true && !usual)) continue;
    const wanted = verdict === true || verdict === '' ? path : verdict;
    let name = wanted;
    for (let count = 2; taken.has(name); count++) name = `${wanted}_${count}`;
    taken.add(name);
    tracked.push(trackedLayer(name, layer));
  }
  if (tracked.length === 0) {
    const names = [...leaves.values()].join(', ');
    throw new RangeError(
      filter === undefined
        ? `model: expected a layer with a width to track (dense, convolutional, recurrent, embedding or custom with weights), got ${names}`
        : `layers: expected the filter to keep at least one layer, got false for all of ${names}`,
    );
  }
  return tracked;
}

function isPatterns(filter: LayerFilter | undefined): filter is LayerPatterns {
  return Array.isArray(filter);
}

function isMatch(pattern: string | RegExp, layer: Layer, path: string): boolean {
  if (typeof pattern === 'string') return pattern === path || pattern === layer.name;
  return path.search(pattern) >= 0;
}

/** A layer that is named is kept whatever it is, under its usual name. */
function verdictOf(patterns: LayerPatterns, layer: Layer, path: string): boolean | string {
  const isNamed = patterns.some((pattern) => typeof pattern === 'string' && isMatch(pattern, layer, path));
  return isNamed ? path : patterns.some((pattern) => isMatch(pattern, layer, path));
}

/** @throws RangeError if a name or pattern stands for no layer */
function checkPatterns(option: string, patterns: LayerPatterns, leaves: ReadonlyMap<Layer, string>): void {
  const paths = [...leaves.values()];
  for (const pattern of patterns) {
    if ([...leaves].some(([layer, path]) => isMatch(pattern, layer, path))) continue;
    const advice = didYouMean(pattern, paths, `the layers are ${namesOf(paths)}`);
    const what = typeof pattern === 'string' ? describe(pattern) : String(pattern);
    throw new RangeError(`${option}: expected names of layers or patterns that match one, got ${what}${advice}`);
  }
}

/**
 * Names the layers that custom layers of a model hold in their properties and call by themselves, as `block.query`:
 * TensorFlow.js does not list them, so that nobody tracks them. Those in private fields cannot be seen.
 *
 * @param model a model with its nested models
 */
export function warnOfHiddenLayers(model: Layer): void {
  const hidden = hiddenLayers(model);
  if (hidden.length === 0) return;
  warn(
    `Custom layers hold layers that their model does not list, and that are not tracked: ${hidden.join(', ')}. To track ` +
      "them, give a tracker a list of them instead of the model, and pass `kwargs` on in the custom layer's call " +
      '(`this.dense.apply(x, kwargs)`): they say whether a pass is training',
  );
}

function hiddenLayers(model: Layer): string[] {
  const leaves = leafPaths((model as unknown as { readonly layers: readonly Layer[] }).layers);
  const seen = new Set<unknown>(leaves.keys());
  const found: string[] = [];
  const search = (value: unknown, path: string): void => {
    if (Array.isArray(value)) {
      for (const [index, each] of value.entries()) search(each, `${path}[${index}]`);
    } else if (isLayer(value) && !seen.has(value)) {
      seen.add(value);
      if (isModelLike(value) || isTrackedByDefault(value)) found.push(path);
      if (isCustom(value)) searchIn(value, path);
    }
  };
  const searchIn = (layer: Layer, path: string) => {
    for (const [property, value] of Object.entries(layer)) search(value, `${path}.${property}`);
  };
  for (const [layer, path] of leaves) if (isCustom(layer)) searchIn(layer, path);
  return found;
}

/** Whether a layer is of the user's own making: wrappers and recurrent layers of TensorFlow.js hold layers, too. */
function isCustom(layer: Layer): boolean {
  return knownClass(layer) === undefined && !isModelLike(layer);
}

function isLayer(value: unknown): value is Layer {
  const layer = value as Partial<Layer> | null;
  return typeof value === 'object' && typeof layer?.call === 'function' && typeof layer.getClassName === 'function';
}

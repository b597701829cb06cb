import type { layers } from '@tensorflow/tfjs-layers';
import { describe } from '../errors.js';

/** A TensorFlow.js layer. */
export type Layer = layers.Layer;

/** A layer whose output is tracked, under the name it has in tags, tables and files. */
export interface TrackedLayer {
  readonly name: string;
  readonly layer: Layer;
  /** What the output is made of where its rank leaves a choice: a map (N, ...space, C) or a sequence (N, T, C). */
  readonly kind: 'map' | 'sequence';
  /** True for recurrent layers, whose last time step stands for the sequence unless asked otherwise. */
  readonly recurrent: boolean;
  /** Of maps, how many dimensions of space there are (1 to 3); leading ones beyond these are steps of time. */
  readonly spatialRank: number;
  /** True where channels come before space. */
  readonly channelsFirst: boolean;
}

/**
 * Keeps, drops or renames a layer. It is asked for every leaf layer: `false` drops it, a string keeps it under that
 * name (any layer, an activation or a normalisation too), `true` keeps it if it is one that is tracked anyway.
 */
export type LayerFilter = (layer: Layer) => boolean | string;

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

/** Layers of TensorFlow.js that only pass on, rescale, merge or reshape what others computed. */
const passThrough = new Set(
  (
    'InputLayer Activation ReLU LeakyReLU PReLU ELU ThresholdedReLU Softmax Dropout SpatialDropout1D AlphaDropout ' +
    'GaussianDropout GaussianNoise BatchNormalization LayerNormalization Flatten Reshape Permute RepeatVector Masking ' +
    'Add Average Concatenate Maximum Minimum Multiply Dot ZeroPadding2D Cropping2D UpSampling2D CenterCrop Resizing ' +
    'Rescaling RandomWidth CategoryEncoding AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D ' +
    'MaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D PcaLayer'
  ).split(' '),
);

interface Container extends Layer {
  readonly layers: Layer[];
}

function isContainer(layer: Layer): layer is Container {
  return Array.isArray((layer as Partial<Container>).layers);
}

/** The first class name known to us on the way up the prototype chain, so that subclasses count as what they extend. */
function knownClass(layer: Layer): string | undefined {
  for (let proto = Object.getPrototypeOf(layer); proto !== null; proto = Object.getPrototypeOf(proto)) {
    const name = (proto.constructor as { className?: string }).className;
    if (name !== undefined && isKnown(name)) return name;
  }
  return undefined;
}

function isKnown(className: string): boolean {
  return (
    convolutions.has(className) ||
    recurrents.has(className) ||
    others.has(className) ||
    passThrough.has(className) ||
    className === 'TimeDistributed'
  );
}

/** The class that decides how a layer's output is read: for TimeDistributed, the class of the layer it wraps. */
function outputClass(layer: Layer): string | undefined {
  const name = knownClass(layer);
  const inner = (layer as { layer?: Layer }).layer;
  return name === 'TimeDistributed' && inner !== undefined ? outputClass(inner) : name;
}

/**
 * True for layers with directions of their own to count: dense, convolutional, recurrent and embedding layers, their
 * subclasses and wrappers, and custom layers that hold weights.
 */
export function isTrackedByDefault(layer: Layer): boolean {
  const name = outputClass(layer);
  if (name === undefined) return layer.weights.length > 0;
  return !passThrough.has(name);
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
  };
}

/** Every leaf layer below a model, in order, with its path below the model (`block/conv_1`). Each layer once. */
function leavesOf(layersOfModel: readonly Layer[], prefix: string, seen: Set<Layer>): { path: string; layer: Layer }[] {
  const leaves: { path: string; layer: Layer }[] = [];
  for (const layer of layersOfModel) {
    if (seen.has(layer)) continue;
    seen.add(layer);
    const path = prefix + layer.name;
    if (isContainer(layer)) leaves.push(...leavesOf(layer.layers, `${path}/`, seen));
    else leaves.push({ path, layer });
  }
  return leaves;
}

/**
 * The layers of a model (or of a list of layers and models) to track, in the order the data passes them.
 * A layer of a nested model is called `<model>/<layer>`; a name that comes twice gets `_2`, `_3`, ...
 *
 * @throws TypeError when the model has no layers, RangeError when the filter keeps none.
 */
export function trackedLayers(model: Layer | readonly Layer[], filter?: LayerFilter): TrackedLayer[] {
  const explicit = Array.isArray(model);
  if (!explicit && !isContainer(model as Layer)) {
    throw new TypeError(
      `model: expected a LayersModel, a list of layers or { model, nodes }, got ${describe(model)}. A single layer goes in a list: [layer].`,
    );
  }
  const roots = explicit ? (model as readonly Layer[]) : (model as Container).layers;
  for (const root of roots) {
    if (root === null || typeof root !== 'object' || typeof root.call !== 'function') {
      throw new TypeError(`model: expected a list of TensorFlow.js layers, but it holds ${describe(root)}`);
    }
  }
  const taken = new Set<string>();
  const tracked: TrackedLayer[] = [];
  const leaves = leavesOf(roots, '', new Set());
  for (const { path, layer } of leaves) {
    const usual = isTrackedByDefault(layer) || (explicit && roots.includes(layer));
    const verdict = filter === undefined ? usual : filter(layer);
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
    const names = leaves.map((leaf) => leaf.path).join(', ');
    throw new RangeError(
      filter === undefined
        ? `model: none of its layers has a width to track (dense, convolutional, recurrent, embedding or custom with weights); it has: ${names}`
        : `layers: the filter keeps none of the model's layers: ${names}`,
    );
  }
  return tracked;
}

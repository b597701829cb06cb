import type { LayersModel, layers, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import { Spectrum } from '../statistics/spectrum.js';
import { checkedThreshold } from '../statistics/spectrum-measures.js';
import { type BeforeAndAfter, type Container, callsOf, configOf, costsOf, modelOf } from './model-config.js';

/*
 * New architectures of old ones: the widths that saturation asks for, and a network without its tail. Both are to be trained.
 */

/** Options of resizeLayers. */
export interface ResizeOptions {
  /** Fraction of the variance that the directions a layer needs explain, in (0, 1]; for layers given by a spectrum. Default 0.99. */
  threshold?: number;
  /**
   * The saturation that each layer is to have: it becomes as wide as the directions it needs, divided by this. In (0, 1].
   * Default 0.3, in the middle of what the authors of layer saturation recommend for a whole network.
   */
  saturation?: number;
  /** A layer becomes at most this many times as wide as it is, or as narrow. Default 4. */
  mostChange?: number;
  /** Widths are multiples of this. Default 1. */
  multipleOf?: number;
  /** Layers that keep their width, by name. Default: none. */
  keep?: readonly string[];
}

/** A network of other widths. */
export interface ResizedModel {
  /** The model: not compiled, with new weights, and disposed of separately. */
  readonly model: LayersModel;
  /** The layers that have another width. */
  readonly layers: readonly ({
    /** The layer's name. */
    readonly name: string;
  } & BeforeAndAfter)[];
  /** Layers for which a width was given and that keep theirs, and why. */
  readonly leftOut: readonly {
    /** The layer's name. */
    readonly name: string;
    /** In words. */
    readonly why: string;
  }[];
  /** Parameters of the model before and after. */
  readonly parameters: BeforeAndAfter;
  /** Multiplications and additions of dense and convolutional layers for one item, before and after. */
  readonly multiplyAdds: BeforeAndAfter;
}

const optionNames: OptionNames<ResizeOptions> = {
  threshold: true,
  saturation: true,
  mostChange: true,
  multipleOf: true,
  keep: true,
};

/** What a layer's width is called in its configuration, by its class. */
const widthNames: ReadonlyMap<string, 'units' | 'filters' | 'outputDim'> = new Map([
  ...['Dense', 'LSTM', 'GRU', 'SimpleRNN'].map((name) => [name, 'units'] as const),
  ...['Conv1D', 'Conv2D', 'Conv3D', 'Conv2DTranspose', 'Conv3DTranspose', 'SeparableConv2D', 'ConvLSTM2D'].map(
    (name) => [name, 'filters'] as const,
  ),
  ['Embedding', 'outputDim'],
]);

/** Layers that put out as many features as they take, each for itself. */
const passing = new RegExp(
  `^(${[
    'Activation|ReLU|LeakyReLU|PReLU|ELU|Softmax|ThresholdedReLU',
    'Dropout|SpatialDropout1D|GaussianNoise|GaussianDropout|AlphaDropout|BatchNormalization|LayerNormalization|Masking',
    '(Global)?(Max|Average)Pooling\\dD|ZeroPadding\\dD|Cropping\\dD|UpSampling\\dD|RepeatVector|DepthwiseConv2D|PcaLayer',
  ].join('|')})$`,
);
/** Layers whose inputs have as many features each. */
const merging = /^(Add|Subtract|Multiply|Average|Maximum|Minimum)$/;

/** Layers around a layer, which takes any number of features. */
const wrapping = /^(Bidirectional|TimeDistributed|RNN|StackedRNNCells)$/;

/** Where the features of tensors come from that must have as many of them. */
interface Source {
  /** The one that it was joined to. */
  joined: Source | undefined;
  /** The layers that decide how many there are. */
  readonly layers: layers.Layer[];
  /** Layers that name their number in their target shape. */
  readonly reshapes: layers.Layer[];
  /** What several sources were put together to, or one was spread to. */
  readonly parts: Source[];
  /** Why the number stays; undefined if it need not. */
  fixed: string | undefined;
}

/**
 * Makes a new architecture of a model: each layer as wide as the directions that the data used in it ask for. Advice on widths, acted
 * on: narrow where little was used, wide where nearly all was. Its weights are new: train it.
 *
 * Layers whose outputs are added, or otherwise merged feature by feature, get the same width, the largest that one of them asks for.
 * What the model puts out keeps its shape, and so do layers whose width something else depends on in a way that is not known (a Reshape,
 * a custom layer, a nested model); `leftOut` names them. Sequential and functional models.
 *
 * @param wanted by the layer's name a spectrum of what it puts out, as extractSaturation or a tracker has them, or its new width
 * @throws TypeError or RangeError if an option or a width is out of its range, a layer is not known, or none would change
 */
export function resizeLayers(
  model: LayersModel,
  wanted: ReadonlyMap<string, Spectrum | number>,
  options: ResizeOptions = {},
): ResizedModel {
  checkOptionNames('resizeLayers', options, optionNames);
  const container = model as unknown as Container;
  if (!Array.isArray(container?.layers)) {
    throw new TypeError(`resizeLayers: expected a LayersModel, got ${describe(model)}`);
  }
  if (!(wanted instanceof Map)) {
    throw new TypeError(`resizeLayers: wanted: expected a Map of spectra or widths by layer, got ${describe(wanted)}`);
  }
  const widths = new Map(
    [...wanted].map(([name, each]) => [layerNamed(container, name), newWidth(name, each, options)]),
  );
  const config = configOf(model);
  const entryOf = (layer: layers.Layer) => config.layers?.[container.layers.indexOf(layer)]?.config;
  const changed: ResizedModel['layers'][number][] = [];
  const leftOut: { name: string; why: string }[] = [];
  const given = new Set(widths.keys());
  for (const source of sourcesOf(model, options.keep ?? [])) {
    const asked = source.layers.filter((layer) => widths.has(layer));
    for (const layer of asked) given.delete(layer);
    const { fixed } = source;
    if (fixed !== undefined) leftOut.push(...asked.map(({ name }) => ({ name, why: fixed })));
    if (fixed !== undefined || asked.length === 0) continue;
    const width = Math.max(...asked.map((layer) => widths.get(layer) as number));
    for (const layer of source.layers) {
      const entry = entryOf(layer);
      const key = widthNames.get(layer.getClassName()) as string;
      const before = entry?.[key] as number;
      if (entry === undefined || before === width) continue;
      entry[key] = width;
      changed.push({ name: layer.name, before, after: width });
    }
    for (const layer of source.reshapes) {
      const entry = entryOf(layer);
      if (entry !== undefined)
        entry.targetShape = (entry.targetShape as number[]).map((size) => (size > 1 ? width : size));
    }
  }
  leftOut.push(
    ...[...given].map((layer) => ({ name: layer.name, why: `a ${layer.getClassName()} has no width of its own` })),
  );
  if (changed.length === 0) {
    const reasons = leftOut.map(({ name, why }) => `'${name}' (${why})`).join(', ');
    throw new RangeError(
      `resizeLayers: expected a layer that gets another width, got none: ${reasons || 'all have theirs'}`,
    );
  }
  changed.sort((a, b) => indexOf(container, a.name) - indexOf(container, b.name));
  const copy = modelOf(model, config, false);
  return { model: copy, layers: changed, leftOut, ...costsOf(model, copy) };
}

function indexOf({ layers: all }: Container, name: string): number {
  return all.findIndex((layer) => layer.name === name);
}

function layerNamed(container: Container, name: string): layers.Layer {
  const layer = container.layers[indexOf(container, name)];
  if (layer !== undefined) return layer;
  const names = container.layers.map((each) => `'${each.name}'`).join(', ');
  throw new RangeError(`resizeLayers: wanted: expected names of layers (${names}), got '${name}'`);
}

function newWidth(name: string, wanted: Spectrum | number, options: ResizeOptions): number {
  const { saturation = 0.3, mostChange = 4, multipleOf = 1 } = options;
  if (!(saturation > 0 && saturation <= 1)) {
    throw new RangeError(`resizeLayers: saturation: expected a number in (0, 1], got ${describe(saturation)}`);
  }
  if (!(mostChange >= 1))
    throw new RangeError(`resizeLayers: mostChange: expected a number >= 1, got ${describe(mostChange)}`);
  if (!(Number.isSafeInteger(multipleOf) && multipleOf >= 1)) {
    throw new RangeError(`resizeLayers: multipleOf: expected an integer >= 1, got ${describe(multipleOf)}`);
  }
  if (typeof wanted === 'number') {
    if (Number.isSafeInteger(wanted) && wanted >= 1) return wanted;
    throw new RangeError(`resizeLayers: wanted: expected a width >= 1 for layer '${name}', got ${wanted}`);
  }
  if (!(wanted instanceof Spectrum)) {
    throw new TypeError(
      `resizeLayers: wanted: expected a Spectrum or a width for layer '${name}', got ${describe(wanted)}`,
    );
  }
  const { features } = wanted;
  const directions = Math.max(1, wanted.intrinsicDimensionality(checkedThreshold(options.threshold ?? 0.99)));
  const ideal = Math.min(features * mostChange, Math.max(features / mostChange, directions / saturation));
  return Math.max(multipleOf, Math.round(ideal / multipleOf) * multipleOf);
}

/** Which layers must have the same width, and which must keep theirs. */
function sourcesOf(model: LayersModel, keep: readonly string[]): Source[] {
  const container = model as unknown as Container;
  const all: Source[] = [];
  const ofTensor = new Map<number, Source>();
  const ofLayer = new Map<layers.Layer, Source>();
  const make = (fixed?: string, parts: Source[] = []): Source => {
    const source = { joined: undefined, layers: [], reshapes: [], parts, fixed };
    all.push(source);
    return source;
  };
  const rootOf = (source: Source): Source => (source.joined === undefined ? source : rootOf(source.joined));
  const of = ({ id }: SymbolicTensor): Source => rootOf(ofTensor.get(id) ?? make('it is not known what it is made of'));
  const join = (a: Source, b: Source): Source => {
    if (a === b) return a;
    b.joined = a;
    a.layers.push(...b.layers);
    a.reshapes.push(...b.reshapes);
    a.fixed ??= b.fixed;
    if (a.parts.length + b.parts.length > 0) a.fixed ??= 'it is merged with features of several layers';
    a.parts.push(...b.parts);
    return a;
  };
  for (const layer of container.layers) {
    const kind = layer.getClassName();
    for (const { inputTensors, outputTensors } of callsOf(model, layer)) {
      const inputs = inputTensors.map(of);
      let source: Source;
      if (widthNames.has(kind)) {
        source = ofLayer.get(layer) ?? make(keep.includes(layer.name) ? 'it is to be kept' : undefined);
        if (!ofLayer.has(layer)) source.layers.push(layer);
        ofLayer.set(layer, source);
      } else if (merging.test(kind)) source = inputs.reduce((a, b) => join(rootOf(a), rootOf(b)));
      else if (passing.test(kind) && depthOf(layer) === 1) [source] = inputs;
      else if (passing.test(kind) || kind === 'Concatenate' || kind === 'Flatten') source = make(undefined, inputs);
      else if (kind === 'Reshape' && addsOnes(inputTensors[0], outputTensors[0])) {
        [source] = inputs;
        if (!source.reshapes.includes(layer)) source.reshapes.push(layer);
      } else if (kind === 'InputLayer') source = make('it is an input');
      else if (wrapping.test(kind)) source = make(`'${layer.name}' (${kind}) wraps a layer, whose width is kept`);
      else {
        source = make(`what '${layer.name}' (${kind}) makes may depend on its width`);
        for (const input of inputs) input.fixed ??= source.fixed;
      }
      for (const { id } of outputTensors) ofTensor.set(id, source);
    }
  }
  for (const output of model.outputs) of(output).fixed ??= 'the model puts it out';
  // What was put together keeps its number only if all of its parts do; parts come before what is made of them.
  for (const { fixed, parts } of all.filter(({ joined }) => joined === undefined).reverse()) {
    if (fixed !== undefined) for (const part of parts) rootOf(part).fixed ??= fixed;
  }
  return all.filter(({ joined }) => joined === undefined);
}

/** Whether a Reshape only adds or removes axes of size 1. */
function addsOnes({ shape: from }: SymbolicTensor, { shape: to }: SymbolicTensor): boolean {
  const [a, b] = [from, to].map((shape) => shape.slice(1).filter((size) => size !== 1));
  return a.length === 1 && b.length === 1 && a[0] !== null && a[0] === b[0];
}

function depthOf(layer: layers.Layer): number {
  const { depthMultiplier = 1 } = layer.getConfig() as { depthMultiplier?: number };
  return depthMultiplier;
}

/** A network without its tail. */
export interface ShortenedModel {
  /** The model: not compiled, with the weights of what is left, and disposed of separately. */
  readonly model: LayersModel;
  /** Names of the layers that are gone. */
  readonly removed: readonly string[];
  /** Names of the layers whose weights are new, because they take features of another layer now. */
  readonly fresh: readonly string[];
  /** Parameters of the model before and after. */
  readonly parameters: BeforeAndAfter;
  /** Multiplications and additions of dense and convolutional layers for one item, before and after. */
  readonly multiplyAdds: BeforeAndAfter;
}

/** Layers that belong to the one in front of them. */
const following =
  /^(Activation|ReLU|LeakyReLU|PReLU|ELU|ThresholdedReLU|BatchNormalization|LayerNormalization|Dropout)$/;
/** Layers with which the head of a network begins: they make one vector of a map or a sequence. */
const heads = /^(Global(Max|Average)Pooling\dD|Flatten)$/;

/**
 * Copies a model without its tail: the layers between one of them and the head. Receptive fields (`unproductiveLayers`) and
 * saturation (`tailOf`, the advice of a tracker) tell where a tail begins. The head's first layer with weights begins anew if what
 * it takes has another shape now. Train the copy.
 *
 * The head begins with the first global pooling or Flatten behind `lastLayer`, and takes one tensor. Normalizations and activations
 * that follow on `lastLayer` are kept. Sequential and functional models.
 *
 * @param lastLayer name of the last layer that is kept
 * @param head name of the layer that the head begins with, if it is another one
 * @throws TypeError or RangeError if a layer is not known, nothing lies between, or the head takes something of the tail elsewhere
 */
export function removeTail(model: LayersModel, lastLayer: string, head?: string): ShortenedModel {
  const container = model as unknown as Container;
  if (!Array.isArray(container?.layers))
    throw new TypeError(`removeTail: expected a LayersModel, got ${describe(model)}`);
  const find = (call: string, name: string) => {
    const layer = container.layers[indexOf(container, name)];
    if (layer !== undefined) return layer;
    throw new RangeError(`removeTail: ${call}: expected the name of a layer of the model, got ${describe(name)}`);
  };
  const inputsOf = (layer: layers.Layer) => callsOf(model, layer).flatMap(({ inboundLayers }) => inboundLayers);
  const usersOf = (layer: layers.Layer) =>
    container.layers.filter((each) => each !== layer && inputsOf(each).includes(layer));
  let last = find('lastLayer', lastLayer);
  for (;;) {
    const users = usersOf(last);
    if (users.length !== 1 || !following.test(users[0].getClassName())) break;
    [last] = users;
  }
  const behind = reachable(last, usersOf);
  const isHead = (layer: layers.Layer) => (head === undefined ? heads.test(layer.getClassName()) : layer.name === head);
  if (head !== undefined) find('head', head);
  const first = container.layers.find((layer) => layer !== last && behind.has(layer) && isHead(layer));
  if (first === undefined) {
    const wanted = head === undefined ? 'a global pooling or Flatten' : `'${head}'`;
    throw new RangeError(
      `removeTail: expected ${wanted} behind '${last.name}', got none: name the layer that the head begins with`,
    );
  }
  const kept = reachable(last, inputsOf);
  const headLayers = reachable(first, usersOf);
  const removed = container.layers.filter((layer) => !kept.has(layer) && !headLayers.has(layer));
  if (removed.length === 0) {
    throw new RangeError(`removeTail: expected layers between '${last.name}' and '${first.name}', got none`);
  }
  for (const layer of headLayers) {
    const lost = layer === first ? undefined : inputsOf(layer).find((each) => removed.includes(each));
    if (lost === undefined && (layer !== first || inputsOf(layer).length === 1)) continue;
    throw new RangeError(
      `removeTail: expected a head that takes one tensor, got '${layer.name}', which takes ${inputsOf(layer)
        .map(({ name }) => `'${name}'`)
        .join(' and ')}`,
    );
  }
  const config = configOf(model);
  const entries = (config.layers ?? []).filter((_, index) => !removed.includes(container.layers[index]));
  const entry = config.layers?.[container.layers.indexOf(first)];
  // The last call of the layer is the one that the tail took.
  if (entry?.inboundNodes !== undefined) entry.inboundNodes = [[[last.name, callsOf(model, last).length - 1, 0, {}]]];
  const copy = modelOf(model, { ...config, layers: entries }, false);
  const fresh: string[] = [];
  const originals = new Map(container.layers.map((layer) => [layer.name, layer]));
  for (const twin of (copy as unknown as Container).layers) {
    const original = originals.get(twin.name);
    if (original === undefined || twin.weights.length === 0) continue;
    const isSame = twin.weights.every(({ shape }, index) => `${shape}` === `${original.weights[index].shape}`);
    if (isSame) twin.setWeights(original.getWeights());
    else fresh.push(twin.name);
  }
  return { model: copy, removed: removed.map(({ name }) => name), fresh, ...costsOf(model, copy) };
}

function reachable(from: layers.Layer, next: (layer: layers.Layer) => readonly layers.Layer[]): Set<layers.Layer> {
  const found = new Set([from]);
  for (const layer of found) for (const each of next(layer)) found.add(each);
  return found;
}

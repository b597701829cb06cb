import type { LayerRole } from '../saturation/epoch.js';
import { isModelLike, type LayerLike, leafPaths, type ModelLike, type SymbolicTensorLike } from './layer-graph.js';

/*
 * What layers are for, where it decides how their saturation is to be read: an output is as wide as the question, and some
 * layers are narrow by design.
 */

/** Layers of TensorFlow.js that only pass on, rescale, merge or reshape what other layers computed. */
export const passThroughClasses: ReadonlySet<string> = new Set(
  (
    'InputLayer Activation ReLU LeakyReLU PReLU ELU ThresholdedReLU Softmax Dropout SpatialDropout1D AlphaDropout ' +
    'GaussianDropout GaussianNoise BatchNormalization LayerNormalization Flatten Reshape Permute RepeatVector Masking ' +
    'Add Average Concatenate Maximum Minimum Multiply Dot ZeroPadding2D Cropping2D UpSampling2D CenterCrop Resizing ' +
    'Rescaling RandomWidth CategoryEncoding AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D ' +
    'MaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D PcaLayer'
  ).split(' '),
);

/** Classes that bend what passes through them; a layer in front of them is not linear. */
const bending = /^(Activation|ReLU|LeakyReLU|PReLU|ELU|ThresholdedReLU|Softmax|Maximum|Minimum|Multiply)$/;

/**
 * The roles of a model's layers, by name as a tracker gives it. Layers without a special role are left out. Every output of
 * the model has its layer, also behind activations and in nested models.
 */
export function layerRoles(model: ModelLike): Map<string, LayerRole> {
  const graph = new LayerEdges(model);
  const outputs = new Set(model.outputs.flatMap((output) => graph.computing(graph.sourceOf(output))));
  const roles = new Map<string, LayerRole>();
  for (const [layer, path] of leafPaths(model.layers)) {
    const role = outputs.has(layer) ? 'output' : innerRole(layer, graph);
    if (role !== undefined) roles.set(path, role);
  }
  return roles;
}

/** How a layer shows what the classifier takes: it puts out the same, or would if its places were averaged or flattened. */
export type ClassifierInput = 'same' | 'mean' | 'flatten';

/** The layer that decides in a classifier: a dense one, behind which only a softmax or sigmoid may stand. */
export interface Classifier {
  /** It. */
  readonly layer: LayerLike;
  /** The layers that show what it takes, and how. */
  readonly inputs: ReadonlyMap<LayerLike, ClassifierInput>;
}

/** Layers that pass on what they take while nothing is trained. */
const passesOn = /^(Dropout|SpatialDropout1D|AlphaDropout|GaussianDropout|GaussianNoise|InputLayer)$/;

/** The layer that decides in a model of one output; undefined if there is no such layer. */
export function classifierOf(model: ModelLike): Classifier | undefined {
  if (model.outputs.length !== 1) return undefined;
  const graph = new LayerEdges(model);
  let layer: LayerLike | undefined = graph.sourceOf(model.outputs[0]!);
  while (layer !== undefined && /^(Activation|Softmax)$/.test(layer.getClassName()))
    layer = only(graph.producers(layer));
  if (layer?.getClassName() !== 'Dense') return undefined;
  const inputs = new Map<LayerLike, ClassifierInput>();
  let how: ClassifierInput = 'same';
  for (let before = only(graph.producers(layer)); before !== undefined; before = only(graph.producers(before))) {
    if (before === layer || inputs.has(before)) break;
    inputs.set(before, how);
    const className = before.getClassName();
    if (how === 'same' && className === 'GlobalAveragePooling2D') how = 'mean';
    else if (how === 'same' && className === 'Flatten') how = 'flatten';
    else if (!passesOn.test(className)) break;
  }
  return { layer, inputs };
}

function only(layers: readonly LayerLike[]): LayerLike | undefined {
  return layers.length === 1 ? layers[0] : undefined;
}

function innerRole(layer: LayerLike, graph: LayerEdges): LayerRole | undefined {
  const className = classOf(layer);
  if (className === 'DepthwiseConv2D') return 'depthwise';
  if (!/Conv|Dense/.test(className)) return undefined;
  if (isLinear(layer) && graph.consumers(layer).length > 0 && graph.everyNext(layer, (next) => !bends(next))) {
    return 'projection';
  }
  return squeezes(layer, graph) ? 'squeeze' : undefined;
}

/** Whether a layer is a 1 x 1 convolution to fewer channels, or the narrow layer between a global pooling and its gate. */
function squeezes(layer: LayerLike, graph: LayerEdges): boolean {
  const { kernelSize, filters, units } = configOf(layer);
  const input = layer.inboundNodes[0]?.inputTensors[0]?.shape.at(-1) ?? 0;
  const narrows = Number(filters ?? units) < input;
  if (Array.isArray(kernelSize) && kernelSize.every((side) => side === 1) && narrows) return true;
  return narrows && graph.followsGlobalPooling(layer) && graph.leadsToGate(layer);
}

/** The layers of a model as a graph, nested models dissolved. */
class LayerEdges {
  readonly #producers = new Map<LayerLike, LayerLike[]>();
  readonly #consumers = new Map<LayerLike, LayerLike[]>();
  /** What the input layers of nested models are fed with. */
  readonly #fed = new Map<LayerLike, LayerLike[]>();

  constructor(model: ModelLike) {
    this.#feed(model.layers);
    for (const layer of leafPaths(model.layers).keys()) {
      const sources = layer.inboundNodes.flatMap(({ inputTensors }) => inputTensors.map((each) => this.sourceOf(each)));
      const producers = [...new Set(sources.flatMap((source) => this.#fed.get(source) ?? [source]))];
      this.#producers.set(layer, producers);
      for (const producer of producers) this.#consumers.set(producer, [...this.consumers(producer), layer]);
    }
  }

  #feed(layers: readonly LayerLike[]): void {
    for (const nested of layers) {
      if (!isModelLike(nested)) continue;
      this.#feed(nested.layers);
      nested.inputs.forEach((input, index) => {
        const outer = nested.inboundNodes.flatMap(({ inputTensors }) => inputTensors[index] ?? []);
        const sources = outer.map((tensor) => this.sourceOf(tensor)).filter((source) => source !== input.sourceLayer);
        if (sources.length > 0) this.#fed.set(input.sourceLayer, sources);
      });
    }
  }

  /** The layer, not a model, that puts out a tensor. */
  sourceOf(tensor: SymbolicTensorLike): LayerLike {
    const { sourceLayer, tensorIndex } = tensor;
    if (!isModelLike(sourceLayer)) return sourceLayer;
    return this.sourceOf(sourceLayer.outputs[tensorIndex] ?? sourceLayer.outputs[0]!);
  }

  producers(layer: LayerLike): readonly LayerLike[] {
    return this.#producers.get(layer) ?? [];
  }

  consumers(layer: LayerLike): readonly LayerLike[] {
    return this.#consumers.get(layer) ?? [];
  }

  /** The layers that computed what a layer passes on; itself if it computes. What is added up has no single layer. */
  computing(layer: LayerLike, seen = new Set<LayerLike>()): LayerLike[] {
    if (seen.has(layer)) return [];
    seen.add(layer);
    if (!passThroughClasses.has(layer.getClassName())) return [layer];
    const producers = this.producers(layer);
    if (producers.length > 1 && layer.getClassName() !== 'Concatenate') return [];
    return producers.flatMap((producer) => this.computing(producer, seen));
  }

  /** Whether all layers hold that stand between a layer and those that compute next. */
  everyNext(layer: LayerLike, holds: (next: LayerLike) => boolean, seen = new Set<LayerLike>()): boolean {
    return this.consumers(layer).every((next) => {
      if (seen.has(next) || !passThroughClasses.has(next.getClassName())) return true;
      seen.add(next);
      return holds(next) && this.everyNext(next, holds, seen);
    });
  }

  /** Whether a layer gets what was pooled over all of space, reshaped or not. */
  followsGlobalPooling(layer: LayerLike): boolean {
    return this.producers(layer).some((producer) => {
      const className = producer.getClassName();
      return (
        /^Global/.test(className) || (/^(Reshape|Flatten)$/.test(className) && this.followsGlobalPooling(producer))
      );
    });
  }

  /** Whether what a layer puts out is multiplied with something after one more layer, as in squeeze-and-excitation. */
  leadsToGate(layer: LayerLike): boolean {
    const isGate = (one: LayerLike) => !this.everyNext(one, (next) => next.getClassName() !== 'Multiply');
    return this.consumers(layer).some((next) => isGate(next) || this.consumers(next).some(isGate));
  }
}

function bends(layer: LayerLike): boolean {
  return bending.test(layer.getClassName()) && configOf(layer).activation !== 'linear';
}

function isLinear(layer: LayerLike): boolean {
  const { activation } = configOf(layer);
  return activation === undefined || activation === null || activation === 'linear';
}

/** The class of a layer, or of the layer that it applies to every step. */
function classOf(layer: LayerLike): string {
  const wrapped = (layer as { layer?: LayerLike }).layer;
  return layer.getClassName() === 'TimeDistributed' && wrapped ? wrapped.getClassName() : layer.getClassName();
}

/** The settings of a layer, or of the layer that it applies to every step. */
function configOf(layer: LayerLike): Record<string, unknown> {
  const wrapped = (layer as { layer?: LayerLike }).layer;
  const one = layer.getClassName() === 'TimeDistributed' && wrapped ? wrapped : layer;
  return one.getConfig() as Record<string, unknown>;
}

import type { Tensor } from '@tensorflow/tfjs-core';
import { layers as tfLayers } from '@tensorflow/tfjs-layers';
import type { Layer } from './layers.js';
import { wrapMethod } from './wrap-method.js';

/** A converted model, as far as it is needed here: tf.GraphModel has all of it. */
export interface GraphModelLike {
  execute(inputs: unknown, outputs?: string | string[]): Tensor | Tensor[];
  executeAsync?(inputs: unknown, outputs?: string | string[]): Promise<Tensor | Tensor[]>;
  readonly outputNodes?: string[];
  readonly outputs?: { name: string }[];
  readonly weights?: Record<string, Tensor[]>;
}

/** A GraphModel has no layers; its intermediate nodes are tracked by name, e.g. 'block1/Relu'. */
export interface GraphModelNodes {
  model: GraphModelLike;
  nodes: readonly string[];
}

export function isGraphModelNodes(model: unknown): model is GraphModelNodes {
  const candidate = model as Partial<GraphModelNodes> | null;
  return typeof candidate?.model?.execute === 'function' && Array.isArray(candidate.nodes);
}

/** The nodes to track, each once. @throws RangeError where there is none */
export function nodeNames({ nodes }: GraphModelNodes): string[] {
  const names = [...new Set(nodes)];
  if (names.length === 0) throw new RangeError('nodes: expected at least one node name of the GraphModel, got none');
  return names;
}

/**
 * Has a GraphModel compute further nodes whenever it runs (predict goes through execute, too) and hands them to
 * `listener`; what the caller gets is what it asked for. Returns the function that undoes it.
 *
 * @param wanted asked before each run: false leaves the run as it is, at no cost
 */
export function onGraphModelRun(
  graph: GraphModelNodes,
  wanted: () => boolean,
  listener: (node: string, activations: Tensor) => void,
): () => void {
  const names = nodeNames(graph);
  const undo = (['execute', 'executeAsync'] as const).map((method) =>
    wrapMethod(graph.model, method, (original, self, args) => {
      if (!wanted()) return original(...args);
      const [inputs, outputs] = args as [unknown, string | string[] | undefined];
      const { outputNodes, outputs: outputInfo = [], weights = {} } = self as GraphModelLike;
      const asked = outputs ?? outputNodes ?? outputInfo.map((output) => output.name);
      const list = Array.isArray(asked) ? asked : [asked];
      const share = (all: Tensor[]) => {
        const extra = all.slice(list.length);
        for (const [index, name] of names.entries()) listener(name, extra[index]);
        const own = all.slice(0, list.length);
        // A node may be a tensor that stays alive: one that was asked for as well, an input, a weight.
        const others = new Set([...own, ...tensorsOf(inputs), ...Object.values(weights).flat()]);
        for (const tensor of new Set(extra)) if (!others.has(tensor)) tensor.dispose();
        return own.length > 1 ? own : own[0];
      };
      const result = original(inputs, [...list, ...names]);
      return method === 'execute' ? share(result as Tensor[]) : (result as Promise<Tensor[]>).then(share);
    }),
  );
  return () => {
    for (const restore of undo) restore();
  };
}

/** The tensors that a run was given: one, a list, or by name. */
function tensorsOf(inputs: unknown): unknown[] {
  if (Array.isArray(inputs)) return inputs;
  return typeof (inputs as Partial<Tensor> | null)?.dataSync === 'function'
    ? [inputs]
    : Object.values((inputs ?? {}) as object);
}

/** The keyword arguments TensorFlow.js hands to `Layer.call`. */
export interface CallArguments {
  training?: boolean;
  mask?: Tensor | Tensor[] | null;
  [name: string]: unknown;
}

/** One pass of data through a layer. Tensors are valid only during the call. */
export interface LayerCall {
  layer: Layer;
  inputs: Tensor | Tensor[];
  kwargs: CallArguments;
  /** The first of the layer's outputs: its activations. */
  output: Tensor;
}

/**
 * Calls `listener` after every `call` of a layer, until the returned function is called. What the layer computes is not
 * changed.
 */
export function onLayerCall(layer: Layer, listener: (call: LayerCall) => void): () => void {
  return wrapMethod(layer, 'call', (call, _self, args) => {
    const outputs = call(...args) as Tensor | Tensor[];
    const [inputs, given] = args as [Tensor | Tensor[], CallArguments | undefined];
    const output = Array.isArray(outputs) ? outputs[0] : outputs;
    const kwargs = given ?? {};
    if (output !== undefined && !isRepeat(listener, { layer, inputs, kwargs, output }, outputs)) {
      listener({ layer, inputs, kwargs, output });
    }
    return outputs;
  });
}

interface Pass {
  ids: string;
  kwargs: CallArguments;
}

/** By listener, the layer's latest passes, as many as it has places. */
let lastPasses = new WeakMap<object, Pass[]>();

/**
 * TensorFlow.js runs a layer with several outputs once per output that is consumed, on the same input tensors and,
 * in training, with the same keyword arguments. Only the first of these runs counts. A layer that stands in several
 * places may be run in all of them before it is run again in the first.
 */
function isRepeat(listener: object, { layer, inputs, kwargs }: LayerCall, outputs: unknown): boolean {
  if (!Array.isArray(outputs) || outputs.length < 2) return false;
  const ids = (Array.isArray(inputs) ? inputs : [inputs]).map((tensor) => tensor.id).join();
  const last = lastPasses.get(listener) ?? [];
  if (last.some((pass) => pass.ids === ids && (kwargs.training !== true || pass.kwargs === kwargs))) return true;
  lastPasses.set(listener, [...last, { ids, kwargs }].slice(-Math.max(1, layer.inboundNodes.length)));
  return false;
}

/** Forgets what the last passes were, so that the same input tensors count again: a new record() begins. */
export function startNewPass(): void {
  lastPasses = new WeakMap();
}

// What goes into a layer's activation function, for layers that compute both at once.

interface FusedLayer {
  activation?: { getClassName(): string };
  /** What TimeDistributed wraps. */
  layer?: FusedLayer;
  call(inputs: unknown, kwargs: unknown): Tensor | Tensor[];
}

/** Whether a layer applies an activation function in the same call. */
export function hasFusedActivation({ layer }: LayerCall): boolean {
  return isFused(layer as unknown as FusedLayer);
}

function isFused(layer: FusedLayer): boolean {
  // A recurrent layer's activation is part of every step.
  if ('cell' in layer) return false;
  if (layer.layer !== undefined) return isFused(layer.layer);
  return layer.activation !== undefined && layer.activation !== null && layer.activation.getClassName() !== 'linear';
}

/** Runs the layer once more with a linear activation, through a stand-in that shares its weights. */
export function preActivationOf({ layer, inputs, kwargs }: LayerCall): Tensor {
  const output = standInFor(layer as unknown as FusedLayer).call(inputs, kwargs);
  return Array.isArray(output) ? output[0] : output;
}

function standInFor(layer: FusedLayer): FusedLayer {
  const standIn = Object.create(layer) as FusedLayer;
  if (layer.layer === undefined) standIn.activation = linear();
  else standIn.layer = standInFor(layer.layer);
  // The class's own call: the instance's is hooked.
  Object.defineProperty(standIn, 'call', { value: (Object.getPrototypeOf(layer) as FusedLayer).call });
  return standIn;
}

let linearActivation: FusedLayer['activation'];

/** TensorFlow.js does not export its activations; a layer made with one has it. */
function linear(): FusedLayer['activation'] {
  linearActivation ??= (tfLayers.activation({ activation: 'linear' }) as unknown as FusedLayer).activation;
  return linearActivation;
}

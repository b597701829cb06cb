import type { Tensor } from '@tensorflow/tfjs-core';
import { layers as tfLayers } from '@tensorflow/tfjs-layers';
import type { Layer } from './layers.js';
import { wrapMethod } from './wrap-method.js';

/*
 * Activations leave a model here. A hook on a layer hands every call of the layer to a listener. It does not change what
 * the model computes, and comes off without a trace.
 */

/** The keyword arguments that TensorFlow.js passes to `Layer.call`. */
export interface CallArguments {
  training?: boolean;
  mask?: Tensor | Tensor[] | null;
  [name: string]: unknown;
}

/** One call of a layer. Its tensors are valid only until the listener returns. */
export interface LayerCall {
  layer: Layer;
  inputs: Tensor | Tensor[];
  kwargs: CallArguments;
  /** The layer's first output: its activations. */
  output: Tensor;
}

/** A hook on one layer. */
export interface LayerHook {
  /** Forgets the calls so far, so that calls with the same input tensors count again. */
  startNewPass(): void;
  /** Takes the hook off the layer. */
  remove(): void;
}

/**
 * Calls `listener` after every call of a layer, except for repeats.
 *
 * TensorFlow.js calls a layer that has several outputs once for each output that is used, with the same input tensors
 * and, in training, the same keyword arguments. Only the first of these calls counts. A layer that stands in several
 * places of a model may be called in all of them before it is called again in the first: so the hook remembers as many
 * calls as the layer has places.
 */
export function onLayerCall(layer: Layer, listener: (call: LayerCall) => void): LayerHook {
  let recent: { inputIds: string; kwargs: CallArguments }[] = [];
  const isRepeat = ({ inputs, kwargs }: LayerCall): boolean => {
    const inputIds = (Array.isArray(inputs) ? inputs : [inputs]).map((tensor) => tensor.id).join();
    const known = recent.some(
      (call) => call.inputIds === inputIds && (kwargs.training !== true || call.kwargs === kwargs),
    );
    if (!known) recent = [...recent, { inputIds, kwargs }].slice(-Math.max(1, layer.inboundNodes.length));
    return known;
  };
  const remove = wrapMethod(layer, 'call', (original, _self, args) => {
    const outputs = original(...args) as Tensor | Tensor[];
    const [inputs, given] = args as [Tensor | Tensor[], CallArguments | undefined];
    const output = Array.isArray(outputs) ? outputs[0] : outputs;
    if (output === undefined) return outputs;
    const call = { layer, inputs, kwargs: given ?? {}, output };
    const hasSeveralOutputs = Array.isArray(outputs) && outputs.length > 1;
    if (!hasSeveralOutputs || !isRepeat(call)) listener(call);
    return outputs;
  });
  return {
    startNewPass: () => {
      recent = [];
    },
    remove,
  };
}

// What goes into a layer's activation function, for layers that compute both in one call.

interface FusedLayer {
  activation?: { getClassName(): string };
  /** The layer that TimeDistributed wraps. */
  layer?: FusedLayer;
  call(inputs: unknown, kwargs: unknown): Tensor | Tensor[];
}

/** Whether a layer applies an activation function in the same call. */
export function hasFusedActivation({ layer }: Pick<LayerCall, 'layer'>): boolean {
  return isFused(layer as unknown as FusedLayer);
}

function isFused(layer: FusedLayer): boolean {
  // A recurrent layer's activation is part of every step.
  if ('cell' in layer) return false;
  if (layer.layer !== undefined) return isFused(layer.layer);
  return layer.activation !== undefined && layer.activation !== null && layer.activation.getClassName() !== 'linear';
}

/** The layer's output before its activation: calls a stand-in that shares the weights and has a linear activation. */
export function preActivationOf({ layer, inputs, kwargs }: LayerCall): Tensor {
  const output = standInFor(layer as unknown as FusedLayer).call(inputs, kwargs);
  return Array.isArray(output) ? output[0] : output;
}

function standInFor(layer: FusedLayer): FusedLayer {
  const standIn = Object.create(layer) as FusedLayer;
  if (layer.layer === undefined) standIn.activation = linear();
  else standIn.layer = standInFor(layer.layer);
  // The call of the class, because that of the instance is hooked.
  Object.defineProperty(standIn, 'call', { value: (Object.getPrototypeOf(layer) as FusedLayer).call });
  return standIn;
}

let linearActivation: FusedLayer['activation'];

/** TensorFlow.js does not export its activation functions, but a layer that is made with one has it. */
function linear(): FusedLayer['activation'] {
  linearActivation ??= (tfLayers.activation({ activation: 'linear' }) as unknown as FusedLayer).activation;
  return linearActivation;
}

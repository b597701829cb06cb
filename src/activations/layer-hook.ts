import type { Tensor } from '@tensorflow/tfjs-core';
import type { Layer } from './layers.js';
import { wrapMethod } from './wrap-method.js';

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

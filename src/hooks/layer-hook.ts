import type { Tensor } from '@tensorflow/tfjs-core';
import type { Layer } from './layers.js';

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
  /** The layer's own `call`, without hooks: for a second look at the layer (pre-activations). */
  original: Layer['call'];
}

type Listener = (call: LayerCall) => void;

interface Hook {
  listeners: Set<Listener>;
  /** What the instance had of its own before, to be put back; usually nothing. */
  before: PropertyDescriptor | undefined;
  wrapper: Layer['call'];
}

/** One hook per layer, whoever listens: two trackers on one model do not wrap each other and may close in any order. */
const hooks = new WeakMap<Layer, Hook>();

/**
 * Calls `listener` after every `call` of a layer, until the returned function is called. What the layer computes is not
 * changed; `call` is replaced on the instance (not enumerable, so that neither configuration nor saved files show it)
 * and taken away with the last listener.
 */
export function onLayerCall(layer: Layer, listener: Listener): () => void {
  const hook = hooks.get(layer) ?? install(layer);
  hook.listeners.add(listener);
  return () => {
    if (!hook.listeners.delete(listener) || hook.listeners.size > 0) return;
    hooks.delete(layer);
    // Somebody may have wrapped our wrapper since: theirs stays, ours below it only passes on.
    if (Object.getOwnPropertyDescriptor(layer, 'call')?.value !== hook.wrapper) return;
    if (hook.before === undefined) delete (layer as { call?: unknown }).call;
    else Object.defineProperty(layer, 'call', hook.before);
  };
}

function install(layer: Layer): Hook {
  const original = layer.call;
  const hook: Hook = {
    listeners: new Set(),
    before: Object.getOwnPropertyDescriptor(layer, 'call'),
    wrapper(this: Layer, inputs, kwargs) {
      const outputs = original.call(this, inputs, kwargs);
      if (hook.listeners.size > 0) {
        const output = Array.isArray(outputs) ? outputs[0] : outputs;
        const kwargsSeen = (kwargs ?? {}) as CallArguments;
        if (output !== undefined && !isRepeat(layer, inputs, kwargsSeen, outputs)) {
          for (const listener of hook.listeners) listener({ layer, inputs, kwargs: kwargsSeen, output, original });
        }
      }
      return outputs;
    },
  };
  Object.defineProperty(layer, 'call', { value: hook.wrapper, configurable: true, writable: true, enumerable: false });
  hooks.set(layer, hook);
  return hook;
}

interface Pass {
  ids: string;
  kwargs: CallArguments;
}

const lastPass = new WeakMap<Layer, Pass>();

/**
 * TensorFlow.js runs a layer with several outputs once per output that is consumed, on the same input tensors and,
 * in training, with the same keyword arguments. Only the first of these runs counts.
 */
function isRepeat(layer: Layer, inputs: Tensor | Tensor[], kwargs: CallArguments, outputs: unknown): boolean {
  if (!Array.isArray(outputs) || outputs.length < 2) return false;
  const ids = (Array.isArray(inputs) ? inputs : [inputs]).map((tensor) => tensor.id).join();
  const last = lastPass.get(layer);
  const repeat = last !== undefined && last.ids === ids && (kwargs.training !== true || last.kwargs === kwargs);
  lastPass.set(layer, { ids, kwargs });
  return repeat;
}

/** Forgets what the last pass of these layers was, so that the same input tensors count again. */
export function startNewPass(layers: Iterable<Layer>): void {
  for (const layer of layers) lastPass.delete(layer);
}

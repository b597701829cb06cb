// What goes into a layer's activation function, for layers that compute both at once.
import type { Tensor } from '@tensorflow/tfjs-core';
import { layers as tfLayers } from '@tensorflow/tfjs-layers';
import type { LayerCall } from './layer-hook.js';

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

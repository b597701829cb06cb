import type { serialization } from '@tensorflow/tfjs-core';
import type { LayersModel, layers } from '@tensorflow/tfjs-layers';

/*
 * Models are changed in their configuration, from which TensorFlow.js makes the changed copy.
 */

/** A layer in a model's configuration. */
export interface LayerConfig {
  name?: string;
  className: string;
  config: ModelConfig & Record<string, unknown> & { name: string };
  /** For each call, where each input comes from. */
  inboundNodes?: NodeInput[][];
}

/** A layer, which of its calls, which output of that call, further arguments. */
export type NodeInput = [layer: string, node: number, tensor: number, kwargs?: object];

/** The configuration of a model. */
export interface ModelConfig {
  layers?: LayerConfig[];
  outputLayers?: NodeInput[];
}

/** A model, as a layer among others. */
export interface Container extends layers.Layer {
  layers: layers.Layer[];
}

/** Whether a layer is a model of its own. */
export function isContainer(layer: layers.Layer): layer is Container {
  return Array.isArray((layer as Partial<Container>).layers);
}

/** The calls of a layer in a model: it may be called in others, too. */
export function callsOf(model: LayersModel, layer: layers.Layer): layers.Layer['inboundNodes'] {
  const known = new Set([...model.layers, ...model.inputs.map(({ sourceLayer }) => sourceLayer)]);
  return layer.inboundNodes.filter(({ inboundLayers }) => inboundLayers.every((each) => known.has(each)));
}

/** A model's configuration. It goes through JSON, as in saving: a copy must share nothing with the model. */
export function configOf(model: LayersModel): ModelConfig {
  return JSON.parse(JSON.stringify(model.getConfig())) as ModelConfig;
}

/**
 * Makes a model of a changed configuration.
 *
 * @param model the model whose configuration it was
 * @param isFilled whether all weights are set afterwards, so that none needs be drawn
 */
export function modelOf(model: LayersModel, config: ModelConfig, isFilled: boolean): LayersModel {
  const kind = model.constructor as serialization.SerializableConstructor<serialization.Serializable> & {
    fromConfig(cls: unknown, config: unknown, customObjects: object, fastWeightInit: boolean): LayersModel;
  };
  return kind.fromConfig(kind, config, {}, isFilled);
}

/** A number of a model, and of what was made of it. */
export interface BeforeAndAfter {
  /** Of the model. */
  readonly before: number;
  /** Of the copy. */
  readonly after: number;
}

/** Parameters of a model and of the copy; and multiplications and additions for one item. */
export function costsOf(model: LayersModel, copy: LayersModel): Record<'parameters' | 'multiplyAdds', BeforeAndAfter> {
  return {
    parameters: { before: model.countParams(), after: copy.countParams() },
    multiplyAdds: { before: multiplyAddsOf(model), after: multiplyAddsOf(copy) },
  };
}

/** Of dense and convolutional layers, each call of them, nested models included; a size that is not fixed counts as 1. */
function multiplyAddsOf(model: LayersModel): number {
  let sum = 0;
  for (const layer of (model as unknown as Container).layers) {
    const calls = callsOf(model, layer);
    if (isContainer(layer)) sum += calls.length * multiplyAddsOf(layer as unknown as LayersModel);
    else if (/^(Dense|(Depthwise|Separable)?Conv\dD(Transpose)?)$/.test(layer.getClassName())) {
      for (const { inputShapes, outputShapes } of calls) {
        // A transposed convolution is computed at the places of its input.
        const [shape] = layer.getClassName().endsWith('Transpose') ? inputShapes : outputShapes;
        const places = (shape as (number | null)[]).slice(1, -1).reduce<number>((all, size) => all * (size ?? 1), 1);
        for (const { shape: kernel } of layer.weights) {
          if (kernel.length > 1) sum += places * kernel.reduce<number>((all, size) => all * (size ?? 1), 1);
        }
      }
    }
  }
  return sum;
}

import { describe } from '../errors.js';
/** What is read of a symbolic tensor of TensorFlow.js; a tf.SymbolicTensor is one. */
export interface SymbolicTensorLike {
  readonly id: number;
  readonly shape: readonly (number | null)[];
  readonly sourceLayer: LayerLike;
  readonly nodeIndex: number;
  readonly tensorIndex: number;
}

/** What is read of a layer; a tf.layers.Layer is one. */
export interface LayerLike {
  readonly name: string;
  getClassName(): string;
  getConfig(): object;
  readonly inboundNodes: readonly { readonly inputTensors: readonly SymbolicTensorLike[] }[];
}

/** What is read of a model, Sequential or functional; a tf.LayersModel is one. */
export interface ModelLike extends LayerLike {
  readonly layers: readonly LayerLike[];
  readonly inputs: readonly SymbolicTensorLike[];
  readonly outputs: readonly SymbolicTensorLike[];
}

export function isModelLike(layer: unknown): layer is ModelLike {
  return Array.isArray((layer as Partial<ModelLike> | null)?.layers);
}

/** Throws a TypeError for anything that is not a built model, naming the function that was given it. */
export function checkModel(caller: string, model: unknown): asserts model is ModelLike {
  if (!isModelLike(model)) {
    throw new TypeError(`${caller}: expected a tf.LayersModel (Sequential or functional), got ${describe(model)}`);
  }
  if (!Array.isArray(model.outputs) || model.outputs.length === 0) {
    throw new TypeError(`${caller}: model '${model.name}' is not built yet: give its first layer an inputShape`);
  }
}

/** Every layer below some layers and models that is not a model itself, in order, with its path (`block/conv_1`). */
export function leafPaths<T extends LayerLike>(layers: readonly T[]): Map<T, string> {
  const paths = new Map<T, string>();
  const visit = (those: readonly T[], prefix: string) => {
    for (const layer of those) {
      if (isModelLike(layer)) visit(layer.layers as unknown as readonly T[], `${prefix}${layer.name}/`);
      else if (!paths.has(layer)) paths.set(layer, prefix + layer.name);
    }
  };
  visit(layers, '');
  return paths;
}

/** Names of a layer's class and of the classes it extends, nearest first: a subclass of Conv2D is a convolution too. */
export function classNames(layer: LayerLike): string[] {
  const names = [layer.getClassName()];
  for (let proto = Object.getPrototypeOf(layer); proto !== null; proto = Object.getPrototypeOf(proto)) {
    const name = (proto.constructor as { className?: unknown }).className;
    if (typeof name === 'string' && !names.includes(name)) names.push(name);
  }
  return names;
}

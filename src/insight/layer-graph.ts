import { describe } from '../errors.js';
import type { NotedModel } from '../saturation/training-facts.js';

/*
 * TensorFlow.js models as far as they are looked at without TensorFlow.js: layers, the tensors between them, their paths
 * and their classes.
 */

/** What this package needs of a symbolic tensor; a tf.SymbolicTensor is one. */
export interface SymbolicTensorLike {
  /** Unique among all tensors. */
  readonly id: number;
  /** Batch first; null for a size that is not fixed. */
  readonly shape: readonly (number | null)[];
  /** The layer that puts the tensor out. */
  readonly sourceLayer: LayerLike;
  /** Which call of that layer puts the tensor out. */
  readonly nodeIndex: number;
  /** Which output of that call the tensor is. */
  readonly tensorIndex: number;
}

/** What this package needs of a layer; a tf.layers.Layer is one. */
export interface LayerLike {
  /** The layer's name in its model. */
  readonly name: string;
  /** The name of the layer's class, e.g. 'Conv2D'. */
  getClassName(): string;
  /** The layer's settings, as they are saved. */
  getConfig(): object;
  /** The calls of the layer, each with its inputs. */
  readonly inboundNodes: readonly {
    /** The inputs of one call. */
    readonly inputTensors: readonly SymbolicTensorLike[];
  }[];
}

/** What this package needs of a model, Sequential or functional; a tf.LayersModel is one. */
export interface ModelLike extends LayerLike {
  /** In the order in which data passes them; models among them are nested. */
  readonly layers: readonly LayerLike[];
  /** The tensors that the model is fed with. */
  readonly inputs: readonly SymbolicTensorLike[];
  /** The tensors that the model puts out. */
  readonly outputs: readonly SymbolicTensorLike[];
}

/** Whether a layer is a model. */
export function isModelLike(layer: unknown): layer is ModelLike {
  return Array.isArray((layer as Partial<ModelLike> | null)?.layers);
}

/** @throws TypeError if `model` is not a built model; the message begins with `caller` */
export function checkModel(caller: string, model: unknown): asserts model is ModelLike {
  if (!isModelLike(model)) {
    throw new TypeError(`${caller}: expected a tf.LayersModel (Sequential or functional), got ${describe(model)}`);
  }
  if (!Array.isArray(model.outputs) || model.outputs.length === 0) {
    throw new TypeError(
      `${caller}: expected a built model, got '${model.name}', whose first layer needs an inputShape`,
    );
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

/** The names of a layer's class and of the classes that it extends, nearest first. */
export function classNames(layer: LayerLike): string[] {
  const names = [layer.getClassName()];
  for (let proto = Object.getPrototypeOf(layer); proto !== null; proto = Object.getPrototypeOf(proto)) {
    const name = (proto.constructor as { className?: unknown }).className;
    if (typeof name === 'string' && !names.includes(name)) names.push(name);
  }
  return names;
}

/** What a note says of a model: its name, its layers by class, and how many parameters it has. */
export function modelFacts(model: ModelLike): NotedModel {
  const types: Record<string, number> = {};
  let layers = 0;
  for (const layer of leafPaths(model.layers).keys()) {
    const type = layer.getClassName();
    if (type === 'InputLayer') continue; // it does nothing
    layers++;
    types[type] = (types[type] ?? 0) + 1;
  }
  return { name: model.name, layers, types, parameters: parametersOf(model) };
}

/** All weights, trainable or not; undefined if the model does not tell. */
function parametersOf(model: ModelLike & { countParams?(): unknown }): number | undefined {
  try {
    const count = model.countParams?.();
    return typeof count === 'number' && Number.isFinite(count) ? count : undefined;
  } catch {
    return undefined;
  }
}

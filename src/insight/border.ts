import { describe } from '../errors.js';
import { checkModel, leafPaths, type ModelLike } from './layer-graph.js';
import { sidesOf } from './layer-views.js';
import { type ReceptiveField, type ReceptiveFieldAxis, receptiveFields } from './receptive-fields.js';

/*
 * What receptive fields say about a network and the size of its input: which convolutions see nothing new, and which input
 * sizes suit the network.
 */

/** Size of the input in pixels or samples: one number for all axes, or one per axis. */
export type InputSize = number | readonly number[];

/**
 * The convolutions that, by their receptive fields, cannot add to the solution for inputs of this size. They are of two
 * kinds: the layer's input already sees the whole input of the model (on every path, along every axis) and the layer itself
 * sees beyond it; or the kernel covers the whole map that comes in, so that the layer acts as a dense one.
 *
 * The rule is that of https://arxiv.org/abs/2106.12307, as MLRichter/receptive_field_analysis_toolbox implements it in
 * `EnrichedNetworkNode.is_border`.
 *
 * @param model a model, or the result of `receptiveFields`
 * @param inputSize size of the inputs; default: the model's own input shape
 * @returns names of layers, in order of depth
 * @throws TypeError if the model is not built, RangeError if the size is neither given nor known
 */
export function unproductiveLayers(model: ModelLike | readonly ReceptiveField[], inputSize?: InputSize): string[] {
  const fields = fieldsOf('unproductiveLayers', model);
  const size = inputSize ?? ownInputSize('unproductiveLayers', model);
  checkSize('unproductiveLayers', size);
  return fields.filter((field) => field.convolutional && isUnproductive(field, size)).map(({ layer }) => layer);
}

/**
 * The first unproductive convolution: from here on, layers see nothing new. Returns undefined if all are productive.
 *
 * @param inputSize size of the inputs; default: the model's own input shape
 */
export function borderLayer(model: ModelLike | readonly ReceptiveField[], inputSize?: InputSize): string | undefined {
  return unproductiveLayers(model, inputSize)[0];
}

/**
 * The input sizes that suit a model: from `min` on every convolution can find something new along that axis, and beyond `max`
 * no convolution sees the whole input. On inputs of size `min`, `unproductiveLayers` is empty; where all kernels are square,
 * it is not on inputs of one less.
 *
 * For ResNet-50 this is 128 to 427. The 75 that the README of MLRichter/receptive_field_analysis_toolbox gives for its minimum
 * is the largest of the convolutions' smallest receptive fields; on images of that size two convolutions of a kernel of 3 see
 * a map of 2 x 2 places.
 *
 * @param model a model, or the result of `receptiveFields`
 * @throws RangeError if the model has no convolution
 */
export function inputSizeRange(model: ModelLike | readonly ReceptiveField[]): {
  /** Per axis, the least size from which on no convolution is unproductive by what it sees along this axis. */
  min: number[];
  /** Per axis, the largest receptive field of any convolution, on paths that do not see everything by other means. */
  max: number[];
} {
  const fields = fieldsOf('inputSizeRange', model).filter(
    ({ convolutional, axes }) => convolutional && axes.length > 0,
  );
  if (fields.length === 0) {
    throw new RangeError('inputSizeRange: expected a model with convolutions, got one without');
  }
  const rank = Math.max(...fields.map(({ axes }) => axes.length));
  const largest = (pick: (axis: ReceptiveFieldAxis) => number) =>
    Array.from({ length: rank }, (_, axis) =>
      // What sees everything (attention, squeeze-and-excitation) says nothing about the size that convolutions need.
      Math.max(
        1,
        ...fields.flatMap(({ axes }) => (axis < axes.length ? [pick(axes[axis]!)] : [])).filter(Number.isFinite),
      ),
    );
  return { min: largest(leastSize), max: largest(({ maxFinite }) => maxFinite) };
}

/** The least input size at which a convolution is productive by one axis: the reverse of `isUnproductive`. */
function leastSize({ min, minBefore, kernel, strideBefore }: ReceptiveFieldAxis): number {
  return Math.max(Math.min(minBefore + 1, min), Math.ceil(strideBefore * (kernel + 1)));
}

function isUnproductive({ axes }: ReceptiveField, size: InputSize): boolean {
  const input = (axis: number) => (typeof size === 'number' ? size : (size[axis] ?? size.at(-1)!));
  if (axes.length === 0 || axes.some(({ minBefore }) => minBefore === Number.POSITIVE_INFINITY)) return false;
  const nothingNew = axes.every(({ min, minBefore }, axis) => minBefore >= input(axis) && min > input(axis));
  const actsDense = axes.every(({ kernel, strideBefore }, axis) => Math.floor(input(axis) / strideBefore) <= kernel);
  return nothingNew || actsDense;
}

function fieldsOf(caller: string, model: ModelLike | readonly ReceptiveField[]): readonly ReceptiveField[] {
  if (Array.isArray(model)) return model as readonly ReceptiveField[];
  checkModel(caller, model);
  return receptiveFields(model);
}

function ownInputSize(caller: string, model: ModelLike | readonly ReceptiveField[]): number[] {
  const shape = Array.isArray(model) ? undefined : (model as ModelLike).inputs[0]?.shape;
  const sides = shape === undefined ? [] : sidesOf(shape, layoutOf(model as ModelLike));
  if (sides.length === 0 || sides.some((side) => side === null)) {
    throw new RangeError(
      `${caller}: expected an inputSize, because the model's own is not fixed, got the shape [${shape ?? ''}]`,
    );
  }
  return sides as number[];
}

/** The configuration of a layer that says whether channels come first; there is one layout in a model. */
function layoutOf(model: ModelLike): object {
  for (const layer of leafPaths(model.layers).keys()) {
    const config = layer.getConfig();
    if ('dataFormat' in config) return config;
  }
  return {};
}

function checkSize(caller: string, size: InputSize): void {
  const sides = typeof size === 'number' ? [size] : size;
  if (!Array.isArray(sides) || sides.length === 0 || sides.some((side) => !(Number.isFinite(side) && side >= 1))) {
    throw new RangeError(`${caller}: expected inputSize to be a number >= 1 or one per axis, got ${describe(size)}`);
  }
}

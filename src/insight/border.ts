import type { ModelLike } from './layer-graph.js';
import { checkModel } from './layer-graph.js';
import { type ReceptiveField, receptiveFields } from './receptive-fields.js';

/** Side of the input in pixels or samples; one number for all axes, or one per axis. */
export type InputSize = number | readonly number[];

/**
 * Convolutions that cannot add to the solution for inputs of this size, by their receptive fields: those where already
 * what comes in sees the whole input (on every path, along every axis) and the layer itself sees beyond it, and those
 * whose kernel covers all of the map that comes in, so that they act as dense layers.
 *
 * The rule is that of https://arxiv.org/abs/2106.12307, as MLRichter/receptive_field_analysis_toolbox has it in
 * `EnrichedNetworkNode.is_border`.
 *
 * @param model a model, or what `receptiveFields` made of it
 * @param inputSize the size the model is fed with; omitted, the model's own input shape
 * @returns names in order of depth
 */
export function unproductiveLayers(model: ModelLike | readonly ReceptiveField[], inputSize?: InputSize): string[] {
  const fields = fieldsOf('unproductiveLayers', model);
  const size = inputSize ?? ownInputSize('unproductiveLayers', model);
  checkSize('unproductiveLayers', size);
  return fields.filter((field) => field.convolutional && isUnproductive(field, size)).map(({ layer }) => layer);
}

/** The first unproductive convolution: from here on, layers see nothing new. Undefined where all are productive. */
export function borderLayer(model: ModelLike | readonly ReceptiveField[], inputSize?: InputSize): string | undefined {
  return unproductiveLayers(model, inputSize)[0];
}

/**
 * The input sizes that suit a model, per axis: from `min`, the largest of the convolutions' smallest receptive fields
 * (the least size at which all of the network's growth of receptive fields is used), to `max`, the largest receptive field of
 * all (beyond it no convolution sees the whole input).
 *
 * For ResNet-50 this is 75 to 427, as the README of MLRichter/receptive_field_analysis_toolbox has it.
 *
 * @throws RangeError when the model has no convolution
 */
export function inputSizeRange(model: ModelLike | readonly ReceptiveField[]): { min: number[]; max: number[] } {
  const fields = fieldsOf('inputSizeRange', model).filter(
    ({ convolutional, axes }) => convolutional && axes.length > 0,
  );
  if (fields.length === 0)
    throw new RangeError('inputSizeRange: expected a model with convolutions, got one with none');
  const rank = Math.max(...fields.map(({ axes }) => axes.length));
  const largest = (pick: (axis: ReceptiveField['axes'][number]) => number) =>
    Array.from({ length: rank }, (_, axis) =>
      // Attention and squeeze-and-excitation see everything; they do not say what the convolutions need.
      Math.max(
        1,
        ...fields.flatMap(({ axes }) => (axis < axes.length ? [pick(axes[axis]!)] : [])).filter(Number.isFinite),
      ),
    );
  return { min: largest(({ min }) => min), max: largest(({ max }) => max) };
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
  const sides = shape?.slice(1, -1) ?? [];
  if (sides.length === 0 || sides.some((side) => side === null)) {
    throw new RangeError(
      `${caller}: expected an inputSize, since the model's input shape (${shape ?? 'not given'}) does not say it`,
    );
  }
  return sides as number[];
}

function checkSize(caller: string, size: InputSize): void {
  const sides = typeof size === 'number' ? [size] : size;
  if (!Array.isArray(sides) || sides.length === 0 || sides.some((side) => !(Number.isFinite(side) && side >= 1))) {
    throw new RangeError(`${caller}: expected inputSize to be a number >= 1 or one per axis, got ${String(size)}`);
  }
}

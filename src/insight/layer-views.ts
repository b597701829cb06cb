import {
  type FieldOfView,
  inputView,
  type KernelWindow,
  merged,
  seesAll,
  throughScaling,
  throughTransposedWindow,
  throughWindow,
  wholeView,
  withoutSpace,
} from './field-of-view.js';
import { classNames, type LayerLike } from './layer-graph.js';

/*
 * What each class of layer does to the field of view: one row per class in `rules`.
 */

type Shape = readonly (number | null)[];

/** A tensor that passes through a layer. */
export interface Passage {
  readonly layer: LayerLike;
  /** What the layer's input sees. */
  readonly view: FieldOfView;
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  /** The window of a custom layer, if the caller knows one. */
  readonly window?: KernelWindow;
}

type Rule = (passage: Passage, config: Record<string, unknown>) => FieldOfView;

const convolution: Rule = ({ view }, config) => throughWindow(view, windowOf(config)!);
const pooling: Rule = ({ view }, config) =>
  throughWindow(view, { kernelSize: numbers(config.poolSize)!, strides: numbers(config.strides) });
const transposed: Rule = ({ view }, config) => throughTransposedWindow(view, windowOf(config)!);
const collapse: Rule = ({ view }) => withoutSpace(view);

/** A unit of a recurrent layer has seen the whole sequence by its last step. */
const recurrent: Rule = ({ view, outputShape }) =>
  outputShape.length >= 3 ? { ...view, axes: view.axes.map(() => [seesAll]) } : withoutSpace(view);

const rules: Readonly<Record<string, Rule>> = {
  Conv1D: convolution,
  Conv2D: convolution,
  Conv3D: convolution,
  SeparableConv2D: convolution,
  DepthwiseConv2D: convolution,
  Conv2DTranspose: transposed,
  Conv3DTranspose: transposed,
  MaxPooling1D: pooling,
  MaxPooling2D: pooling,
  MaxPooling3D: pooling,
  AveragePooling1D: pooling,
  AveragePooling2D: pooling,
  AveragePooling3D: pooling,
  GlobalAveragePooling1D: collapse,
  GlobalAveragePooling2D: collapse,
  GlobalMaxPooling1D: collapse,
  GlobalMaxPooling2D: collapse,
  Flatten: collapse,
  RNN: recurrent,
  SimpleRNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  Bidirectional: recurrent,
  MultiHeadAttention: ({ view }) => wholeView(view.axes.length),
  Dot: ({ outputShape }) => wholeView(spaceRank(outputShape)),
  // On a map, a dense layer works place by place; on a vector, it sees all of it.
  Dense: ({ view }) => (view.axes.length > 0 ? view : wholeView(0)),
  // Every index becomes a vector, so that the row of indices becomes an axis.
  Embedding: ({ inputShape }) => inputView(inputShape.length - 1),
  RepeatVector: ({ view }) => (view.everything ? wholeView(1) : inputView(1)),
  UpSampling2D: ({ view }, config) =>
    throughScaling(view, numbers(config.size) ?? [2, 2], config.interpolation === 'bilinear'),
  Resizing: ({ view, inputShape, outputShape }, config) =>
    throughScaling(view, ratios(outputShape, inputShape), config.interpolation !== 'nearest'),
  // Places are added or removed at the border; those between see what they saw.
  ZeroPadding2D: ({ view }) => view,
  Cropping2D: ({ view }) => view,
  ConvLSTM2D: convLstm,
  Reshape: reshape,
  Permute: permute,
};

/** What a layer's output sees. A layer without a rule is taken to work place by place. */
export function throughLayer(passage: Passage): FieldOfView {
  const { layer, view, window, inputShape, outputShape } = passage;
  const config = layer.getConfig() as Record<string, unknown>;
  if (window) return throughWindow(view, window);
  for (const name of classNames(layer)) {
    if (Object.hasOwn(rules, name)) return rules[name]!(passage, config);
  }
  const own = windowOf(config);
  if (own && own.kernelSize.length === view.axes.length) return throughWindow(view, own);
  if (spaceRank(outputShape) < view.axes.length) return withoutSpace(view);
  if (isMerge(layer) || sameSpace(inputShape, outputShape)) return view;
  return throughScaling(view, ratios(outputShape, inputShape), false);
}

/** Whether a layer is a convolution: these extract features over space, and can be productive or not. */
export function isConvolution(layer: LayerLike, window: KernelWindow | undefined): boolean {
  return (
    window !== undefined ||
    (layer.getConfig() as Record<string, unknown>).kernelSize !== undefined ||
    classNames(layer).some((name) => /Conv.*[123]D/.test(name))
  );
}

/** The kernel size of a convolution or pooling layer; [1] for all others. */
export function kernelOf(layer: LayerLike, window: KernelWindow | undefined): readonly number[] {
  const config = layer.getConfig() as Record<string, unknown>;
  return (window ?? windowOf(config))?.kernelSize ?? numbers(config.poolSize) ?? [1];
}

/** How many dimensions lie between batch and channels. */
export function spaceRank(shape: Shape): number {
  return Math.max(0, shape.length - 2);
}

function windowOf(config: Record<string, unknown>): KernelWindow | undefined {
  const kernelSize = numbers(config.kernelSize);
  if (!kernelSize) return undefined;
  return { kernelSize, strides: numbers(config.strides), dilationRate: numbers(config.dilationRate) };
}

function numbers(value: unknown): number[] | undefined {
  if (typeof value === 'number') return [value];
  return Array.isArray(value) && value.every((part) => typeof part === 'number') ? value : undefined;
}

function isMerge(layer: LayerLike): boolean {
  return layer.inboundNodes.some(({ inputTensors }) => inputTensors.length > 1);
}

/** A step sees at least the convolution of its own input; through the state, a later step sees more and more. */
function convLstm({ view, outputShape }: Passage, config: Record<string, unknown>): FieldOfView {
  const [, ...space] = view.axes;
  const once = throughWindow({ axes: space, everything: false }, windowOf(config)!);
  const axes = once.axes.map((paths) => [...paths, { ...seesAll, jump: paths[0]!.jump }]);
  return { axes: spaceRank(outputShape) > space.length ? [[seesAll], ...axes] : axes, everything: view.everything };
}

function reshape({ view, inputShape, outputShape }: Passage): FieldOfView {
  const rank = spaceRank(outputShape);
  if (sameSpace(inputShape, outputShape)) return view;
  // If the input is not mixed yet, the new shape becomes its space: 784 pixels become an image.
  const unmixed = !view.everything && view.axes.every((paths) => paths.every(({ size }) => size === 1));
  if (unmixed) return inputView(rank);
  if (rank === 0) return withoutSpace(view);
  const places = (shape: Shape) =>
    shape.slice(1, -1).reduce<number>((product, side) => product * (side ?? Number.NaN), 1);
  // Places that are only put in another order (a map that becomes a row of patches) see what they saw before.
  if (view.axes.length > 0 && places(inputShape) === places(outputShape)) {
    const all = merged(view.axes.map((paths) => ({ axes: [paths], everything: false }))).axes[0]!;
    return { ...view, axes: Array.from({ length: rank }, () => all) };
  }
  return wholeView(rank);
}

function permute({ view, outputShape }: Passage, config: Record<string, unknown>): FieldOfView {
  const dims = numbers(config.dims) ?? [];
  if (dims.at(-1) !== dims.length) return wholeView(spaceRank(outputShape));
  return { ...view, axes: dims.slice(0, -1).map((dim) => view.axes[dim - 1]!) };
}

function sameSpace(one: Shape, other: Shape): boolean {
  return one.length === other.length && one.slice(1, -1).every((side, axis) => side === other[axis + 1]);
}

/** Output places per input place, per axis; 1 if a side is not known. */
function ratios(output: Shape, input: Shape): number[] {
  return output.slice(1, -1).map((side, axis) => {
    const before = input[axis + 1];
    return side && before ? side / before : 1;
  });
}

import {
  type FieldOfView,
  inputView,
  type KernelWindow,
  merged,
  sizeOf,
  throughOffset,
  throughScaling,
  throughTransposedWindow,
  throughWindow,
  wholeAxis,
  wholeView,
  withoutSpace,
} from './field-of-view.js';
import { classNames, type LayerLike } from './layer-graph.js';

/*
 * What each class of layer does to the field of view: one row per class in `rules`, for every class of TensorFlow.js.
 */

type Shape = readonly (number | null)[];
type Config = Record<string, unknown>;

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

type Rule = (passage: Passage, config: Config) => FieldOfView;

const convolution: Rule = ({ view, inputShape }, config) => {
  const window = windowOf(config)!;
  return throughWindow(view, window, paddingOf(window, config, sidesOf(inputShape, config)));
};
const pooling: Rule = ({ view, inputShape }, config) => {
  const kernelSize = numbers(config.poolSize)!;
  const window = { kernelSize, strides: numbers(config.strides) ?? kernelSize };
  return throughWindow(view, window, paddingOf(window, config, sidesOf(inputShape, config)));
};
const transposed: Rule = ({ view }, config) => {
  const window = windowOf(config)!;
  const cutOff = view.axes.map((_, axis) =>
    config.padding === 'same' ? Math.floor(Math.max(0, at(window.kernelSize, axis) - at(window.strides, axis)) / 2) : 0,
  );
  return throughTransposedWindow(view, window, cutOff);
};
const collapse: Rule = ({ view }) => withoutSpace(view);
const placeByPlace: Rule = ({ view }) => view;

/** A unit of a recurrent layer has seen the whole sequence by its last step. */
const recurrent: Rule = ({ view, outputShape }) => {
  const rank = spaceRank(outputShape);
  if (rank === 0) return withoutSpace(view);
  // What is left without the steps is space, of which only the axes of a convolution's state could be told apart.
  return { ...view, axes: view.axes.slice(-rank).map(wholeAxis) };
};

const rules: Readonly<Record<string, Rule>> = {
  ...every('Conv1D Conv2D Conv3D SeparableConv2D', convolution),
  // TensorFlow.js computes it without the dilation that it is given.
  DepthwiseConv2D: (passage, config) => convolution(passage, { ...config, dilationRate: 1 }),
  ...every('Conv2DTranspose Conv3DTranspose', transposed),
  ...every('MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D', pooling),
  ...every('GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D', collapse),
  Flatten: collapse,
  CategoryEncoding: ({ outputShape }) => wholeView(spaceRank(outputShape)),
  ...every('RNN SimpleRNN GRU LSTM Bidirectional', recurrent),
  MultiHeadAttention: ({ view }) => ({ ...view, axes: view.axes.map(wholeAxis) }),
  // Which of the two inputs' axes an axis of the product is, its places do not tell: it counts as seeing everything.
  Dot: ({ outputShape }) => wholeView(spaceRank(outputShape)),
  // On a map, a dense layer works place by place; on a vector, it sees all of it.
  Dense: ({ view }) => (view.axes.length > 0 ? view : wholeView(0)),
  // Every index becomes a vector, so that the row of indices becomes an axis.
  Embedding: ({ inputShape }) => inputView(inputShape.length - 1),
  RepeatVector: ({ view }) => (view.everything ? wholeView(1) : inputView(1)),
  UpSampling2D: ({ view }, config) =>
    throughScaling(
      view,
      (numbers(config.size) ?? [2, 2]).map((factor) => [1, factor] as const),
      config.interpolation === 'bilinear' ? 'both' : 'before',
    ),
  Resizing: resizing,
  ZeroPadding2D: ({ view }, config) =>
    throughOffset(
      view,
      firstOfPairs(config.padding).map((before) => -before),
    ),
  Cropping2D: ({ view }, config) => throughOffset(view, firstOfPairs(config.cropping)),
  // CenterCrop overwrites the shape of its input with its own: how far it crops, or whether it enlarges, is not known. The
  // width that RandomWidth draws for every batch is not known either. Both are taken to leave an image as it is.
  ...every('CenterCrop RandomWidth', placeByPlace),
  LayerNormalization: ({ view }, config) => throughNormalization(view, numbers(config.axis) ?? [-1]),
  Softmax: ({ view }, config) => throughNormalization(view, numbers(config.axis) ?? [-1]),
  ...every('ReLU LeakyReLU PReLU ELU ThresholdedReLU Activation', placeByPlace),
  ...every('Dropout SpatialDropout1D GaussianNoise GaussianDropout AlphaDropout Masking', placeByPlace),
  ...every('BatchNormalization Rescaling Add Multiply Average Maximum Minimum Concatenate', placeByPlace),
  ConvLSTM2D: convLstm,
  Reshape: reshape,
  Permute: permute,
};

/** What a layer's output sees. A layer without a rule is taken to work place by place. */
export function throughLayer(passage: Passage): FieldOfView {
  const { layer, view, window, inputShape, outputShape } = passage;
  const config = layer.getConfig() as Config;
  if (window) return throughWindow(view, window);
  for (const name of classNames(layer)) {
    if (Object.hasOwn(rules, name)) return rules[name]!(passage, config);
  }
  const own = windowOf(config);
  if (own && own.kernelSize.length === view.axes.length) return convolution(passage, config);
  if (spaceRank(outputShape) < view.axes.length) return withoutSpace(view);
  const sides = sidePairs(inputShape, outputShape, config);
  if (isMerge(layer) || sides.every((pair) => pair === undefined || pair[0] === pair[1])) return view;
  return throughScaling(view, sides, 'before');
}

/** Whether a layer is a convolution: these extract features over space, and can be productive or not. */
export function isConvolution(layer: LayerLike, window: KernelWindow | undefined): boolean {
  return (
    window !== undefined ||
    (layer.getConfig() as Config).kernelSize !== undefined ||
    classNames(layer).some((name) => /Conv.*[123]D/.test(name))
  );
}

/** The kernel size of a convolution or pooling layer; [1] for all others. */
export function kernelOf(layer: LayerLike, window: KernelWindow | undefined): readonly number[] {
  const config = layer.getConfig() as Config;
  return (window ?? windowOf(config))?.kernelSize ?? numbers(config.poolSize) ?? [1];
}

/** How many dimensions lie between batch and channels. */
export function spaceRank(shape: Shape): number {
  return Math.max(0, shape.length - 2);
}

/** The sides of a map, or the steps of a sequence. @param config of the layer that reads the tensor */
export function sidesOf(shape: Shape, config: object): Shape {
  return (config as Config).dataFormat === 'channelsFirst' ? shape.slice(2) : shape.slice(1, -1);
}

function windowOf(config: Config): KernelWindow | undefined {
  const kernelSize = numbers(config.kernelSize);
  if (!kernelSize) return undefined;
  return { kernelSize, strides: numbers(config.strides), dilationRate: numbers(config.dilationRate) };
}

/** Places in front of the first one, per axis. A side that is not known counts as a multiple of the stride. */
function paddingOf(window: KernelWindow, { padding }: Config, sides: Shape): number[] {
  return sides.map((side, axis) => {
    const stride = at(window.strides, axis);
    const reach = (at(window.kernelSize, axis) - 1) * at(window.dilationRate, axis);
    if (padding === 'causal') return reach;
    if (padding !== 'same') return 0;
    const last = side === null ? reach + 1 - stride : (Math.ceil(side / stride) - 1) * stride + reach + 1 - side;
    return Math.floor(Math.max(0, last) / 2);
  });
}

/** One rule for several classes. */
function every(classes: string, rule: Rule): Record<string, Rule> {
  return Object.fromEntries(classes.split(' ').map((name) => [name, rule]));
}

function numbers(value: unknown): number[] | undefined {
  if (typeof value === 'number') return [value];
  return Array.isArray(value) && value.every((part) => typeof part === 'number') ? value : undefined;
}

function at(values: readonly number[] | undefined, axis: number): number {
  return values?.[Math.min(axis, values.length - 1)] ?? 1;
}

/** The first of [before, after] on each axis, as padding and cropping layers are configured. */
function firstOfPairs(value: unknown): number[] {
  if (typeof value === 'number') return [value, value];
  return Array.isArray(value) ? value.map((part) => (Array.isArray(part) ? Number(part[0]) : Number(part))) : [];
}

function isMerge(layer: LayerLike): boolean {
  return layer.inboundNodes.some(({ inputTensors }) => inputTensors.length > 1);
}

/** What is normalized along an axis of space depends on all places of it. Counts axes as the shapes do, from the batch on. */
function throughNormalization(view: FieldOfView, normalized: readonly number[]): FieldOfView {
  const rank = view.axes.length + 2;
  const among = new Set(normalized.map((axis) => (axis < 0 ? axis + rank : axis)));
  return { ...view, axes: view.axes.map((paths, axis) => (among.has(axis + 1) ? wholeAxis(paths) : paths)) };
}

/** The first and the last places before and after lie on each other, unless the image is cropped to keep its aspect ratio. */
function resizing({ view, inputShape }: Passage, config: Config): FieldOfView {
  const aligned = config.cropToAspectRatio !== true;
  // The shape that the layer says it puts out lacks the batch: its settings tell the sides.
  const after = [null, config.height as number, config.width as number, null];
  const ratios = sidePairs(inputShape, after, config).map((pair) =>
    aligned && pair && pair[0] > 1 && pair[1] > 1 ? ([pair[0] - 1, pair[1] - 1] as const) : pair,
  );
  return throughScaling(view, ratios, config.interpolation !== 'nearest' ? 'both' : aligned ? 'nearest' : 'before');
}

/**
 * A step sees at least the window of its own input. Through the state, which is convolved once a step, later steps see more
 * and more: how much the last one sees is known only if the number of steps is.
 */
function convLstm({ view, inputShape, outputShape }: Passage, config: Config): FieldOfView {
  const [time, ...space] = view.axes;
  const [steps, ...sides] = sidesOf(inputShape, config);
  const window = windowOf(config)!;
  const once = throughWindow({ axes: space, everything: false }, window, paddingOf(window, config, sides));
  const axes = once.axes.map((paths, axis) => {
    if (steps === null) return [...paths, ...wholeAxis(paths)];
    const kernelSize = [(at(window.kernelSize, axis) - 1) * (steps! - 1) + 1];
    const padding = [Math.floor(kernelSize[0]! / 2)];
    return [...paths, ...throughWindow({ axes: [paths], everything: false }, { kernelSize }, padding).axes[0]!];
  });
  const withSteps = spaceRank(outputShape) > space.length;
  return { axes: withSteps ? [wholeAxis(time!), ...axes] : axes, everything: view.everything };
}

function reshape({ view, inputShape, outputShape }: Passage): FieldOfView {
  const rank = spaceRank(outputShape);
  if (sameSpace(inputShape, outputShape)) return view;
  const sides = outputShape.slice(1, -1);
  const kept = view.axes.filter((_, axis) => inputShape[axis + 1] !== 1);
  // Sides of 1 are put in or taken out: the other axes stay.
  if (kept.length > 0 && sameSides(inputShape.slice(1, -1), sides)) {
    return { ...view, axes: sides.map((side) => (side === 1 ? inputView(1).axes[0]! : kept.shift()!)) };
  }
  // If the input is not mixed yet, the new shape becomes its space: 784 pixels become an image.
  const unmixed = !view.everything && view.axes.every((paths) => paths.every((path) => sizeOf(path) === 1));
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

function permute({ view, outputShape }: Passage, config: Config): FieldOfView {
  const dims = numbers(config.dims) ?? [];
  if (dims.at(-1) !== dims.length) return wholeView(spaceRank(outputShape));
  return { ...view, axes: dims.slice(0, -1).map((dim) => view.axes[dim - 1]!) };
}

function sameSpace(one: Shape, other: Shape): boolean {
  return one.length === other.length && one.slice(1, -1).every((side, axis) => side === other[axis + 1]);
}

function sameSides(one: Shape, other: Shape): boolean {
  const [those, these] = [one, other].map((sides) => sides.filter((side) => side !== 1));
  return those!.length === these!.length && those!.every((side, axis) => side !== null && side === these![axis]);
}

/** The sides of a map before and after a layer; undefined where one is not known. */
function sidePairs(before: Shape, after: Shape, config: Config): (readonly [number, number] | undefined)[] {
  const sides = sidesOf(after, config);
  return sidesOf(before, config).map((side, axis) => {
    const other = sides[axis];
    return side && other ? ([side, other] as const) : undefined;
  });
}

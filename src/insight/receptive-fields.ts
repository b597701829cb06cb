import { type FieldOfView, inputView, jumpOf, type KernelWindow, merged, type Path, sizeOf } from './field-of-view.js';
import {
  checkModel,
  isModelLike,
  type LayerLike,
  leafPaths,
  type ModelLike,
  type SymbolicTensorLike,
} from './layer-graph.js';
import { isConvolution, kernelOf, spaceRank, throughLayer } from './layer-views.js';

/*
 * From a model to the receptive field of each of its layers: the walk follows the tensors back from the outputs to the
 * inputs, and sends what they see through every layer on the way.
 */

/** What a layer sees along one axis of the input. Sizes are in places of the input (pixels, samples). */
export interface ReceptiveFieldAxis {
  /** Smallest receptive field over all paths from the input; Infinity if every path sees everything. */
  readonly min: number;
  /** Largest receptive field over all paths; Infinity if a path sees everything, as behind squeeze-and-excitation or attention. */
  readonly max: number;
  /** Largest receptive field over the paths that do not see everything; Infinity if all do. */
  readonly maxFinite: number;
  /** Distance between the fields of neighboring places of this layer's output: the product of strides so far. */
  readonly stride: number;
  /** Kernel size of the layer itself, in places of its input. */
  readonly kernel: number;
  /** Smallest receptive field of the layer's input. */
  readonly minBefore: number;
  /** Product of the strides before the layer. */
  readonly strideBefore: number;
}

/** What one layer sees of the input. */
export interface ReceptiveField {
  /** The layer's name in a tracker (`block/conv_1` in a nested model). */
  readonly layer: string;
  /** E.g. 'Conv2D'. */
  readonly className: string;
  /** Smallest receptive field over all paths, on the axis where it is smallest. Infinity for layers without space. */
  readonly min: number;
  /** Largest receptive field over all paths, on the axis where it is largest. */
  readonly max: number;
  /** Height and width, or time; empty for layers without space (dense, flattened, pooled). */
  readonly axes: readonly ReceptiveFieldAxis[];
  /** Whether the layer is a convolution: only these can be productive or not by their receptive fields. */
  readonly convolutional: boolean;
}

/** Options of receptiveFields. */
export interface ReceptiveFieldOptions {
  /** Returns the window of a custom layer. By default, a layer of an unknown class is taken to work place by place. */
  window?: (layer: LayerLike) => KernelWindow | undefined;
}

/**
 * The receptive fields of every layer: r_l = r_(l-1) + (k_l - 1) * product of earlier strides, smallest and largest over all
 * paths from the input. Takes Sequential, functional and nested models; counts dilation, strides, pooling, depthwise,
 * separable and transposed convolutions in one to three dimensions, resizing, padding and cropping. Sizes are whole numbers:
 * where places of one map see differently much, as behind an enlarged map, the size is that of the place that sees most.
 * Recurrent and dense layers see everything, and so does what is not known: the axes of a Dot, or of a map that is resized
 * from a size that is not fixed.
 *
 * @returns one per layer in the order of `model.layers`, without input layers
 * @throws TypeError if the model is not a built tf.LayersModel
 * @see https://arxiv.org/abs/2106.12307 for what receptive fields say about a network
 */
export function receptiveFields(model: ModelLike, options: ReceptiveFieldOptions = {}): ReceptiveField[] {
  checkModel('receptiveFields', model);
  const walk = new Walk(options);
  walk.run(model, new Map());
  const fields: ReceptiveField[] = [];
  for (const [layer, path] of leafPaths(model.layers)) {
    const seen = walk.seen.get(layer);
    if (seen && layer.getClassName() !== 'InputLayer') fields.push(fieldOf(layer, path, seen, options));
  }
  return fields;
}

/** What a layer's input and its output see. */
interface Seen {
  before: FieldOfView;
  after: FieldOfView;
}

/** Follows symbolic tensors from a model's outputs back to its inputs. */
class Walk {
  /** By layer, models left out; a layer that is used several times sees what each of its uses sees. */
  readonly seen = new Map<LayerLike, Seen>();
  readonly #options: ReceptiveFieldOptions;

  constructor(options: ReceptiveFieldOptions) {
    this.#options = options;
  }

  /** @param known what tensors see, by id: the inputs of a nested model see what the model around it passes in */
  run(model: ModelLike, known: Map<number, FieldOfView>): FieldOfView[] {
    return model.outputs.map((output) => this.#viewOf(output, known));
  }

  #viewOf(tensor: SymbolicTensorLike, known: Map<number, FieldOfView>): FieldOfView {
    const found = known.get(tensor.id);
    if (found) return found;
    const { sourceLayer: layer, nodeIndex } = tensor;
    const inputs = layer.inboundNodes[nodeIndex]?.inputTensors ?? [];
    let view: FieldOfView;
    if (layer.getClassName() === 'InputLayer') {
      view = inputView(spaceRank(tensor.shape));
    } else {
      const views = inputs.map((input) => this.#viewOf(input, known));
      view = this.#through(layer, views, inputs[0]!.shape, tensor);
    }
    known.set(tensor.id, view);
    return view;
  }

  #through(
    layer: LayerLike,
    views: FieldOfView[],
    inputShape: SymbolicTensorLike['shape'],
    output: Pick<SymbolicTensorLike, 'shape' | 'tensorIndex'>,
  ): FieldOfView {
    if (isModelLike(layer)) {
      const inner = new Map(
        layer.inputs.map((input, index) => [input.id, views[index] ?? inputView(spaceRank(input.shape))]),
      );
      const outputs = this.run(layer, inner);
      return outputs[output.tensorIndex] ?? outputs[0]!;
    }
    const before = merged(views);
    const wrapped = (layer as { layer?: LayerLike }).layer;
    let after: FieldOfView;
    if (wrapped && layer.getClassName() === 'TimeDistributed') {
      // The wrapped layer sees one time step; the axis of time stays as it is.
      const [time, ...space] = before.axes;
      const step = this.#through(wrapped, [{ ...before, axes: space }], withoutTime(inputShape), {
        shape: withoutTime(output.shape),
        tensorIndex: 0,
      });
      after = { ...step, axes: [time!, ...step.axes] };
    } else {
      const window = this.#options.window?.(layer);
      after = throughLayer({ layer, view: before, inputShape, outputShape: output.shape, window });
    }
    const earlier = this.seen.get(layer);
    this.seen.set(
      layer,
      earlier ? { before: merged([earlier.before, before]), after: merged([earlier.after, after]) } : { before, after },
    );
    return after;
  }
}

function withoutTime(shape: SymbolicTensorLike['shape']): SymbolicTensorLike['shape'] {
  return [shape[0]!, ...shape.slice(2)];
}

function fieldOf(
  layer: LayerLike,
  path: string,
  { before, after }: Seen,
  options: ReceptiveFieldOptions,
): ReceptiveField {
  const window = options.window?.(layer);
  const kernel = kernelOf(layer, window);
  const axes = after.axes.map((paths, axis) => {
    // If the rank changed, axes can no longer be told apart: the first one stands for all.
    const from = before.axes[axis] ?? before.axes[0] ?? paths;
    const bounded = paths.filter((path) => Number.isFinite(sizeOf(path)));
    return {
      min: least(paths),
      max: most(paths),
      maxFinite: most(bounded.length > 0 ? bounded : paths),
      stride: widest(paths),
      kernel: kernel[Math.min(axis, kernel.length - 1)]!,
      minBefore: least(from),
      strideBefore: widest(from),
    };
  });
  const blind = after.everything ? Number.POSITIVE_INFINITY : 1;
  return {
    layer: path,
    className: layer.getClassName(),
    min: axes.length > 0 ? Math.min(...axes.map(({ min }) => min)) : blind,
    max: axes.length > 0 ? Math.max(...axes.map(({ max }) => max)) : blind,
    axes,
    convolutional: isConvolution(layer, window),
  };
}

function least(paths: readonly Path[]): number {
  return Math.min(...paths.map(sizeOf));
}

function most(paths: readonly Path[]): number {
  return Math.max(...paths.map(sizeOf));
}

function widest(paths: readonly Path[]): number {
  return Math.max(...paths.map(jumpOf));
}

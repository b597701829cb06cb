import {
  add,
  cast,
  matMul,
  randomNormal,
  reshape,
  serialization,
  slice,
  sub,
  type Tensor,
  type Tensor2D,
  tensor,
  tidy,
} from '@tensorflow/tfjs-core';
import { initializers, type LayerVariable, layers, type Shape } from '@tensorflow/tfjs-layers';
import { warn } from '#platform';
import { floatsOf } from '../activations/tensors.js';
import { describe, type OptionNames } from '../errors.js';
import { outputRows } from '../recording/samples.js';
import { CovarianceAccumulator } from '../statistics/covariance.js';
import { Spectrum } from '../statistics/spectrum.js';
import { checkedRule, checkedThreshold, type IntrinsicDimensionRule } from '../statistics/spectrum-measures.js';
import { orthonormalBasis, type PrincipalAxes, principalAxes } from './principal-axes.js';

/*
 * A PCA layer with its options. In training it accumulates its input; before the next evaluation it turns what it saw into
 * axes, which are weights of the layer; in evaluation it projects its input on the axes that explain the threshold.
 */

type CallArguments = Parameters<layers.Layer['call']>[1];

/** Options of a PCA layer. */
export interface PcaLayerOptions {
  /** The layer's name in its model. Default: TensorFlow.js makes one up. */
  name?: string;
  /** Fraction of the variance, in (0, 1], that the dimensions which pass must explain. Default 0.99. */
  threshold?: number;
  /** Which dimensions these are: 'paper' (default), the fewest that reach the threshold; 'delve', as Delve executes it. */
  rule?: IntrinsicDimensionRule;
  /**
   * Whether to project about the mean (default): y = (x - m) E E^T + m. With false, the layer projects about the origin, as
   * Delve's convolutional layers do: y = x E E^T, with E the eigenvectors of the second moment.
   */
  centering?: boolean;
  /**
   * Whether the output is as wide as the input (default). With false, it consists of the coordinates in the eigenspace, as
   * many as there are dimensions. Their number is known only after training, so that this width is null in the model's graph:
   * such a layer must be the last one, or be followed by layers of any width. In training, the whole input passes.
   */
  keepDim?: boolean;
  /**
   * Most places per side of a map from which the layer learns: of a longer side, it uses the nearest to evenly spaced ones.
   * Projecting is not affected. Default: all.
   */
  downsample?: number | null;
}

/** The names of the options of a PCA layer, beside those of every layer of TensorFlow.js. */
export const pcaOptionNames: OptionNames<PcaLayerOptions> = {
  name: true,
  threshold: true,
  rule: true,
  centering: true,
  keepDim: true,
  downsample: true,
};

/** Checks options and fills in the defaults. @throws TypeError or RangeError naming the option */
export function pcaLayerOptions(options: PcaLayerOptions) {
  const { threshold = 0.99, rule = 'paper', centering = true, keepDim = true, downsample } = options;
  checkedThreshold(threshold);
  checkedRule(rule);
  for (const [name, value] of Object.entries({ centering, keepDim })) {
    if (typeof value !== 'boolean') {
      throw new TypeError(`${name}: expected true or false, got ${describe(value)}`);
    }
  }
  if (downsample != null && !(Number.isInteger(downsample) && downsample > 0)) {
    throw new RangeError(`downsample: expected a positive integer, got ${describe(downsample)}`);
  }
  return { threshold, rule, centering, keepDim, downsample: downsample ?? undefined };
}

/**
 * A layer that learns along which axes its input varies, and lets only those axes pass.
 *
 * - In training, it passes its input and the gradients on unchanged, and accumulates the input in float64. A row of its
 *   input is an item of a batch, a place of a map or a step of a sequence (masked steps are left out); features are the
 *   last axis.
 * - In evaluation, it projects on the eigenvectors E of the covariance C that explain the `threshold` of the variance: y =
 *   (x - m) E E^T + m, where m is the mean; with `keepDim: false`, it returns the coordinates (x - m) E. The axes are
 *   computed anew from what was seen since the last evaluation: each epoch's evaluation projects on that epoch's axes.
 * - Before any training, it passes its input on and warns once.
 *
 * The mean, all eigenvectors, the eigenvalues and the number of rows are weights that are not trained. They are saved and
 * loaded with the model, so that the threshold can be changed at any time. While `trainable` is false, the layer learns
 * nothing more.
 *
 * Reading the rows needs a backend that reads synchronously: cpu, wasm, tensorflow or webgl, but not webgpu.
 */
export class PcaLayer extends layers.Layer {
  /** The name under which TensorFlow.js saves and loads the class. */
  static className = 'PcaLayer';

  /** Whether the layer projects about the mean (true) or about the origin. */
  readonly centering: boolean;
  /** Whether the output has the input's width (true) or consists of the coordinates in the eigenspace. */
  readonly keepDim: boolean;
  /** How many dimensions reach the threshold: see IntrinsicDimensionRule. */
  readonly rule: IntrinsicDimensionRule;
  readonly #downsample: number | undefined;
  #threshold: number;

  #width = 0;
  #center!: LayerVariable;
  #axes!: LayerVariable;
  #eigenvalues!: LayerVariable;
  #samples!: LayerVariable;

  #rows: CovarianceAccumulator | undefined;
  #collecting = false;
  #hasWarned = false;
  /** The spectrum in the weights and the tensor from which it was read: loading a model changes the weights directly. */
  #known: { of: object; spectrum: Spectrum | undefined } | undefined;
  /** The eigenvectors, while random axes are in their place. */
  #ownAxes: Float32Array | undefined;

  /** @throws TypeError or RangeError if an option is out of its range */
  constructor(options: PcaLayerOptions = {}) {
    super(options);
    const checked = pcaLayerOptions(options);
    this.#threshold = checked.threshold;
    this.rule = checked.rule;
    this.centering = checked.centering;
    this.keepDim = checked.keepDim;
    this.#downsample = checked.downsample;
    this.supportsMasking = true;
  }

  /** Fraction of the variance, in (0, 1], that the dimensions which pass explain. The next evaluation uses a new value. */
  get threshold(): number {
    return this.#threshold;
  }

  /** @throws RangeError if the value is not in (0, 1] */
  set threshold(threshold: number) {
    this.#threshold = pcaLayerOptions({ threshold }).threshold;
  }

  /** Number of features of the input; 0 before the layer is built. */
  get width(): number {
    return this.#width;
  }

  /** The spectrum of the rows that were seen in the last training; undefined before any training. */
  get spectrum(): Spectrum | undefined {
    this.#updateAxes();
    return this.#spectrum();
  }

  /** How many dimensions pass at the threshold; undefined before any training. */
  get dimensions(): number | undefined {
    const spectrum = this.spectrum;
    return spectrum && this.#dimensionsOf(spectrum);
  }

  /** Mean, eigenvectors (width x width; column k belongs to eigenvalue k) and eigenvalues; undefined before any training. */
  get principalAxes(): PrincipalAxes | undefined {
    const spectrum = this.spectrum;
    if (!spectrum) return undefined;
    const read = (weight: LayerVariable) => weight.read().dataSync<'float32'>().slice();
    return {
      center: read(this.#center),
      axes: this.#ownAxes ?? read(this.#axes),
      eigenvalues: read(this.#eigenvalues),
      samples: spectrum.samples ?? 0,
    };
  }

  /** Makes the weights. @throws TypeError or RangeError if the input is not a batch of a fixed number of features */
  override build(inputShape: Shape | Shape[]): void {
    const shape = singleShape(inputShape, this.name);
    const width = shape[shape.length - 1];
    if (shape.length < 2 || width === null) {
      throw new RangeError(
        `PcaLayer '${this.name}': expected a batch of a fixed number of features, got the shape [${shape}]`,
      );
    }
    this.#width = width;
    const weight = (name: string, of: Shape) =>
      this.addWeight(name, of, 'float32', initializers.zeros(), undefined, false);
    this.#center = weight('mean', [width]);
    this.#axes = weight('eigenvectors', [width, width]);
    this.#eigenvalues = weight('eigenvalues', [width]);
    // A count, but float32 like every other weight, because programs that average or load weights treat all alike.
    this.#samples = weight('samples', []);
    super.build(inputShape);
  }

  /** The input's shape; with `keepDim: false`, its last size is null. */
  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const shape = singleShape(inputShape, this.name);
    // The number of coordinates is known only after training.
    return this.keepDim ? shape : [...shape.slice(0, -1), null];
  }

  /** Accumulates and passes on its input (training), or projects it (evaluation). */
  override call(inputs: Tensor | Tensor[], kwargs: CallArguments): Tensor {
    const input = Array.isArray(inputs) ? inputs[0] : inputs;
    if (this.#collecting || kwargs?.training === true) {
      if (this.#collecting || this.trainable) this.#collect(input, kwargs?.mask);
      return input;
    }
    this.#updateAxes();
    const spectrum = this.#spectrum();
    if (!spectrum) {
      if (!this.#hasWarned) {
        warn(`PcaLayer '${this.name}' has seen no training yet: it passes its input on unchanged.`);
      }
      this.#hasWarned = true;
      return input;
    }
    return this.#project(input, this.#dimensionsOf(spectrum));
  }

  /** The options, as they are saved with the model. */
  override getConfig(): serialization.ConfigDict {
    return {
      ...super.getConfig(),
      threshold: this.#threshold,
      rule: this.rule,
      centering: this.centering,
      keepDim: this.keepDim,
      downsample: this.#downsample ?? null,
    };
  }

  /**
   * Forgets what was seen and accumulates every input from now on, in evaluation, too, until {@link endCollecting}. Inputs
   * pass unchanged meanwhile.
   */
  beginCollecting(): void {
    this.#rows = undefined;
    this.#collecting = true;
  }

  /** Ends {@link beginCollecting} and computes the axes of what was seen. */
  endCollecting(): void {
    this.#collecting = false;
    this.#updateAxes();
  }

  /**
   * Puts a random orthonormal basis in the place of the eigenvectors: as many dimensions pass as before, but other ones.
   * {@link restoreAxes} and the next training bring the eigenvectors back.
   *
   * @param seed an integer; the same seed gives the same basis
   * @throws Error before any training, because the number of dimensions is unknown
   */
  useRandomAxes(seed: number): void {
    const own = this.principalAxes?.axes;
    if (!own)
      throw new Error(
        `PcaLayer '${this.name}': expected axes to replace, got none, because it has seen no training yet`,
      );
    const size = this.#width;
    const normal = tidy(() => randomNormal([size, size], 0, 1, 'float32', seed).dataSync());
    this.#ownAxes = own;
    write(this.#axes, orthonormalBasis(normal, size));
  }

  /** Brings the eigenvectors back after {@link useRandomAxes}. */
  restoreAxes(): void {
    if (this.#ownAxes) write(this.#axes, this.#ownAxes);
    this.#ownAxes = undefined;
  }

  #collect(input: Tensor, mask: unknown): void {
    this.#rows ??= new CovarianceAccumulator(this.#width);
    const steps = mask as Tensor | null | undefined;
    // TensorFlow.js leaves the mask of an earlier layer in the arguments of later ones: it counts only if it fits.
    const fits = input.rank === 3 && steps?.shape?.[0] === input.shape[0] && steps.shape[1] === input.shape[1];
    const values = floatsOf(input, input.dataSync());
    this.#rows.update(outputRows(values, input.shape, this.#downsample, fits ? steps.dataSync() : undefined).values);
  }

  /** Computes the axes of the rows that were seen since the last evaluation, if there are any. */
  #updateAxes(): void {
    const rows = this.#rows;
    if (this.#collecting || !rows || rows.count === 0) return;
    this.#rows = undefined;
    const { center, axes, eigenvalues, samples } = principalAxes(rows, this.centering);
    write(this.#center, center);
    write(this.#axes, axes);
    write(this.#eigenvalues, eigenvalues);
    write(this.#samples, Float32Array.of(samples));
    this.#ownAxes = undefined;
  }

  #spectrum(): Spectrum | undefined {
    if (!this.built) return undefined;
    const of = this.#eigenvalues.read().dataId;
    if (this.#known?.of !== of) {
      const samples = this.#samples.read().dataSync()[0];
      const eigenvalues = this.#eigenvalues.read().dataSync();
      this.#known = { of, spectrum: samples > 0 ? Spectrum.fromEigenvalues(eigenvalues, { samples }) : undefined };
    }
    return this.#known.spectrum;
  }

  /** At least one dimension passes if anything varies: Delve's rule counts none if the first one reaches the threshold. */
  #dimensionsOf(spectrum: Spectrum): number {
    const dimensions = spectrum.intrinsicDimensionality(this.#threshold, this.rule);
    return dimensions === 0 && spectrum.trace > 0 ? 1 : dimensions;
  }

  #project(input: Tensor, dimensions: number): Tensor {
    if (this.keepDim && dimensions === this.#width) return input;
    return tidy(() => {
      const x = reshape(cast(input, 'float32'), [-1, this.#width]);
      const center = this.#center.read();
      // An input that never varied keeps one coordinate, which is always 0, because many kernels take no empty matrix.
      const axes = slice(this.#axes.read(), [0, 0], [this.#width, Math.max(1, dimensions)]) as Tensor2D;
      const coordinates = matMul((this.centering ? sub(x, center) : x) as Tensor2D, axes);
      if (!this.keepDim) return reshape(coordinates, [...input.shape.slice(0, -1), Math.max(1, dimensions)]);
      const projected = matMul(coordinates, axes, false, true);
      return reshape(this.centering ? add(projected, center) : projected, input.shape);
    });
  }
}

serialization.registerClass(PcaLayer);

function write(weight: LayerVariable, values: Float32Array): void {
  tidy(() => {
    weight.write(tensor(values, weight.shape as number[]));
  });
}

function singleShape(inputShape: Shape | Shape[], name: string): Shape {
  if (!Array.isArray(inputShape[0])) return inputShape as Shape;
  if (inputShape.length === 1) return inputShape[0];
  throw new TypeError(`PcaLayer '${name}': expected one input, got ${inputShape.length}`);
}

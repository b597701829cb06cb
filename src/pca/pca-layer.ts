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
import { outputRows } from '../activations/samples.js';
import { asFloat32 } from '../activations/tensors.js';
import { CovarianceAccumulator } from '../statistics/covariance.js';
import { Spectrum } from '../statistics/spectrum.js';
import { checkedRule, checkedThreshold, type IntrinsicDimensionRule } from '../statistics/spectrum-measures.js';
import { orthonormalBasis, type PrincipalAxes, principalAxes } from './principal-axes.js';

type CallArguments = Parameters<layers.Layer['call']>[1];

/**
 * A layer that learns on which axes its input varies, and lets only those pass.
 *
 * - In training it passes its input on unchanged, gradients too, and takes note of it in float64. A row of its input is
 *   an item of a batch, a place of a map or a step of a sequence (masked steps left out); features are its last axis.
 * - In evaluation it projects on the eigenvectors E of the covariance C that explain the `threshold` of the variance:
 *   y = (x - m) E E^T + m with m the mean, or with `keepDim: false` the coordinates (x - m) E. Training that has gone on since
 *   the last evaluation is taken up first: each epoch's evaluation projects on that epoch's axes.
 * - Before any training it passes its input on, and warns once.
 *
 * The mean, all eigenvectors, the eigenvalues and the number of rows are weights (not trained), saved and loaded with the
 * model, so a threshold can be changed at any time. While `trainable` is false the layer takes note of nothing more.
 *
 * Reading the rows needs a backend with synchronous reads: cpu, wasm, tensorflow, webgl; not webgpu.
 */
export class PcaLayer extends layers.Layer {
  static className = 'PcaLayer';

  /** About the mean (true) or about the origin. */
  readonly centering: boolean;
  /** Whether the output has the input's width, or the coordinates in the eigenspace only. */
  readonly keepDim: boolean;
  /** How the threshold is applied. */
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
  /** The spectrum in the weights, and the tensor it was read from: loading a model changes weights behind our back. */
  #known: { of: object; spectrum: Spectrum | undefined } | undefined;
  /** The eigenvectors, while random axes stand in for them. */
  #ownAxes: Float32Array | undefined;

  /** @throws TypeError or RangeError for an option out of its range, naming it. */
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

  /** Explained-variance threshold, in (0, 1]. Setting it takes effect at the next evaluation. */
  get threshold(): number {
    return this.#threshold;
  }

  set threshold(threshold: number) {
    this.#threshold = pcaLayerOptions({ threshold }).threshold;
  }

  /** Features of the input: 0 before the layer is built. */
  get width(): number {
    return this.#width;
  }

  /** The spectrum of the rows seen up to the last training; undefined before any. */
  get spectrum(): Spectrum | undefined {
    this.#takeUp();
    return this.#spectrum();
  }

  /** Dimensions that pass at the threshold; undefined before any training. */
  get dimensions(): number | undefined {
    const spectrum = this.spectrum;
    return spectrum && this.#dimensionsOf(spectrum);
  }

  /** Mean, eigenvectors (width x width, column k belongs to eigenvalue k) and eigenvalues; undefined before any training. */
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

  override build(inputShape: Shape | Shape[]): void {
    const shape = singleShape(inputShape, this.name);
    const width = shape[shape.length - 1];
    if (shape.length < 2 || width === null) {
      throw new RangeError(`PcaLayer '${this.name}': expected a batch of a known number of features, got [${shape}].`);
    }
    this.#width = width;
    const weight = (name: string, of: Shape) =>
      this.addWeight(name, of, 'float32', initializers.zeros(), undefined, false);
    this.#center = weight('mean', [width]);
    this.#axes = weight('eigenvectors', [width, width]);
    this.#eigenvalues = weight('eigenvalues', [width]);
    // A count, but float32 like every other weight: programs that average or load weights take them all alike.
    this.#samples = weight('samples', []);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const shape = singleShape(inputShape, this.name);
    // How many coordinates there are is known only after training.
    return this.keepDim ? shape : [...shape.slice(0, -1), null];
  }

  override call(inputs: Tensor | Tensor[], kwargs: CallArguments): Tensor {
    const input = Array.isArray(inputs) ? inputs[0] : inputs;
    if (this.#collecting || kwargs?.training === true) {
      if (this.#collecting || this.trainable) this.#collect(input, kwargs?.mask);
      return input;
    }
    this.#takeUp();
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
   * Begins to take note of every input, in evaluation too, from nothing; the input is passed on unchanged meanwhile.
   * Ends with {@link endCollecting}.
   */
  beginCollecting(): void {
    this.#rows = undefined;
    this.#collecting = true;
  }

  /** Ends {@link beginCollecting} and takes up what was seen. */
  endCollecting(): void {
    this.#collecting = false;
    this.#takeUp();
  }

  /**
   * Puts a random orthonormal basis in the place of the eigenvectors: as many dimensions pass as before, but which ones
   * is up to chance. The eigenvectors come back with {@link restoreAxes}, or with the next training.
   *
   * @throws Error before any training: there is no number of dimensions to match.
   */
  useRandomAxes(seed: number): void {
    const own = this.principalAxes?.axes;
    if (!own) throw new Error(`PcaLayer '${this.name}' has seen no training yet, so it has no axes to replace.`);
    const size = this.#width;
    const normal = tidy(() => randomNormal([size, size], 0, 1, 'float32', seed).dataSync());
    this.#ownAxes = own;
    write(this.#axes, orthonormalBasis(normal, size));
  }

  /** Takes back {@link useRandomAxes}. */
  restoreAxes(): void {
    if (this.#ownAxes) write(this.#axes, this.#ownAxes);
    this.#ownAxes = undefined;
  }

  #collect(input: Tensor, mask: unknown): void {
    this.#rows ??= new CovarianceAccumulator(this.#width);
    const steps = mask as Tensor | null | undefined;
    // A mask of earlier layers stays in the arguments of later ones: it counts only where it fits.
    const fits = input.rank === 3 && steps?.shape?.[0] === input.shape[0] && steps.shape[1] === input.shape[1];
    const values = asFloat32(input.dataSync());
    this.#rows.update(outputRows(values, input.shape, this.#downsample, fits ? steps.dataSync() : undefined).values);
  }

  /** Turns the rows seen since the last evaluation into axes. */
  #takeUp(): void {
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

  /** Where anything varies, at least one dimension passes: Delve's rule counts none if the first reaches the threshold. */
  #dimensionsOf(spectrum: Spectrum): number {
    const dimensions = spectrum.intrinsicDimensionality(this.#threshold, this.rule);
    return dimensions === 0 && spectrum.trace > 0 ? 1 : dimensions;
  }

  #project(input: Tensor, dimensions: number): Tensor {
    if (this.keepDim && dimensions === this.#width) return input;
    return tidy(() => {
      const x = reshape(cast(input, 'float32'), [-1, this.#width]);
      const center = this.#center.read();
      // A layer that never varied keeps one coordinate, always 0, since many kernels take no empty matrix.
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
  throw new TypeError(`PcaLayer '${name}': expected one input, got ${inputShape.length}.`);
}

/** Options of a PCA layer. */
export interface PcaLayerOptions {
  /** The layer's name in its model. */
  name?: string;
  /** Part of the variance that the dimensions let through must explain, in (0, 1]; 0.99. */
  threshold?: number;
  /** Which dimensions these are: `paper` (default), the fewest that reach the threshold, or as Delve executes it. */
  rule?: IntrinsicDimensionRule;
  /**
   * Project about the mean (default): y = (x - m) E E^T + m. With false about the origin, as Delve's convolutional layers do:
   * y = x E E^T, with E the eigenvectors of the second moment.
   */
  centering?: boolean;
  /**
   * The output is as wide as the input (default); with false it is the coordinates in the eigenspace, as many as there
   * are dimensions. How many is known only after training, so in the model's graph that width is null: such a layer is the
   * last one, or layers of any width follow. In training the whole input passes.
   */
  keepDim?: boolean;
  /** Of a map larger than this, take note of so many places a side only. Projecting is not affected. */
  downsample?: number | null;
}

/** The options with their defaults. TypeError or RangeError for one out of its range, naming it. */
export function pcaLayerOptions(options: PcaLayerOptions) {
  const { threshold = 0.99, rule = 'paper', centering = true, keepDim = true, downsample } = options;
  checkedThreshold(threshold);
  checkedRule(rule);
  for (const [name, value] of Object.entries({ centering, keepDim })) {
    if (typeof value !== 'boolean') throw new TypeError(`${name}: expected true or false, got ${String(value)}`);
  }
  if (downsample != null && !(Number.isInteger(downsample) && downsample > 0)) {
    throw new RangeError(`downsample: expected a positive integer, got ${String(downsample)}`);
  }
  return { threshold, rule, centering, keepDim, downsample: downsample ?? undefined };
}

import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import type { LayersModel, layers } from '@tensorflow/tfjs-layers';
import { type Batches, eachBatch, runOnBatch } from '../activations/batches.js';
import { ActivationRecorder } from '../activations/recorder.js';
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import { resolveRecorderOptions } from '../recording/options.js';
import type { CovarianceAccumulator } from '../statistics/covariance.js';
import { checkedThreshold, intrinsicDimensionalityOf } from '../statistics/spectrum-measures.js';
import {
  type BeforeAndAfter,
  type Container,
  callsOf,
  configOf,
  costsOf,
  isContainer,
  type LayerConfig,
  modelOf,
  type NodeInput,
} from './model-config.js';
import { orthonormalBasis, principalAxes } from './principal-axes.js';

/*
 * A smaller model that does almost the same: each dense or convolutional layer becomes two, of which the first computes only the
 * directions that the data uses, and the second turns them into the layer's units. Where nothing but sums stands between a layer and
 * the next, the next does what the second would do, and the layer becomes narrower.
 */

/** Options of shrink. */
export interface ShrinkOptions {
  /** Fraction of the variance before each layer's activation that the kept directions explain, in (0, 1]. Default 0.99. */
  threshold?: number;
  /** Layers that stay as they are, by name. Default: none. */
  keep?: readonly string[];
  /**
   * 'principal' (default), or 'random': as many random directions instead, the control that shows what the principal ones are worth.
   */
  directions?: 'principal' | 'random';
  /** Seed of random directions. Default 1. */
  seed?: number;
  /** Measures a model, such as its accuracy; what it returns stands in `scores`. */
  evaluate?: (model: LayersModel) => number | Promise<number>;
  /** Trains the smaller model, such as for an epoch; it is measured once more afterwards. It has to compile it. */
  train?: (model: LayersModel) => unknown;
}

/** What became of a layer. */
export interface ShrunkLayer {
  /** The layer's name. */
  readonly name: string;
  /** Its units or channels, and how many directions of them are kept. */
  readonly width: number;
  /** How many directions are kept. */
  readonly kept: number;
  /** Its parameters before and after. */
  readonly before: number;
  /** Parameters of the two layers in its place, or of the narrower one. */
  readonly after: number;
  /** The layer behind it that turns the directions into what it needs itself, if the layer became narrower instead of two. */
  readonly foldedInto?: string;
}

/** A smaller model, and what it costs. */
export interface ShrunkModel {
  /** The smaller model: not compiled, and disposed of separately. */
  readonly model: LayersModel;
  /** The layers that became two, or narrower. */
  readonly layers: readonly ShrunkLayer[];
  /** The other layers with weights, and why they stayed. */
  readonly leftOut: readonly {
    /** The layer's name. */
    readonly name: string;
    /** In words. */
    readonly why: string;
  }[];
  /** Parameters of the model before and after. */
  readonly parameters: BeforeAndAfter;
  /** Multiplications and additions of dense and convolutional layers for one item, before and after. */
  readonly multiplyAdds: BeforeAndAfter;
  /** What `evaluate` said, if it was given. */
  readonly scores?: BeforeAndAfter & {
    /** Of the smaller model after `train`, if that was given. */
    readonly trained?: number;
  };
}

const optionNames: OptionNames<ShrinkOptions> = {
  threshold: true,
  keep: true,
  directions: true,
  seed: true,
  evaluate: true,
  train: true,
};

/** A kernel and a bias. */
interface Weights {
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
}

/** The two layers in the place of one. */
interface Factors {
  readonly kept: number;
  /** Kernel and bias of the first: from the inputs to the kept directions. */
  readonly first: Weights;
  /** Kernel and bias of the second: from there to the units. Undefined if the layer behind does that. */
  readonly second: Weights | undefined;
}

/**
 * Makes a smaller copy of a trained model. What a layer has before its activation is y = x W + b; over the data it lies near
 * m + E E' (y - m), with its mean m and its principal directions E. So a layer of d units and n inputs becomes one of k directions,
 * x (W E) + E' (b - m), and one of d units, (...) E' + m, with the activation of the layer: k (n + d) weights instead of n d. If the
 * layer has no activation and a dense layer or a convolution follows, at most with an average or a flattening between, that one takes
 * the second part into its weights, and the layer has k units from then on. Layers that would not become smaller stay. Train the
 * copy for an epoch to make up for most of what it lost.
 *
 * Sequential and functional models, also with layers that are called several times; nested models stay as they are.
 *
 * @param batches data that the model sees when it is used: see Batches
 * @throws TypeError if these are not batches of tensors, RangeError if there is none, an option is out of its range, or no layer
 *   would become smaller
 */
export async function shrink(model: LayersModel, batches: Batches, options: ShrinkOptions = {}): Promise<ShrunkModel> {
  checkOptionNames('shrink', options, optionNames);
  const threshold = checkedThreshold(options.threshold ?? 0.99);
  const { keep = [], directions = 'principal', seed = 1 } = options;
  if (directions !== 'principal' && directions !== 'random') {
    throw new RangeError(`shrink: directions: expected 'principal' or 'random', got ${describe(directions)}`);
  }
  if (!Array.isArray(keep)) throw new TypeError(`shrink: keep: expected a list of names, got ${describe(keep)}`);
  for (const [name, given] of Object.entries({ evaluate: options.evaluate, train: options.train })) {
    if (given !== undefined && typeof given !== 'function') {
      throw new TypeError(`shrink: ${name}: expected a function, got ${describe(given)}`);
    }
  }
  const container = model as unknown as Container;
  if (!Array.isArray(container?.layers)) throw new TypeError(`shrink: expected a LayersModel, got ${describe(model)}`);
  const leftOut: { name: string; why: string }[] = [];
  const candidates = container.layers.filter((layer) => {
    const why = whyNot(layer, keep);
    if (why !== undefined && layer.weights.length > 0) leftOut.push({ name: layer.name, why });
    return why === undefined;
  });
  const moments = candidates.length === 0 ? new Map() : await momentsOf(model, candidates, batches);
  const factors = new Map<string, Factors>();
  const shrunk: ShrunkLayer[] = [];
  // What layers have taken over from those in front of them.
  const folded = new Map<string, Weights>();
  for (const [index, layer] of candidates.entries()) {
    const accumulator = moments.get(layer.name);
    if (accumulator === undefined || accumulator.count === 0) {
      leftOut.push({ name: layer.name, why: 'no data passed it' });
      continue;
    }
    const { kernel, bias } = folded.get(layer.name) ?? weightsOf(layer);
    const width = bias.length;
    const inputs = kernel.length / width;
    const axes = principalAxes(accumulator, true);
    const kept = Math.max(1, intrinsicDimensionalityOf(Float64Array.from(axes.eigenvalues), threshold, 'paper'));
    const before = layer.countParams();
    const next = nextLinear(layer, model, keep);
    const after = inputs * kept + kept + (next === undefined ? kept * width + width : 0);
    if (kept === width || after >= kernel.length + bias.length) {
      const smaller = next === undefined ? 'two layers would not be smaller' : 'it needs them all';
      leftOut.push({ name: layer.name, why: `it uses ${kept} of ${width} directions: ${smaller}` });
      continue;
    }
    const basis = directions === 'random' ? randomBasis(width, seed + index) : axes.axes;
    const { first, second } = factorsOf({ kernel, bias }, kept, axes.center, basis);
    if (next !== undefined) folded.set(next.name, foldedInto(folded.get(next.name) ?? weightsOf(next), second));
    factors.set(layer.name, { kept, first, second: next === undefined ? second : undefined });
    shrunk.push({ name: layer.name, width, kept, before, after, ...(next !== undefined && { foldedInto: next.name }) });
  }
  if (shrunk.length === 0) {
    const reasons = leftOut.map(({ name, why }) => `'${name}' (${why})`).join(', ');
    throw new RangeError(
      `shrink: expected a layer that becomes smaller, got none: ${reasons || 'no layer has weights'}`,
    );
  }
  const copy = copyOf(model, factors, folded);
  const scores = await scoresOf(model, copy, options);
  return { model: copy, layers: shrunk, leftOut, ...costsOf(model, copy), ...(scores !== undefined && { scores }) };
}

async function scoresOf(
  model: LayersModel,
  copy: LayersModel,
  { evaluate, train }: ShrinkOptions,
): Promise<ShrunkModel['scores']> {
  if (evaluate === undefined) {
    await train?.(copy);
    return undefined;
  }
  const scores = { before: await evaluate(model), after: await evaluate(copy) };
  if (train === undefined) return scores;
  await train(copy);
  return { ...scores, trained: await evaluate(copy) };
}

type Kind = 'Dense' | 'Conv1D' | 'Conv2D';

function kindOf(layer: layers.Layer): Kind | undefined {
  const name = layer.getClassName();
  return name === 'Dense' || name === 'Conv1D' || name === 'Conv2D' ? name : undefined;
}

/** Why a layer cannot become two; undefined if it can. */
function whyNot(layer: layers.Layer, keep: readonly string[]): string | undefined {
  if (keep.includes(layer.name)) return 'it is to be kept';
  if (isContainer(layer)) return 'it is a model of its own';
  if (kindOf(layer) === undefined) return `a ${layer.getClassName()} is not factored`;
  const config = layer.getConfig() as { dataFormat?: string; groups?: number; kernelConstraint?: unknown };
  if (config.dataFormat === 'channelsFirst') return 'its channels come first';
  if ((config.groups ?? 1) !== 1) return 'its channels are in groups';
  return undefined;
}

/** A layer's kernel, its units last, and its bias: zeros if it has none. */
function weightsOf(layer: layers.Layer): Weights {
  const [kernel, bias] = layer.getWeights();
  const units = kernel.shape[kernel.shape.length - 1];
  return {
    kernel: kernel.dataSync() as Float32Array,
    bias: (bias?.dataSync() as Float32Array | undefined) ?? new Float32Array(units),
  };
}

/** Layers that an affine map of the channels can change places with. */
const averages = new Set(['Flatten', 'GlobalAveragePooling1D', 'GlobalAveragePooling2D', 'AveragePooling2D']);

/**
 * The dense or convolutional layer that takes what a layer puts out, and nobody else does; with nothing between them but averages.
 * Undefined if there is none.
 */
function nextLinear(layer: layers.Layer, model: LayersModel, keep: readonly string[]): layers.Layer | undefined {
  const { activation } = layer.getConfig() as { activation?: string };
  if (activation !== undefined && activation !== null && activation !== 'linear') return undefined;
  const ends = new Set(model.outputs.map(({ sourceLayer }) => sourceLayer));
  for (let from = layer; !ends.has(from); ) {
    if (callsOf(model, from).length !== 1 || from.outboundNodes.length !== 1) return undefined;
    const [{ outboundLayer: next }] = from.outboundNodes;
    const { padding, dataFormat } = next.getConfig() as { padding?: string; dataFormat?: string };
    const [{ inboundLayers }, ...calls] = next.inboundNodes;
    if (calls.length > 0 || inboundLayers.length !== 1 || dataFormat === 'channelsFirst') return undefined;
    if (kindOf(next) !== undefined && !keep.includes(next.name)) {
      // Where zeros are padded, the mean of the layer would be missing.
      const places = (next.weights[0].shape as number[]).slice(0, -2);
      return padding === 'valid' || places.every((size) => size === 1) ? next : undefined;
    }
    if (!averages.has(next.getClassName()) || padding === 'same') return undefined;
    from = next;
  }
  return undefined;
}

/**
 * The weights of a layer whose inputs are directions now.
 *
 * @param second from the directions to what the inputs were; an input is a place and a channel, the channel last
 */
function foldedInto({ kernel, bias }: Weights, second: Weights): Weights {
  const units = bias.length;
  const width = second.bias.length;
  const kept = second.kernel.length / width;
  const places = kernel.length / (units * width);
  const narrow = { kernel: new Float32Array(places * kept * units), bias: Float32Array.from(bias) };
  const sums = new Float64Array(units);
  for (let place = 0; place < places; place++) {
    for (let k = -1; k < kept; k++) {
      sums.fill(0);
      for (let channel = 0; channel < width; channel++) {
        const factor = k < 0 ? second.bias[channel] : second.kernel[k * width + channel];
        const row = (place * width + channel) * units;
        for (let unit = 0; unit < units; unit++) sums[unit] += factor * kernel[row + unit];
      }
      if (k >= 0) narrow.kernel.set(sums, (place * kept + k) * units);
      else for (let unit = 0; unit < units; unit++) narrow.bias[unit] += sums[unit];
    }
  }
  return narrow;
}

/** Mean and covariance of what layers have before their activation, by name. */
async function momentsOf(
  model: LayersModel,
  of: readonly layers.Layer[],
  batches: Batches,
): Promise<Map<string, CovarianceAccumulator>> {
  const names = new Set(of.map(({ name }) => name));
  const resolved = resolveRecorderOptions(
    { maxWidth: Number.POSITIVE_INFINITY, saveTo: [], stats: ['spectrum'] },
    'shrink',
  );
  const recorder = new ActivationRecorder(
    model,
    {
      ...resolved,
      activations: 'preActivation',
      exclude: undefined,
      layers: (layer) => names.has(layer.name) && layer.name,
    },
    (error) => {
      throw error;
    },
  );
  recorder.hook();
  let count = 0;
  try {
    for await (const batch of eachBatch(batches, 'shrink')) {
      recorder.record('val', () => runOnBatch(model, batch));
      count++;
    }
    if (count === 0) throw new RangeError('shrink: batches: expected at least one batch, got none');
    return new Map(
      recorder.samples.snapshot().map(({ layer, sums }) => [layer, sums.accumulator as CovarianceAccumulator]),
    );
  } finally {
    recorder.dispose();
  }
}

function randomBasis(width: number, seed: number): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return orthonormalBasis(Float64Array.from({ length: width * width }, normal), width);
}

/** @param basis width x width, a direction per column */
function factorsOf(
  { kernel, bias }: Weights,
  kept: number,
  mean: Float32Array,
  basis: Float32Array,
): { first: Weights; second: Weights } {
  const width = bias.length;
  const inputs = kernel.length / width;
  const first = { kernel: new Float32Array(inputs * kept), bias: new Float32Array(kept) };
  const second = { kernel: new Float32Array(kept * width), bias: Float32Array.from(mean) };
  for (let k = 0; k < kept; k++) {
    let shift = 0;
    for (let unit = 0; unit < width; unit++) {
      const part = basis[unit * width + k];
      second.kernel[k * width + unit] = part;
      shift += part * (bias[unit] - mean[unit]);
    }
    first.bias[k] = shift;
    for (let input = 0; input < inputs; input++) {
      let sum = 0;
      for (let unit = 0; unit < width; unit++) sum += kernel[input * width + unit] * basis[unit * width + k];
      first.kernel[input * kept + k] = sum;
    }
  }
  return { first, second };
}

/** A copy of a model in which each factored layer is two or narrower. */
function copyOf(
  model: LayersModel,
  factors: ReadonlyMap<string, Factors>,
  folded: ReadonlyMap<string, Weights>,
): LayersModel {
  const container = model as unknown as Container;
  const config = configOf(model);
  const taken = new Set(container.layers.map(({ name }) => name));
  const firstNames = new Map<string, string>();
  const result: LayerConfig[] = [];
  for (const [index, layer] of container.layers.entries()) {
    const entry = (config.layers as LayerConfig[])[index];
    const found = factors.get(layer.name);
    if (found === undefined) {
      const takesBias = folded.has(layer.name) && { useBias: true };
      result.push({ ...entry, config: { ...entry.config, ...takesBias } });
      continue;
    }
    const isDense = kindOf(layer) === 'Dense';
    const narrow = { [isDense ? 'units' : 'filters']: found.kept, useBias: true };
    if (found.second === undefined) {
      result.push({ ...entry, config: { ...entry.config, ...narrow } });
      continue;
    }
    let name = `${layer.name}_directions`;
    for (let count = 2; taken.has(name); count++) name = `${layer.name}_directions_${count}`;
    taken.add(name);
    firstNames.set(layer.name, name);
    const { batchInputShape, ...rest } = entry.config;
    const ones = kindOf(layer) === 'Conv1D' ? [1] : [1, 1];
    const geometry = isDense ? {} : { kernelSize: ones, strides: ones, dilationRate: ones };
    result.push({ ...entry, name, config: { ...entry.config, ...narrow, name, activation: 'linear' } });
    const calls = entry.inboundNodes?.map((_, node): NodeInput[] => [[name, node, 0, {}]]);
    const second = { ...rest, ...geometry, useBias: true };
    result.push({ ...entry, config: second, ...(calls !== undefined && { inboundNodes: calls }) });
  }
  config.layers = result;
  const copy = modelOf(model, config, true);
  const byName = new Map((copy as unknown as Container).layers.map((layer) => [layer.name, layer]));
  for (const layer of container.layers) {
    const twin = byName.get(layer.name) as layers.Layer;
    const found = factors.get(layer.name);
    const own = found?.second ?? found?.first ?? folded.get(layer.name);
    if (own !== undefined) setWeights(twin, own);
    else if (layer.weights.length > 0) twin.setWeights(layer.getWeights());
    const first = byName.get(firstNames.get(layer.name) ?? '');
    if (first !== undefined && found !== undefined) setWeights(first, found.first);
  }
  return copy;
}

function setWeights(layer: layers.Layer, { kernel, bias }: Weights): void {
  const made: Tensor[] = [tensor(kernel, layer.weights[0].shape as number[]), tensor(bias, [bias.length])];
  layer.setWeights(made);
  for (const each of made) each.dispose();
}

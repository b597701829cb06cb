import type { serialization } from '@tensorflow/tfjs-core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import type { LayersModel, layers } from '@tensorflow/tfjs-layers';
import { type Batches, eachBatch, runOnBatch } from '../activations/batches.js';
import { ActivationRecorder } from '../activations/recorder.js';
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import { resolveRecorderOptions } from '../recording/options.js';
import type { CovarianceAccumulator } from '../statistics/covariance.js';
import { checkedThreshold, intrinsicDimensionalityOf } from '../statistics/spectrum-measures.js';
import { orthonormalBasis, principalAxes } from './principal-axes.js';

/*
 * A smaller model that does almost the same: each dense or convolutional layer becomes two, of which the first computes only the
 * directions that the data uses, and the second turns them into the layer's units.
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
  /** Parameters of the two layers in its place. */
  readonly after: number;
}

/** A number of the model, and of the smaller one. */
export interface BeforeAndAfter {
  /** Of the model. */
  readonly before: number;
  /** Of the smaller one. */
  readonly after: number;
}

/** A smaller model, and what it costs. */
export interface ShrunkModel {
  /** The smaller model: not compiled, and disposed of separately. */
  readonly model: LayersModel;
  /** The layers that became two. */
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
}

const optionNames: OptionNames<ShrinkOptions> = { threshold: true, keep: true, directions: true, seed: true };

interface LayerConfig {
  name?: string;
  className: string;
  config: Record<string, unknown> & { name: string };
  inboundNodes?: unknown[][];
}
interface Container extends layers.Layer {
  layers: layers.Layer[];
}

/** The two layers in the place of one. */
interface Factors {
  readonly kept: number;
  /** Kernel and bias of the first: from the inputs to the kept directions. */
  readonly first: { readonly kernel: Float32Array; readonly bias: Float32Array };
  /** Kernel and bias of the second: from there to the units. */
  readonly second: { readonly kernel: Float32Array; readonly bias: Float32Array };
}

/**
 * Makes a smaller copy of a trained model. What a layer has before its activation is y = x W + b; over the data it lies near
 * m + E E' (y - m), with its mean m and its principal directions E. So a layer of d units and n inputs becomes one of k directions,
 * x (W E) + E' (b - m), and one of d units, (...) E' + m, with the activation of the layer: k (n + d) weights instead of n d. Layers
 * that would not become smaller stay. Train the copy for an epoch to make up for most of what it lost.
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
  let saved = 0;
  for (const [index, layer] of candidates.entries()) {
    const accumulator = moments.get(layer.name);
    if (accumulator === undefined || accumulator.count === 0) {
      leftOut.push({ name: layer.name, why: 'no data passed it' });
      continue;
    }
    const [inputs, width] = sizeOf(layer);
    const axes = principalAxes(accumulator, true);
    const kept = Math.max(1, intrinsicDimensionalityOf(Float64Array.from(axes.eigenvalues), threshold, 'paper'));
    const before = layer.countParams();
    const after = inputs * kept + kept + kept * width + width;
    if (after >= before) {
      leftOut.push({
        name: layer.name,
        why: `it uses ${kept} of ${width} directions: two layers would not be smaller`,
      });
      continue;
    }
    const basis = directions === 'random' ? randomBasis(width, seed + index) : axes.axes;
    factors.set(layer.name, factorsOf(layer, inputs, width, kept, axes.center, basis));
    shrunk.push({ name: layer.name, width, kept, before, after });
    saved += placesOf(layer) * (inputs * width - kept * (inputs + width));
  }
  if (shrunk.length === 0) {
    const reasons = leftOut.map(({ name, why }) => `'${name}' (${why})`).join(', ');
    throw new RangeError(
      `shrink: expected a layer that becomes smaller, got none: ${reasons || 'no layer has weights'}`,
    );
  }
  const copy = copyOf(model, factors);
  const multiplyAdds = container.layers.reduce((sum, layer) => {
    if (kindOf(layer) === undefined) return sum;
    const [inputs, width] = sizeOf(layer);
    return sum + placesOf(layer) * inputs * width;
  }, 0);
  return {
    model: copy,
    layers: shrunk,
    leftOut,
    parameters: { before: model.countParams(), after: copy.countParams() },
    multiplyAdds: { before: multiplyAdds, after: multiplyAdds - saved },
  };
}

type Kind = 'Dense' | 'Conv1D' | 'Conv2D';

function kindOf(layer: layers.Layer): Kind | undefined {
  const name = layer.getClassName();
  return name === 'Dense' || name === 'Conv1D' || name === 'Conv2D' ? name : undefined;
}

/** Why a layer cannot become two; undefined if it can. */
function whyNot(layer: layers.Layer, keep: readonly string[]): string | undefined {
  if (keep.includes(layer.name)) return 'it is to be kept';
  if (Array.isArray((layer as Partial<Container>).layers)) return 'it is a model of its own';
  if (kindOf(layer) === undefined) return `a ${layer.getClassName()} is not factored`;
  const config = layer.getConfig() as { dataFormat?: string; groups?: number; kernelConstraint?: unknown };
  if (config.dataFormat === 'channelsFirst') return 'its channels come first';
  if ((config.groups ?? 1) !== 1) return 'its channels are in groups';
  return undefined;
}

/** Inputs of one unit, and units, of a layer's kernel. */
function sizeOf(layer: layers.Layer): [inputs: number, units: number] {
  const [kernel] = layer.weights;
  const shape = kernel.shape as number[];
  const units = shape[shape.length - 1];
  return [shape.reduce((product, size) => product * size, 1) / units, units];
}

/** At how many places a layer is computed for one item. */
function placesOf(layer: layers.Layer): number {
  const shape = layer.outputShape as (number | null)[];
  return shape.slice(1, -1).reduce<number>((product, size) => product * (size ?? 1), 1);
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
    return new Map(recorder.samples.snapshot().map(({ layer, accumulator }) => [layer, accumulator]));
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
  layer: layers.Layer,
  inputs: number,
  width: number,
  kept: number,
  mean: Float32Array,
  basis: Float32Array,
): Factors {
  const [kernel, bias] = layer.getWeights();
  const weights = kernel.dataSync();
  const offset = bias?.dataSync();
  const first = { kernel: new Float32Array(inputs * kept), bias: new Float32Array(kept) };
  const second = { kernel: new Float32Array(kept * width), bias: Float32Array.from(mean) };
  for (let k = 0; k < kept; k++) {
    let shift = 0;
    for (let unit = 0; unit < width; unit++) {
      const part = basis[unit * width + k];
      second.kernel[k * width + unit] = part;
      shift += part * ((offset?.[unit] ?? 0) - mean[unit]);
    }
    first.bias[k] = shift;
    for (let input = 0; input < inputs; input++) {
      let sum = 0;
      for (let unit = 0; unit < width; unit++) sum += weights[input * width + unit] * basis[unit * width + k];
      first.kernel[input * kept + k] = sum;
    }
  }
  return { kept, first, second };
}

/** A copy of a model in which each factored layer is two. */
function copyOf(model: LayersModel, factors: ReadonlyMap<string, Factors>): LayersModel {
  const container = model as unknown as Container;
  // Through JSON, as in saving: the copy must share nothing with the model.
  const config = JSON.parse(JSON.stringify(model.getConfig())) as { layers: LayerConfig[] };
  const taken = new Set(container.layers.map(({ name }) => name));
  const firstNames = new Map<string, string>();
  const result: LayerConfig[] = [];
  for (const [index, layer] of container.layers.entries()) {
    const entry = config.layers[index];
    const found = factors.get(layer.name);
    if (found === undefined) {
      result.push(entry);
      continue;
    }
    let name = `${layer.name}_directions`;
    for (let count = 2; taken.has(name); count++) name = `${layer.name}_directions_${count}`;
    taken.add(name);
    firstNames.set(layer.name, name);
    const { batchInputShape, ...rest } = entry.config;
    const isDense = kindOf(layer) === 'Dense';
    const width = isDense ? 'units' : 'filters';
    const first = { ...entry.config, name, [width]: found.kept, activation: 'linear', useBias: true };
    const ones = kindOf(layer) === 'Conv1D' ? [1] : [1, 1];
    const geometry = isDense ? {} : { kernelSize: ones, strides: ones, dilationRate: ones };
    const second = { ...rest, ...geometry, useBias: true };
    result.push({ ...entry, name, config: first });
    const calls = entry.inboundNodes?.map((_, node) => [[name, node, 0, {}]]);
    result.push({ ...entry, config: second, ...(calls !== undefined && { inboundNodes: calls }) });
  }
  config.layers = result;
  const kind = model.constructor as serialization.SerializableConstructor<serialization.Serializable> & {
    fromConfig(cls: unknown, config: unknown, customObjects: object, fastWeightInit: boolean): LayersModel;
  };
  const copy = kind.fromConfig(kind, config, {}, true);
  const byName = new Map((copy as unknown as Container).layers.map((layer) => [layer.name, layer]));
  for (const layer of container.layers) {
    const twin = byName.get(layer.name) as layers.Layer;
    const found = factors.get(layer.name);
    if (found === undefined) {
      if (layer.weights.length > 0) twin.setWeights(layer.getWeights());
      continue;
    }
    setWeights(byName.get(firstNames.get(layer.name) as string) as layers.Layer, found.first);
    setWeights(twin, found.second);
  }
  return copy;
}

function setWeights(layer: layers.Layer, { kernel, bias }: Factors['first']): void {
  const made: Tensor[] = [tensor(kernel, layer.weights[0].shape as number[]), tensor(bias, [bias.length])];
  layer.setWeights(made);
  for (const each of made) each.dispose();
}

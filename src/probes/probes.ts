import { dispose, keep, slice, type Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type BatchDataset, eachBatch, type Inputs, inputsOf, isTensor, runOnBatch } from '../activations/batches.js';
import { onLayerCall } from '../activations/hooks.js';
import { type LayerFilter, type TrackedLayer, trackedLayers } from '../activations/layers.js';
import { floatsOf } from '../activations/tensors.js';
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import { lastSteps, poolPlaces, type SampleMatrix } from '../recording/samples.js';
import { LogisticRegression, type LogisticRegressionOptions } from './logistic-regression.js';

/*
 * Linear probes: the output of each layer, read as one row per sample, is what a logistic regression gets; its accuracy on
 * other samples says how well the classes can be read from the layer.
 */

/** Inputs of a model and the class of each. */
export interface ProbeSamples {
  /** All samples in one tensor, or in one tensor per input, in a list or by the names of the inputs. */
  xs: Inputs;
  /** The classes 0, 1, ...: one number per sample, a tensor of them, or a one-hot tensor (samples x classes). */
  ys: ArrayLike<number> | Tensor;
}

/**
 * Samples for probes: all at once, or batch after batch, `{ xs, ys }` each, from an iterable, an async iterable or a
 * tf.data.Dataset (`dataset.batch(size)`). The tensors stay yours, except those of a data set, which are disposed of.
 */
export type ProbeSource = ProbeSamples | Iterable<ProbeSamples> | AsyncIterable<ProbeSamples> | BatchDataset;

/** What writes the accuracies; a SummaryWriter is one. */
export interface ScalarWriter {
  /** Writes one accuracy, in [0, 1]. */
  addScalar(tag: string, value: number, step?: number | bigint): void;
}

/** Options of probeLayers. The solver stops at a tolerance of 1e-4 or after 300 steps by default. */
export interface ProbeOptions extends LogisticRegressionOptions {
  /** Keeps, drops or renames layers: see LayerFilter. Default: the layers that a tracker tracks by default. */
  layers?: LayerFilter;
  /** Samples per forward pass, for samples that are given all at once. Default 128. */
  batchSize?: number;
  /** Most places to which the space of a map is averaged down before the fit. Default 16 (4 x 4). */
  maxPlaces?: number;
  /** Writes each accuracy as `probe-accuracy/<layer>`, beside `saturation/<layer>`. Default: none is written. */
  writer?: ScalarWriter;
  /** The step at which accuracies are written. Default: the writer's. */
  step?: number | bigint;
}

const optionNames: OptionNames<ProbeOptions> = {
  layers: true,
  batchSize: true,
  maxPlaces: true,
  writer: true,
  step: true,
  l2: true,
  tolerance: true,
  maxIterations: true,
};

/** How well a linear model reads the classes from one layer. */
export interface Probe {
  /** The layer's name in a tracker. */
  layer: string;
  /** Number of features that the linear model got. */
  features: number;
  /** Fraction of the test samples whose class was found, in [0, 1]. */
  accuracy: number;
  /** The same fraction of the training samples. */
  trainAccuracy: number;
  /** Whether the solver reached its tolerance. */
  converged: boolean;
}

/**
 * Fits a logistic regression to the output of every tracked layer, and returns its accuracy on the test samples, in order of
 * depth. From the layer where the accuracy stops growing, layers add nothing to the solution
 * (https://arxiv.org/abs/1610.01644; beside saturation: https://arxiv.org/abs/2006.08679).
 *
 * Maps are averaged down to 4 x 4 places; recurrent layers are read at their last step. The model is left as it was.
 *
 * @throws TypeError or RangeError if samples and labels differ in number, or an activation is not finite
 */
export async function probeLayers(
  model: LayersModel,
  train: ProbeSource,
  test: ProbeSource,
  options: ProbeOptions = {},
): Promise<Probe[]> {
  checkOptionNames('probeLayers', options, optionNames);
  const tracked = trackedLayers(model, options.layers);
  // What can be wrong with samples that are at hand is said before a model runs for minutes.
  if (isAtHand(test)) await labelsOf('test', test);
  const fitting = await readSplit(model, tracked, 'train', train, options);
  const testing = await readSplit(model, tracked, 'test', test, options);
  const probes: Probe[] = [];
  for (const { name } of tracked) {
    const fitted = fitting.rows.get(name);
    const tested = testing.rows.get(name);
    // A layer that the forward pass does not reach (in front of another output, in a second model) has nothing to fit.
    if (!fitted || !tested) continue;
    const regression = LogisticRegression.fit(fitted, fitting.labels, { ...stoppingRule, ...options });
    const probe = {
      layer: name,
      features: fitted.features,
      accuracy: regression.accuracy(tested, testing.labels),
      trainAccuracy: regression.accuracy(fitted, fitting.labels),
      converged: regression.converged,
    };
    options.writer?.addScalar(`probe-accuracy/${name}`, probe.accuracy, options.step);
    probes.push(probe);
  }
  return probes;
}

/** The tolerance is scikit-learn's default: accuracies no longer change, and wide layers take seconds, not minutes. */
const stoppingRule = { tolerance: 1e-4, maxIterations: 300 } as const;

/** What the layers put out for a split, and the classes of its samples. */
interface ReadSplit {
  /** The rows of each layer over all samples, by its name. */
  rows: Map<string, SampleMatrix>;
  labels: number[];
}

async function readSplit(
  model: LayersModel,
  tracked: readonly TrackedLayer[],
  split: string,
  source: ProbeSource,
  { batchSize = 128, maxPlaces = 16 }: ProbeOptions,
): Promise<ReadSplit> {
  let caught = new Map<TrackedLayer, Tensor>();
  const hooks = tracked.map((entry) =>
    onLayerCall(entry.layer, ({ output }) => {
      // If a layer is used several times in a pass, its first use counts.
      if (!caught.has(entry)) caught.set(entry, keep(output.clone()));
    }),
  );
  const parts = new Map<string, SampleMatrix[]>();
  const labels: number[] = [];
  try {
    for await (const batch of batchesOf(split, source, batchSize)) {
      caught = new Map();
      for (const hook of hooks) hook.startNewPass();
      runOnBatch(model, batch);
      for (const [entry, tensor] of caught) {
        const rows = await readRows(entry, tensor, maxPlaces);
        const known = parts.get(entry.name);
        if (known) known.push(rows);
        else parts.set(entry.name, [rows]);
      }
      dispose([...caught.values()]);
      caught = new Map();
      for (const label of Array.from(batch.labels)) labels.push(label);
    }
  } finally {
    dispose([...caught.values()]);
    for (const hook of hooks) hook.remove();
  }
  if (labels.length === 0) throw new RangeError(`probeLayers: expected ${split} samples, got none`);
  return { rows: new Map([...parts].map(([name, rows]) => [name, joined(rows)])), labels };
}

/** Inputs of a model for one pass, and the class of each. */
interface LabelledBatch {
  xs: Inputs;
  labels: ArrayLike<number>;
}

/** Whether all samples of a source are there at once. */
function isAtHand(source: ProbeSource): source is ProbeSamples {
  return typeof source === 'object' && source !== null && 'xs' in source;
}

async function* batchesOf(split: string, source: ProbeSource, batchSize: number): AsyncGenerator<LabelledBatch> {
  if (!isAtHand(source)) {
    for await (const batch of eachBatch(source, `probeLayers: ${split}`)) {
      yield { xs: inputsOf(batch), labels: await labelsOf(split, batch as ProbeSamples) };
    }
    return;
  }
  const labels = Array.from(await labelsOf(split, source));
  for (let start = 0; start < labels.length; start += batchSize) {
    const size = Math.min(batchSize, labels.length - start);
    const xs = partOf(source.xs, start, size);
    try {
      yield { xs, labels: labels.slice(start, start + size) };
    } finally {
      dispose(xs);
    }
  }
}

function partOf(xs: Inputs, start: number, size: number): Inputs {
  const part = (tensor: Tensor) => slice(tensor, [start], [size]);
  if (isTensor(xs)) return part(xs);
  if (Array.isArray(xs)) return xs.map(part);
  return Object.fromEntries(Object.entries(xs).map(([name, tensor]) => [name, part(tensor)]));
}

async function readRows(entry: TrackedLayer, tensor: Tensor, maxPlaces: number): Promise<SampleMatrix> {
  const values = floatsOf(tensor, await tensor.data());
  const { shape } = tensor;
  if (entry.recurrent && shape.length === 3) return lastSteps(values, shape);
  return poolPlaces(values, shape, maxPlaces, entry.channelsFirst);
}

function joined(parts: readonly SampleMatrix[]): SampleMatrix {
  const { features } = parts[0]!;
  const Floats = parts.some((part) => part.values instanceof Float64Array) ? Float64Array : Float32Array;
  const values = new Floats(parts.reduce((sum, part) => sum + part.values.length, 0));
  let at = 0;
  for (const part of parts) {
    values.set(part.values, at);
    at += part.values.length;
  }
  return { values, rows: values.length / features, features };
}

async function labelsOf(split: string, { xs, ys }: ProbeSamples): Promise<ArrayLike<number>> {
  const samples = (isTensor(xs) ? xs : Object.values(xs ?? {})[0])?.shape?.[0];
  if (samples === undefined)
    throw new TypeError(`probeLayers: expected ${split}.xs to be a tensor, got ${describe(xs)}`);
  if (ys === undefined || ys === null) {
    throw new TypeError(`probeLayers: expected ${split}.ys, the class of each sample, got ${describe(ys)}`);
  }
  let labels: ArrayLike<number>;
  if (typeof (ys as Tensor)?.data === 'function') {
    const tensor = ys as Tensor;
    const values = await tensor.data();
    labels = tensor.rank === 2 && tensor.shape[1]! > 1 ? positionsOfLargest(values, tensor.shape[1]!) : values;
  } else {
    labels = ys as ArrayLike<number>;
  }
  if (labels?.length !== samples) {
    throw new RangeError(
      `probeLayers: expected ${samples} labels in ${split}.ys, one per sample, got ${labels?.length}`,
    );
  }
  return labels;
}

function positionsOfLargest(values: ArrayLike<number>, classes: number): Int32Array {
  return Int32Array.from({ length: values.length / classes }, (_, row) => {
    let best = 0;
    for (let k = 1; k < classes; k++) if (values[row * classes + k]! > values[row * classes + best]!) best = k;
    return best;
  });
}

import type { Layer, LayerFilter } from '../activations/layers.js';
import type { ConvMethod, Downsample, TimeseriesMethod } from '../activations/samples.js';
import { describe } from '../errors.js';
import { type ScalarStat, type Stat, scalarStatNames, statNamed, statNames } from '../saturation/stats.js';
import { checkedRule, checkedThreshold, type IntrinsicDimensionRule } from '../statistics/spectrum-measures.js';
import { checkSaveTo, type SaveTo } from './store-of.js';

/** Options of a SaturationTracker. */
export interface SaturationOptions {
  /**
   * What to compute per layer and split. Default: saturation, intrinsicDimensionality, spectrum. Delve's names are
   * accepted: lsat, idim, trc, dtrc, det, cov, embed.
   */
  stats?: Stat[];
  /** Fraction of the variance that the counted directions must explain, in (0, 1]. Default 0.99. */
  threshold?: number;
  /** 'paper' (default): smallest k that explains at least `threshold`. 'delve': what Delve's code executes (k - 1, mostly). */
  rule?: IntrinsicDimensionRule;
  /** Keeps (true), drops (false) or renames (string) layers. A string also takes in layers that are not tracked by default. */
  layers?: (layer: Layer) => boolean | string;
  /** What a layer with a fused activation shows: its output (default), or what it has before the activation, as Delve sees it. */
  activations?: 'output' | 'preActivation';
  /** What is a sample in convolutional layers. Default 'channelwise': every place of every image, with its channels as features. */
  convMethod?: ConvMethod;
  /**
   * What is a sample in layers that put out sequences. Default: 'lastTimestep' for recurrent layers (as Delve), 'tokens'
   * for all others (dense layers on sequences, embeddings, attention).
   */
  timeseriesMethod?: TimeseriesMethod;
  /** Shrinks maps before they are read: every side longer than `size` becomes `size`. Never enlarges. */
  downsample?: Downsample;
  /** Where to save. Default ['tensorboard']. */
  saveTo?: readonly SaveTo[] | SaveTo;
  /**
   * 'all' (default): every row of every batch. 'auto': as many as the saturation needs to be within 0.01 of that of all
   * rows. Of an item (image, sequence) at most 32 rows, other ones in each batch; of a long epoch some batches, as many as
   * the layer's last spectrum asks for (SampleBudget). Of fewer than 100 features one direction is more than 0.01: there
   * a saturation at the edge may be one direction off.
   */
  sampling?: 'all' | 'auto';
  /** 'auto' (default): the cheapest way that is exact enough (1e-7 of the largest eigenvalue). 'float64': float64 throughout. */
  precision?: 'auto' | 'float64';
  /** Uses every n-th batch, starting with the first of each epoch. Default 1. */
  logInterval?: number;
  /** Uses at most this many items (images, sequences) per layer, split and epoch. Default: no limit. */
  maxSamples?: number;
  /** Start anew after each addSaturations. Default true; false lets the moments grow over all epochs. */
  resetCovariance?: boolean;
  /** Also writes the mean saturation over all layers, per split. Default false. */
  averageSaturation?: boolean;
  /**
   * Continues an earlier run: what it wrote for this epoch and later ones is dropped from every store. Default 0.
   * A SummaryWriter of your own is yours to open with `purgeStep: initialEpoch + 1`.
   */
  initialEpoch?: number;
  /** Aborting it stops recording for good and takes the hooks off the model. */
  signal?: AbortSignal;
}

/** Options with every default filled in and every value checked. */
export interface ResolvedOptions {
  scalars: readonly ScalarStat[];
  spectrum: boolean;
  covariance: boolean;
  embedding: boolean;
  threshold: number;
  rule: IntrinsicDimensionRule;
  layers: LayerFilter | undefined;
  activations: 'output' | 'preActivation';
  convMethod: ConvMethod;
  timeseriesMethod: TimeseriesMethod | undefined;
  downsample: Downsample | undefined;
  saveTo: readonly SaveTo[];
  sampling: 'all' | 'auto';
  precision: 'auto' | 'float64';
  logInterval: number;
  maxSamples: number;
  resetCovariance: boolean;
  averageSaturation: boolean;
  initialEpoch: number;
  signal: AbortSignal | undefined;
}

/** Checks options and fills in the defaults. @throws TypeError, RangeError naming the option */
export function resolveOptions(options: SaturationOptions = {}): ResolvedOptions {
  if (options === null || typeof options !== 'object')
    throw new TypeError(`options: expected an object, got ${options}`);
  const stats = resolveStats(options.stats ?? ['saturation', 'intrinsicDimensionality', 'spectrum']);
  return {
    scalars: scalarStatNames.filter((stat) => stats.has(stat)),
    spectrum: stats.has('spectrum'),
    covariance: stats.has('covariance'),
    embedding: stats.has('embedding'),
    threshold: checkedThreshold(options.threshold ?? 0.99),
    rule: checkedRule(options.rule ?? 'paper'),
    layers: checkedFunction('layers', options.layers),
    activations: oneOf('activations', options.activations ?? 'output', ['output', 'preActivation']),
    convMethod: oneOf('convMethod', options.convMethod ?? 'channelwise', [
      'channelwise',
      'mean',
      'max',
      'median',
      'flatten',
    ]),
    timeseriesMethod:
      options.timeseriesMethod === undefined
        ? undefined
        : oneOf<TimeseriesMethod>('timeseriesMethod', options.timeseriesMethod, [
            'lastTimestep',
            'timestepwise',
            'tokens',
          ]),
    downsample: checkedDownsample(options.downsample),
    saveTo: checkedSaveTo(options.saveTo ?? ['tensorboard']),
    sampling: oneOf('sampling', options.sampling ?? 'all', ['all', 'auto']),
    precision: oneOf('precision', options.precision ?? 'auto', ['auto', 'float64']),
    logInterval: integerFrom('logInterval', options.logInterval ?? 1, 1),
    maxSamples:
      options.maxSamples === undefined ? Number.POSITIVE_INFINITY : integerFrom('maxSamples', options.maxSamples, 1),
    resetCovariance: checkedBoolean('resetCovariance', options.resetCovariance ?? true),
    averageSaturation: checkedBoolean('averageSaturation', options.averageSaturation ?? false),
    initialEpoch: integerFrom('initialEpoch', options.initialEpoch ?? 0, 0),
    signal: options.signal,
  };
}

function resolveStats(stats: readonly string[]): Set<string> {
  if (!Array.isArray(stats)) throw new TypeError(`stats: expected a list of names, got ${describe(stats)}`);
  const resolved = new Set<string>();
  for (const stat of stats) {
    const name = statNamed(stat);
    if (name === undefined) {
      throw new RangeError(`stats: expected names out of ${statNames.join(', ')}, got ${describe(stat)}`);
    }
    resolved.add(name);
  }
  if (resolved.size === 0) throw new RangeError('stats: expected at least one name, got an empty list');
  return resolved;
}

function checkedDownsample(downsample: Downsample | undefined): Downsample | undefined {
  if (downsample === undefined) return undefined;
  if (downsample === null || typeof downsample !== 'object') {
    throw new TypeError(`downsample: expected { size, method? }, got ${describe(downsample)}`);
  }
  return {
    size: integerFrom('downsample.size', downsample.size, 1),
    method: oneOf<'nearest' | 'bilinear'>('downsample.method', downsample.method ?? 'nearest', ['nearest', 'bilinear']),
  };
}

function checkedSaveTo(saveTo: readonly SaveTo[] | SaveTo): readonly SaveTo[] {
  const targets = Array.isArray(saveTo) ? (saveTo as readonly SaveTo[]) : [saveTo as SaveTo];
  for (const target of targets) checkSaveTo(target);
  return targets;
}

function oneOf<T extends string>(option: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) {
    throw new RangeError(
      `${option}: expected one of ${allowed.map((word) => `'${word}'`).join(', ')}, got ${describe(value)}`,
    );
  }
  return value;
}

function integerFrom(option: string, value: number, least: number): number {
  if (typeof value !== 'number')
    throw new TypeError(`${option}: expected an integer >= ${least}, got ${describe(value)}`);
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${option}: expected an integer >= ${least}, got ${value}`);
  }
  return value;
}

function checkedBoolean(option: string, value: boolean): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${option}: expected true or false, got ${describe(value)}`);
  return value;
}

function checkedFunction(option: string, value: LayerFilter | undefined): LayerFilter | undefined {
  if (value !== undefined && typeof value !== 'function') {
    throw new TypeError(`${option}: expected a function of a layer, got ${describe(value)}`);
  }
  return value;
}

import { checkOptionNames, describe, didYouMean, type OptionNames } from '../errors.js';
import { DEFAULT_STORED_EIGENVALUES } from '../saturation/eigenvalues.js';
import type { MeasureOptions } from '../saturation/measure-layer.js';
import { type SamplingRule, samplings } from '../saturation/note.js';
import {
  correctedStats,
  healthStats,
  type ScalarStat,
  type Stat,
  scalarStatNames,
  scalarStats,
  statNamed,
  statNames,
} from '../saturation/stats.js';
import {
  checkedRule,
  checkedThreshold,
  DEFAULT_THRESHOLD,
  type IntrinsicDimensionRule,
} from '../statistics/spectrum-measures.js';
import type { RecordingOptions } from './sample-recorder.js';
import type { ConvMethod, Downsample, TimeseriesMethod } from './samples.js';
import { checkSaveTo, type SaveTo } from './store-of.js';

/** The covariance of so many features takes 67 MB, and its eigenvalues about ten seconds. */
const DEFAULT_MAX_WIDTH = 4096;

/** What a process does: see RecorderOptions.role. */
export type Role = 'alone' | 'worker' | 'writer';

/** Options of a SaturationRecorder, and of a SaturationTracker beside those that concern its model. */
export interface RecorderOptions {
  /**
   * What to compute per layer and split. Default: saturation, intrinsicDimensionality, spectrum, and of layers whose rows are
   * too few for what they show saturationCorrected with its interval, saturationLow to saturationHigh. Delve's short names are taken too: lsat, idim, trc, dtrc, det, cov,
   * embed. 'health', alone or in the list, stands for all vital signs (docs/health.md); alone, the default ones come with them.
   */
  stats?: readonly (Stat | 'health')[] | 'health';
  /** Fraction of the variance that the counted directions must explain, in (0, 1]. Default 0.99. */
  threshold?: number;
  /**
   * How directions are counted. 'paper' (default): the smallest number that explains at least `threshold`. 'delve': what
   * Delve's code computes, which is one less in most cases.
   */
  rule?: IntrinsicDimensionRule;
  /** What counts as a sample in convolutional layers. Default 'channelwise': each place of each image, with its channels. */
  convMethod?: ConvMethod;
  /**
   * What counts as a sample in layers whose output is a sequence. Default: 'lastTimestep' for recurrent layers (as in
   * Delve), 'tokens' for all others (dense layers on sequences, embeddings, attention).
   */
  timeseriesMethod?: TimeseriesMethod;
  /** Shrinks maps before they are read: each side longer than `size` becomes `size`. Default: maps keep their size. */
  downsample?: Downsample;
  /** Where to save: names or stores, or one of them. Default ['tensorboard']. */
  saveTo?: readonly SaveTo[] | SaveTo;
  /**
   * How many rows count. 'all' (default): every row of every batch. 'auto': the same share of the rows of every batch,
   * whatever the order of the data, and in all as many as it takes for a saturation within 0.01 of that of all rows. An
   * epoch whose length is not known beforehand (the first one of fitDataset or of `record`) uses all rows. A layer of fewer
   * than 100 features uses 65,536 rows: one direction is more than 0.01 there, and the saturation may be off by one. How
   * many rows it takes is estimated as for Gaussian rows: a few that are far from all others may need 'all'.
   * 'corrected': in the same way as many as the corrected saturation (`saturationCorrected`, `Spectrum.saturationEstimate`) needs,
   * 8 per feature, a tenth of 'auto'. It is written for every layer then; the plain one is of few rows, and too low.
   */
  sampling?: SamplingRule;
  /**
   * Precision of the sums. 'auto' (default): the cheapest way whose error stays below 3e-7 of the largest eigenvalue.
   * 'float64': float64 throughout.
   */
  precision?: 'auto' | 'float64';
  /**
   * Uses every n-th batch, starting with the first one of each epoch, with all calls of a layer for that batch. Default 1.
   * One call of `record` is one batch; but inside it, the model's `predict`, `evaluate` and `fit` run several.
   */
  logInterval?: number;
  /**
   * Looks for dead units, dead layers and NaN within epochs, too: every n-th batch, in the batches since the last look (in 100 rows
   * at least). What is found is told at once, with its batch; `stopOn` ends the fit there. Default: at the end of each epoch only.
   */
  findEvery?: number;
  /**
   * Most items (images, sequences) that are used per layer, split and epoch. Default: no limit. A layer that is called
   * several times for a batch uses the same number in each call.
   */
  maxSamples?: number;
  /**
   * Layers of more features than this are measured as `wideLayers` says; Infinity for no limit. Default 4096.
   * Of d features, the covariance takes 4 d^2 bytes of memory per split, and its eigenvalues time that grows with d^3: about
   * ten seconds for 4096, hours for a softmax over a vocabulary of 50,000. What counts are the columns of a layer's samples:
   * channels or units, times all places with convMethod 'flatten', or all steps with timeseriesMethod 'timestepwise'.
   */
  maxWidth?: number;
  /**
   * What is done with layers of more features than `maxWidth`. 'sketch' (default): what 128 directions of the first rows see of all
   * rows is computed, and how much they do not see; the saturation then lies in an interval, `bounds` in what
   * `addSaturations` resolves to. Of a batch, 1.25 million numbers are used: 62 rows of 20,000 features, evenly picked. A layer takes 1.5 KB per feature at most, 200 MB for the 131,072 features from which on it is left out;
   * of its statistics there are those of eigenvalues. 'leaveOut': they are left out, with one warning that names them.
   */
  wideLayers?: 'sketch' | 'leaveOut';
  /** Whether each `addSaturations` starts a new sample. Default true; with false the sample grows over all epochs. */
  resetCovariance?: boolean;
  /**
   * Most eigenvalues that TensorBoard's runs store of a layer at each epoch (the tags `eigenvalues/<layer>`, 4 bytes each): a
   * wider layer stores the largest ones and the sum of the others. The Saturation tab and reports count directions in them at
   * any threshold. Default 4096; 0 stores none. They are stored if `stats` asks for the spectrum.
   */
  storedEigenvalues?: number;
  /** Whether the mean saturation over all layers is written too, per split. Default false. */
  averageSaturation?: boolean;
  /**
   * Whether TensorBoard gets the saturations of an epoch as one histogram, `saturation-profile`, too: bucket i is layer i. Its
   * pages name no layer on that axis; the Saturation tab draws the same with names. Default false.
   */
  profileHistogram?: boolean;
  /**
   * The 0-based epoch at which an earlier run is continued: what that run saved for this epoch and later ones is removed
   * from every store. Default 0, a new run. If you give the tracker a SummaryWriter, open it with
   * `purgeStep: initialEpoch + 1` yourself.
   */
  initialEpoch?: number;
  /**
   * What this process does, if several measure together (docs/distributed.md). 'alone' (default): it records and writes. 'worker':
   * it records and writes nothing, whatever the logdir and `saveTo` say; `take()` ends its periods, and nothing is solved.
   * 'writer': it records nothing of its own and writes what is given to `merge()`.
   */
  role?: Role;
  /**
   * Whether on SIGINT and SIGTERM the epochs that are being solved are written, as at `process.exit`, before the signal does its
   * work; see the option of SummaryWriter. Default false.
   */
  handleSignals?: boolean;
  /** A signal whose abort stops the recording for good and takes the hooks off the model. Default: none. */
  signal?: AbortSignal;
}

/** Options with every default filled in and every value checked. */
export interface ResolvedOptions extends RecordingOptions, MeasureOptions {
  readonly convMethod: ConvMethod;
  readonly timeseriesMethod: TimeseriesMethod | undefined;
  readonly saveTo: readonly SaveTo[];
  readonly resetCovariance: boolean;
  readonly averageSaturation: boolean;
  readonly profileHistogram: boolean;
  readonly storedEigenvalues: number;
  readonly initialEpoch: number;
  readonly role: Role;
  readonly handleSignals: boolean;
  readonly signal: AbortSignal | undefined;
  readonly classesByName: boolean;
}

/** The names of all options of a recorder. */
export const recorderOptionNames: OptionNames<RecorderOptions> = {
  stats: true,
  threshold: true,
  rule: true,
  convMethod: true,
  timeseriesMethod: true,
  downsample: true,
  saveTo: true,
  sampling: true,
  precision: true,
  logInterval: true,
  findEvery: true,
  maxSamples: true,
  maxWidth: true,
  wideLayers: true,
  resetCovariance: true,
  averageSaturation: true,
  profileHistogram: true,
  storedEigenvalues: true,
  initialEpoch: true,
  role: true,
  handleSignals: true,
  signal: true,
};

/**
 * Checks options and fills in the defaults.
 *
 * @param call what the options were given to, for the error
 * @throws TypeError or RangeError that names the option
 */
export function resolveRecorderOptions(options: RecorderOptions, call: string): ResolvedOptions {
  checkOptionNames(call, options, recorderOptionNames);
  const isDefault = options.stats === undefined || options.stats === 'health';
  const stats = resolveStats(isDefault ? [...defaultStats, ...(options.stats ? healthStats : [])] : options.stats);
  const needs = (basis: string) => scalarStatNames.some((stat) => stats.has(stat) && scalarStats[stat].basis === basis);
  const role = oneOf<Role>('role', options.role ?? 'alone', ['alone', 'worker', 'writer']);
  const sampling = oneOf<SamplingRule>('sampling', options.sampling ?? 'all', samplings);
  const saveTo = checkedSaveTo(options.saveTo ?? ['tensorboard']);
  return {
    correctsOnlyFew: isDefault && sampling !== 'corrected',
    forCorrected: sampling === 'corrected',
    scalars: scalarStatNames.filter((stat) => stats.has(stat)),
    spectrum: stats.has('spectrum'),
    covariance: stats.has('covariance'),
    embedding: stats.has('embedding'),
    neighbors: needs('sample'),
    units: needs('units'),
    classes: needs('labels'),
    classesByName: Array.isArray(options.stats) && options.stats.some(isOfClasses),
    threshold: checkedThreshold(options.threshold ?? DEFAULT_THRESHOLD),
    rule: checkedRule(options.rule ?? 'paper'),
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
    role,
    saveTo: role === 'worker' ? [] : saveTo,
    sampling,
    precision: oneOf('precision', options.precision ?? 'auto', ['auto', 'float64']),
    logInterval: integerFrom('logInterval', options.logInterval ?? 1, 1),
    findEvery:
      options.findEvery === undefined ? Number.POSITIVE_INFINITY : integerFrom('findEvery', options.findEvery, 1),
    maxSamples:
      options.maxSamples === undefined ? Number.POSITIVE_INFINITY : integerFrom('maxSamples', options.maxSamples, 1),
    maxWidth:
      options.maxWidth === Number.POSITIVE_INFINITY
        ? Number.POSITIVE_INFINITY
        : integerFrom('maxWidth', options.maxWidth ?? DEFAULT_MAX_WIDTH, 1),
    wideLayers: oneOf('wideLayers', options.wideLayers ?? 'sketch', ['sketch', 'leaveOut']),
    resetCovariance: checkedBoolean('resetCovariance', options.resetCovariance ?? true),
    averageSaturation: checkedBoolean('averageSaturation', options.averageSaturation ?? false),
    profileHistogram: checkedBoolean('profileHistogram', options.profileHistogram ?? false),
    storedEigenvalues: integerFrom('storedEigenvalues', options.storedEigenvalues ?? DEFAULT_STORED_EIGENVALUES, 0),
    initialEpoch: integerFrom('initialEpoch', options.initialEpoch ?? 0, 0),
    handleSignals: checkedBoolean('handleSignals', options.handleSignals ?? false),
    signal: checkedSignal(options.signal),
  };
}

function isOfClasses(stat: unknown): boolean {
  const name = statNamed(String(stat));
  return name !== undefined && name in scalarStats && scalarStats[name as ScalarStat].basis === 'labels';
}

const defaultStats: readonly Stat[] = ['saturation', ...correctedStats, 'intrinsicDimensionality', 'spectrum'];

function resolveStats(stats: unknown): Set<string> {
  if (!Array.isArray(stats)) throw new TypeError(`stats: expected a list of names or 'health', got ${describe(stats)}`);
  const resolved = new Set<string>();
  for (const stat of stats.flatMap((each) => (each === 'health' ? healthStats : [each]))) {
    const name = statNamed(stat);
    if (name === undefined) {
      const names = [...statNames, 'health'];
      const came = `${describe(stat)}${didYouMean(stat, names)}`;
      throw new RangeError(`stats: expected names out of ${names.join(', ')}, got ${came}`);
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

/** A signal of another realm is one, too. */
function checkedSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  const isSignal = typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function';
  if (signal === undefined || isSignal) return signal;
  throw new TypeError(`signal: expected an AbortSignal, got ${describe(signal)}`);
}

/** Checks an option that is one of several words. @throws RangeError */
export function oneOf<T extends string>(option: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) {
    throw new RangeError(
      `${option}: expected one of ${allowed.map((word) => `'${word}'`).join(', ')}, got ${describe(value)}`,
    );
  }
  return value;
}

function integerFrom(option: string, value: number, least: number): number {
  const wrong = `${option}: expected an integer >= ${least}, got ${describe(value)}`;
  if (typeof value !== 'number') throw new TypeError(wrong);
  if (!Number.isSafeInteger(value) || value < least) throw new RangeError(wrong);

  return value;
}

/** Checks an option that is true or false. @throws TypeError */
export function checkedBoolean(option: string, value: boolean): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${option}: expected true or false, got ${describe(value)}`);
  return value;
}

import { describe } from '../errors.js';
import { type SaturationBounds, Spectrum } from '../statistics/spectrum.js';
import type { Dimensions, ScalarStat } from './stats.js';

/** Training batches and validation batches are kept apart. */
export type Split = 'train' | 'val';

/** @throws RangeError if it is no split */
export function checkSplit(split: Split): void {
  if (split !== 'train' && split !== 'val') {
    throw new RangeError(`split: expected 'train' or 'val', got ${describe(split)}`);
  }
}

/**
 * What a layer is for, where it decides how its saturation is to be read: an output layer is as wide as the question, and
 * linear projections, depthwise convolutions and layers that squeeze (a 1 x 1 convolution to fewer channels) are narrow by
 * design.
 */
export type LayerRole = 'output' | 'projection' | 'depthwise' | 'squeeze';

/** The roles that a layer may have. */
export const layerRoleNames: readonly LayerRole[] = ['output', 'projection', 'depthwise', 'squeeze'];

/** One layer in one split at the end of an epoch, as `SaturationTracker.addSaturations` reports it. */
export interface LayerSaturation extends Dimensions {
  /** The split that the samples belong to. */
  split: Split;
  /** Name of the layer. */
  layer: string;
  /** Rows (samples) that the statistics rest on. */
  samples: number;
  /**
   * How many independent rows the samples are worth: of the places of one image or the steps of one sequence, 16 count at
   * most. Whether the statistics can be trusted depends on it. Absent if that is not known.
   */
  effectiveSamples?: number;
  /** Rows left out because they held a NaN or Infinity. */
  rejected: number;
  /** Width of the layer: columns of the activation matrix. */
  features: number;
  /**
   * Between which numbers the saturation of the rows lies for certain, if the layer is so wide that only a sketch of it was kept:
   * `saturation` and all other statistics are then estimates. Absent for other layers.
   */
  bounds?: SaturationBounds;
}

/** Everything known of one layer in one split at the end of an epoch. */
export interface LayerStatistics extends LayerSaturation {
  /** The numbers asked for with `stats`; NaN if no row was finite. */
  values: Partial<Record<ScalarStat, number>>;
  /** Where and in which precision its samples were summed, in words; absent if that is not known. */
  strategy?: string;
  /** What the layer is for; absent if it has no special role, or the network's structure is not known. */
  role?: LayerRole;
  /**
   * True if training may change the layer's weights and has not since the last epoch. Absent if it has, and where that is not known: it is
   * seen in the training split, if `stats` asks for weightAlpha.
   */
  isFrozen?: true;
  /** The eigenvalues; only if asked for, and absent if no row was finite. */
  spectrum?: Spectrum;
  /** features x features, row-major; only if the covariance was asked for. */
  covariance?: Float64Array;
  /** Samples projected on the first two principal axes, row-major n x 2; only if asked for. */
  embedding?: Float64Array;
}

/** What a store is given after each epoch: once per `addSaturations`. */
export interface EpochStatistics {
  /** 0-based epoch (or the number of the call in a custom loop). */
  epoch: number;
  /** Step in TensorBoard: epoch + 1, as epoch_loss has it, unless a custom loop gave another one. */
  step: number;
  /** Fraction of the variance that the counted directions explain, in (0, 1]. */
  threshold: number;
  /** How the threshold was applied: by the papers' definition, or as Delve executes it. */
  rule: 'paper' | 'delve';
  /** The layers in order of depth, those of the training split and of the validation split. */
  layers: LayerStatistics[];
  /** The user's own scalars since the last epoch. */
  scalars: EpochScalar[];
}

/** A scalar of the user's own, such as a loss, in one epoch. */
export interface EpochScalar {
  /** Name of the scalar. */
  tag: string;
  /** Its value; the last one counts if a tag comes several times in an epoch. */
  value: number;
  /** The split it belongs to; undefined if it belongs to none. */
  split?: Split;
}

/**
 * An epoch as a store gets it. Its structured clone is taken too, which is what `postMessage` makes of it between threads: a clone of a
 * spectrum has no methods, so that a spectrum is made of its eigenvalues again.
 *
 * @param call for the error
 * @throws TypeError if it is neither, such as what JSON makes of it
 */
export function checkedEpoch(given: unknown, call: string): EpochStatistics {
  const check = (holds: unknown, what: string, got: unknown) => {
    if (holds) return;
    throw new TypeError(
      `${call}: expected an epoch as a store gets it, or its structured clone, got ${what}${describe(got)}`,
    );
  };
  check(typeof given === 'object' && given !== null, '', given);
  const epoch = given as EpochStatistics;
  for (const name of ['epoch', 'step', 'threshold'] as const) {
    check(Number.isFinite(epoch[name]), `${name}: `, epoch[name]);
  }
  for (const name of ['layers', 'scalars'] as const) check(Array.isArray(epoch[name]), `${name}: `, epoch[name]);
  const layers = epoch.layers.map((layer, index) => {
    check(typeof layer === 'object' && layer !== null, `layers[${index}]: `, layer);
    check(typeof layer.layer === 'string', `layers[${index}].layer: `, layer.layer);
    const of = ` of the layer '${layer.layer}': `;
    check(layer.split === 'train' || layer.split === 'val', `split${of}`, layer.split);
    for (const name of ['samples', 'rejected', 'features', 'saturation', 'intrinsicDimensionality'] as const) {
      check(typeof layer[name] === 'number', name + of, layer[name]);
    }
    check(typeof layer.values === 'object' && layer.values !== null, `values${of}`, layer.values);
    for (const [stat, value] of Object.entries(layer.values)) check(typeof value === 'number', stat + of, value);
    const { spectrum } = layer;
    // By its members: it may be another build's.
    if (spectrum === undefined || typeof spectrum?.trace === 'number') return layer;
    const { eigenvalues, samples, effectiveSamples } = Object(spectrum) as Spectrum;
    check(eigenvalues instanceof Float64Array, `spectrum${of}`, spectrum);
    return { ...layer, spectrum: Spectrum.fromEigenvalues(eigenvalues, { samples, effectiveSamples }) };
  });
  return { ...epoch, layers };
}

/** Names without the folders that most of them begin with. */
export interface ShortNames {
  /** The folders, up to and with a slash; empty if there are none. */
  readonly prefix: string;
  /** A name without them; names that begin otherwise stay. */
  readonly short: (name: string) => string;
}

/** What the names of three in four layers begin with is left out, unless two names would then be the same. */
export function shortNames(all: readonly string[]): ShortNames {
  const names = [...new Set(all)];
  const counts = new Map<string, number>();
  for (const name of names) {
    for (let end = name.indexOf('/'); end >= 0; end = name.indexOf('/', end + 1)) {
      const prefix = name.slice(0, end + 1);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  }
  const shared = [...counts]
    .filter(([, count]) => count > 1 && 4 * count >= 3 * names.length)
    .map(([prefix]) => prefix);
  // Of two such prefixes one begins with the other, because more than half of the names begin with both.
  const prefix = shared.reduce((longest, one) => (one.length > longest.length ? one : longest), '');
  const short = (name: string) => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  const isUnique = names.every((name) => short(name) !== '') && new Set(names.map(short)).size === names.length;
  return isUnique ? { prefix, short } : { prefix: '', short: (name) => name };
}

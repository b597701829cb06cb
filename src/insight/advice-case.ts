import { describe } from '../errors.js';
import {
  type EpochStatistics,
  type LayerRole,
  type LayerStatistics,
  type Split,
  shortNames,
} from '../saturation/epoch.js';
import type { ScalarValues } from '../saturation/stats.js';
import { Spectrum } from '../statistics/spectrum.js';
import { type InputSize, inputSizeOf } from './border.js';
import { checkModel, type ModelLike } from './layer-graph.js';
import { layerRoles } from './layer-roles.js';
import { type ReceptiveField, receptiveFields } from './receptive-fields.js';
import type { TailOptions } from './tail.js';

/*
 * What advice is drawn from: an epoch's layers, divided into those whose numbers can be trusted and those whose cannot, and
 * what is known of the network.
 */

/** What a finding is about, most serious first. */
export type FindingKind =
  | 'nonFinite'
  | 'dead'
  | 'deadUnits'
  | 'collapse'
  | 'outliers'
  | 'decided'
  | 'tail'
  | 'border'
  | 'bottleneck'
  | 'samples'
  | 'width';

/** One thing that the numbers suggest. */
export interface Finding {
  /** What the finding is about. */
  readonly kind: FindingKind;
  /** The layers concerned, in order of depth. */
  readonly layers: readonly string[];
  /** What was seen, with the numbers that it rests on, and what to try. Markdown without links. */
  readonly text: string;
  /** The paper or thread from which the rule comes. */
  readonly source: {
    /** Its title and authors. */
    readonly title: string;
    /** Where to read it. */
    readonly url: string;
  };
}

/** What advice looks at of an earlier epoch: an EpochStatistics, or a part of one. */
export interface EarlierEpoch {
  /** Its step in TensorBoard. */
  readonly step: number;
  /** Its layers, with the numbers that were recorded. */
  readonly layers: readonly Pick<LayerStatistics, 'split' | 'layer' | 'values'>[];
}

/** Options of adviseOn and adviceMarkdown. */
export interface AdviceOptions extends TailOptions {
  /** The split to judge. Default: 'train' if it was recorded, else 'val'. */
  split?: Split;
  /**
   * The tf.LayersModel whose layers these are. With it, the advice knows all output layers, layers that are narrow by design
   * (both of which a tracker also notes in its runs), the receptive fields and the size of the input.
   */
  model?: ModelLike;
  /**
   * What layers are for, by name: of a GraphModel, `new Map(graphNodes(model).map(({ name, role }) => [name, role]))`. Default:
   * that of `model`, or what a tracker noted.
   */
  roles?: ReadonlyMap<string, LayerRole | undefined>;
  /** The result of `receptiveFields(model)`, which shows from where on layers see nothing new. Default: that of `model`. */
  receptiveFields?: readonly ReceptiveField[];
  /** Size of the model's inputs in pixels or samples; needed with `receptiveFields`. Default: that of `model`, if fixed. */
  inputSize?: InputSize;
  /** An earlier epoch of the same training: with it, the advice tells ranks that fell since, if both have vital signs. */
  earlier?: EarlierEpoch;
  /** Whether the model is trained already, so that training it differently is no advice. Default: true for spectra. */
  finished?: boolean;
  /** Fraction of the variance that the counted directions explain; only for spectra. Default 0.99. */
  threshold?: number;
  /** The result of `probeLayers`: accuracy by layer. */
  probes?: readonly {
    /** The layer's name in a tracker. */
    readonly layer: string;
    /** Fraction of the test samples whose class was found, in [0, 1]. */
    readonly accuracy: number;
  }[];
}

/** What the findings are drawn from. */
export interface AdviceCase {
  readonly epoch: EpochStatistics;
  /** All layers of the split, in order of depth. */
  readonly layers: readonly LayerStatistics[];
  /** Those that put out features and not the answer, and whose numbers rest on enough rows. */
  readonly trusted: readonly LayerStatistics[];
  /** Those whose numbers rest on too few rows. */
  readonly doubtful: readonly LayerStatistics[];
  readonly roles: ReadonlyMap<string, LayerRole>;
  readonly fields: readonly ReceptiveField[];
  readonly inputSize: InputSize | undefined;
  readonly finished: boolean;
  /** What a better network has more or less of: 'accuracy' if that was recorded, else 'loss'. */
  readonly goal: 'accuracy' | 'loss';
  readonly options: AdviceOptions;
  /** A layer's name in a text: without what all names begin with, as code. */
  readonly named: (layer: string) => string;
}

/**
 * For layers whose spectrum is not at hand: rows per intrinsic dimension below which the estimate is visibly too low. For a
 * Gaussian in 256 dimensions with a 1/i spectrum (intrinsic dimensionality 241 at 99 %), 4 rows per dimension give 5 % too
 * few dimensions, and 10 rows give 2 % too few.
 */
export const rowsPerDimension = 10;

/** @throws TypeError if `model` is not a built tf.LayersModel */
export function caseOf(of: EpochStatistics | ReadonlyMap<string, Spectrum>, options: AdviceOptions): AdviceCase {
  const epoch = epochOf(of, options);
  const { model, finished = of instanceof Map } = options;
  if (model !== undefined) checkModel('adviseOn', model);
  const layers = layersToJudge(epoch, options.split);
  const roles = givenRoles(options) ?? (model === undefined ? notedRoles(layers) : layerRoles(model));
  // Without a model that tells, what stands last is taken for the output.
  const head = options.head ?? (layers.some(({ layer }) => roles.get(layer) === 'output') ? 0 : 1);
  const doubtful = layers.filter((layer) => layer.samples > 0 && !isTrusted(layer, epoch.threshold));
  return {
    epoch,
    layers,
    doubtful,
    trusted: layers.filter(
      (layer, index) =>
        index < layers.length - head &&
        roles.get(layer.layer) !== 'output' &&
        !doubtful.includes(layer) &&
        isNumber(layer),
    ),
    roles,
    fields: options.receptiveFields ?? (model === undefined ? [] : receptiveFields(model)),
    inputSize: options.inputSize ?? (model && inputSizeOf(model)),
    finished,
    goal: [...epoch.scalars.map(({ tag }) => tag), ...metricsOf(model)].some((name) => /acc/i.test(name))
      ? 'accuracy'
      : 'loss',
    options,
    named: namer(names(layers)),
  };
}

/** The roles that a user tells. */
function givenRoles({ roles }: AdviceOptions): Map<string, LayerRole> | undefined {
  return roles && new Map([...roles].flatMap(([layer, role]) => (role === undefined ? [] : [[layer, role] as const])));
}

/** The roles that the layers' own statistics tell. */
function notedRoles(layers: readonly LayerStatistics[]): Map<string, LayerRole> {
  return new Map(layers.flatMap(({ layer, role }) => (role === undefined ? [] : [[layer, role] as const])));
}

/** What a compiled tf.LayersModel measures; empty if it is not compiled. */
function metricsOf(model: ModelLike | undefined): readonly string[] {
  const { metricsNames } = (model ?? {}) as { metricsNames?: unknown };
  return Array.isArray(metricsNames) ? metricsNames.filter((name) => typeof name === 'string') : [];
}

/** The spectra of a trained model as an epoch. */
function epochOf(of: EpochStatistics | ReadonlyMap<string, Spectrum>, options: AdviceOptions): EpochStatistics {
  if (!(of instanceof Map)) {
    const epoch = of as EpochStatistics;
    if (Array.isArray(epoch?.layers)) return epoch;
    const expected = 'an epoch, such as `last` of a RunHistory, or the spectra that extractSaturation returns';
    throw new TypeError(`adviseOn: expected ${expected}, got ${describe(of)}`);
  }
  const { threshold = 0.99 } = options;
  const layers = [...(of as ReadonlyMap<string, Spectrum>)].map(([layer, spectrum]): LayerStatistics => {
    if (!(spectrum instanceof Spectrum))
      throw new TypeError(`adviseOn: expected a Spectrum of '${layer}', got ${describe(spectrum)}`);
    const { samples = Number.NaN, effectiveSamples = samples, features } = spectrum;
    const saturation = spectrum.saturation(threshold);
    const intrinsicDimensionality = spectrum.intrinsicDimensionality(threshold);
    const values = { saturation, intrinsicDimensionality };
    return { split: 'val', layer, samples, effectiveSamples, rejected: 0, features, ...values, values, spectrum };
  });
  return { epoch: 0, step: 1, threshold, rule: 'paper', layers, scalars: [] };
}

/** The layers of the split to judge, in order of depth. */
function layersToJudge(epoch: EpochStatistics, split?: Split): readonly LayerStatistics[] {
  const wanted = split ?? (epoch.layers.some((layer) => layer.split === 'train') ? 'train' : 'val');
  return epoch.layers.filter((layer) => layer.split === wanted);
}

/** Whether a layer's numbers rest on enough rows. */
function isTrusted(layer: LayerStatistics, threshold: number): boolean {
  const { samples, effectiveSamples = samples, values, features, spectrum } = layer;
  if (spectrum) return spectrum.isReliable({ threshold, samples: effectiveSamples });
  const dimension = values.intrinsicDimensionality ?? (values.saturation ?? 0) * features;
  return effectiveSamples >= rowsPerDimension * dimension;
}

/** The saturation of a layer, and the one that many rows would show with its interval, as far as that is known. */
export function correctedOf(layer: LayerStatistics, { threshold, rule }: EpochStatistics): Readonly<ScalarValues> {
  const { values, spectrum, samples, effectiveSamples = samples } = layer;
  if (values.saturationCorrected !== undefined || spectrum === undefined || !(effectiveSamples > 0)) return values;
  const { saturation, low, high } = spectrum.saturationEstimate({ threshold, rule, samples: effectiveSamples });
  return { ...values, saturationCorrected: saturation, saturationLow: low, saturationHigh: high };
}

function isNumber({ values }: LayerStatistics): boolean {
  return values.saturation !== undefined && !Number.isNaN(values.saturation);
}

/** A judged layer has a saturation. */
export function saturationOf({ values }: LayerStatistics): number {
  return values.saturation!;
}

/** The names of layers. */
export function names(layers: readonly LayerStatistics[]): string[] {
  return layers.map(({ layer }) => layer);
}

/** How layers are named in a text: without the folders that most names share, between as many backticks as they need. */
function namer(all: readonly string[]): (layer: string) => string {
  const { short } = shortNames(all);
  return (layer) => {
    const name = short(layer);
    if (!name.includes('`')) return `\`${name}\``;
    const fence = '`'.repeat(1 + Math.max(...name.match(/`+/g)!.map((ticks) => ticks.length)));
    return `${fence} ${name} ${fence}`;
  };
}

/** Some of many, so that a text stays readable: a table has them all. */
export function several(told: readonly string[]): string {
  return told.length <= 12 ? told.join(', ') : `${told.slice(0, 10).join(', ')} and ${told.length - 10} more`;
}

import type { SaturationEstimate } from '../statistics/sample-size.js';
import type { Spectrum } from '../statistics/spectrum.js';
import { effectiveRankOf, rankMeOf, weightAlphaOf } from '../statistics/spectrum-measures.js';
import type { SolvedCollapse } from '../statistics/threads/solve.js';
import type { UnitMeasures } from '../statistics/unit-sums.js';

/** How many of its directions a layer needs. */
export interface Dimensions {
  /** Directions needed to explain the threshold's share of the variance, by the rule in force; NaN if no row was finite. */
  intrinsicDimensionality: number;
  /** intrinsicDimensionality / features, from 0 to 1; NaN if no row was finite. */
  saturation: number;
}

/** What was measured of a layer beside its eigenvalues. */
interface LayerMeasures extends Dimensions {
  /** How far the leading eigenspace turned since the last epoch, from 0 to 1; undefined in the first epoch. */
  drift?: number;
  /** The saturation that many rows would show, computed when it is first asked for. */
  estimate(): SaturationEstimate;
  /** Singular values of the rows as they are, not centered; undefined if they were not asked for. */
  singularValues?: Float64Array;
  /** What tells dead units and outliers; undefined if it was not asked for. */
  units?: UnitMeasures;
  /** Intrinsic dimension by TwoNN; undefined if it was not asked for. */
  twoNN?: number;
  /** Singular values of the layer's kernel; undefined if they were not asked for, or it has none. */
  kernel?: Float64Array;
  /** Neural collapse; undefined if it was not asked for, or no labels were given. */
  collapse?: SolvedCollapse;
}

/** One statistic of a layer that is a single number: a row of the table `scalarStats`. */
export interface ScalarStatistic {
  /** Delve's short name, accepted in the option `stats` and used in the plot store's file names. */
  readonly delve?: string;
  /** The statistic's part of a column's name in csv and npy files: Delve's (STATMAP in its writers.py), or in that manner. */
  readonly column: string;
  /** The tag's part before the layer's name: TensorBoard groups its cards by it. */
  readonly tagGroup: string;
  /** Head of the column that the console store prints. */
  readonly head: string;
  /** Title of a plot's axis, and head of the column in a report. */
  readonly title: string;
  /** What the number means, in one sentence: TensorBoard shows it beside the chart. */
  readonly meaning: string;
  /**
   * What the statistic needs: the eigenvalues alone, a threshold on their sum too, the number of rows beside these two, the
   * eigenvectors of two epochs, the singular values of the rows as they are, sums over each unit's values, a
   * sample of the rows, the layer's weights, or the class of each row.
   */
  readonly basis:
    | 'eigenvalues'
    | 'threshold'
    | 'rows'
    | 'eigenvectors'
    | 'singular values'
    | 'units'
    | 'sample'
    | 'weights'
    | 'labels';
  /** Whether it is a vital sign: one of those that `stats: 'health'` asks for. */
  readonly isHealth?: boolean;
  /** Whether the number is a whole one; stores write it as an integer. */
  readonly isCount?: boolean;
  /** What it is, if not finite, of a sound layer: NaN where rows or directions are too few to say, infinities by their formula. */
  readonly gaps?: readonly number[];
  /** The formula. Returns undefined if there is no value yet: an epoch without a predecessor has no drift. */
  of(spectrum: Spectrum, measures: LayerMeasures): number | undefined;
}

/**
 * Every statistic of a layer that is a single number, in the order in which stores and charts show them. Options,
 * TensorBoard's tags, the columns of csv and npy files, the console, plots and reports all read this table, so that a
 * new statistic is one row here and its formula.
 */
const table = {
  saturation: {
    delve: 'lsat',
    column: 'saturation',
    tagGroup: 'saturation',
    head: 'saturation',
    title: 'saturation',
    meaning: 'Fraction of the layer’s directions that the data needs: intrinsic dimensionality / width.',
    basis: 'threshold',
    of: (_spectrum, { saturation }) => saturation,
  },
  saturationCorrected: {
    column: 'saturation-corrected',
    tagGroup: 'saturation-corrected',
    head: 'corrected',
    title: 'corrected saturation',
    meaning: 'The saturation that many samples would show, estimated from these; NaN if they are too few to say.',
    basis: 'rows',
    gaps: [Number.NaN],
    of: (_spectrum, { estimate }) => estimate().saturation,
  },
  saturationLow: {
    column: 'saturation-low',
    tagGroup: 'saturation-low',
    head: 'at least',
    title: 'least saturation',
    meaning: 'Lower end of the interval about the corrected saturation, which holds the true one in 95 % of cases.',
    basis: 'rows',
    of: (_spectrum, { estimate }) => estimate().low,
  },
  saturationHigh: {
    column: 'saturation-high',
    tagGroup: 'saturation-high',
    head: 'at most',
    title: 'greatest saturation',
    meaning: 'Upper end of the interval about the corrected saturation, which holds the true one in 95 % of cases.',
    basis: 'rows',
    of: (_spectrum, { estimate }) => estimate().high,
  },
  intrinsicDimensionality: {
    delve: 'idim',
    column: 'intrinsic-dimensionality',
    tagGroup: 'intrinsic-dimensionality',
    head: 'dims',
    title: 'intrinsic dimensionality',
    meaning: 'Number of principal directions needed to explain the threshold’s share of the variance.',
    basis: 'threshold',
    isCount: true,
    of: (_spectrum, { intrinsicDimensionality }) => intrinsicDimensionality,
  },
  trace: {
    delve: 'trc',
    column: 'covariance-trace',
    tagGroup: 'trace',
    head: 'trace',
    title: 'trace of the covariance',
    meaning: 'Total variance of the layer’s output: the sum of the covariance’s eigenvalues.',
    basis: 'eigenvalues',
    of: (spectrum) => spectrum.trace,
  },
  determinant: {
    delve: 'det',
    column: 'covariance-determinant',
    tagGroup: 'determinant',
    head: 'det',
    title: 'determinant of the covariance',
    meaning: 'Determinant of the covariance. It under- and overflows easily; see log-determinant.',
    basis: 'eigenvalues',
    gaps: [Number.POSITIVE_INFINITY],
    of: (spectrum) => spectrum.determinant,
  },
  logDeterminant: {
    column: 'covariance-log-determinant',
    tagGroup: 'log-determinant',
    head: 'log det',
    title: 'log determinant of the covariance',
    meaning: 'Natural logarithm of the covariance’s determinant; -Infinity where a direction has no variance.',
    basis: 'eigenvalues',
    gaps: [Number.NEGATIVE_INFINITY],
    of: (spectrum) => spectrum.logDeterminant,
  },
  diagonalTrace: {
    delve: 'dtrc',
    column: 'diagonal-trace',
    tagGroup: 'diagonal-trace',
    head: 'diag. trace',
    title: 'sum of eigenvalues',
    meaning: 'Sum of the non-negative eigenvalues (Delve’s dtrc): the trace up to rounding.',
    basis: 'eigenvalues',
    // Delve sums the eigenvalues after setting negative ones to 0, which a Spectrum has done already.
    of: (spectrum) => spectrum.trace,
  },
  participationRatio: {
    column: 'participation-ratio',
    tagGroup: 'participation-ratio',
    head: 'participation',
    title: 'participation ratio',
    meaning: 'Effective number of directions: (sum of eigenvalues)² / sum of their squares.',
    basis: 'eigenvalues',
    of: (spectrum) => spectrum.participationRatio,
  },
  participationRatioCorrected: {
    column: 'participation-ratio-corrected',
    tagGroup: 'participation-ratio-corrected',
    head: 'part. corr.',
    title: 'corrected participation ratio',
    meaning: 'The participation ratio that many samples would show, estimated from these.',
    basis: 'rows',
    gaps: [Number.NaN],
    of: (spectrum) => spectrum.correctedParticipationRatio,
  },
  entropyRank: {
    column: 'entropy-rank',
    tagGroup: 'entropy-rank',
    head: 'entropy rank',
    title: 'entropy rank',
    meaning:
      'Exponential of the entropy of the explained variance. RankMe and Roy & Vetterli’s effective rank take singular values instead.',
    basis: 'eigenvalues',
    isHealth: true,
    of: (spectrum) => spectrum.entropyRank,
  },
  effectiveRank: {
    column: 'effective-rank',
    tagGroup: 'effective-rank',
    head: 'eff. rank',
    title: 'effective rank (Roy and Vetterli)',
    meaning: 'Exponential of the entropy of the singular values of the samples, which are not centered.',
    basis: 'singular values',
    isHealth: true,
    of: (_spectrum, { singularValues }) => singularValues && effectiveRankOf(singularValues),
  },
  rankMe: {
    column: 'rankme',
    tagGroup: 'rankme',
    head: 'RankMe',
    title: 'RankMe',
    meaning:
      'Effective rank of the samples as RankMe defines it; a fall while the loss falls, too, tells a collapse of the representation.',
    basis: 'singular values',
    isHealth: true,
    of: (_spectrum, { singularValues }) => singularValues && rankMeOf(singularValues),
  },
  stableRank: {
    column: 'stable-rank',
    tagGroup: 'stable-rank',
    head: 'stable rank',
    title: 'stable rank',
    meaning: 'Effective number of directions: sum of eigenvalues over the largest one.',
    basis: 'eigenvalues',
    isHealth: true,
    of: (spectrum) => spectrum.stableRank,
  },
  simpsonIndex: {
    column: 'simpson-index',
    tagGroup: 'simpson-index',
    head: 'Simpson',
    title: 'Simpson index',
    meaning: 'Concentration of the variance: sum of the squared shares, 1/width (even) to 1 (one direction).',
    basis: 'eigenvalues',
    of: (spectrum) => spectrum.simpsonIndex,
  },
  powerLawExponent: {
    column: 'power-law-exponent',
    tagGroup: 'power-law-exponent',
    head: 'power law',
    title: 'power-law exponent',
    meaning:
      'Exponent of a power law fitted to the tail of the covariance’s eigenvalues; it is neither WeightWatcher’s alpha (of weights) nor alpha-ReQ.',
    basis: 'eigenvalues',
    gaps: [Number.NaN],
    of: (spectrum) => spectrum.powerLawExponent,
  },
  alphaReq: {
    column: 'alpha-req',
    tagGroup: 'alpha-req',
    head: 'alpha-ReQ',
    title: 'alpha-ReQ',
    meaning:
      'How fast the eigenvalues fall, as a power of their number, from the 11th to the 100th: near 1 is healthy.',
    basis: 'eigenvalues',
    isHealth: true,
    gaps: [Number.NaN],
    of: (spectrum) => spectrum.alphaReq,
  },
  weightAlpha: {
    column: 'weight-alpha',
    tagGroup: 'weight-alpha',
    head: 'weight alpha',
    title: 'alpha of the weights',
    meaning:
      'WeightWatcher’s alpha: exponent of a power law fitted to the squared singular values of the layer’s weights; 2 to 6 is healthy.',
    basis: 'weights',
    isHealth: true,
    gaps: [Number.NaN],
    of: (_spectrum, { kernel }) => kernel && weightAlphaOf(kernel),
  },
  conditionNumber: {
    column: 'condition-number',
    tagGroup: 'condition-number',
    head: 'condition',
    title: 'condition number',
    meaning: 'Largest eigenvalue over the smallest; Infinity if the smallest is rounding.',
    basis: 'eigenvalues',
    gaps: [Number.NaN, Number.POSITIVE_INFINITY],
    of: (spectrum) => spectrum.conditionNumber,
  },
  twoNN: {
    column: 'two-nn',
    tagGroup: 'two-nn',
    head: 'TwoNN',
    title: 'TwoNN dimension',
    meaning:
      'Dimension of the surface that the samples lie on, which may be curved, from distances to nearest neighbors.',
    basis: 'sample',
    isHealth: true,
    gaps: [Number.NaN],
    of: (_spectrum, { twoNN }) => twoNN,
  },
  deadUnits: {
    column: 'dead-units',
    tagGroup: 'dead-units',
    head: 'dead',
    title: 'dead units',
    meaning: 'Fraction of the units that are other than 0 in fewer than 1 % of the samples.',
    basis: 'units',
    isHealth: true,
    of: (_spectrum, { units }) => units?.dead,
  },
  dormantUnits: {
    column: 'dormant-units',
    tagGroup: 'dormant-units',
    head: 'dormant',
    title: 'dormant units',
    meaning: 'Fraction of the units whose mean absolute value is at most 2.5 % of the layer’s mean one.',
    basis: 'units',
    isHealth: true,
    of: (_spectrum, { units }) => units?.dormant,
  },
  kurtosis: {
    column: 'kurtosis',
    tagGroup: 'kurtosis',
    head: 'kurtosis',
    title: 'kurtosis',
    meaning:
      'Mean kurtosis of a sample’s values: 3 for Gaussian ones, far more where few units are far from all others.',
    basis: 'units',
    isHealth: true,
    gaps: [Number.NaN],
    of: (_spectrum, { units }) => units?.kurtosis,
  },
  largestActivation: {
    column: 'largest-activation',
    tagGroup: 'largest-activation',
    head: 'largest',
    title: 'largest activation',
    meaning: 'Largest absolute value of any unit in any sample: outliers break quantization.',
    basis: 'units',
    isHealth: true,
    of: (_spectrum, { units }) => units?.largest,
  },
  collapseNC1: {
    column: 'nc1',
    tagGroup: 'nc1',
    head: 'NC1',
    title: 'variability collapse (NC1)',
    meaning:
      'How far samples scatter about the means of their classes, compared with these: 0 once they have collapsed.',
    basis: 'labels',
    isHealth: true,
    gaps: [Number.NaN],
    of: (_spectrum, { collapse }) => collapse?.nc1,
  },
  collapseNC2Norms: {
    column: 'nc2-norms',
    tagGroup: 'nc2-norms',
    head: 'NC2 norms',
    title: 'equal norms of class means (NC2)',
    meaning: 'How much the distances of the class means from their center differ: 0 once they are equal.',
    basis: 'labels',
    isHealth: true,
    gaps: [Number.NaN],
    of: (_spectrum, { collapse }) => collapse?.nc2Norms,
  },
  collapseNC2Angles: {
    column: 'nc2-angles',
    tagGroup: 'nc2-angles',
    head: 'NC2 angles',
    title: 'equal angles of class means (NC2)',
    meaning: 'How far the angles between class means are from those of a simplex: 0 once they are equal.',
    basis: 'labels',
    isHealth: true,
    gaps: [Number.NaN],
    of: (_spectrum, { collapse }) => collapse?.nc2Angles,
  },
  collapseNC3: {
    column: 'nc3',
    tagGroup: 'nc3',
    head: 'NC3',
    title: 'self-duality (NC3)',
    meaning:
      'How far the class means of the layer before the classifier are from the classifier’s weights, each of length 1: 0 once they are the same.',
    basis: 'labels',
    isHealth: true,
    gaps: [Number.NaN],
    of: (_spectrum, { collapse }) => collapse?.nc3,
  },
  collapseNC4: {
    column: 'nc4',
    tagGroup: 'nc4',
    head: 'NC4',
    title: 'nearest class mean (NC4)',
    meaning:
      'Fraction of the samples whose nearest class mean is another class than the network predicts: 0 once the layer decides.',
    basis: 'labels',
    isHealth: true,
    of: (_spectrum, { collapse }) => collapse?.nc4,
  },
  drift: {
    column: 'drift',
    tagGroup: 'drift',
    head: 'drift',
    title: 'drift',
    meaning: 'How far the leading eigenspace turned since the last epoch: 0 not at all, 1 into directions all new.',
    basis: 'eigenvectors',
    of: (_spectrum, { drift }) => drift,
  },
} as const satisfies Readonly<Record<string, ScalarStatistic>>;

/** What is kept of a layer as an array: eigenvalues, covariance (features x features), samples on two axes (n x 2). */
const arrayTable = {
  spectrum: { column: 'spectrum' },
  covariance: { delve: 'cov', column: 'covariance-matrix' },
  embedding: { delve: 'embed', column: 'embedded-sample' },
} as const satisfies Readonly<Record<string, Pick<ScalarStatistic, 'delve' | 'column'>>>;

type DelveNameIn<Table> = {
  [Name in keyof Table]: Table[Name] extends { delve: infer Delve } ? Delve : never;
}[keyof Table];

/** A statistic of one layer that is a single number. */
export type ScalarStat = keyof typeof table;

/** A statistic of one layer that is an array. */
export type ArrayStat = keyof typeof arrayTable;

/** What can be asked for with the option `stats`: this package's names, and Delve's short ones (lsat, idim, trc, ...). */
export type Stat = ScalarStat | ArrayStat | DelveNameIn<typeof table> | DelveNameIn<typeof arrayTable>;

/** The statistics that are single numbers, by name. */
export const scalarStats: Readonly<Record<ScalarStat, ScalarStatistic>> = table;

/** The statistics that are arrays, by name. */
export const arrayStats: Readonly<Record<ArrayStat, Pick<ScalarStatistic, 'delve' | 'column'>>> = arrayTable;

/** The names in `scalarStats`, in its order. */
export const scalarStatNames = Object.keys(table) as ScalarStat[];

/** The statistic of a tag's part before the layer's name. */
export const statOfTagGroup: ReadonlyMap<string, ScalarStat> = new Map(
  scalarStatNames.map((stat) => [scalarStats[stat].tagGroup, stat]),
);

/**
 * Whether a number says nothing of a layer and nothing is wrong with it, as alpha-ReQ of few directions is NaN.
 *
 * @param description what the tag says of itself, which begins with the statistic's meaning; tags of others may have the names of ours
 */
export function isGap(tag: string, description: string | undefined, value: number): boolean {
  const stat = statOfTagGroup.get(tag.slice(0, Math.max(0, tag.indexOf('/'))));
  if (stat === undefined) return false;
  const { gaps = [], meaning }: ScalarStatistic = scalarStats[stat];
  return gaps.includes(value) && description?.startsWith(meaning) === true;
}

/** The statistics that `stats: 'health'` asks for, beside those that are measured by default. */
export const healthStats = scalarStatNames.filter((stat) => scalarStats[stat].isHealth);

const byDelveName = new Map(
  Object.entries({ ...scalarStats, ...arrayStats }).flatMap(([name, { delve }]) =>
    delve === undefined ? [] : [[delve, name as ScalarStat | ArrayStat] as const],
  ),
);

/** Every name that the option `stats` takes. */
export const statNames: readonly string[] = [...scalarStatNames, ...Object.keys(arrayStats), ...byDelveName.keys()];

/** The statistic of a name, whether it is this package's or Delve's short one. Returns undefined if it is neither. */
export function statNamed(name: string): ScalarStat | ArrayStat | undefined {
  if (Object.hasOwn(scalarStats, name) || Object.hasOwn(arrayStats, name)) return name as ScalarStat | ArrayStat;
  return byDelveName.get(name);
}

/** The saturation that many rows would show, and the ends of its interval: they stand beside the saturation of few rows. */
export const correctedStats = [
  'saturationCorrected',
  'saturationLow',
  'saturationHigh',
] as const satisfies ScalarStat[];

/** The saturation that many rows would show, with its interval, as text: `0.56 (0.52 to 0.61)`; empty if it is not known. */
export function correctedText({ saturationCorrected, saturationLow, saturationHigh }: Readonly<ScalarValues>): string {
  if (saturationCorrected === undefined) return '';
  if (Number.isNaN(saturationCorrected)) return 'too few samples to say';
  const interval =
    saturationLow === undefined || saturationHigh === undefined
      ? ''
      : ` (${saturationLow.toFixed(2)} to ${saturationHigh.toFixed(2)})`;
  return `${saturationCorrected.toFixed(2)}${interval}`;
}

/** A layer's numbers by statistic; those that were not asked for are absent. */
export type ScalarValues = Partial<Record<ScalarStat, number>>;

/** The entries of a layer's numbers, in the order in which they were measured. */
export function entriesOf(values: Readonly<ScalarValues>): [ScalarStat, number][] {
  return Object.entries(values) as [ScalarStat, number][];
}

/** The statistics that any of these layers has, in the order in which they first appear. */
export function statsIn(layers: readonly { readonly values: Readonly<ScalarValues> }[]): ScalarStat[] {
  return [...new Set(layers.flatMap(({ values }) => entriesOf(values).map(([stat]) => stat)))];
}

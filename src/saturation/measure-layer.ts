import { driftOf } from '../statistics/eigenvalues.js';
import type { Reservoir } from '../statistics/reservoir.js';
import type { SaturationEstimate } from '../statistics/sample-size.js';
import { Spectrum } from '../statistics/spectrum.js';
import type { IntrinsicDimensionRule } from '../statistics/spectrum-measures.js';
import type { Solved, SolveOptions } from '../statistics/threads/solve.js';
import type { LayerStatistics, Split } from './epoch.js';
import { type Dimensions, type ScalarStat, type ScalarStatistic, scalarStats } from './stats.js';

/** How a spectrum's directions are counted. */
export interface CountingOptions {
  /** Fraction of the variance that the counted directions explain, in (0, 1]. Default 0.99. */
  threshold?: number;
  /** How the threshold is applied: 'paper' (default), or as Delve executes it. */
  rule?: IntrinsicDimensionRule;
}

/** What to compute of a layer. */
export interface MeasureOptions {
  /** The numbers asked for, in the order of the table of statistics. */
  readonly scalars: readonly ScalarStat[];
  /** Whether the eigenvalues are asked for. */
  readonly spectrum: boolean;
  /** Whether the covariance is asked for. */
  readonly covariance: boolean;
  /** Whether the samples on the first two principal axes are asked for. */
  readonly embedding: boolean;
  /** Fraction of the variance that the counted directions explain, in (0, 1]. */
  readonly threshold: number;
  /** How the threshold is applied. */
  readonly rule: IntrinsicDimensionRule;
  /** Whether what `correctedStats` names is for layers of few rows only: it is not if it was asked for. Default false. */
  readonly correctsOnlyFew?: boolean;
  /** Whether the rows are as many as the corrected saturation needs: it is not warned of few where that is known. Default false. */
  readonly forCorrected?: boolean;
  /** Whether neural collapse was asked for by name: then it is told why there is none. Default false. */
  readonly classesByName?: boolean;
}

/** The leading eigenvectors of an epoch, from which the next epoch's drift is measured. */
export interface Eigenspace {
  /** The eigenvectors as rows, that of the largest eigenvalue first. */
  vectors: Float64Array;
  /** Length of an eigenvector: the layer's width. */
  features: number;
  /** Number of eigenvectors: the intrinsic dimensionality, but at least 1. */
  leading: number;
}

/** A layer's statistics, and what they were computed from. */
export interface MeasuredLayer {
  statistics: LayerStatistics;
  /** The spectrum, whether it was asked for or not; undefined if no row was finite. */
  spectrum?: Spectrum;
  /** Only if drift was asked for. */
  eigenspace?: Eigenspace;
}

/** What must be solved for these statistics, besides the eigenvalues. */
export function solveOptionsFor({ scalars, covariance, embedding }: MeasureOptions): SolveOptions {
  // The number of leading eigenvectors is known only with the eigenvalues, so that drift needs all of them.
  const vectors = needsEigenvectors(scalars) ? Number.POSITIVE_INFINITY : embedding ? 2 : 0;
  const needs = (basis: ScalarStatistic['basis']) => scalars.some((stat) => scalarStats[stat].basis === basis);
  return {
    vectors,
    covariance,
    mean: embedding,
    singularValues: needs('singular values'),
    twoNN: needs('sample'),
    kernel: needs('weights'),
    collapse: needs('labels'),
  };
}

/**
 * How many directions a layer's data needs, and which part of its width that is; NaN if there is no spectrum. This is the
 * only place that counts them: everything else reads them from `LayerStatistics`.
 */
export function dimensionsOf(spectrum: Spectrum | undefined, { threshold, rule }: CountingOptions): Dimensions {
  if (spectrum === undefined) return { intrinsicDimensionality: Number.NaN, saturation: Number.NaN };
  const intrinsicDimensionality = spectrum.intrinsicDimensionality(threshold, rule);
  return { intrinsicDimensionality, saturation: intrinsicDimensionality / spectrum.features };
}

/**
 * Computes a layer's statistics from what was solved. If no row was finite, every number is NaN and there is no spectrum.
 *
 * @param rows the samples to project, for `embedding`
 * @param previous the layer's eigenspace at the end of the last epoch; without it there is no drift
 */
export function measureLayer(
  split: Split,
  layer: string,
  solved: Solved,
  rows: Reservoir | undefined,
  options: MeasureOptions,
  previous?: Eigenspace,
): MeasuredLayer {
  const { features, count: samples, effectiveSamples = samples, rejected, vectors, covariance, mean } = solved;
  const spectrum = samples === 0 ? undefined : Spectrum.fromSolved(solved);
  const dimensions = dimensionsOf(spectrum, options);
  const statistics: LayerStatistics = {
    split,
    layer,
    samples,
    effectiveSamples,
    rejected,
    features,
    ...dimensions,
    values: {},
  };
  if (spectrum === undefined) {
    for (const stat of options.scalars) statistics.values[stat] = Number.NaN;
    return { statistics };
  }
  if (spectrum.isSketch) statistics.bounds = spectrum.saturationBounds(options.threshold, options.rule);
  const leading = Math.max(1, dimensions.intrinsicDimensionality);
  const keepsEigenspace = needsEigenvectors(options.scalars) && vectors !== undefined;
  const eigenspace = keepsEigenspace ? { vectors: vectors.slice(0, leading * features), features, leading } : undefined;
  let estimated: SaturationEstimate | undefined;
  const estimate = () => (estimated ??= spectrum.saturationEstimate(options));
  const { singularValues, units, twoNN, kernel, collapse } = solved;
  const drift = driftBetween(previous, eigenspace);
  const measures = {
    ...dimensions,
    drift,
    estimate,
    singularValues,
    units,
    twoNN,
    kernel: kernel?.singularValues,
    collapse,
  };
  for (const stat of options.scalars) {
    const value = scalarStats[stat].of(spectrum, measures);
    if (value !== undefined) statistics.values[stat] = value;
  }
  if (options.spectrum) statistics.spectrum = spectrum;
  if (options.covariance) statistics.covariance = covariance;
  if (options.embedding && vectors !== undefined && mean !== undefined && rows !== undefined) {
    statistics.embedding = projectRows(rows, mean, vectors, features);
  }
  return { statistics, spectrum, eigenspace };
}

/** Whether one of these statistics compares the eigenvectors of two epochs. */
function needsEigenvectors(scalars: readonly ScalarStat[]): boolean {
  return scalars.some((stat) => scalarStats[stat].basis === 'eigenvectors');
}

function driftBetween(previous: Eigenspace | undefined, current: Eigenspace | undefined): number | undefined {
  if (previous === undefined || current === undefined || previous.features !== current.features) return undefined;
  return driftOf(previous.vectors, current.vectors, current.features, Math.min(previous.leading, current.leading));
}

/** Each row minus the mean, on the first two principal axes: n x 2, row-major. With one feature the second axis is all 0. */
function projectRows(rows: Reservoir, mean: Float64Array, vectors: Float64Array, features: number): Float64Array {
  const axes = Math.min(2, features);
  const samples = rows.rows();
  const projected = new Float64Array(samples.length * 2);
  for (let index = 0; index < samples.length; index++) {
    for (let axis = 0; axis < axes; axis++) {
      let sum = 0;
      for (let column = 0; column < features; column++) {
        sum += (samples[index][column] - mean[column]) * vectors[axis * features + column];
      }
      projected[index * 2 + axis] = sum;
    }
  }
  return projected;
}

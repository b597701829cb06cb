import { driftOf } from '../statistics/eigenvalues.js';
import type { Reservoir } from '../statistics/reservoir.js';
import { Spectrum } from '../statistics/spectrum.js';
import type { IntrinsicDimensionRule } from '../statistics/spectrum-measures.js';
import type { Solved, SolveOptions } from '../statistics/threads/solve.js';
import type { LayerStatistics, Split } from './epoch.js';
import { type Dimensions, type ScalarStat, scalarStats } from './stats.js';

/** How a spectrum's directions are counted. */
export interface CountingOptions {
  /** Fraction of the variance that the counted directions explain, in (0, 1]. Default 0.99. */
  threshold?: number;
  /** How the threshold is applied: 'paper' (default), or as Delve executes it. */
  rule?: IntrinsicDimensionRule;
}

/** What to compute of a layer. */
export interface MeasureOptions {
  scalars: readonly ScalarStat[];
  spectrum: boolean;
  covariance: boolean;
  embedding: boolean;
  threshold: number;
  rule: IntrinsicDimensionRule;
}

/** The eigenvectors of an epoch, kept for the next one's drift. */
export interface Eigenspace {
  /** By rows, the largest eigenvalue's first. */
  vectors: Float64Array;
  features: number;
  /** How many of them lead: the intrinsic dimensionality. */
  leading: number;
}

/** A layer's statistics, and the spectrum they come from even where it was not asked for. */
export interface Measured {
  statistics: LayerStatistics;
  spectrum?: Spectrum;
  /** Only where drift was asked for. */
  eigenspace?: Eigenspace;
}

/** What must be solved for these statistics, besides the eigenvalues. */
export function solveOptionsFor({ scalars, covariance, embedding }: MeasureOptions): SolveOptions {
  // How many eigenvectors lead is known only with the eigenvalues, so that drift asks for all.
  const vectors = needsEigenvectors(scalars) ? Number.POSITIVE_INFINITY : embedding ? 2 : 0;
  return { vectors, covariance, mean: embedding };
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
 * Turns what was solved into statistics. A layer of which no row was finite has NaN for every number and no spectrum.
 *
 * @param rows samples to project, for `embedding`
 * @param previous the layer's eigenspace at the end of the last epoch, for `drift` (left out without one)
 */
export function measureLayer(
  split: Split,
  layer: string,
  solved: Solved,
  rows: Reservoir | undefined,
  options: MeasureOptions,
  previous?: Eigenspace,
): Measured {
  const { features, count: samples, rejected, vectors, covariance, mean } = solved;
  const spectrum = samples === 0 ? undefined : Spectrum.fromSolved(solved);
  const dimensions = dimensionsOf(spectrum, options);
  const statistics: LayerStatistics = { split, layer, samples, rejected, features, ...dimensions, values: {} };
  if (spectrum === undefined) {
    for (const stat of options.scalars) statistics.values[stat] = Number.NaN;
    return { statistics };
  }
  const leading = Math.max(1, dimensions.intrinsicDimensionality);
  const keepsEigenspace = needsEigenvectors(options.scalars) && vectors !== undefined;
  const eigenspace = keepsEigenspace ? { vectors: vectors.slice(0, leading * features), features, leading } : undefined;
  const measures = { ...dimensions, drift: driftBetween(previous, eigenspace) };
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

/** Each row minus the mean, on the first two principal axes: n x 2, row-major. A layer of one feature has 0 on the second. */
function projectRows(rows: Reservoir, mean: Float64Array, vectors: Float64Array, features: number): Float64Array {
  const axes = Math.min(2, features);
  const kept = rows.rows();
  const projected = new Float64Array(kept.length * 2);
  for (let index = 0; index < kept.length; index++) {
    for (let axis = 0; axis < axes; axis++) {
      let sum = 0;
      for (let column = 0; column < features; column++) {
        sum += (kept[index][column] - mean[column]) * vectors[axis * features + column];
      }
      projected[index * 2 + axis] = sum;
    }
  }
  return projected;
}

import { correctedStats, type ScalarStat, scalarStatNames, scalarStats } from '../saturation/stats.js';
import type { SaturationEstimate } from '../statistics/sample-size.js';
import { Spectrum } from '../statistics/spectrum.js';
import {
  alphaReqOf,
  entropyRankOf,
  type IntrinsicDimensionRule,
  participationRatioOf,
  simpsonIndexOf,
  stableRankOf,
  traceOf,
} from '../statistics/spectrum-measures.js';
import { dimensionsAt, indexAt, type LayerData, pointAt, type RunData, type SpectrumPoint } from './run-data.js';

/*
 * The numbers that a run gives at a step and a threshold. What follows from the eigenvalues at once is computed when it is
 * asked for. The saturation that many samples would show takes milliseconds for each spectrum, more than a frame has for all
 * layers: whoever asks for it gets what is known, and `estimateWanted` computes the rest in between.
 */

/** How a number is counted: the statistic, and for those that depend on it the threshold. */
export interface Counting {
  readonly stat: ScalarStat;
  readonly threshold: number;
  readonly rule: IntrinsicDimensionRule;
}

/** Statistics that follow from the eigenvalues alone and cost little; others are shown if the run holds them. */
const measures: Partial<Record<ScalarStat, (eigenvalues: Float64Array) => number>> = {
  trace: traceOf,
  participationRatio: participationRatioOf,
  entropyRank: entropyRankOf,
  stableRank: stableRankOf,
  simpsonIndex: simpsonIndexOf,
  alphaReq: (eigenvalues) => alphaReqOf(eigenvalues, 2 ** -45 * traceOf(eigenvalues)),
};

/** The statistics that can be shown of these runs, in the order of the table of statistics. */
export function statsOf(runs: readonly RunData[]): ScalarStat[] {
  const layers = runs.flatMap((run) => run.layers);
  const hasWhole = layers.some(({ points }) => points.some((point) => !point.isEstimated));
  const hasEstimates = layers.some(({ points }) => points.some(canEstimate));
  return scalarStatNames.filter((stat) =>
    scalarStats[stat].basis === 'threshold' && (stat === 'saturation' || stat === 'intrinsicDimensionality')
      ? layers.length > 0
      : (hasWhole && stat in measures) ||
        (hasEstimates && isCorrected(stat)) ||
        layers.some(({ stats }) => stats.has(stat)),
  );
}

/** What is computed from a spectrum is kept: sliders ask for the same number many times. */
const computed = new WeakMap<SpectrumPoint, Map<ScalarStat, number>>();

/** A statistic of a layer at a step, or at the last one before it that has it; NaN if there is none, or none yet. */
export function valueAt(layer: LayerData, step: number, counting: Counting): number {
  const { stat, threshold, rule } = counting;
  const point = pointAt(layer, step);
  if (point !== undefined && (stat === 'saturation' || stat === 'intrinsicDimensionality')) {
    const dimensions = dimensionsAt(point, threshold, rule);
    return stat === 'saturation' ? dimensions / point.features : dimensions;
  }
  if (point !== undefined && isCorrected(stat) && canEstimate(point)) {
    const estimate = estimateAt(point, counting);
    return estimate === undefined ? Number.NaN : estimate[correctedMembers[stat]];
  }
  const stored = layer.stats.get(stat);
  if (stored !== undefined) return stored.values[indexAt(stored.steps, step)] ?? Number.NaN;
  const measure = measures[stat];
  if (point === undefined || measure === undefined) return Number.NaN;
  const known = computed.get(point) ?? new Map<ScalarStat, number>();
  computed.set(point, known);
  let value = known.get(stat);
  if (value === undefined) known.set(stat, (value = measure(Float64Array.from(point.eigenvalues))));
  return value;
}

type CorrectedStat = (typeof correctedStats)[number];

/** Where an estimate has each of its statistics. */
const correctedMembers: Readonly<Record<CorrectedStat, keyof SaturationEstimate>> = {
  saturationCorrected: 'saturation',
  saturationLow: 'low',
  saturationHigh: 'high',
};

function isCorrected(stat: ScalarStat): stat is CorrectedStat {
  return correctedStats.some((one) => one === stat);
}

/** Threshold and rule: what an estimate depends on beside the spectrum. */
type Counted = Pick<Counting, 'threshold' | 'rule'>;

/** Spectra with what was computed of them, the one that was used last at the end. */
const spectra = new Map<SpectrumPoint, Spectrum>();
let kept = 0;
/** Most eigenvalues in `spectra`: 16 MB with the corrected ones. */
const mostKept = 2 ** 20;
/** What was estimated, by threshold and rule. */
const estimates = new WeakMap<SpectrumPoint, Map<string, SaturationEstimate>>();
/** What was asked for and is not computed yet, with how it is counted. */
const wanted = new Map<SpectrumPoint, Counted>();
let version = 0;

/** Grows whenever something was estimated: what is drawn from estimates depends on it. */
export function estimatesVersion(): number {
  return version;
}

/** Whether a spectrum says what many samples would show: it must be whole, and the number of its samples known. */
export function canEstimate(point: SpectrumPoint): boolean {
  return !point.isEstimated && point.samples !== undefined && point.eigenvalues.length === point.features;
}

/** A spectrum as the library has it. */
export function spectrumOf(point: SpectrumPoint): Spectrum {
  let spectrum = spectra.get(point);
  if (spectrum === undefined) {
    const { eigenvalues, samples, effectiveSamples } = point;
    spectrum = Spectrum.fromEigenvalues(eigenvalues, { samples, effectiveSamples });
    kept += eigenvalues.length;
  }
  spectra.delete(point);
  spectra.set(point, spectrum);
  for (const [oldest] of spectra) {
    if (kept <= mostKept || oldest === point) break;
    spectra.delete(oldest);
    kept -= oldest.eigenvalues.length;
  }
  return spectrum;
}

/** The saturation that many samples would show; undefined if it is not computed yet, and then it is wanted. */
export function estimateAt(point: SpectrumPoint, counted: Counted): SaturationEstimate | undefined {
  if (!canEstimate(point)) return undefined;
  const estimate = estimates.get(point)?.get(keyOf(counted));
  if (estimate !== undefined) return estimate;
  // While its corrected spectrum is at hand, another threshold costs next to nothing.
  if (spectra.has(point)) return estimateNow(point, counted);
  wanted.set(point, counted);
  return undefined;
}

/** Computes the saturation that many samples would show, unless it is known. */
export function estimateNow(point: SpectrumPoint, counted: Counted): SaturationEstimate {
  let known = estimates.get(point);
  // Sliders pass many thresholds.
  if (known === undefined || known.size > 8) estimates.set(point, (known = new Map()));
  const { threshold, rule } = counted;
  let estimate = known.get(keyOf(counted));
  if (estimate === undefined) {
    estimate = spectrumOf(point).saturationEstimate({ threshold, rule });
    known.set(keyOf(counted), estimate);
    version++;
  }
  return estimate;
}

/** Forgets what was asked for: another scene is drawn. */
export function wantNothing(): void {
  wanted.clear();
}

/**
 * Estimates what was asked for and is not known, one spectrum after another.
 *
 * @param until when to stop, in milliseconds of `performance.now`
 * @returns whether all is known
 */
export function estimateWanted(until: number): boolean {
  for (const [point, counted] of wanted) {
    if (performance.now() >= until) return false;
    wanted.delete(point);
    estimateNow(point, counted);
  }
  return true;
}

function keyOf({ threshold, rule }: Counted): string {
  return `${threshold} ${rule}`;
}

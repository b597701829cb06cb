import {
  checkedThreshold,
  DEFAULT_THRESHOLD,
  type IntrinsicDimensionRule,
  intrinsicDimensionalityOf,
  rankOf,
  traceOf,
} from './spectrum-measures.js';

/*
 * How far a spectrum of n rows can be trusted: functions of eigenvalues that are sorted in descending order and not
 * negative. Spectrum offers them as its methods.
 *
 * A sample covariance shows a steeper spectrum than the population has, so the intrinsic dimensionality comes out too low.
 * population-spectrum.ts estimates the population's eigenvalues; `saturationEstimateOf` says how far the saturation that
 * they give can be from the truth.
 *
 * `rowsNeededOf` asks the other way round: which saturation would n rows show? To first order in 1/n the i-th sample
 * eigenvalue is l_i = L_i + (L_i / n) sum_{j != i} L_j / (L_i - L_j) (Lawley 1956, "Tests of significance for the latent roots
 * of covariance and correlation matrices", Biometrika 43). Summed over the first k, the pairs among them cancel, so the
 * explained variance c_k comes out too high by
 *
 *   B_k = 1 / (n T) * sum_{i <= k < j} L_i L_j / (L_i - L_j),   T = sum of all.
 *
 * Two eigenvalues of a sample repel each other to a distance of about sqrt(L_i L_j / n), which bounds a pair's share.
 * Evaluated at the eigenvalues of n rows, this gives about half of the true bias once n >= d, hence a factor of 2. Of m equal
 * eigenvalues, n rows make a half circle of the relative width 4 sqrt(m / n) instead (Marchenko & Pastur 1967), whose bottom
 * holds less than its share of the variance: `#tie` adds that. The spread of c_k about its expectation is that of independent
 * Gaussian rows.
 */

/** The eigenvalues of a sample show about half of the bias: see above. */
const BIAS_FACTOR = 2;

/** A saturation that many rows would show, and how far it can be off. */
export interface SaturationEstimate {
  /** The saturation of the corrected spectrum; NaN if rows are too few for one: see `Spectrum.corrected`. */
  saturation: number;
  /**
   * What many rows would show is at least this in 95 % of cases, from one row per feature on; the shown saturation if
   * `saturation` is NaN.
   */
  low: number;
  /** What many rows would show is at most this in 95 % of cases, from one row per feature on; 1 if `saturation` is NaN. */
  high: number;
}

/** Options of the methods of Spectrum that judge its number of rows. */
export interface SampleSizeOptions {
  /** Explained-variance threshold of the saturation that is judged, in (0, 1]; 0.99 by default. */
  threshold?: number;
  /** Rule of the saturation; 'paper' by default. */
  rule?: IntrinsicDimensionRule;
  /** Independent rows behind the spectrum; by default `spectrum.effectiveSamples`. */
  samples?: number;
}

/** Options of `Spectrum.isReliable` and `Spectrum.sampleSizeWarning`. */
export interface ReliabilityOptions extends SampleSizeOptions {
  /** By how much the saturation may be too low, as a fraction of the features; 0.05 by default, or a direction of few. */
  tolerance?: number;
}

/** Options of `Spectrum.rowsNeeded`. */
export interface RowsNeededOptions extends SampleSizeOptions {
  /** By how much the saturation may change, as a fraction of the features; 0.01 by default. */
  tolerance?: number;
  /** How many standard deviations of the explained variance must stay within the tolerance; 3 by default. */
  deviations?: number;
}

/**
 * See Spectrum.saturationEstimate.
 *
 * @param population what `populationEigenvalues` gave; undefined if rows are too few
 * @param shown the saturation that the sample shows, by the same threshold and rule
 * @param rowsPerDirection rows per direction in which the population has variance
 */
export function saturationEstimateOf(
  population: Float64Array | undefined,
  shown: number,
  rowsPerDirection: number,
  { threshold = DEFAULT_THRESHOLD, rule = 'paper' }: SampleSizeOptions,
): SaturationEstimate {
  if (population === undefined) return { saturation: Number.NaN, low: shown, high: 1 };
  const features = population.length;
  const dimension = intrinsicDimensionalityOf(population, threshold, rule);
  if (dimension === 0) return { saturation: 0, low: 0, high: 0 };
  const error = relativeErrorOf(rowsPerDirection, rankOf(population, 0));
  const left = 1 - threshold;
  const counted = rule === 'delve' ? 1 : 0;
  const least = directionsLeaving(population, left * (1 + error)) - 1 - counted;
  const most = directionsLeaving(population, left / (1 + error)) - counted;
  // One direction of few is too much to add where rows are many, and not needed.
  const margin = rowsPerDirection < 4 || features >= 128 ? 1 : 0;
  return {
    saturation: dimension / features,
    // What varies varies in one direction at least, which is the first.
    low: Math.max(1 - counted, Math.min(dimension, least)) / features,
    high: Math.max(shown, Math.min(features, Math.max(dimension, most + margin)) / features),
  };
}

/**
 * By which part of itself the variance beyond the counted directions of a corrected spectrum can be wrong. Found on 1,400
 * Gaussian samples of 20 families of spectra, so that with one direction more on either side 95 % of the true saturations lie
 * between what this gives; `npm run bench:truth` counts again, on other samples and families.
 */
function relativeErrorOf(rowsPerDirection: number, directions: number): number {
  return 0.05 + (0.5 * (1 + 64 / directions)) / rowsPerDirection ** 2;
}

/** The fewest leading eigenvalues that leave at most this part of the sum to the others. */
function directionsLeaving(eigenvalues: Float64Array, part: number): number {
  const most = part * traceOf(eigenvalues);
  let rest = 0;
  let k = eigenvalues.length;
  while (k > 0 && rest + eigenvalues[k - 1] <= most) rest += eigenvalues[--k];
  return k;
}

/** See Spectrum.rowsNeeded. `most`: how many rows there are, or Infinity. */
export function rowsNeededOf(eigenvalues: Float64Array, most: number, options: RowsNeededOptions): number {
  const { tolerance = 0.01, deviations = 3 } = options;
  const threshold = checkedThreshold(options.threshold ?? DEFAULT_THRESHOLD);
  const features = eigenvalues.length;
  const observed = intrinsicDimensionalityOf(eigenvalues, threshold, 'paper');
  if (observed === 0) return Math.min(most, features);
  const slack = tolerance * features + 1e-9;
  const suffices = (rows: number): boolean =>
    highestDimension(eigenvalues, rows, threshold, observed, deviations) - observed <= slack &&
    observed - lowestDimension(eigenvalues, rows, threshold, observed, deviations) <= slack;
  let low = Math.min(most, 4 * observed);
  let high = low;
  while (high < most && !suffices(high)) {
    low = high;
    high *= 2;
    if (high > 2 ** 40) return most;
  }
  if (high >= most) return most;
  while (high - low > Math.max(1, 0.05 * low)) {
    const middle = Math.round((low + high) / 2);
    if (suffices(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** The smallest k whose explained variance reaches the threshold even after bias and deviations are subtracted from it. */
function highestDimension(
  eigenvalues: Float64Array,
  rows: number,
  threshold: number,
  observed: number,
  deviations: number,
): number {
  const sums = new TailSums(eigenvalues, rows, observed);
  for (let k = observed; k < eigenvalues.length; k++) {
    if (sums.explained - sums.bias - deviations * sums.deviation >= threshold - 1e-15) return k;
    sums.advance();
  }
  return eigenvalues.length;
}

/** The smallest k whose explained variance reaches the threshold if bias and deviations are added to it. */
function lowestDimension(
  eigenvalues: Float64Array,
  rows: number,
  threshold: number,
  observed: number,
  deviations: number,
): number {
  const sums = new TailSums(eigenvalues, rows, 1);
  for (let k = 1; k < observed; k++) {
    if (sums.explained + sums.bias + deviations * sums.deviation >= threshold) return k;
    sums.advance();
  }
  return observed;
}

/** Explained variance of the first k eigenvalues, with its bias and standard deviation at a number of rows. */
class TailSums {
  readonly #eigenvalues: Float64Array;
  readonly #rows: number;
  readonly #total: number;
  #k: number;
  #head = 0;
  #headSquares = 0;
  #tailSquares = 0;
  #pairs = 0;

  constructor(eigenvalues: Float64Array, rows: number, k: number) {
    this.#eigenvalues = eigenvalues;
    this.#rows = rows;
    this.#k = k;
    let total = 0;
    eigenvalues.forEach((x, i) => {
      total += x;
      if (i < k) {
        this.#head += x;
        this.#headSquares += x * x;
        for (let j = k; j < eigenvalues.length; j++) this.#pairs += this.#pair(x, eigenvalues[j]);
      } else this.#tailSquares += x * x;
    });
    this.#total = total;
  }

  /** c_k. */
  get explained(): number {
    return this.#head / this.#total;
  }

  /** By how much n rows show c_k too high. */
  get bias(): number {
    return (BIAS_FACTOR * this.#pairs + this.#tie()) / this.#total;
  }

  /**
   * Standard deviation of c_k. Of Gaussian rows, Var c_k = 2 / n ((1 - c)^2 sum_{i <= k} p_i^2 + c^2 sum_{i > k} p_i^2),
   * p_i = l_i / T.
   */
  get deviation(): number {
    const c = this.explained;
    const spread = (1 - c) ** 2 * this.#headSquares + c ** 2 * Math.max(0, this.#tailSquares);
    return Math.sqrt((2 / this.#rows) * spread) / this.#total;
  }

  /** Goes from k to k + 1. */
  advance(): void {
    const moved = this.#eigenvalues[this.#k];
    for (let i = 0; i < this.#k; i++) this.#pairs -= this.#pair(this.#eigenvalues[i], moved);
    this.#k++;
    for (let j = this.#k; j < this.#eigenvalues.length; j++) this.#pairs += this.#pair(moved, this.#eigenvalues[j]);
    this.#head += moved;
    this.#headSquares += moved * moved;
    this.#tailSquares -= moved * moved;
  }

  /** L_i L_j / (n (L_i - L_j)), bounded if the two are closer than sampling lets them be. */
  #pair(larger: number, smaller: number): number {
    const product = larger * smaller;
    if (product === 0) return 0;
    const gap = larger - smaller;
    return (product * gap) / (this.#rows * gap * gap + product);
  }

  /**
   * By how much less than their share the last of m equal eigenvalues L hold, if the first k end among these: of a half
   * circle about L of the radius 2 L sqrt(m / n), the part below s (from -1 to 1) lacks 4 L m sqrt(m / n) (1 - s^2)^(3/2) / 3 pi.
   */
  #tie(): number {
    const k = this.#k;
    const eigenvalues = this.#eigenvalues;
    if (k === 0 || k === eigenvalues.length) return 0;
    const value = eigenvalues[k];
    if (!(value > 0 && eigenvalues[k - 1] <= value * (1 + 1e-9))) return 0;
    let first = k;
    let end = k + 1;
    while (first > 0 && eigenvalues[first - 1] <= value * (1 + 1e-9)) first--;
    while (end < eigenvalues.length && eigenvalues[end] >= value * (1 - 1e-9)) end++;
    const count = end - first;
    const s = halfCircleQuantile((end - k) / count);
    return ((4 * value * count) / (3 * Math.PI)) * Math.sqrt(count / this.#rows) * (1 - s * s) ** 1.5;
  }
}

/** The s from -1 to 1 below which this part of a half circle's area lies. */
function halfCircleQuantile(part: number): number {
  let low = -1;
  let high = 1;
  for (let i = 0; i < 40; i++) {
    const s = (low + high) / 2;
    if (0.5 + (s * Math.sqrt(1 - s * s) + Math.asin(s)) / Math.PI < part) low = s;
    else high = s;
  }
  return (low + high) / 2;
}

import {
  checkedThreshold,
  DEFAULT_THRESHOLD,
  type IntrinsicDimensionRule,
  intrinsicDimensionalityOf,
  traceOf,
} from './spectrum-measures.js';

/*
 * How far a spectrum of n rows can be trusted: functions of eigenvalues that are sorted in descending order and not
 * negative. Spectrum offers them as its methods.
 *
 * A sample covariance shows a steeper spectrum than the population has, so the intrinsic dimensionality comes out too low.
 * To first order in 1/n the i-th sample eigenvalue is l_i = L_i + (L_i / n) sum_{j != i} L_j / (L_i - L_j) (Lawley 1956,
 * "Tests of significance for the latent roots of covariance and correlation matrices", Biometrika 43). Summed over the
 * first k, the pairs among them cancel, so the explained variance c_k comes out too high by
 *
 *   B_k = 1 / (n T) * sum_{i <= k < j} L_i L_j / (L_i - L_j),   T = sum of all.
 *
 * Two eigenvalues of a sample repel each other to a distance of about sqrt(L_i L_j / n), which bounds a pair's share.
 * Evaluated at the sample's own eigenvalues, this gives about half of the true shortfall once n >= d (simulated with
 * spectra i^-1/2, 1/i, i^-2, exponential, flat and flat with a floor; test/statistics/), hence the factor of 2. The
 * spread of c_k about its expectation is that of independent Gaussian rows.
 */

/** The sample's own spectrum shows about half of the shortfall: see above. */
const SHORTFALL_FACTOR = 2;

/** Options of the methods of Spectrum that judge its number of rows. */
export interface SampleSizeOptions {
  /** Explained-variance threshold of the saturation that is judged, in (0, 1]; 0.99 by default. */
  threshold?: number;
  /** Rule of the saturation that `sampleSizeWarning` shows; 'paper' by default. The judgment itself is by 'paper'. */
  rule?: IntrinsicDimensionRule;
  /** Independent rows behind the spectrum; by default `spectrum.effectiveSamples`. */
  samples?: number;
}

/** Options of `Spectrum.isReliable` and `Spectrum.sampleSizeWarning`. */
export interface ReliabilityOptions extends SampleSizeOptions {
  /** By how much the saturation may be too low, as a fraction of the features; 0.05 by default. */
  tolerance?: number;
}

/** Options of `Spectrum.rowsNeeded`. */
export interface RowsNeededOptions extends SampleSizeOptions {
  /** By how much the saturation may change, as a fraction of the features; 0.01 by default. */
  tolerance?: number;
  /** How many standard deviations of the explained variance must stay within the tolerance; 3 by default. */
  deviations?: number;
}

/** See Spectrum.saturationShortfall. */
export function saturationShortfallOf(eigenvalues: Float64Array, samples: number, options: SampleSizeOptions): number {
  const threshold = checkedThreshold(options.threshold ?? DEFAULT_THRESHOLD);
  const features = eigenvalues.length;
  const observed = intrinsicDimensionalityOf(eigenvalues, threshold, 'paper');
  if (observed === 0) return 0;
  if (hidesDirections(eigenvalues, samples, threshold)) return 1 - observed / features;
  return (highestDimension(eigenvalues, samples, threshold, observed, 0) - observed) / features;
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

/**
 * With fewer rows than features, n rows show n - 1 directions and say nothing of the others, unless the eigenvalues
 * vanish well before. They count as vanishing if the second half of what n rows can show holds less than a hundredth of
 * the variance that the threshold leaves out.
 */
function hidesDirections(eigenvalues: Float64Array, samples: number, threshold: number): boolean {
  if (samples > eigenvalues.length) return false;
  let tail = 0;
  for (let i = Math.floor(samples / 2); i < eigenvalues.length; i++) tail += eigenvalues[i];
  return tail > 0.01 * (1 - threshold) * traceOf(eigenvalues);
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
    if (sums.explained - SHORTFALL_FACTOR * sums.bias - deviations * sums.deviation >= threshold - 1e-15) return k;
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
    if (sums.explained + SHORTFALL_FACTOR * sums.bias + deviations * sums.deviation >= threshold) return k;
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

  /** B_k. */
  get bias(): number {
    return this.#pairs / this.#total;
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
}

import type { Spectrum } from './spectrum.js';
import { checkedThreshold, DEFAULT_THRESHOLD, type IntrinsicDimensionRule } from './spectrum-measures.js';

/*
 * How far a spectrum from n rows can be trusted.
 *
 * A sample covariance shows a steeper spectrum than the truth, so the intrinsic dimensionality comes out too low. To
 * first order in 1/n the i-th sample eigenvalue is l_i = L_i + (L_i / n) sum_{j != i} L_j / (L_i - L_j) (Lawley 1956,
 * "Tests of significance for the latent roots of covariance and correlation matrices", Biometrika 43). Summed over the
 * first k the pairs among them cancel, so the explained variance c_k comes out too high by
 *
 *   B_k = 1 / (n T) * sum_{i <= k < j} L_i L_j / (L_i - L_j),   T = sum of all.
 *
 * Two eigenvalues of a sample repel each other to a distance of about sqrt(L_i L_j / n), which bounds a pair's share.
 * Evaluated at the sample's own eigenvalues this gives about half of the true shortfall once n >= d (simulated with
 * spectra i^-1/2, 1/i, i^-2, exponential, flat and flat with a floor; test/sample-size.test.ts), hence the factor of 2.
 * The spread of c_k about its expectation is that of independent Gaussian rows.
 */

/** The sample's own spectrum shows about half of the shortfall: see above. */
const SHORTFALL_FACTOR = 2;

/** Options shared by the functions on sample size. */
export interface SampleSizeOptions {
  /** Explained-variance threshold in (0, 1]; 0.99. */
  threshold?: number;
  rule?: IntrinsicDimensionRule;
  /** Rows behind the spectrum; by default what the spectrum says. */
  samples?: number;
}

/**
 * By how much the saturation is probably too low because the rows are few: a fraction from 0 to 1, 0 without variance.
 *
 * Rows are taken for independent; neighbouring pixels of one image are worth fewer. RangeError when the number of rows
 * is not known.
 */
export function saturationShortfall(spectrum: Spectrum, options: SampleSizeOptions = {}): number {
  const threshold = checkedThreshold(options.threshold ?? DEFAULT_THRESHOLD);
  const samples = samplesOf(spectrum, options);
  const { features } = spectrum;
  const observed = spectrum.intrinsicDimensionality(threshold);
  if (observed === 0) return 0;
  if (hidesDirections(spectrum, samples, threshold)) return 1 - observed / features;
  return (highestDimension(spectrum.eigenvalues, samples, threshold, observed, 0) - observed) / features;
}

/**
 * Whether the rows suffice for a saturation that is at most `tolerance` (0.05) too low. With d = 256 and eigenvalues
 * 1/i (true saturation 0.94), 256 rows show 0.67 and 1024 rows 0.89: both say false; 2560 rows show 0.92: true.
 */
export function isEstimateReliable(
  spectrum: Spectrum,
  options: SampleSizeOptions & { tolerance?: number } = {},
): boolean {
  return saturationShortfall(spectrum, options) <= (options.tolerance ?? 0.05);
}

/** One sentence for the user when isEstimateReliable says false; undefined when it says true. */
export function sampleSizeWarning(
  layer: string,
  spectrum: Spectrum,
  options: SampleSizeOptions & { tolerance?: number } = {},
): string | undefined {
  if (isEstimateReliable(spectrum, options)) return undefined;
  const samples = samplesOf(spectrum, options);
  const shown = spectrum.saturation(options.threshold, options.rule).toFixed(3);
  const shortfall = saturationShortfall(spectrum, options).toFixed(2);
  return (
    `Layer "${layer}": ${samples} rows are few for ${spectrum.features} features; ` +
    `its saturation of ${shown} may be up to ${shortfall} too low. Use more rows, for example a larger data set.`
  );
}

/**
 * The fewest rows that would show the same saturation as this spectrum, give or take `tolerance` (0.01): bias and
 * `deviations` (3) standard deviations of the explained variance together move it no further. Never more than
 * `spectrum.samples`, where that is known: then all rows are needed.
 */
export function rowsNeeded(
  spectrum: Spectrum,
  options: SampleSizeOptions & { tolerance?: number; deviations?: number } = {},
): number {
  const { tolerance = 0.01, deviations = 3 } = options;
  const threshold = checkedThreshold(options.threshold ?? DEFAULT_THRESHOLD);
  const { features, eigenvalues } = spectrum;
  const most = options.samples ?? spectrum.samples ?? Number.POSITIVE_INFINITY;
  const observed = spectrum.intrinsicDimensionality(threshold);
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

function samplesOf(spectrum: Spectrum, options: SampleSizeOptions): number {
  const samples = options.samples ?? spectrum.samples;
  if (samples === undefined) throw new RangeError('The spectrum does not say from how many rows it is: pass samples.');
  return samples;
}

/**
 * With fewer rows than features, n rows show n - 1 directions and say nothing of the others, unless the eigenvalues
 * vanish well before: here, unless the second half of what n rows can show holds less than a hundredth of the variance
 * that the threshold leaves out.
 */
function hidesDirections(spectrum: Spectrum, samples: number, threshold: number): boolean {
  if (samples > spectrum.features) return false;
  let tail = 0;
  for (let i = Math.floor(samples / 2); i < spectrum.features; i++) tail += spectrum.eigenvalues[i];
  return tail > 0.01 * (1 - threshold) * spectrum.trace;
}

/** The smallest k whose explained variance, less bias and deviations, reaches the threshold. */
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

/** The smallest k whose explained variance reaches the threshold with luck: more by the deviations. */
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

  get explained(): number {
    return this.#head / this.#total;
  }

  get bias(): number {
    return this.#pairs / this.#total;
  }

  /** Gaussian rows: Var c_k = 2 / n ((1 - c)^2 sum_{i <= k} p_i^2 + c^2 sum_{i > k} p_i^2), p_i = l_i / T. */
  get deviation(): number {
    const c = this.explained;
    const spread = (1 - c) ** 2 * this.#headSquares + c ** 2 * Math.max(0, this.#tailSquares);
    return Math.sqrt((2 / this.#rows) * spread) / this.#total;
  }

  /** From k to k + 1. */
  advance(): void {
    const moved = this.#eigenvalues[this.#k];
    for (let i = 0; i < this.#k; i++) this.#pairs -= this.#pair(this.#eigenvalues[i], moved);
    this.#k++;
    for (let j = this.#k; j < this.#eigenvalues.length; j++) this.#pairs += this.#pair(moved, this.#eigenvalues[j]);
    this.#head += moved;
    this.#headSquares += moved * moved;
    this.#tailSquares -= moved * moved;
  }

  /** L_i L_j / (n (L_i - L_j)), bounded where the two are closer than sampling lets them be. */
  #pair(larger: number, smaller: number): number {
    const product = larger * smaller;
    if (product === 0) return 0;
    const gap = larger - smaller;
    return (product * gap) / (this.#rows * gap * gap + product);
  }
}

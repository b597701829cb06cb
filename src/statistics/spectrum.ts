import { checkAttached, describe } from '../errors.js';
import { kernels } from '../kernels/kernels.js';
import type { CovarianceAccumulator } from './covariance.js';
import { squareMatrix } from './eigenvalues.js';
import { directionsOfSolved, populationOfSolved } from './population-spectrum.js';
import {
  type ReliabilityOptions,
  type RowsNeededOptions,
  rowsNeededOf,
  type SampleSizeOptions,
  type SaturationEstimate,
  saturationEstimateOf,
} from './sample-size.js';
import {
  alphaReqOf,
  correctedParticipationRatioOf,
  DEFAULT_THRESHOLD,
  entropyRankOf,
  explainedVarianceOf,
  type IntrinsicDimensionRule,
  intrinsicDimensionalityBounds,
  intrinsicDimensionalityOf,
  participationRatioOf,
  powerLawExponentOf,
  rankOf,
  type SketchBounds,
  simpsonIndexOf,
  stableRankOf,
  traceOf,
} from './spectrum-measures.js';
import { noiseOf, type Solved, solveAccumulator } from './threads/solve.js';
import { sharedSolver, solveInBackground } from './threads/solver.js';

export type { IntrinsicDimensionRule } from './spectrum-measures.js';

/*
 * A covariance comes in, as numbers or as an accumulator of rows. Its eigenvalues are solved here or on another thread.
 * What comes out is a Spectrum, which offers everything that eigenvalues say: spectrum-measures.ts has the formulas,
 * sample-size.ts judges the number of rows.
 */

/** Options of `Spectrum.of`, `Spectrum.solve` and `Spectrum.fromEigenvalues`. */
export interface SpectrumOptions {
  /** Rows behind the covariance. It is ignored for an accumulator, which knows its own. */
  samples?: number;
  /** How many independent rows these are worth; default: all are independent. See `Spectrum.effectiveSamples`. */
  effectiveSamples?: number;
}

/** An interval about a saturation. */
export interface SaturationBounds {
  /** From 0 to 1. */
  low: number;
  /** From 0 to 1. */
  high: number;
}

/**
 * The eigenvalues of a layer's covariance, and what they say about the layer. l_i is the i-th eigenvalue, d the number of
 * features, T the trace, and p_i = l_i / T the fraction of the variance that direction i explains.
 */
export class Spectrum {
  /** All d eigenvalues of the covariance, descending; negative ones from rounding are set to 0. */
  readonly eigenvalues: Float64Array;
  /** Rows behind the covariance; undefined if that is not known. */
  readonly samples: number | undefined;
  /**
   * How many independent rows these are worth, the effective sample size: how far the spectrum can be trusted depends on
   * it. It is smaller than `samples` if rows are places of the same image or steps of the same sequence, of which a tracker
   * counts 16 at most. Undefined if the number of rows is not known.
   */
  readonly effectiveSamples: number | undefined;
  /** Eigenvalues up to this are rounding: see noiseOf. It is 0 for given eigenvalues. */
  readonly #noise: number;
  /** What is not known of the eigenvalues, if they are of a sketch. */
  readonly #sketch: SketchBounds | undefined;
  /** What `corrected` found, by the number of rows. */
  readonly #corrected = new Map<number, Spectrum | undefined>();

  private constructor(
    eigenvalues: Float64Array,
    { samples, effectiveSamples = samples }: SpectrumOptions,
    noise: number,
    sketch?: SketchBounds,
  ) {
    for (const [name, count] of Object.entries({ samples, effectiveSamples })) {
      if (count !== undefined && !(Number.isFinite(count) && count >= 0)) {
        throw new RangeError(`${name}: expected a number of rows, got ${describe(count)}`);
      }
    }
    this.eigenvalues = eigenvalues;
    this.samples = samples;
    this.effectiveSamples = effectiveSamples;
    this.#noise = noise;
    this.#sketch = sketch;
  }

  /**
   * The spectrum of a covariance, or of the rows that an accumulator has seen. If those are fewer than the features, they
   * are solved through their Gram matrix, which is cheaper.
   *
   * @param covariance d x d numbers, row-major, of which the lower triangle is read; or an accumulator
   * @throws RangeError if the numbers are not a square, or one is NaN or infinite, or the accumulator has seen no finite
   *   row
   */
  static of(covariance: Float64Array | CovarianceAccumulator, options: SpectrumOptions = {}): Spectrum {
    if (covariance instanceof Float64Array) {
      const values = kernels().eigenvalues(squareMatrix(covariance));
      return new Spectrum(clip(values), options, noiseOf(values));
    }
    return Spectrum.fromSolved({ ...solveAccumulator(covariance), effectiveSamples: options.effectiveSamples });
  }

  /**
   * Does what `of` does off the main thread, if there can be a worker. The input may be changed as soon as this returns.
   * Rejects with the errors of `of`.
   *
   * @param options.reset Hands an accumulator's memory over instead of copying it; the accumulator is empty afterwards
   */
  static async solve(
    covariance: Float64Array | CovarianceAccumulator,
    options: SpectrumOptions & { reset?: boolean } = {},
  ): Promise<Spectrum> {
    if (covariance instanceof Float64Array) {
      const matrix = squareMatrix(covariance.slice());
      const { eigenvalues, noise } = await sharedSolver.solve({ matrix }).result;
      return new Spectrum(clip(eigenvalues), options, noise);
    }
    const solved = await solveInBackground(covariance, {}, options.reset).result;
    return Spectrum.fromSolved({ ...solved, effectiveSamples: options.effectiveSamples });
  }

  /** @internal The spectrum in what `solveInBackground` found. @throws RangeError if no row was used */
  static fromSolved(solved: Solved): Spectrum {
    if (solved.count === 0)
      throw new RangeError('Spectrum: expected an accumulator with finite rows, got no finite row');
    const { count: samples, noise, sketch, corrected } = solved;
    const spectrum = new Spectrum(clip(solved.eigenvalues), { ...solved, samples }, noise, sketch);
    if (corrected !== undefined) spectrum.#setCorrected(corrected.rows, corrected.population);
    return spectrum;
  }

  /**
   * A spectrum of known eigenvalues, in any order; negative ones become 0.
   *
   * @throws RangeError if there is none, or one is NaN or infinite
   */
  static fromEigenvalues(eigenvalues: ArrayLike<number>, options: SpectrumOptions = {}): Spectrum {
    checkAttached(eigenvalues, 'fromEigenvalues');
    const values = Float64Array.from(eigenvalues);
    if (values.length === 0) throw new RangeError('fromEigenvalues: expected at least one eigenvalue, got none');
    const wrong = values.findIndex((x) => !Number.isFinite(x));
    if (wrong >= 0) {
      throw new RangeError(`fromEigenvalues: expected finite numbers, got ${values[wrong]} at index ${wrong}`);
    }
    return new Spectrum(clip(values.sort().reverse()), options, 0);
  }

  /** Width of the layer: the number d of features, which is that of the eigenvalues. */
  get features(): number {
    return this.eigenvalues.length;
  }

  /** Total variance: T = sum l_i, in the square of the activations' unit. */
  get trace(): number {
    return traceOf(this.eigenvalues);
  }

  /** Natural logarithm of the determinant: sum ln l_i. -Infinity if the covariance is singular up to rounding. */
  get logDeterminant(): number {
    if (this.#isSingular()) return Number.NEGATIVE_INFINITY;
    let sum = 0;
    for (const x of this.eigenvalues) sum += Math.log(x);
    return sum;
  }

  /**
   * Determinant of the covariance: product of the l_i; 0 if it is singular up to rounding. It also leaves the range of
   * doubles, as 0 or Infinity, in most wide layers: use `logDeterminant` there.
   */
  get determinant(): number {
    return Math.exp(this.logDeterminant);
  }

  /** Effective number of directions: T^2 / sum l_i^2, from 1 to d (Gao et al. 2017); 0 without variance. */
  get participationRatio(): number {
    return participationRatioOf(this.eigenvalues);
  }

  /**
   * Participation ratio that many rows would show, estimated from these also if they are far fewer than the features. Unbiased
   * for Gaussian rows (Srivastava 2005), and counted with `effectiveSamples`. NaN if their number is not known or below 4.
   */
  get correctedParticipationRatio(): number {
    return correctedParticipationRatioOf(this.eigenvalues, this.effectiveSamples ?? Number.NaN);
  }

  /**
   * Entropy rank: exp(-sum p_i ln p_i), from 1 to d; 0 without variance. p_i are shares of the variance. The effective rank of
   * Roy & Vetterli (2007) and RankMe (arXiv:2210.02885) are the same formula of the singular values of samples that are not
   * centered, and are larger.
   */
  get entropyRank(): number {
    return entropyRankOf(this.eigenvalues);
  }

  /** Concentration of the variance: sum p_i^2, from 1/d (even) to 1 (one direction; Simpson 1949); 0 without variance. */
  get simpsonIndex(): number {
    return simpsonIndexOf(this.eigenvalues);
  }

  /** Stable rank: T / l_1, from 1 to the rank (Rudelson & Vershynin 2007); 0 without variance. */
  get stableRank(): number {
    return stableRankOf(this.eigenvalues);
  }

  /** Condition number: l_1 / l_d. Infinity if the covariance is singular up to rounding, NaN without variance. */
  get conditionNumber(): number {
    const { eigenvalues, features } = this;
    if (eigenvalues[0] === 0) return Number.NaN;
    return this.#isSingular() ? Number.POSITIVE_INFINITY : eigenvalues[0] / eigenvalues[features - 1];
  }

  /**
   * Exponent alpha of a power law p(x) ~ x^-alpha fitted to the largest eigenvalues (Clauset, Shalizi & Newman 2009,
   * arXiv:0706.1062). Eigenvalues i^-a give 1 + 1/a, so that it falls where alpha-ReQ (which is a) rises. It is not
   * WeightWatcher's alpha, which is of a layer's weights. NaN if fewer than 8 eigenvalues lie above rounding.
   */
  get powerLawExponent(): number {
    return powerLawExponentOf(this.eigenvalues, this.#noise);
  }

  /**
   * alpha-ReQ: a where l_j ~ j^-a for j = 11 to 100 (Agrawal et al. 2022, NeurIPS), near 1 in good representations. NaN if fewer
   * than 18 eigenvalues lie above rounding.
   */
  get alphaReq(): number {
    return alphaReqOf(this.eigenvalues, this.#noise);
  }

  /**
   * Number of eigenvalues above rounding: above 2^-52 d l_1, and of a layer that TensorFlow.js computed in float32 above what
   * that leaves where there is no variance (2^-45 of the rows' mean square; 2^-20 l_1 if products were summed in float32).
   */
  get rank(): number {
    return rankOf(this.eigenvalues, this.#noise);
  }

  /** The k largest eigenvalues, descending; all d if k is larger. @throws RangeError if k is not a non-negative integer */
  topK(k: number): Float64Array {
    if (!Number.isInteger(k) || k < 0) {
      throw new RangeError(`topK: expected a non-negative integer, got ${describe(k)}`);
    }
    return this.eigenvalues.slice(0, k);
  }

  /** Cumulative explained variance: p_1 + ... + p_k for k = 1 .. d, in [0, 1]; all 0 without variance. */
  explainedVariance(): Float64Array {
    return explainedVarianceOf(this.eigenvalues);
  }

  /**
   * Number of directions that explain `threshold` of the variance; 0 without variance.
   *
   * @param threshold in (0, 1]; 1 gives the rank ('delve': one less), because the sum reaches 1 wherever rounding lets it
   * @param rule 'paper' (Shenk, Richter et al. 2019, arXiv:1907.08589): the smallest k whose cumulative explained variance
   *   reaches the threshold. 'delve': how many cumulative explained variances are below it, as delve 0.1.50 computes.
   * @throws TypeError if the threshold is not a number, RangeError if it or the rule is not one of these
   */
  intrinsicDimensionality(threshold: number = DEFAULT_THRESHOLD, rule: IntrinsicDimensionRule = 'paper'): number {
    return intrinsicDimensionalityOf(this.eigenvalues, threshold, rule, this.#noise);
  }

  /**
   * Saturation: intrinsicDimensionality(threshold, rule) / features, from 0 to 1 (Shenk, Richter et al. 2019,
   * arXiv:1907.08589).
   */
  saturation(threshold: number = DEFAULT_THRESHOLD, rule: IntrinsicDimensionRule = 'paper'): number {
    return this.intrinsicDimensionality(threshold, rule) / this.features;
  }

  /** Whether only a sketch of the covariance was kept, because the rows are so wide: the smaller eigenvalues are then estimates. */
  get isSketch(): boolean {
    return this.#sketch !== undefined;
  }

  /**
   * Between which numbers the saturation of the rows lies, if the covariance is a sketch: for certain, whatever the sketch does not
   * see. Otherwise both are the saturation.
   */
  saturationBounds(threshold: number = DEFAULT_THRESHOLD, rule: IntrinsicDimensionRule = 'paper'): SaturationBounds {
    if (this.#sketch === undefined) {
      const saturation = this.saturation(threshold, rule);
      return { low: saturation, high: saturation };
    }
    const { low, high } = intrinsicDimensionalityBounds(this.#sketch, threshold, rule);
    return { low: low / this.features, high: high / this.features };
  }

  /**
   * The spectrum that infinitely many rows would show, estimated from these: `populationSpectrum`, which rows that are few
   * need. Everything else can be asked of it, as of this one. It has the same trace.
   *
   * @returns undefined if there is less than half a row per feature, or less than one where rows are not independent: too few
   *   to say; and of a sketch
   * @throws RangeError if neither the spectrum nor `options.samples` says how many rows there are
   */
  corrected(options: Pick<SampleSizeOptions, 'samples'> = {}): Spectrum | undefined {
    const rows = this.#samplesOf(options);
    if (!this.#corrected.has(rows)) {
      this.#setCorrected(rows, this.isSketch ? undefined : populationOfSolved(this.#solved, rows));
    }
    return this.#corrected.get(rows);
  }

  /**
   * The saturation that many rows would show, estimated from these, with an interval that holds the true one in 95 % of cases
   * from one independent row per feature on (docs/few-rows.md: how often, and how far off it is at worst).
   *
   * @returns NaN as the saturation where `corrected` is undefined
   * @throws RangeError if neither the spectrum nor `options.samples` says how many rows there are
   */
  saturationEstimate(options: SampleSizeOptions = {}): SaturationEstimate {
    const rows = this.#samplesOf(options);
    const population = this.corrected(options)?.eigenvalues;
    return saturationEstimateOf(
      population,
      this.#shown(options),
      (rows - 1) / directionsOfSolved(this.#solved, rows),
      options,
    );
  }

  /**
   * By how much the saturation may be too low because the rows are few: a fraction of the features, from 0 to 1; 0 without
   * variance. It is a bound: from one independent row per feature on, 95 % of spectra are not further from the saturation that
   * many rows would show. Below half a row per feature it is all that is left to 1. It counts with `effectiveSamples`.
   *
   * @throws RangeError if neither the spectrum nor `options.samples` says how many rows there are
   */
  saturationShortfall(options: SampleSizeOptions = {}): number {
    const { high } = this.saturationEstimate(options);
    return Math.max(0, high - this.#shown(options));
  }

  /**
   * Whether the rows suffice for a saturation that is at most `options.tolerance` too low: whether `saturationShortfall` is no
   * larger. The tolerance is 0.05; in a layer of fewer than 20 features, where a direction is more than that and no number of
   * rows settles one at the threshold, it is one direction from four rows per feature on. With d = 256 and eigenvalues 1/i (true saturation 0.94), 256 rows show 0.67, 1024 rows
   * 0.89 and 2560 rows 0.92, of which the first two are not enough.
   *
   * @throws RangeError if neither the spectrum nor `options.samples` says how many rows there are
   */
  isReliable(options: ReliabilityOptions = {}): boolean {
    const rows = this.#samplesOf(options);
    const least = rows >= 4 * this.features ? Math.max(0.05, 1 / this.features) : 0.05;
    return this.saturationShortfall(options) <= (options.tolerance ?? least) + 1e-12;
  }

  /**
   * One sentence for users if `isReliable` is false; undefined if it is true.
   *
   * @param layer the name that the sentence gives to the layer
   */
  sampleSizeWarning(layer: string, options: ReliabilityOptions = {}): string | undefined {
    if (this.isReliable(options)) return undefined;
    const shown = this.#shown(options).toFixed(3);
    const { saturation, low, high } = this.saturationEstimate(options);
    const truth = Number.isNaN(saturation)
      ? 'is too low, and so few independent rows cannot say by how much'
      : `would be about ${saturation.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}) with many rows`;
    return (
      `Layer "${layer}": ${this.#rowsInWords(options)} are few for ${this.features} features; ` +
      `its saturation of ${shown} ${truth}. Use more rows, for example a larger data set.`
    );
  }

  /**
   * The fewest rows that would show the same saturation as this spectrum, give or take `options.tolerance` (0.01): bias
   * and `options.deviations` (3) standard deviations of the explained variance together move it no further. Never more
   * than `samples`, if that is known: all rows are needed then.
   */
  rowsNeeded(options: RowsNeededOptions = {}): number {
    const most = options.samples ?? this.samples ?? Number.POSITIVE_INFINITY;
    return rowsNeededOf(this.eigenvalues, most, options);
  }

  #samplesOf(options: SampleSizeOptions): number {
    const samples = options.samples ?? this.effectiveSamples;
    if (samples === undefined) {
      throw new RangeError('samples: expected the number of rows, which this spectrum does not know, got undefined');
    }
    return samples;
  }

  /** The saturation that these rows show. */
  #shown({ threshold = DEFAULT_THRESHOLD, rule = 'paper' }: SampleSizeOptions): number {
    return intrinsicDimensionalityOf(this.eigenvalues, threshold, rule, this.#noise) / this.features;
  }

  #rowsInWords(options: SampleSizeOptions): string {
    const samples = this.#samplesOf(options);
    if (options.samples !== undefined || samples === this.samples) return `${samples} rows`;
    return `${this.samples} rows, worth ${samples} independent ones,`;
  }

  #setCorrected(rows: number, population: Float64Array | undefined): void {
    this.#corrected.set(rows, population && new Spectrum(population, {}, 0));
  }

  get #solved() {
    return { eigenvalues: this.eigenvalues, noise: this.#noise, samples: this.samples };
  }

  #isSingular(): boolean {
    return this.eigenvalues[this.features - 1] <= this.#noise;
  }
}

function clip(values: Float64Array): Float64Array {
  for (let i = 0; i < values.length; i++) if (!(values[i] > 0)) values[i] = 0;
  return values;
}

/** @deprecated Use `spectrum.saturationShortfall(options)`. */
export const saturationShortfall = (spectrum: Spectrum, options?: SampleSizeOptions): number =>
  spectrum.saturationShortfall(options);

/** @deprecated Use `spectrum.isReliable(options)`. */
export const isEstimateReliable = (spectrum: Spectrum, options?: ReliabilityOptions): boolean =>
  spectrum.isReliable(options);

/** @deprecated Use `spectrum.sampleSizeWarning(layer, options)`. */
export const sampleSizeWarning = (
  layer: string,
  spectrum: Spectrum,
  options?: ReliabilityOptions,
): string | undefined => spectrum.sampleSizeWarning(layer, options);

/** @deprecated Use `spectrum.rowsNeeded(options)`. */
export const rowsNeeded = (spectrum: Spectrum, options?: RowsNeededOptions): number => spectrum.rowsNeeded(options);

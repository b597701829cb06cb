import { kernels } from '../kernels/kernels.js';
import type { CovarianceAccumulator } from './covariance.js';
import { squareMatrix } from './eigenvalues.js';
import {
  DEFAULT_THRESHOLD,
  entropyRankOf,
  explainedVarianceOf,
  type IntrinsicDimensionRule,
  intrinsicDimensionalityOf,
  participationRatioOf,
  powerLawExponentOf,
  simpsonIndexOf,
  stableRankOf,
  traceOf,
} from './spectrum-measures.js';
import { type Solved, type SolveWishes, solveAccumulator } from './threads/solve.js';
import { sharedSolver } from './threads/solver.js';

export type { IntrinsicDimensionRule } from './spectrum-measures.js';

/** Options of `Spectrum.of`, `Spectrum.solve` and `Spectrum.fromEigenvalues`. */
export interface SpectrumOptions {
  /** Rows behind the covariance; an accumulator knows its own. */
  samples?: number;
}

/** The eigenvalues of a layer's covariance, and what they say about it. */
export class Spectrum {
  /** Descending; negative values from rounding are set to 0. */
  readonly eigenvalues: Float64Array;
  /** Rows behind the covariance, where known. */
  readonly samples: number | undefined;
  /** Eigenvalues up to this are rounding: eps * d * largest, as numpy.linalg.matrix_rank has it; 0 for given ones. */
  readonly #noise: number;

  private constructor(eigenvalues: Float64Array, samples: number | undefined, solved: boolean) {
    if (samples !== undefined && !(Number.isFinite(samples) && samples >= 0)) {
      throw new RangeError(`samples must be a number of rows, got ${String(samples)}.`);
    }
    this.eigenvalues = eigenvalues;
    this.samples = samples;
    this.#noise = solved ? 2 ** -52 * eigenvalues.length * eigenvalues[0] : 0;
  }

  /**
   * The spectrum of a covariance, or of the rows that an accumulator has seen (fewer rows than features: through their
   * Gram matrix, which is cheaper).
   *
   * @param covariance d x d numbers, row-major. RangeError when that is not square, or a number is NaN or infinite, or
   *   the accumulator has seen no finite row.
   */
  static of(covariance: Float64Array | CovarianceAccumulator, options: SpectrumOptions = {}): Spectrum {
    if (covariance instanceof Float64Array) {
      return new Spectrum(clip(kernels().eigenvalues(squareMatrix(covariance))), options.samples, true);
    }
    return Spectrum.fromSolved(solveAccumulator(covariance));
  }

  /**
   * As `of`, off the main thread where there can be a worker. The input may be changed as soon as this returns. With
   * `reset`, an accumulator's memory is handed over instead of copied, and it starts afresh.
   */
  static async solve(
    covariance: Float64Array | CovarianceAccumulator,
    options: SpectrumOptions & { reset?: boolean } = {},
  ): Promise<Spectrum> {
    if (covariance instanceof Float64Array) {
      const matrix = squareMatrix(covariance.slice());
      const { eigenvalues } = await sharedSolver.solve({ matrix });
      return new Spectrum(clip(eigenvalues), options.samples, true);
    }
    return Spectrum.fromSolved(await solveLayer(covariance, {}, options.reset));
  }

  /** The spectrum in what `solveLayer` found. RangeError when no row was used. */
  static fromSolved(solved: Solved): Spectrum {
    if (solved.count === 0) throw new RangeError('The accumulator has seen no finite row, so there is no spectrum.');
    return new Spectrum(clip(solved.eigenvalues), solved.count, true);
  }

  /**
   * A spectrum of known eigenvalues, in any order; negative ones become 0. RangeError when there is none, or one is NaN
   * or infinite.
   */
  static fromEigenvalues(eigenvalues: ArrayLike<number>, options: SpectrumOptions = {}): Spectrum {
    const values = Float64Array.from(eigenvalues);
    if (values.length === 0) throw new RangeError('Expected at least one eigenvalue, got none.');
    const wrong = values.findIndex((x) => !Number.isFinite(x));
    if (wrong >= 0) throw new RangeError(`Eigenvalues must be finite, but number ${wrong} is ${values[wrong]}.`);
    return new Spectrum(clip(values.sort().reverse()), options.samples, false);
  }

  /** Width of the layer: number of eigenvalues. */
  get features(): number {
    return this.eigenvalues.length;
  }

  /** Total variance: sum of the eigenvalues. */
  get trace(): number {
    return traceOf(this.eigenvalues);
  }

  /** Natural logarithm of the determinant, which neither under- nor overflows; -Infinity when singular up to rounding. */
  get logDeterminant(): number {
    if (this.#isSingular()) return Number.NEGATIVE_INFINITY;
    let sum = 0;
    for (const x of this.eigenvalues) sum += Math.log(x);
    return sum;
  }

  /** Product of the eigenvalues: 0 when singular, and 0 or Infinity where the double range ends; see logDeterminant. */
  get determinant(): number {
    return Math.exp(this.logDeterminant);
  }

  /** (sum)^2 / sum of squares: effective number of directions, from 1 to d; 0 without variance. */
  get participationRatio(): number {
    return participationRatioOf(this.eigenvalues);
  }

  /** exp(entropy of the explained fractions): effective rank, from 1 to d; 0 without variance. */
  get entropyRank(): number {
    return entropyRankOf(this.eigenvalues);
  }

  /** Sum of the squared explained fractions, from 1/d (all alike) to 1 (one direction); 0 without variance. */
  get simpsonIndex(): number {
    return simpsonIndexOf(this.eigenvalues);
  }

  /** Sum of the eigenvalues over the largest one (Rudelson & Vershynin 2007), from 1 to the rank; 0 without variance. */
  get stableRank(): number {
    return stableRankOf(this.eigenvalues);
  }

  /** Largest over smallest eigenvalue; Infinity when singular up to rounding, NaN without variance. */
  get conditionNumber(): number {
    const { eigenvalues, features } = this;
    if (eigenvalues[0] === 0) return Number.NaN;
    return this.#isSingular() ? Number.POSITIVE_INFINITY : eigenvalues[0] / eigenvalues[features - 1];
  }

  /** Power-law exponent of the eigenvalues' upper tail (see powerLawExponentOf); NaN with too few eigenvalues. */
  get powerLawExponent(): number {
    return powerLawExponentOf(this.eigenvalues, this.#noise);
  }

  /** Number of eigenvalues above rounding. */
  get rank(): number {
    let rank = 0;
    while (rank < this.features && this.eigenvalues[rank] > this.#noise) rank++;
    return rank;
  }

  /** The k largest eigenvalues. RangeError unless k is a non-negative integer; more than d gives all d. */
  topK(k: number): Float64Array {
    if (!Number.isInteger(k) || k < 0) throw new RangeError(`k must be a non-negative integer, got ${String(k)}.`);
    return this.eigenvalues.slice(0, k);
  }

  /** Fraction of the variance that the first k directions hold, for k = 1 .. d, in [0, 1]; all 0 without variance. */
  explainedVariance(): Float64Array {
    return explainedVarianceOf(this.eigenvalues);
  }

  /** Directions needed to explain `threshold` of the variance: see intrinsicDimensionalityOf. 0 without variance. */
  intrinsicDimensionality(threshold: number = DEFAULT_THRESHOLD, rule: IntrinsicDimensionRule = 'paper'): number {
    return intrinsicDimensionalityOf(this.eigenvalues, threshold, rule);
  }

  /** intrinsicDimensionality / features, from 0 to 1. */
  saturation(threshold: number = DEFAULT_THRESHOLD, rule: IntrinsicDimensionRule = 'paper'): number {
    return this.intrinsicDimensionality(threshold, rule) / this.features;
  }

  #isSingular(): boolean {
    return this.eigenvalues[this.features - 1] <= this.#noise;
  }
}

function clip(values: Float64Array): Float64Array {
  for (let i = 0; i < values.length; i++) if (!(values[i] > 0)) values[i] = 0;
  return values;
}

/**
 * Everything that is wished for of an accumulator's rows, off the main thread where there can be a worker: eigenvalues,
 * leading eigenvectors, covariance, mean. Unlike Spectrum.solve, an accumulator without rows is no error.
 *
 * @param reset Hand the accumulator's memory over instead of copying it, and let it start afresh.
 * @param copies Copy to the thread in any case: see SharedSolver.solve.
 */
export function solveLayer(
  accumulator: CovarianceAccumulator,
  wishes: SolveWishes = {},
  reset = false,
  copies = false,
): Promise<Solved> {
  const state = reset ? accumulator.takeState() : accumulator.copyState();
  return sharedSolver.solve({ state, wishes }, copies);
}

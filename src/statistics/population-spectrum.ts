import { checkAttached, describe } from '../errors.js';
import { rankOf } from './spectrum-measures.js';

/*
 * The eigenvalues of a population from those of a sample.
 *
 * A sample covariance of n rows shows a steeper spectrum than the population has: its large eigenvalues are too large and
 * its small ones too small. If n and the number p of directions are both large, the distribution of the sample's eigenvalues
 * and that of the population's, H, are tied by the equation of Marchenko and Pastur (1967),
 *
 *   z + 1 / v(z) = c * integral of t / (1 + t v(z)) dH(t),   c = p / n,
 *
 * in which v is the Stieltjes transform of the n x n Gram matrix' eigenvalues, so that the sample gives it at every complex z
 * away from them. The equation is linear in H. El Karoui (2008, "Spectrum estimation for large dimensional covariance
 * matrices using random matrix theory", Annals of Statistics 36, arXiv:math/0609418) writes H as point masses on a grid and
 * finds the masses that fit the equation best at many z. Here they are found by non-negative least squares, and the masses'
 * sum (1) and mean (that of the sample's eigenvalues, which is unbiased) are two more equations of a large weight.
 *
 * What was found by trial, on 20 families of spectra, 64 to 2048 directions and .5 to 4000 rows per direction (docs/few-rows.md):
 * - z lies on two rays, one of 45 degrees and the negative real axis. Rays closer to the eigenvalues are noisier.
 * - The smallest |z| is an eigenvalue below which a few more lie, because near the last ones v is mostly noise. With the
 *   smallest eigenvalue itself the error at n = d is twice as large.
 * - Smoothing the masses (a ridge, second differences) makes nothing better.
 */

/** Point masses of the population's distribution. */
const MASSES = 100;
/** Points z on each ray. */
const POINTS = 40;
/** Weight of the two equations that fix sum and mean of the masses: so large that they hold to about 1e-4. */
const FIXED_WEIGHT = 30;
/** Rows per direction from which a spectrum is estimated. */
const LEAST_ROWS_PER_DIRECTION = 0.5;

/**
 * Estimates the eigenvalues that a covariance of infinitely many rows would have, from those of `rows` rows (El Karoui 2008:
 * see docs/few-rows.md for its errors). Saturation computed from them is not too low, as that of the sample is.
 *
 * Eigenvalues of 0 that few rows do not explain (at most half as many as there are rows are positive, and fewer than all) stay
 * 0: the layer has no variance there.
 *
 * @param eigenvalues of a covariance, in any order; those below 1e-12 of the largest count as 0
 * @param rows independent rows behind it; rows of one image or one sequence are not independent
 * @returns as many eigenvalues, descending, with the same sum; undefined if there is less than half a row per direction, which
 *   is too few to say anything of the directions that no row shows
 * @throws RangeError if an eigenvalue is NaN or infinite, or `rows` is not a number of rows
 */
export function populationSpectrum(eigenvalues: ArrayLike<number>, rows: number): Float64Array | undefined {
  if (!(Number.isFinite(rows) && rows >= 0)) {
    throw new RangeError(`populationSpectrum: expected a number of rows, got ${describe(rows)}`);
  }
  checkAttached(eigenvalues, 'populationSpectrum');
  const sorted = Float64Array.from(eigenvalues, (x) => Math.max(0, x));
  const wrong = sorted.findIndex((x) => !Number.isFinite(x));
  if (wrong >= 0) {
    throw new RangeError(
      `populationSpectrum: expected finite numbers, got ${describe(eigenvalues[wrong])} at index ${wrong}`,
    );
  }
  sorted.sort().reverse();
  const rank = rankOf(sorted, 1e-12 * (sorted[0] ?? 0));
  return populationEigenvalues(sorted, rows, rank, directionsOf(rank, sorted.length, Math.round(rows)));
}

/**
 * In how many of its directions a population has variance: in all, or in as many as the rows show if they are many enough to
 * have shown more. Rows that are alike show fewer directions than their number, too (a picture that comes twice, units
 * that are 0 for several rows), and say nothing of the others: so there must be twice as many rows as directions.
 *
 * @param rank how many directions the rows show
 * @param rows how many there are, whether they are independent or not
 */
function directionsOf(rank: number, features: number, rows: number): number {
  return 2 * rank <= rows && rank < Math.min(features, rows - 1) ? Math.max(1, rank) : features;
}

/** Rows per feature from which no saturation is more than 0.05 too low, so that nothing need be computed to know that. */
export const MANY_ROWS_PER_FEATURE = 100;

/** A spectrum as it was solved, and how many rows it comes from. */
export interface SolvedSpectrum {
  /** Descending, not negative. */
  readonly eigenvalues: Float64Array;
  /** Eigenvalues up to this are rounding. */
  readonly noise: number;
  /** Rows behind them, whether these are independent or not; undefined if that is not known. */
  readonly samples: number | undefined;
}

/** In how many directions a solved spectrum's population has variance: see directionsOf. `rows` of its rows are independent. */
export function directionsOfSolved(solved: SolvedSpectrum, rows: number): number {
  return directionsOf(rankOfSolved(solved), solved.eigenvalues.length, Math.round(solved.samples ?? rows));
}

/** The population's eigenvalues of a solved spectrum of which `rows` rows are independent; undefined if these are too few. */
export function populationOfSolved(solved: SolvedSpectrum, rows: number): Float64Array | undefined {
  const directions = directionsOfSolved(solved, rows);
  // How many rows that depend on each other are worth is a guess, and below one per direction a wrong one shows too much.
  const isGuess = solved.samples !== undefined && rows < solved.samples && rows < directions;
  return isGuess ? undefined : populationEigenvalues(solved.eigenvalues, rows, rankOfSolved(solved), directions);
}

/** How many eigenvalues are not 0 up to rounding; given ones have rounding, too. */
function rankOfSolved({ eigenvalues, noise }: SolvedSpectrum): number {
  return rankOf(eigenvalues, Math.max(noise, 1e-12 * eigenvalues[0]));
}

/**
 * See populationSpectrum.
 *
 * @param given eigenvalues, descending and not negative
 * @param rank how many of them are not 0 up to rounding
 * @param directions in how many the population has variance: all, or the rank if the rows would have shown more
 */
function populationEigenvalues(
  given: Float64Array,
  rows: number,
  rank: number,
  directions: number,
): Float64Array | undefined {
  const population = new Float64Array(given.length);
  if (rank === 0) return population;
  // In units of a power of two near the largest, which changes no digit: sums of numbers near the ends of the range of doubles
  // would leave it.
  const exponent = Math.floor(Math.log2(given[0]));
  const [one, other] = [2 ** Math.trunc(exponent / 2), 2 ** (exponent - Math.trunc(exponent / 2))];
  const eigenvalues = given.map((x) => x / one / other);
  const freedom = rows - 1;
  if (!(rows >= LEAST_ROWS_PER_DIRECTION * directions && freedom > 0)) return undefined;
  let sum = 0;
  for (let i = 0; i < rank; i++) sum += eigenvalues[i];
  const mean = sum / directions;
  if (directions === 1) return population.fill(mean * one * other, 0, 1);
  const sample = eigenvalues.subarray(0, directions).map((x, i) => (i < rank ? x / mean : 0));
  const { values, masses } = fitMasses(sample, rank, directions / freedom);

  // The i-th eigenvalue is the distribution's quantile at the middle of the i-th of as many equal parts.
  let total = 0;
  for (const mass of masses) total += mass;
  let below = 0;
  let at = 0;
  let found = 0;
  for (let i = directions - 1; i >= 0; i--) {
    const level = ((directions - i - 0.5) / directions) * total;
    while (at < MASSES - 1 && below + masses[at] < level) below += masses[at++];
    population[i] = values[at];
    found += values[at];
  }
  for (let i = 0; i < directions; i++) population[i] = population[i] * (sum / found) * one * other;
  return population;
}

/**
 * The distribution of the population's eigenvalues, as masses on a grid.
 *
 * @param sample the sample's eigenvalues, descending, with a mean of 1
 * @param c their number over the degrees of freedom
 */
function fitMasses(sample: Float64Array, rank: number, c: number): { values: Float64Array; masses: Float64Array } {
  const top = sample[0];
  const last = Math.max(sample[rank - 1], 1e-7 * top);
  const values = geometric(Math.max(0.2 * last, 1e-7 * top), 1.05 * top, MASSES);
  const nearest = Math.max(sample[Math.floor(0.93 * (rank - 1))], 1e-6 * top);
  const distances = geometric(nearest, 1.2 * top, POINTS);
  const fit = new NonNegativeLeastSquares(MASSES);
  const real = new Float64Array(MASSES);
  const imaginary = new Float64Array(MASSES);
  for (const distance of distances) {
    // On the negative axis everything is real.
    const v = (1 - c) / distance + c * stieltjes(sample, -distance, 0).real;
    for (let k = 0; k < MASSES; k++) real[k] = values[k] / (1 + values[k] * v) / distance;
    fit.add(real, (1 / v - distance) / (c * distance));

    const m = stieltjes(sample, distance, distance);
    const vr = (c - 1) / (2 * distance) + c * m.real;
    const vi = (1 - c) / (2 * distance) + c * m.imaginary;
    const square = vr * vr + vi * vi;
    const length = Math.SQRT2 * distance;
    for (let k = 0; k < MASSES; k++) {
      const a = 1 + values[k] * vr;
      const b = values[k] * vi;
      const factor = values[k] / ((a * a + b * b) * length);
      real[k] = a * factor;
      imaginary[k] = -b * factor;
    }
    fit.add(real, (distance + vr / square) / (c * length));
    fit.add(imaginary, (distance - vi / square) / (c * length));
  }
  fit.add(real.fill(FIXED_WEIGHT), FIXED_WEIGHT);
  fit.add(
    values.map((value) => FIXED_WEIGHT * value),
    FIXED_WEIGHT,
  );
  return { values, masses: fit.solve() };
}

/** Mean of 1 / (l - z) over the eigenvalues l, z = x + iy. */
function stieltjes(eigenvalues: Float64Array, x: number, y: number): { real: number; imaginary: number } {
  let real = 0;
  let imaginary = 0;
  for (let i = 0; i < eigenvalues.length; i++) {
    const gap = eigenvalues[i] - x;
    const factor = 1 / (gap * gap + y * y);
    real += gap * factor;
    imaginary += y * factor;
  }
  return { real: real / eigenvalues.length, imaginary: imaginary / eigenvalues.length };
}

/** `count` numbers from `low` to `high`, each the same multiple of the one before. */
function geometric(low: number, high: number, count: number): Float64Array {
  const ratio = high / low;
  return Float64Array.from({ length: count }, (_, i) => low * ratio ** (i / (count - 1)));
}

/**
 * Least squares whose unknowns must not be negative: the active-set method of Lawson and Hanson (1974, "Solving least squares
 * problems", chapter 23), on the normal equations.
 */
class NonNegativeLeastSquares {
  readonly #size: number;
  /** Symmetric; of the products of the equations only the lower triangle is summed. */
  readonly #products: Float64Array;
  readonly #right: Float64Array;

  constructor(size: number) {
    this.#size = size;
    this.#products = new Float64Array(size * size);
    this.#right = new Float64Array(size);
  }

  /** Adds an equation: the inner product of `row` and the unknowns should be `value`. */
  add(row: Float64Array, value: number): void {
    const size = this.#size;
    for (let i = 0; i < size; i++) {
      const x = row[i];
      this.#right[i] += x * value;
      for (let j = 0, at = i * size; j <= i; j++, at++) this.#products[at] += x * row[j];
    }
  }

  /** The unknowns. */
  solve(): Float64Array {
    const size = this.#size;
    this.#scale();
    const x = new Float64Array(size);
    const isFixed = new Uint8Array(size); // to 0 for good, because it depends on the others
    const free: number[] = [];
    for (let round = 0; round < 3 * size; round++) {
      const next = this.#steepest(x, free, isFixed);
      if (next < 0) break;
      free.push(next);
      while (free.length > 0) {
        const solution = this.#solveFor(free);
        if (solution === undefined) {
          x[next] = 0;
          isFixed[next] = 1;
          free.splice(free.indexOf(next), 1);
          continue;
        }
        let step = 1;
        for (let k = 0; k < free.length; k++) {
          const from = x[free[k]];
          if (solution[k] <= 0) step = Math.min(step, from > 0 ? from / (from - solution[k]) : 0);
        }
        for (let k = 0; k < free.length; k++) x[free[k]] += step * (solution[k] - x[free[k]]);
        if (step === 1) break;
        const before = free.length;
        for (let k = before - 1; k >= 0; k--) {
          if (x[free[k]] > 1e-14) continue;
          x[free[k]] = 0;
          free.splice(k, 1);
        }
        if (free.length === before) break;
      }
    }
    return x.map((value, i) => value * this.#scales[i]);
  }

  #scales = new Float64Array(0);

  /** Gives all columns the same length. */
  #scale(): void {
    const size = this.#size;
    const products = this.#products;
    const scales = Float64Array.from({ length: size }, (_, i) => 1 / Math.sqrt(products[i * size + i]));
    for (let i = 0; i < size; i++) {
      this.#right[i] *= scales[i];
      for (let j = 0; j <= i; j++) {
        products[i * size + j] *= scales[i] * scales[j];
        products[j * size + i] = products[i * size + j];
      }
    }
    this.#scales = scales;
  }

  /** The unknown at 0 whose growth lessens the error fastest; -1 if that of none does. */
  #steepest(x: Float64Array, free: readonly number[], isFixed: Uint8Array): number {
    let best = -1;
    let steepest = 1e-10;
    for (let i = 0; i < this.#size; i++) {
      if (isFixed[i] === 1 || free.includes(i)) continue;
      let slope = this.#right[i];
      for (const j of free) slope -= this.#products[i * this.#size + j] * x[j];
      if (slope > steepest) {
        steepest = slope;
        best = i;
      }
    }
    return best;
  }

  /** The least-squares solution in these unknowns alone, by Cholesky; undefined if they depend on each other. */
  #solveFor(free: readonly number[]): Float64Array | undefined {
    const count = free.length;
    const factor = new Float64Array(count * count);
    const solution = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = this.#products[free[i] * this.#size + free[j]];
        for (let k = 0; k < j; k++) sum -= factor[i * count + k] * factor[j * count + k];
        if (i > j) factor[i * count + j] = sum / factor[j * count + j];
        else if (sum > 1e-13) factor[i * count + i] = Math.sqrt(sum);
        else return undefined;
      }
      let sum = this.#right[free[i]];
      for (let k = 0; k < i; k++) sum -= factor[i * count + k] * solution[k];
      solution[i] = sum / factor[i * count + i];
    }
    for (let i = count - 1; i >= 0; i--) {
      let sum = solution[i];
      for (let k = i + 1; k < count; k++) sum -= factor[k * count + i] * solution[k];
      solution[i] = sum / factor[i * count + i];
    }
    return solution;
  }
}

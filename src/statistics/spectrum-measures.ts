import { describe } from '../errors.js';

/*
 * Measures of a spectrum: functions of eigenvalues that are sorted in descending order and not negative, each with its
 * formula and source. Spectrum offers them as its properties and methods.
 *
 * l_i is the i-th eigenvalue, d their number, T = l_1 + ... + l_d the trace, and p_i = l_i / T the fraction of the variance
 * that direction i explains. The trace has the square of the activations' unit; all other measures here have no unit.
 */

/**
 * How many directions count as intrinsic: 'paper' is the smallest k whose cumulative explained variance reaches the
 * threshold; 'delve' is what delve.metrics computes, which is usually one less. See `Spectrum.intrinsicDimensionality`.
 */
export type IntrinsicDimensionRule = 'paper' | 'delve';

/** Default threshold of the explained variance, as in Delve and in Shenk, Richter et al. 2019 (arXiv:1907.08589). */
export const DEFAULT_THRESHOLD = 0.99;

/** Returns the threshold. @throws TypeError unless it is a number, RangeError unless it lies in (0, 1] */
export function checkedThreshold(threshold: number): number {
  const wrong = `threshold: expected a number in (0, 1], got ${describe(threshold)}`;
  if (typeof threshold !== 'number') throw new TypeError(wrong);
  if (!(threshold > 0 && threshold <= 1)) throw new RangeError(wrong);
  return threshold;
}

/** Returns the rule. @throws RangeError if it is unknown */
export function checkedRule(rule: IntrinsicDimensionRule): IntrinsicDimensionRule {
  if (rule !== 'paper' && rule !== 'delve') {
    throw new RangeError(`rule: expected 'paper' or 'delve', got ${describe(rule)}`);
  }
  return rule;
}

/** Trace of the covariance, the total variance: T = sum l_i. */
export function traceOf(eigenvalues: Float64Array): number {
  let sum = 0;
  for (const x of eigenvalues) sum += x;
  return sum;
}

/** Cumulative explained variance: c_k = p_1 + ... + p_k for k = 1 .. d, in [0, 1]. All are 0 if there is no variance. */
export function explainedVarianceOf(eigenvalues: Float64Array): Float64Array {
  const total = traceOf(eigenvalues);
  const cumulative = new Float64Array(eigenvalues.length);
  if (total === 0) return cumulative;
  let sum = 0;
  for (let k = 0; k < eigenvalues.length; k++) {
    sum += eigenvalues[k];
    cumulative[k] = Math.min(1, sum / total);
  }
  return cumulative;
}

/**
 * Number of eigendirections that explain `threshold` of the variance; 0 if there is no variance.
 *
 * - 'paper' (arXiv:1907.08589, arXiv:2006.08679): the smallest k with c_k >= threshold, from 1 to d.
 * - 'delve': how many c_k are below the threshold, which is what delve 0.1.50 computes (delve/metrics.py:7-24). It is one
 *   less than the paper's, and 0 if the first direction alone reaches the threshold.
 *
 * A threshold of 1 asks for all variance: then it is the rank, and one less by 'delve'. The sum itself reaches 1 wherever
 * rounding lets it.
 *
 * @param floor eigenvalues up to this one are rounding; it matters for a threshold of 1
 */
export function intrinsicDimensionalityOf(
  eigenvalues: Float64Array,
  threshold: number,
  rule: IntrinsicDimensionRule,
  floor = 0,
): number {
  checkedThreshold(threshold);
  checkedRule(rule);
  if (threshold === 1) {
    const rank = rankOf(eigenvalues, floor);
    return rule === 'delve' ? Math.max(0, rank - 1) : rank;
  }
  const total = traceOf(eigenvalues);
  if (total === 0) return 0;
  let below = 0;
  let sum = 0;
  for (const x of eigenvalues) {
    sum += x;
    if (sum / total < threshold) below++;
    else break;
  }
  return rule === 'delve' ? below : Math.min(below + 1, eigenvalues.length);
}

/** What a sketch of a covariance knows: see sketch.ts, which says why the bounds hold. */
export interface SketchBounds {
  /** Eigenvalues of the covariance between the directions that were followed, descending. */
  resolved: Float64Array;
  /** Variance that those directions do not see. */
  unresolved: number;
  /** What rounding may add to or take from a sum of variances. */
  rounding: number;
  /** In how many directions the rows can have variance at all. */
  directions: number;
}

/** From how many to how many directions explain a share of the variance, whatever it is that a sketch does not see. */
export function intrinsicDimensionalityBounds(
  { resolved, unresolved, rounding, directions }: SketchBounds,
  threshold: number,
  rule: IntrinsicDimensionRule,
): { low: number; high: number } {
  checkedThreshold(threshold);
  checkedRule(rule);
  const total = traceOf(resolved) + unresolved;
  if (total === 0) return { low: 0, high: 0 };
  const wanted = threshold * total;
  let [low, high] = [0, 0];
  let sum = 0;
  for (let k = 1; k <= resolved.length; k++) {
    sum += resolved[k - 1];
    if (low === 0 && sum + unresolved + rounding >= wanted) low = k;
    if (high === 0 && sum - rounding >= wanted) high = k;
  }
  if (high === 0) {
    // The sums of the largest eigenvalues are concave: they are not below the line to the whole variance.
    const perDirection = unresolved / Math.max(1, directions - resolved.length);
    const more = Math.ceil((wanted + rounding - sum) / perDirection);
    high = Math.min(directions, resolved.length + (Number.isFinite(more) ? Math.max(0, more) : 0));
  }
  high = Math.max(low, high);
  return rule === 'delve' ? { low: Math.max(0, low - 1), high: Math.max(0, high - 1) } : { low, high };
}

/** Number of eigenvalues above a floor. */
export function rankOf(eigenvalues: Float64Array, floor: number): number {
  let rank = 0;
  while (rank < eigenvalues.length && eigenvalues[rank] > floor) rank++;
  return rank;
}

/**
 * Participation ratio: T^2 / sum l_i^2 = 1 / sum p_i^2, from 1 to d; 0 if there is no variance (Gao et al. 2017, "A theory
 * of multineuronal dimensionality, dynamics and measurement").
 */
export function participationRatioOf(eigenvalues: Float64Array): number {
  const index = simpsonIndexOf(eigenvalues);
  return index === 0 ? 0 : 1 / index;
}

/**
 * Participation ratio that many rows would show, from n: (tr Sigma)^2 / tr Sigma^2, each estimated without bias for Gaussian
 * rows (Srivastava 2005, "Some tests concerning the covariance matrix in high dimensional data"): with m = n - 1,
 * A = sum l_i^2, tr Sigma^2 is m^2 / ((m - 1)(m + 2)) (A - T^2 / m), and (tr Sigma)^2 is T^2 - 2 tr Sigma^2 / m. Chun, Canatar,
 * Chung & Lee (arXiv:2509.26560) also correct for the fourth moment of other rows, which a covariance does not have; on real
 * layers that is no closer (docs/few-rows.md).
 *
 * @param rows independent rows n behind the eigenvalues
 * @returns from 1 to d; 0 if there is no variance; NaN if n < 4, or the rows show less than chance would
 */
export function correctedParticipationRatioOf(eigenvalues: Float64Array, rows: number): number {
  const total = traceOf(eigenvalues);
  if (total === 0) return 0;
  if (!(rows >= 4)) return Number.NaN;
  const freedom = rows - 1;
  const squares = simpsonIndexOf(eigenvalues);
  // Of eigenvalues divided by their sum.
  const inSquare = (freedom ** 2 / ((freedom - 1) * (freedom + 2))) * (squares - 1 / freedom);
  if (!(inSquare > 0)) return Number.NaN;
  return Math.max(1, Math.min(eigenvalues.length, (1 - (2 * inSquare) / freedom) / inSquare));
}

/**
 * Simpson index: sum p_i^2, from 1/d to 1; 0 if there is no variance (Simpson 1949, "Measurement of diversity"). It is the
 * chance that two draws hit the same direction.
 */
export function simpsonIndexOf(eigenvalues: Float64Array): number {
  const total = traceOf(eigenvalues);
  if (total === 0) return 0;
  let sum = 0;
  for (const x of eigenvalues) sum += (x / total) * (x / total);
  return sum;
}

/**
 * Entropy rank: exp(-sum p_i ln p_i), from 1 to d; 0 if there is no variance. p_i are shares of the variance, eigenvalues of
 * the covariance of centered samples, as reptrix has it. It is neither the effective rank of Roy & Vetterli (2007, "The
 * effective rank: a measure of effective dimensionality") nor RankMe (Garrido et al. 2023, arXiv:2210.02885): these take the
 * same formula of the singular values of the samples themselves, and are several times larger (307 and 279 where this is 52).
 */
export function entropyRankOf(eigenvalues: Float64Array): number {
  const total = traceOf(eigenvalues);
  if (total === 0) return 0;
  let entropy = 0;
  for (const x of eigenvalues) {
    const fraction = x / total;
    if (fraction > 0) entropy -= fraction * Math.log(fraction);
  }
  return Math.exp(entropy);
}

/**
 * Stable rank: T / l_1, from 1 to the rank; 0 if there is no variance. It is |X|_F^2 / |X|_2^2 of the centered samples X
 * (Rudelson & Vershynin 2007, "Sampling from large matrices", section 1, arXiv:math/0503442, where it is called the
 * numerical rank). Unlike the rank, it hardly changes when tiny eigenvalues are added.
 */
export function stableRankOf(eigenvalues: Float64Array): number {
  const largest = eigenvalues[0];
  if (largest === 0) return 0;
  // Each term is at most 1, so that rounding never takes the sum beyond the rank, and it cannot overflow.
  let sum = 0;
  for (const x of eigenvalues) sum += x / largest;
  return sum;
}

/**
 * Effective rank (Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality"): exp(-sum q_i ln q_i), from
 * 1 to min(n, d); 0 if all rows are 0. q_i = s_i / sum s are shares of the singular values of the rows themselves, which are
 * not centered: a mean far from zero counts as a direction.
 *
 * @param singularValues of the n x d matrix of rows, min(n, d) of them
 * @param epsilon is added to each share: RankMe has one, the effective rank none
 */
export function effectiveRankOf(singularValues: Float64Array, epsilon = 0): number {
  const total = traceOf(singularValues);
  if (total === 0) return 0;
  let entropy = 0;
  for (const x of singularValues) {
    const share = x / total + epsilon;
    if (share > 0) entropy -= share * Math.log(share);
  }
  return Math.exp(entropy);
}

/**
 * RankMe (Garrido et al. 2023, arXiv:2210.02885, eq. 1): the effective rank with 1e-7 added to each share. The paper takes it
 * of 25,600 rows or more. What reptrix calls RankMe is `entropyRankOf`.
 */
export function rankMeOf(singularValues: Float64Array): number {
  return effectiveRankOf(singularValues, 1e-7);
}

/** The eigenvalues between which alpha-ReQ is fitted, counted from 1; and how few of these are enough. */
const alphaReqRange = { first: 11, last: 100, least: 8 };

/**
 * alpha-ReQ (Agrawal et al. 2022, "alpha-ReQ: Assessing representation quality by measuring eigenspectrum decay", NeurIPS): a
 * where l_j ~ j^-a, by least squares of ln l_j on ln j for j = 11 to 100 with the weights 1/j, as reptrix fits it. Good
 * representations have it near 1. In layers of fewer than 100 directions above rounding, j ends with them.
 *
 * @param floor eigenvalues up to this one are rounding and are left out
 * @returns NaN if fewer than 18 eigenvalues lie above it
 */
export function alphaReqOf(eigenvalues: Float64Array, floor = 0): number {
  const { first, last, least } = alphaReqRange;
  const end = Math.min(last, rankOf(eigenvalues, floor));
  if (end - first + 1 < least) return Number.NaN;
  let [weights, sumX, sumY, sumXX, sumXY] = [0, 0, 0, 0, 0];
  for (let j = first; j <= end; j++) {
    const weight = 1 / j;
    const x = Math.log(j);
    const y = Math.log(eigenvalues[j - 1] / eigenvalues[0]);
    weights += weight;
    sumX += weight * x;
    sumY += weight * y;
    sumXX += weight * x * x;
    sumXY += weight * x * y;
  }
  return (sumX * sumY - weights * sumXY) / (weights * sumXX - sumX * sumX);
}

/** Squared singular values up to this one are left out by WeightWatcher (EVALS_THRESH). */
const leastWeight = 1e-5;

/**
 * WeightWatcher's alpha of a layer's weights (Martin & Mahoney 2021, JMLR 22, 20-410): the exponent of a power law fitted to the
 * squared singular values x of the kernel, alpha = 1 + n / sum ln(x / x_min) over the n values from x_min on, which itself is
 * one of them. x_min is that of the least Kolmogorov-Smirnov distance max |1 - (x / x_min)^(1 - alpha) - i / n|, i from 0. By
 * their verdicts a layer is over-trained below 2 and under-trained above 6. It is not `powerLawExponentOf`, which is of a layer's
 * activations and leaves x_min out.
 *
 * @param singularValues of the kernel, in any order
 * @returns NaN if fewer than 8 squares lie above 1e-5
 */
export function weightAlphaOf(singularValues: ArrayLike<number>): number {
  const x = Float64Array.from(singularValues, (value) => value * value)
    .filter((square) => square > leastWeight)
    .sort();
  if (x.length < MIN_TAIL) return Number.NaN;
  let best = Number.NaN;
  let least = Number.POSITIVE_INFINITY;
  let logSum = Math.log(x[x.length - 1]);
  for (let from = x.length - 2; from >= 0; from--) {
    logSum += Math.log(x[from]);
    const n = x.length - from;
    const alpha = 1 + n / (logSum - n * Math.log(x[from]));
    let distance = 0;
    for (let i = 0; i < n && distance <= least; i++) {
      distance = Math.max(distance, Math.abs(1 - (x[from + i] / x[from]) ** (1 - alpha) - i / n));
    }
    // Of two that fit alike, WeightWatcher takes the smaller x_min.
    if (distance <= least) [best, least] = [alpha, distance];
  }
  return best;
}

/** Eigenvalues that a tail must have for powerLawExponentOf. */
export const MIN_TAIL = 8;

/**
 * Exponent alpha of a power law p(x) ~ x^-alpha fitted to the upper tail of the eigenvalues' distribution, by maximum
 * likelihood (Hill's estimator): alpha = 1 + k / sum ln(l_i / x_min) over the k eigenvalues above x_min. x_min is chosen
 * to make the Kolmogorov-Smirnov distance between tail and fit least (Clauset, Shalizi & Newman 2009, arXiv:0706.1062,
 * eq. 3.1 and section 3.3). A spectrum whose i-th eigenvalue is i^-a has alpha = 1 + 1/a: it falls where alpha-ReQ, which is
 * a (Agrawal et al. 2022), rises. It is of a layer's activations; WeightWatcher's alpha is of its weights, and counts x_min
 * itself to the tail.
 *
 * @param floor eigenvalues up to this one are rounding and are left out
 * @returns NaN if fewer than MIN_TAIL eigenvalues are left, or no tail can be fitted
 */
export function powerLawExponentOf(eigenvalues: Float64Array, floor = 0): number {
  const positive = rankOf(eigenvalues, floor);
  let best = Number.NaN;
  let bestDistance = Number.POSITIVE_INFINITY;
  let logSum = 0;
  for (let k = 1; k < positive; k++) {
    logSum += Math.log(eigenvalues[k - 1]);
    // x_min is eigenvalue k; the k larger ones make the tail.
    const logs = logSum - k * Math.log(eigenvalues[k]);
    if (k < MIN_TAIL || !(logs > 0)) continue;
    const alpha = 1 + k / logs;
    let distance = 0;
    for (let i = 0; i < k && distance < bestDistance; i++) {
      const fitted = (eigenvalues[i] / eigenvalues[k]) ** (1 - alpha); // P(X > x)
      distance = Math.max(distance, Math.abs(fitted - i / k), Math.abs(fitted - (i + 1) / k));
    }
    if (distance < bestDistance) {
      bestDistance = distance;
      best = alpha;
    }
  }
  return best;
}

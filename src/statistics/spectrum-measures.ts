/**
 * Measures of a spectrum: functions of eigenvalues that are sorted descending and not negative.
 * All but the determinant and the trace are free of units; all are 0 (or as stated) when there is no variance.
 */

/** 'paper': smallest k with cumulative explained variance >= threshold. 'delve': what delve.metrics executes. */
export type IntrinsicDimensionRule = 'paper' | 'delve';

/** Default threshold on the explained variance, as in Delve and in Shenk, Richter et al. 2019 (arXiv:1907.08589). */
export const DEFAULT_THRESHOLD = 0.99;

/** Returns the rule. @throws RangeError unless it is known */
export function checkedRule(rule: IntrinsicDimensionRule): IntrinsicDimensionRule {
  if (rule !== 'paper' && rule !== 'delve')
    throw new RangeError(`rule: expected 'paper' or 'delve', got '${String(rule)}'`);
  return rule;
}

/** Sum of the eigenvalues. */
export function traceOf(eigenvalues: Float64Array): number {
  let sum = 0;
  for (const x of eigenvalues) sum += x;
  return sum;
}

/** Fraction of the trace that the first k eigenvalues hold, for k = 1 .. d; all zero when the trace is. */
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
 * Number of eigendirections that explain `threshold` of the variance; 0 when there is no variance.
 *
 * 'paper' (arXiv:1907.08589, arXiv:2006.08679): the smallest k whose cumulative fraction reaches the threshold.
 * 'delve': how many cumulative fractions are below it, which is what delve 0.1.50 computes (delve/metrics.py:7-24), one
 * less than the paper's and 0 where the first direction alone reaches the threshold.
 */
export function intrinsicDimensionalityOf(
  eigenvalues: Float64Array,
  threshold: number,
  rule: IntrinsicDimensionRule,
): number {
  checkedThreshold(threshold);
  checkedRule(rule);
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

/** (sum of eigenvalues)^2 / (sum of squares), from 1 to d (Gao et al. 2017, "A theory of multineuronal dimensionality"). */
export function participationRatioOf(eigenvalues: Float64Array): number {
  const index = simpsonIndexOf(eigenvalues);
  return index === 0 ? 0 : 1 / index;
}

/** Sum of squared fractions, from 1/d to 1 (Simpson 1949): the chance that two draws share a direction. */
export function simpsonIndexOf(eigenvalues: Float64Array): number {
  const total = traceOf(eigenvalues);
  if (total === 0) return 0;
  let sum = 0;
  for (const x of eigenvalues) sum += (x / total) * (x / total);
  return sum;
}

/** exp of the entropy of the fractions, from 1 to d (Roy & Vetterli 2007, "The effective rank"). */
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
 * Sum of the eigenvalues over the largest one, from 1 to the rank; 0 when there is no variance. It is the stable rank
 * |X|_F^2 / |X|_2^2 of the centered samples X (Rudelson & Vershynin 2007, "Sampling from large matrices", section 1,
 * arXiv:math/0503442, where it is called the numerical rank). Unlike the rank, it hardly changes when tiny eigenvalues
 * are added.
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
 * Exponent alpha of a power law p(x) ~ x^-alpha fitted to the upper tail of the eigenvalues' distribution: maximum
 * likelihood (Hill's estimator, alpha = 1 + k / sum ln(x_i / x_min)), with x_min where the Kolmogorov-Smirnov distance
 * between tail and fit is least (Clauset, Shalizi & Newman 2009, arXiv:0706.1062, eq. 3.1 and section 3.3). A spectrum
 * whose i-th eigenvalue is i^-a has alpha = 1 + 1/a. NaN with fewer than `MIN_TAIL` eigenvalues above `floor`.
 */
export function powerLawExponentOf(eigenvalues: Float64Array, floor = 0): number {
  let positive = 0;
  while (positive < eigenvalues.length && eigenvalues[positive] > floor) positive++;
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

/** Eigenvalues that a tail must have for powerLawExponentOf. */
export const MIN_TAIL = 8;

/** Returns the threshold. @throws TypeError unless it is a number, RangeError unless it lies in (0, 1] */
export function checkedThreshold(threshold: number): number {
  if (typeof threshold !== 'number') {
    throw new TypeError(`threshold: expected a number in (0, 1], got ${typeof threshold} '${String(threshold)}'`);
  }
  if (!(threshold > 0 && threshold <= 1))
    throw new RangeError(`threshold: expected a number in (0, 1], got ${threshold}`);
  return threshold;
}

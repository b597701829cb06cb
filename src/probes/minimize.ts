/*
 * A minimizer for smooth convex functions of many variables: limited-memory BFGS.
 */

/** A smooth function: returns its value at x and writes its gradient into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

/** When to stop. */
export interface MinimizeOptions {
  /** The solver stops when no component of the gradient is larger than this (per sample, in a regression). Default 1e-5. */
  tolerance?: number;
  /** Most steps. Default 1000. */
  maxIterations?: number;
}

/** How many pairs of steps and gradient changes represent the curvature. */
const memory = 12;

/**
 * Minimizes a smooth convex function by limited-memory BFGS with a backtracking line search
 * (Nocedal & Wright, Numerical Optimization, algorithms 7.4, 7.5 and 3.1).
 *
 * @param x the starting point, which is overwritten with the minimum
 * @returns whether the tolerance was reached, and in how many steps
 */
export function minimize(
  objective: Objective,
  x: Float64Array,
  options: MinimizeOptions = {},
): { converged: boolean; iterations: number; value: number } {
  const { tolerance = 1e-5, maxIterations = 1000 } = options;
  const gradient = new Float64Array(x.length);
  const nextX = new Float64Array(x.length);
  const nextGradient = new Float64Array(x.length);
  const direction = new Float64Array(x.length);
  const pairs: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  let value = objective(x, gradient);
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    if (largest(gradient) <= tolerance) return { converged: true, iterations: iteration, value };
    quasiNewtonDirection(direction, gradient, pairs);
    let slope = dot(direction, gradient);
    if (!(slope < 0)) {
      // Rounding has spoiled the curvature: start again down the gradient.
      pairs.length = 0;
      for (let i = 0; i < x.length; i++) direction[i] = -gradient[i]!;
      slope = dot(direction, gradient);
    }
    let step = pairs.length > 0 ? 1 : Math.min(1, 1 / Math.sqrt(-slope));
    let nextValue = Number.POSITIVE_INFINITY;
    for (let halvings = 0; halvings < 60; halvings++, step /= 2) {
      for (let i = 0; i < x.length; i++) nextX[i] = x[i]! + step * direction[i]!;
      nextValue = objective(nextX, nextGradient);
      if (nextValue <= value + 1e-4 * step * slope) break;
    }
    // No step leads down any more: this is the minimum within the precision of float64.
    if (!(nextValue < value)) return { converged: largest(gradient) <= tolerance, iterations: iteration, value };
    remember(pairs, x, nextX, gradient, nextGradient);
    x.set(nextX);
    gradient.set(nextGradient);
    value = nextValue;
  }
  return { converged: false, iterations: maxIterations, value };
}

/** direction = -H * gradient, where H is the inverse curvature that the remembered pairs imply. */
function quasiNewtonDirection(
  direction: Float64Array,
  gradient: Float64Array,
  pairs: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): void {
  for (let i = 0; i < gradient.length; i++) direction[i] = -gradient[i]!;
  const alphas: number[] = [];
  for (let p = pairs.length - 1; p >= 0; p--) {
    const { s, y, rho } = pairs[p]!;
    const alpha = rho * dot(s, direction);
    alphas[p] = alpha;
    for (let i = 0; i < direction.length; i++) direction[i]! -= alpha * y[i]!;
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < direction.length; i++) direction[i]! *= scale;
  }
  for (let p = 0; p < pairs.length; p++) {
    const { s, y, rho } = pairs[p]!;
    const beta = rho * dot(y, direction);
    for (let i = 0; i < direction.length; i++) direction[i]! += s[i]! * (alphas[p]! - beta);
  }
}

/** Adds a pair, in the place of the oldest one if there are enough. */
function remember(
  pairs: { s: Float64Array; y: Float64Array; rho: number }[],
  x: Float64Array,
  nextX: Float64Array,
  gradient: Float64Array,
  nextGradient: Float64Array,
): void {
  const s = nextX.map((value, i) => value - x[i]!);
  const y = nextGradient.map((value, i) => value - gradient[i]!);
  const curvature = dot(s, y);
  // A pair without positive curvature would turn the direction uphill.
  if (!(curvature > 1e-12 * dot(y, y))) return;
  if (pairs.length === memory) pairs.shift();
  pairs.push({ s, y, rho: 1 / curvature });
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/*
 * The arithmetic that the two ways on a device share. A matrix of rows is reduced to sums about a shift, a point near the
 * mean; center() moves these sums to the mean itself.
 */

/** The sums and the product of the rows, after the shift (if there is one) was subtracted from each row. */
export interface ShiftedMoments {
  /** One per feature. */
  sums: ArrayLike<number>;
  /** features x features, row-major. */
  product: ArrayLike<number>;
}

/** The moments of rows about their mean. */
export interface CenteredMoments {
  /** Mean of the rows minus the shift. */
  offset: Float64Array;
  /** Sum of (x - mean)(x - mean)^T, features x features: its lower triangle. */
  scatter: Float64Array;
  /** Square of the mean's distance from the shift; not finite if a row held a NaN or Infinity. */
  distance: number;
  /** Largest variance of a feature. */
  widest: number;
}

/** Moves moments from the shift to the mean, in float64. */
export function center({ sums, product }: ShiftedMoments, rows: number): CenteredMoments {
  const features = sums.length;
  const offset = Float64Array.from(sums, (sum) => sum / rows);
  const scatter = new Float64Array(features * features);
  let distance = 0;
  let widest = 0;
  for (let i = 0; i < features; i++) {
    const start = i * features;
    for (let j = 0; j <= i; j++) scatter[start + j] = product[start + j] - sums[i] * offset[j];
    distance += offset[i] * offset[i];
    widest = Math.max(widest, scatter[start + i] / rows);
  }
  return { offset, scatter, distance, widest };
}

/** How far from zero the means may be if rows are multiplied without a shift: see suitsNoShift. */
export interface Reach {
  /**
   * Limit of the root of the sum of the means' fourth powers, in units of the largest eigenvalue. The entries of a product are wrong at
   * random, in proportion to the product of two means: as a matrix, by about as much as this root.
   */
  spread: number;
  /** Limit of the sum of the squared means, in units of the largest eigenvalue: the errors of the means add up. */
  distance: number;
  /** Limit of one squared mean, in units of that feature's variance. */
  constancy: number;
}

/**
 * Whether moments without a shift are as exact as they need to be: the means are not far from zero, and no feature is so
 * nearly constant that rounding could make up all of its variance. A feature that is always zero is exact.
 */
export function suitsNoShift(
  { offset, scatter, distance, widest }: CenteredMoments,
  rows: number,
  reach: Reach,
): boolean {
  let fourth = 0;
  for (let i = 0, features = offset.length; i < features; i++) {
    const square = offset[i] * offset[i];
    if (square > 0 && !(square <= (reach.constancy * scatter[i * features + i]) / rows)) return false;
    fourth += square * square;
  }
  const suits = (largest: number) =>
    Math.sqrt(fourth) <= reach.spread * largest && distance <= reach.distance * largest;
  return suits(widest) || suits(largestAtLeast(scatter, offset.length) / rows);
}

/** Steps of power iteration: of convolutions' outputs, the bound is then within some per cent of the eigenvalue. */
const powerSteps = 4;

/** A lower bound of the largest eigenvalue: a Rayleigh quotient, by power iteration from the column of the largest diagonal entry. */
function largestAtLeast(scatter: Float64Array, features: number): number {
  let widest = 0;
  for (let i = 1; i < features; i++) if (scatter[i * (features + 1)] > scatter[widest * (features + 1)]) widest = i;
  let vector = new Float64Array(features);
  vector[widest] = 1;
  for (let step = 0; step < powerSteps; step++) vector = normalized(timesLower(scatter, vector));
  const image = timesLower(scatter, vector);
  return vector.reduce((sum, value, i) => sum + value * image[i], 0);
}

/** A symmetric matrix, of which the lower triangle is given, times a vector. */
function timesLower(lower: Float64Array, vector: Float64Array): Float64Array<ArrayBuffer> {
  const features = vector.length;
  const image = new Float64Array(features);
  for (let i = 0; i < features; i++) {
    const start = i * features;
    let sum = lower[start + i] * vector[i];
    for (let j = 0; j < i; j++) {
      sum += lower[start + j] * vector[j];
      image[j] += lower[start + j] * vector[i];
    }
    image[i] += sum;
  }
  return image;
}

/** A vector of length 1; zeros stay zeros. */
function normalized(vector: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length > 0 ? vector.map((value) => value / length) : vector;
}

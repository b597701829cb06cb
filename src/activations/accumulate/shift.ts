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
  /** Limit of the sum of the squared means, in units of the largest eigenvalue. */
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
  for (let i = 0, features = offset.length; i < features; i++) {
    const square = offset[i] * offset[i];
    if (square > 0 && !(square <= (reach.constancy * scatter[i * features + i]) / rows)) return false;
  }
  if (distance <= reach.distance * widest) return true;
  return distance <= (reach.distance * largestAtLeast(scatter, offset.length)) / rows;
}

/** A lower bound of the largest eigenvalue: the Rayleigh quotient of the column of the largest diagonal entry. */
function largestAtLeast(scatter: Float64Array, features: number): number {
  const at = (i: number, j: number) => (i < j ? scatter[j * features + i] : scatter[i * features + j]);
  let widest = 0;
  for (let i = 1; i < features; i++) if (at(i, i) > at(widest, widest)) widest = i;
  let image = 0;
  let length = 0;
  for (let i = 0; i < features; i++) {
    let sum = 0;
    for (let j = 0; j < features; j++) sum += at(i, j) * at(j, widest);
    image += sum * at(i, widest);
    length += at(i, widest) ** 2;
  }
  return length > 0 ? image / length : 0;
}

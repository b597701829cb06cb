/** Sums over rows that tell dead units (columns) and outliers; plain, so that they travel between threads. */
export interface UnitSums {
  /** Rows used, the largest absolute value, rows whose numbers are not all the same, and the sum of their kurtoses. */
  readonly counts: Float64Array;
  /** Per unit: the sum of the absolute values. */
  readonly absolute: Float64Array;
  /** Per unit: in how many rows it is not 0. */
  readonly nonzero: Float64Array;
}

/** Where `counts` has each of its numbers. */
export const unitCounts = { rows: 0, largest: 1, varied: 2, kurtosis: 3 } as const;

/** The sums of no rows. @param features how many units there are */
export function newUnitSums(features: number): UnitSums {
  return { counts: new Float64Array(4), absolute: new Float64Array(features), nonzero: new Float64Array(features) };
}

/** Adds the sums of other rows of the same units. */
export function mergeUnits(sums: UnitSums, other: UnitSums): void {
  const largest = Math.max(sums.counts[unitCounts.largest], other.counts[unitCounts.largest]);
  for (const part of ['counts', 'absolute', 'nonzero'] as const) {
    for (let i = 0; i < sums[part].length; i++) sums[part][i] += other[part][i];
  }
  sums.counts[unitCounts.largest] = largest;
}

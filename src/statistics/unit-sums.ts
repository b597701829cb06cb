import { type UnitSums, unitCounts } from '../kernels/units.js';

/** What rows say of the units of a layer, each a column. */
export interface UnitMeasures {
  /**
   * Fraction of the units that are dead: not 0 in fewer than 1 % of the rows (Dohare et al. 2024, "Loss of plasticity in deep
   * continual learning", Nature 632).
   */
  readonly dead: number;
  /**
   * Fraction of the units that are dormant: their mean absolute value is at most 0.025 of the mean over the units (Sokar et al.
   * 2023, arXiv:2302.12902). All of them are if all values are 0.
   */
  readonly dormant: number;
  /**
   * Mean over the rows of the kurtosis of a row's numbers: mean fourth power over the square of the mean square, both about the
   * row's mean; 3 for Gaussian numbers, up to the number of units if a few are far from all others. Rows of one number only are
   * left out; NaN without others.
   */
  readonly kurtosis: number;
  /** Largest absolute value. */
  readonly largest: number;
}

/** A unit that is not 0 in a smaller fraction of the rows is dead. */
const deadBelow = 0.01;
/** A unit whose mean absolute value is at most this fraction of the mean over the units is dormant. */
const dormantUpTo = 0.025;

/** What sums say of the units; undefined if there was no row. */
export function unitMeasuresOf({ counts, absolute, nonzero }: UnitSums): UnitMeasures | undefined {
  const [count, largest, varied, kurtosis] = [
    counts[unitCounts.rows],
    counts[unitCounts.largest],
    counts[unitCounts.varied],
    counts[unitCounts.kurtosis],
  ];
  if (count === 0) return undefined;
  const units = absolute.length;
  const mean = absolute.reduce((total, sum) => total + sum, 0) / units;
  // As in the reference, whose 1e-9 keeps a layer of zeros from dividing by 0; there all are dormant.
  const isDormant = (sum: number) => sum / count / (mean / count + 1e-9) <= dormantUpTo;
  return {
    dead: nonzero.reduce((dead, times) => dead + (times / count < deadBelow ? 1 : 0), 0) / units,
    dormant: absolute.reduce((dormant, sum) => dormant + (isDormant(sum) ? 1 : 0), 0) / units,
    kurtosis: varied === 0 ? Number.NaN : kurtosis / varied,
    largest,
  };
}

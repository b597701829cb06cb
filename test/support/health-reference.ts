import numbers from '../fixtures/health/reference.json' with { type: 'json' };
import { uniform } from './random.js';

/** The rows that test/fixtures/health/reference.py makes, to the same bits. */
export interface RowsFrom {
  seed: number;
  n: number;
  d: number;
  offset?: number;
  classes?: number;
  spread?: number;
  relu?: boolean;
}

/** What reference.py found. */
export interface HealthReference {
  rows: Record<string, { from: RowsFrom; values: Record<string, number> }>;
  classes: { from: RowsFrom; values: Record<'nc1' | 'nc2Norms' | 'nc2Angles' | 'nc3' | 'nc4', number> };
  cka: number;
  weights: Record<
    string,
    {
      from: { seed: number; inputs: number; outputs: number; power: number };
      values: Record<'alpha' | 'xMin' | 'distance' | 'alphaHat', number>;
    }
  >;
}

/** The numbers of the reference implementations. */
export const healthReference: HealthReference = numbers;

/** Numbers between -2 and 2 times a scale, each the sum of four uniform ones. */
export function vector(draw: () => number, length: number, scale: number): Float64Array {
  return Float64Array.from({ length }, () => (draw() + draw() + draw() + draw() - 2) * scale);
}

/** The rows as n x d numbers, row-major. */
export function rowsFrom({ seed, n, d, offset = 0, classes = 1, spread = 0, relu = false }: RowsFrom): Float64Array {
  const draw = uniform(seed);
  const mix = Array.from({ length: d }, (_, k) => vector(draw, d, 1 / (k + 1)));
  const bias = vector(draw, d, offset);
  const centers = Array.from({ length: classes }, () => vector(draw, d, spread));
  const rows = new Float64Array(n * d);
  for (let i = 0; i < n; i++) {
    const center = centers[i % classes];
    const row = rows.subarray(i * d, (i + 1) * d);
    for (let j = 0; j < d; j++) row[j] = bias[j] + center[j];
    for (const [k, z] of vector(draw, d, 1).entries()) for (let j = 0; j < d; j++) row[j] += z * mix[k][j];
    if (relu) for (let j = 0; j < d; j++) row[j] = Math.max(row[j], 0);
  }
  return rows;
}

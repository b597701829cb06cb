import { kernels } from '../../kernels/kernels.js';
import type { SymmetricMatrix } from '../../kernels/symmetric.js';
import { type AccumulatorState, CovarianceAccumulator } from '../covariance.js';

/** What is to be found out about the rows of an accumulator, besides the eigenvalues. */
export interface SolveWishes {
  /** How many leading eigenvectors; 0 or absent: none, which is several times cheaper. */
  vectors?: number;
  /** The covariance itself. */
  covariance?: boolean;
  /** Mean of each feature. */
  mean?: boolean;
}

/** Everything that was asked of one accumulator. Plain arrays, so that it travels between threads. */
export interface Solved {
  features: number;
  /** Rows used. */
  count: number;
  /** Rows left out because of a NaN or an Infinity. */
  rejected: number;
  /** `features` eigenvalues, descending, not clipped; none where no row was used. */
  eigenvalues: Float64Array;
  /** Leading eigenvectors by rows. */
  vectors?: Float64Array;
  /** Population covariance, features x features. */
  covariance?: Float64Array;
  mean?: Float64Array;
}

/** Eigenvalues, and what else is wished for, of the rows of an accumulator. */
export function solveAccumulator(accumulator: CovarianceAccumulator, wishes: SolveWishes = {}): Solved {
  const { features, count, rejected } = accumulator;
  const solved: Solved = { features, count, rejected, eigenvalues: new Float64Array(0) };
  if (count === 0) return solved;
  const wanted = Math.min(wishes.vectors ?? 0, features);
  const largestMean = accumulator.largestMean();
  if (wanted > 0) {
    // The Gram matrix has eigenvectors of its own, of the rows instead of the features.
    const { values, vectors } = kernels().eigen(accumulator.scatterMatrix());
    solved.eigenvalues = covarianceValues(values, features, count, largestMean);
    solved.vectors = vectors.slice(0, wanted * features);
  } else {
    const values = kernels().eigenvalues(accumulator.spectralMatrix());
    solved.eigenvalues = covarianceValues(values, features, count, largestMean);
  }
  if (wishes.covariance) solved.covariance = accumulator.covariance();
  if (wishes.mean) solved.mean = accumulator.mean();
  return solved;
}

/**
 * Eigenvalues of the scatter, divided by n and filled up with zeros. A total variance below what rounding leaves of the
 * mean, d (1e-12 max |mean|)^2, is none: all zeros then.
 */
function covarianceValues(scatter: Float64Array, features: number, count: number, largestMean: number): Float64Array {
  const values = new Float64Array(features);
  let total = 0;
  for (let i = 0; i < scatter.length; i++) {
    values[i] = scatter[i] / count;
    total += values[i];
  }
  return total <= features * (1e-12 * largestMean) ** 2 ? values.fill(0) : values;
}

/** One piece of work for a solver thread. */
export type SolveRequest = { matrix: SymmetricMatrix } | { state: AccumulatorState; wishes: SolveWishes };

/** Does a SolveRequest on this thread. For a bare matrix the result's count and rejected are 0. */
export function solveRequest(request: SolveRequest): Solved {
  if ('matrix' in request) {
    const eigenvalues = kernels().eigenvalues(request.matrix);
    return { features: eigenvalues.length, count: 0, rejected: 0, eigenvalues };
  }
  return solveAccumulator(CovarianceAccumulator.fromState(request.state), request.wishes);
}

import { kernels } from '../../kernels/kernels.js';
import type { OfferWork } from '../../kernels/numeric-kernels.js';
import type { SymmetricMatrix } from '../../kernels/symmetric.js';
import type { AccumulatorState, Precision } from '../accumulator-state.js';
import { classMeansOf } from '../class-sums.js';
import { CovarianceAccumulator } from '../covariance.js';
import { type CollapseMeasures, collapseOf, mismatchOf } from '../neural-collapse.js';
import { MANY_ROWS_PER_FEATURE, populationOfSolved } from '../population-spectrum.js';
import type { SketchBounds } from '../spectrum-measures.js';
import { twoNNOf } from '../two-nn.js';
import type { UnitMeasures } from '../unit-sums.js';

/*
 * The work of a solver thread, as a function from plain arrays to plain arrays: an accumulator or a matrix goes in,
 * eigenvalues and whatever else was asked for come out. It does not matter on which thread it runs.
 */

/** The weights of a layer at one time. */
export interface LayerKernel {
  /** Singular values of its kernel. */
  readonly singularValues: Float64Array;
  /** Whether the layer says that training may change it. */
  readonly isTrainable: boolean;
}

/** What to compute besides the eigenvalues. */
export interface SolveOptions {
  /** How many leading eigenvectors; none by default, which is several times cheaper. */
  vectors?: number;
  /** Whether to return the covariance; false by default. */
  covariance?: boolean;
  /** Whether to return the mean of each feature; false by default. */
  mean?: boolean;
  /** Whether to return the singular values of the rows, which takes a second solve; false by default. */
  singularValues?: boolean;
  /** Whether to return the intrinsic dimension of `sample` by TwoNN; false by default. */
  twoNN?: boolean;
  /** Whether to find the layer's kernel, too, where it is known; false by default. */
  kernel?: boolean;
  /** A random choice of the rows, row-major. */
  sample?: Float32Array;
  /** Whether to measure neural collapse where rows are summed by class; false by default. */
  collapse?: boolean;
  /** A random choice of the rows, row-major, with the class that the network predicts for each. */
  predicted?: { rows: Float32Array; classes: Int32Array };
  /**
   * How many independent rows a row is worth. If they are few (MANY_ROWS_PER_FEATURE), what many would show is estimated here,
   * which takes milliseconds: somebody will ask.
   */
  independence?: number;
}

/** Neural collapse of an accumulator's rows. */
export interface SolvedCollapse extends CollapseMeasures {
  /** In which fraction of the rows the nearest class mean is another class than the network predicts; undefined if that is not known. */
  nc4?: number;
  /** How many rows have a class. */
  labelled: number;
  /** Classes x features, row-major; NaN for a class without rows. */
  means: Float64Array;
}

/** What was computed of one accumulator. Its arrays are plain, so that it travels between threads. */
export interface Solved {
  /** Columns of the sample matrix. */
  features: number;
  /** Rows used. */
  count: number;
  /** How many independent rows those that were used are worth; undefined if all are independent. */
  effectiveSamples?: number;
  /** The population's eigenvalues as so many independent rows let one estimate them; undefined if that was not asked for. */
  corrected?: { readonly rows: number; readonly population: Float64Array | undefined };
  /** Rows left out because of a NaN or an Infinity. */
  rejected: number;
  /** `features` eigenvalues of the covariance, descending, not clipped; empty if no row was used. */
  eigenvalues: Float64Array;
  /** Eigenvalues up to this are rounding: see noiseOf. */
  noise: number;
  /** Leading eigenvectors by rows of `features` numbers, if asked for. */
  vectors?: Float64Array;
  /** Population covariance, features x features, if asked for. */
  covariance?: Float64Array;
  /** Mean of each feature, if asked for. */
  mean?: Float64Array;
  /** What is not known of the eigenvalues, if the rows were so wide that only a sketch of them was kept. */
  sketch?: SketchBounds;
  /** Singular values of the rows as they are, not centered: min(n, d), descending, those that are rounding 0; if asked for. */
  singularValues?: Float64Array;
  /** Neural collapse, if asked for, where rows were summed by class. */
  collapse?: SolvedCollapse;
  /** The layer's kernel, if asked for and known. */
  kernel?: LayerKernel;
  /** Intrinsic dimension of the sample by TwoNN, if asked for. */
  twoNN?: number;
  /** What tells dead units and outliers, if the accumulator has summed that. */
  units?: UnitMeasures;
}

/** Computes the eigenvalues of an accumulator's rows, and what `options` ask for. An accumulator without rows is no error. */
export function solveAccumulator(
  accumulator: CovarianceAccumulator,
  options: SolveOptions = {},
  offer?: OfferWork,
): Solved {
  const { features, count, rejected } = accumulator;
  const solved: Solved = { features, count, rejected, eigenvalues: new Float64Array(0), noise: 0 };
  solved.units = accumulator.unitMeasures();
  if (count === 0) return solved;
  const wanted = Math.min(options.vectors ?? 0, features);
  const means = accumulator.meanSoFar();
  const largestMean = means.reduce((largest, mean) => Math.max(largest, Math.abs(mean)), 0);
  if (wanted > 0) {
    // The Gram matrix has eigenvectors of its own, of the rows instead of the features.
    const { values, vectors } = kernels().eigen(accumulator.scatterMatrix());
    solved.eigenvalues = covarianceValues(values, features, count, largestMean);
    solved.vectors = vectors.slice(0, wanted * features);
  } else {
    const values = kernels().eigenvalues(accumulator.spectralMatrix(), offer);
    solved.eigenvalues = covarianceValues(values, features, count, largestMean);
  }
  solved.noise = noiseOf(solved.eigenvalues, accumulator.precision, means);
  if (options.independence !== undefined) solved.corrected = correctedOf(solved, options.independence);
  if (options.covariance) solved.covariance = accumulator.covariance();
  if (options.mean) solved.mean = accumulator.mean();
  if (options.singularValues) solved.singularValues = singularValuesOf(accumulator, offer);
  if (options.twoNN && options.sample) solved.twoNN = twoNNOf(options.sample, features);
  if (options.collapse) solved.collapse = solvedCollapse(accumulator, options.predicted);
  return solved;
}

function solvedCollapse(
  accumulator: CovarianceAccumulator,
  predicted: SolveOptions['predicted'],
): SolvedCollapse | undefined {
  const { classes, features } = accumulator;
  if (classes === undefined) return undefined;
  const means = classMeansOf(classes);
  const labelled = classes.counts.reduce((sum, rows) => sum + rows, 0);
  const measured: SolvedCollapse = { ...collapseOf(accumulator), labelled, means };
  if (predicted) measured.nc4 = mismatchOf(means, features, predicted.rows, predicted.classes);
  return measured;
}

/** How many independent rows `count` rows are worth, of which each is worth `independence`. */
export function independentRows(count: number, independence: number): number {
  return Math.min(count, Math.max(1, Math.round(count * independence)));
}

function correctedOf({ eigenvalues, noise, count }: Solved, independence: number): Solved['corrected'] {
  const rows = independentRows(count, independence);
  if (rows >= MANY_ROWS_PER_FEATURE * eigenvalues.length) return undefined;
  const clipped = eigenvalues.map((value) => Math.max(0, value));
  return { rows, population: populationOfSolved({ eigenvalues: clipped, noise, samples: count }, rows) };
}

/** The singular values of an accumulator's rows: the roots of the eigenvalues of their products about zero. */
function singularValuesOf(accumulator: CovarianceAccumulator, offer?: OfferWork): Float64Array {
  const { features, count, precision } = accumulator;
  const squares = kernels().eigenvalues(accumulator.spectralMatrix('zero'), offer);
  // The rows' own precision does not matter: what it leaves in a direction without variance is a part of the rows as they are.
  const noise = noiseOf(squares, precision === 'float32 products' ? precision : 'float64');
  return Float64Array.from(squares.subarray(0, Math.min(count, features)), (x) => (x > noise ? Math.sqrt(x) : 0));
}

/**
 * Eigenvalues of the scatter, divided by n and filled up with zeros. All are zeros if the total variance is not above what
 * rounding leaves of the mean, d (1e-12 max |mean|)^2.
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

/**
 * Eigenvalues up to this may be rounding alone.
 *
 * - float64: eps d l_1, as in numpy.linalg.matrix_rank.
 * - float32 rows: each number x has an error of a few times 2^-24 |x| from the arithmetic that made it. Where the exact rows
 *   have no variance, these errors show one of that square, times the mean square of the rows. Softmax and linear layers of
 *   TensorFlow.js' cpu and wasm backends showed at most 0.23 * 2^-48 of it; here it is 8 * 2^-48.
 * - float32 products: eigenvalues are up to 7e-7 l_1 off on the native backend; here it is 2^-20 l_1.
 *
 * @param eigenvalues descending
 * @param means of the features
 */
export function noiseOf(eigenvalues: Float64Array, precision: Precision = 'float64', means?: Float64Array): number {
  const largest = Math.max(0, eigenvalues[0]);
  let noise = 2 ** -52 * eigenvalues.length * largest;
  if (precision === 'float64') return noise;
  let meanSquare = 0;
  for (const x of eigenvalues) meanSquare += x;
  for (const x of means ?? []) meanSquare += x * x;
  noise = Math.max(noise, 2 ** -45 * meanSquare);
  return precision === 'float32 rows' ? noise : Math.max(noise, 2 ** -20 * largest);
}

/** One piece of work. */
export type SolveRequest = { matrix: SymmetricMatrix } | { state: AccumulatorState; options: SolveOptions };

/** About how long `solveRequest` takes, in milliseconds (bench/RESULTS.md); without WebAssembly SIMD several times longer. */
export function solvingMillis(request: SolveRequest): number {
  if ('matrix' in request) return 1e-7 * request.matrix.size ** 3;
  const { state, options } = request;
  const rows = (state.moments?.count ?? 0) + (state.rows?.length ?? 0) / state.features;
  const hasVectors = (options.vectors ?? 0) > 0;
  const values = 1e-7 * Math.min(rows, state.features) ** 3;
  const sampled = options.twoNN && options.sample ? options.sample.length / state.features : 0;
  const neighbors = 5e-8 * sampled ** 2 * state.features;
  return (hasVectors ? 6e-7 * state.features ** 3 : values) + (options.singularValues ? values : 0) + neighbors;
}

/**
 * Does a piece of work on the calling thread. The result of a matrix has a count and a rejected of 0.
 *
 * @param offer is told of work with which a second thread can help: see NumericKernels.eigenvalues
 */
export function solveRequest(request: SolveRequest, offer?: OfferWork): Solved {
  if ('matrix' in request) {
    const eigenvalues = kernels().eigenvalues(request.matrix, offer);
    return { features: eigenvalues.length, count: 0, rejected: 0, eigenvalues, noise: noiseOf(eigenvalues) };
  }
  return solveAccumulator(CovarianceAccumulator.fromState(request.state), request.options, offer);
}

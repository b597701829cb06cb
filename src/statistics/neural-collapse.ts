import { describe } from '../errors.js';
import { type ClassSums, classMeansOf, mostClasses } from './class-sums.js';
import { CovarianceAccumulator } from './covariance.js';
import { symmetricEigen } from './eigenvalues.js';

/** The four measures of neural collapse, which all fall toward 0 in the last phase of training a classifier. */
export interface CollapseMeasures {
  /** Variability collapse: trace of the within-class covariance times the pseudoinverse of the between-class one. */
  readonly nc1: number;
  /** Equal norms: standard deviation (n - 1) over mean of the distances of the class means from their mean. */
  readonly nc2Norms: number;
  /** Equal angles: mean over pairs of classes of |cos + 1 / (C - 1)| of the centered class means. */
  readonly nc2Angles: number;
  /** Self-duality: squared distance of the classifier's weights from the centered class means, each of norm 1; if weights are given. */
  readonly nc3?: number;
}

/**
 * Neural collapse of a layer (Papyan, Han & Donoho 2020, arXiv:2008.08186): how far its rows have collapsed to the means of their
 * classes, and these to a simplex. One pass over the rows: the within-class covariance is the total one minus that of the class
 * means. Mergeable: shards of the samples give what the whole gives.
 */
export class NeuralCollapse {
  /** Columns of the sample matrix. */
  readonly features: number;
  readonly #given: number | undefined;
  readonly #sums: CovarianceAccumulator;

  /**
   * @param features columns of the sample matrix
   * @param classes default: as many as the labels need
   * @throws RangeError if there are fewer than 2 classes, or no features
   */
  constructor(features: number, classes?: number) {
    if (classes !== undefined && (!Number.isSafeInteger(classes) || classes < 2)) {
      throw new RangeError(`classes: expected an integer >= 2, got ${describe(classes)}`);
    }
    this.#sums = new CovarianceAccumulator(features);
    this.features = features;
    this.#given = classes;
  }

  /** Number of classes C. */
  get classes(): number {
    return Math.max(this.#given ?? 0, this.#sums.classes?.counts.length ?? 0);
  }

  /** Rows used; rows with a NaN or an Infinity are left out. */
  get count(): number {
    return this.#sums.count;
  }

  /**
   * Adds rows.
   *
   * @param rows row-major, `features` numbers per row
   * @param labels the class of each row, from 0
   * @throws RangeError if there are not as many labels as rows, or one is no class
   */
  update(rows: ArrayLike<number>, labels: ArrayLike<number>): void {
    const { features } = this;
    const last = (this.#given ?? mostClasses) - 1;
    if (rows.length !== labels.length * features) {
      throw new RangeError(
        `update: expected ${labels.length} rows of ${features} features, one per label, got ${rows.length} numbers`,
      );
    }
    for (let i = 0; i < labels.length; i++) {
      if (!Number.isInteger(labels[i]) || labels[i] < 0 || labels[i] > last) {
        throw new RangeError(`labels: expected integers from 0 to ${last}, got ${describe(labels[i])}`);
      }
    }
    const used = Float64Array.from(rows);
    this.#sums.update(used);
    this.#sums.updateClasses(used, labels);
  }

  /** Adds all rows of another one, which stays as it is. @throws RangeError if it has other features or classes */
  merge(other: NeuralCollapse): void {
    const { features } = this;
    const given = this.#given;
    if (other.features !== features || (given !== undefined && other.classes > given)) {
      throw new RangeError(
        `merge: expected one of ${features} features and ${given ?? 'any number of'} classes, got ${other.features} and ${other.classes}`,
      );
    }
    this.#sums.merge(other.#sums);
  }

  /** The mean of each class: C x features, row-major; NaN for a class without rows. */
  classMeans(): Float64Array {
    const means = new Float64Array(this.classes * this.features).fill(Number.NaN);
    if (this.#sums.classes) means.set(classMeansOf(this.#sums.classes));
    return means;
  }

  /**
   * The measures, of the classes that have rows; NaN if fewer than 2 have.
   *
   * @param weights of the classifier behind the layer, C x features, row-major, for `nc3`
   * @throws RangeError if the weights are not as many, or a class of theirs has no rows
   */
  measures(weights?: ArrayLike<number>): CollapseMeasures {
    const { features, classes } = this;
    if (weights !== undefined && weights.length !== classes * features) {
      throw new RangeError(
        `weights: expected ${classes} x ${features} numbers, a row per class, got ${describe(weights.length)}`,
      );
    }
    const measures = collapseOf(this.#sums);
    if (weights === undefined) return measures;
    const means = this.classMeans();
    const empty = Array.from({ length: classes }, (_, c) => means[c * features]).findIndex(Number.isNaN);
    if (empty >= 0) throw new RangeError(`measures: expected rows of each class, got none of class ${empty}`);
    return { ...measures, nc3: selfDualityOf(means, features, weights) };
  }

  /**
   * NC4, in a second pass: in how many of these rows the nearest class mean is another class than the network predicts.
   *
   * @param predictions the class that the network predicts for each row
   * @returns a fraction, from 0 to 1
   */
  mismatch(rows: ArrayLike<number>, predictions: ArrayLike<number>): number {
    const { features } = this;
    if (rows.length !== predictions.length * features) {
      throw new RangeError(
        `mismatch: expected ${predictions.length} rows of ${features} features, one per prediction, got ${rows.length} numbers`,
      );
    }
    return mismatchOf(this.classMeans(), features, rows, predictions);
  }
}

/** NC1 and NC2 of an accumulator's rows; NaN if fewer than 2 classes have rows, and NC1 also if the class of some rows is not known. */
export function collapseOf(
  accumulator: CovarianceAccumulator,
): Pick<CollapseMeasures, 'nc1' | 'nc2Norms' | 'nc2Angles'> {
  const sums = accumulator.classes;
  const centers = sums ? centersOf(classMeansOf(sums), accumulator.features) : [];
  const classes = centers.length;
  if (sums === undefined || classes < 2) return { nc1: Number.NaN, nc2Norms: Number.NaN, nc2Angles: Number.NaN };
  const norms = Array.from(centers, norm);
  const meanNorm = norms.reduce((sum, x) => sum + x, 0) / classes;
  const deviation = Math.sqrt(norms.reduce((sum, x) => sum + (x - meanNorm) ** 2, 0) / (classes - 1));
  let angles = 0;
  for (let c = 0; c < classes; c++) {
    for (let k = 0; k < classes; k++) {
      if (c !== k) angles += Math.abs(dot(centers[c], centers[k]) / (norms[c] * norms[k]) + 1 / (classes - 1));
    }
  }
  const isWhole = sums.counts.reduce((sum, rows) => sum + rows, 0) === accumulator.count;
  return {
    nc1: isWhole ? withinOverBetween(accumulator, sums, centers) : Number.NaN,
    nc2Norms: deviation / meanNorm,
    nc2Angles: angles / (classes * (classes - 1)),
  };
}

/**
 * NC3: squared distance of weights from centered class means, each of norm 1.
 *
 * @param means C x features, row-major
 * @param weights C x features, row-major
 * @returns NaN if there are not as many weights, or a class has no mean
 */
export function selfDualityOf(means: Float64Array, features: number, weights: ArrayLike<number>): number {
  const centers = centersOf(means, features).flatMap((center) => [...center]);
  if (centers.length !== weights.length) return Number.NaN;
  const [ofWeights, ofCenters] = [norm(weights), norm(centers)];
  let sum = 0;
  for (let j = 0; j < centers.length; j++) sum += (weights[j] / ofWeights - centers[j] / ofCenters) ** 2;
  return sum;
}

/** NC4: in which fraction of rows the nearest class mean is not the class that is predicted. @param means C x features; NaN for a class without one */
export function mismatchOf(
  means: Float64Array,
  features: number,
  rows: ArrayLike<number>,
  predictions: ArrayLike<number>,
): number {
  let different = 0;
  for (let i = 0; i < predictions.length; i++) {
    let [nearest, least] = [-1, Number.POSITIVE_INFINITY];
    for (let at = 0; at < means.length; at += features) {
      let square = 0;
      for (let j = 0; j < features; j++) square += (rows[i * features + j] - means[at + j]) ** 2;
      if (square < least) [nearest, least] = [at / features, square];
    }
    if (nearest !== predictions[i]) different++;
  }
  return different / predictions.length;
}

/** The means of the classes that have rows minus their mean. */
function centersOf(means: Float64Array, features: number): Float64Array[] {
  const rows: Float64Array[] = [];
  for (let at = 0; at < means.length; at += features) {
    if (!Number.isNaN(means[at])) rows.push(means.subarray(at, at + features));
  }
  const mean = new Float64Array(features);
  for (const row of rows) for (let j = 0; j < features; j++) mean[j] += row[j] / rows.length;
  return rows.map((row) => row.map((x, j) => x - mean[j]));
}

/** tr(W B^+), in the C - 1 directions in which the class means differ. */
function withinOverBetween(accumulator: CovarianceAccumulator, sums: ClassSums, centers: Float64Array[]): number {
  const { features, count } = accumulator;
  const classes = centers.length;
  const gram = Float64Array.from({ length: classes ** 2 }, (_, p) => {
    return dot(centers[Math.floor(p / classes)], centers[p % classes]) / classes;
  });
  const { values, vectors } = symmetricEigen(gram);
  const { entries } = accumulator.scatterMatrix();
  const mean = accumulator.mean();
  const means = classMeansOf(sums);
  let sum = 0;
  for (let k = 0; k < classes - 1; k++) {
    if (!(values[k] > 1e-12 * values[0])) break;
    const direction = new Float64Array(features);
    for (let c = 0; c < classes; c++) {
      const weight = vectors[k * classes + c] / Math.sqrt(classes * values[k]);
      for (let j = 0; j < features; j++) direction[j] += weight * centers[c][j];
    }
    let within = varianceAlong(entries, direction) / count;
    for (let c = 0; c < sums.counts.length; c++) {
      if (sums.counts[c] === 0) continue;
      let along = 0;
      for (let j = 0; j < features; j++) along += direction[j] * (means[c * features + j] - mean[j]);
      within -= (sums.counts[c] / count) * along * along;
    }
    sum += within / values[k];
  }
  return sum;
}

/** x^T A x of a symmetric matrix. @param packed its lower triangle by rows */
function varianceAlong(packed: Float64Array, x: Float64Array): number {
  let sum = 0;
  for (let i = 0, at = 0; i < x.length; i++, at++) {
    let below = 0;
    for (let j = 0; j < i; j++, at++) below += packed[at] * x[j];
    sum += x[i] * (2 * below + packed[at] * x[i]);
  }
  return sum;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
  return sum;
}

function norm(x: ArrayLike<number>): number {
  return Math.sqrt(dot(x, x));
}

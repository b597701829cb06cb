import { describe } from '../errors.js';
import type { BytesOptions } from './accumulator-state.js';
import { CovarianceAccumulator } from './covariance.js';
import { symmetricEigen } from './eigenvalues.js';
import { pack, unpack } from './packed-numbers.js';

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

/** Most classes where their number is not given: a label beyond is none. */
const mostClasses = 2 ** 16;
const KIND = 'dtbncl01';

/**
 * Neural collapse of a layer (Papyan, Han & Donoho 2020, arXiv:2008.08186): how far its rows have collapsed to the means of their
 * classes, and these to a simplex. One pass over the rows: the within-class covariance is the total one minus that of the class
 * means. Mergeable: shards of the samples give what the whole gives.
 */
export class NeuralCollapse {
  /** Columns of the sample matrix. */
  readonly features: number;
  readonly #given: number | undefined;
  readonly #total: CovarianceAccumulator;
  /** Rows of each class. */
  readonly #counts: number[] = [];
  /** Sum of each class's rows minus `#shift`. */
  readonly #sums: Float64Array[] = [];
  #shift: Float64Array | undefined;

  /**
   * @param features columns of the sample matrix
   * @param classes default: as many as the labels need
   * @throws RangeError if there are fewer than 2 classes, or no features
   */
  constructor(features: number, classes?: number) {
    if (classes !== undefined && (!Number.isSafeInteger(classes) || classes < 2)) {
      throw new RangeError(`classes: expected an integer >= 2, got ${describe(classes)}`);
    }
    this.#total = new CovarianceAccumulator(features);
    this.features = features;
    this.#given = classes;
    this.#grow(classes ?? 0);
  }

  /** Number of classes C. */
  get classes(): number {
    return this.#counts.length;
  }

  /** Rows used; rows with a NaN or an Infinity are left out. */
  get count(): number {
    return this.#total.count;
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
    this.#total.update(used);
    for (let i = 0; i < labels.length; i++) {
      const row = used.subarray(i * features, (i + 1) * features);
      if (!row.every(Number.isFinite)) continue;
      this.#shift ??= row.slice();
      this.#grow(labels[i] + 1);
      this.#counts[labels[i]]++;
      const sums = this.#sums[labels[i]];
      for (let j = 0; j < features; j++) sums[j] += row[j] - this.#shift[j];
    }
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
    const added = other.#shift;
    if (added === undefined) return;
    this.#total.merge(other.#total);
    const shift = (this.#shift ??= added.slice());
    this.#grow(other.classes);
    for (const [c, count] of other.#counts.entries()) {
      for (let j = 0; j < features; j++) this.#sums[c][j] += other.#sums[c][j] + count * (added[j] - shift[j]);
      this.#counts[c] += count;
    }
  }

  /**
   * Everything that `fromBytes` needs, in a versioned little-endian format with a checksum.
   *
   * @param options as those of CovarianceAccumulator.toBytes
   */
  toBytes({ withoutRows = false }: BytesOptions = {}): Uint8Array {
    const { features, count } = this;
    const total = this.#total.toBytes({ withoutRows });
    const shift = this.#shift ?? new Float64Array(0);
    // The shift is the first row.
    const about = withoutRows && count > 0 ? this.#total.mean() : shift;
    const sums = new Float64Array(this.classes * features);
    for (const [c, own] of this.#sums.entries()) {
      for (let j = 0; j < features; j++)
        sums[c * features + j] = about === shift ? own[j] : own[j] + this.#counts[c] * (shift[j] - about[j]);
    }
    return pack(KIND, [features, this.#given ?? 0], [total, Float64Array.from(this.#counts), sums, about]);
  }

  /** What it was at `toBytes`. @throws RangeError if the bytes are not from there, or damaged */
  static fromBytes(bytes: Uint8Array): NeuralCollapse {
    const { numbers, arrays } = unpack(KIND, bytes, 2, [Uint8Array, Float64Array, Float64Array, Float64Array]);
    const [features, given] = numbers;
    const [totalBytes, counts, sums, shift] = arrays;
    const total = CovarianceAccumulator.fromBytes(totalBytes);
    const rows = counts.reduce((sum, count) => sum + count, 0);
    const isPossible =
      total.features === features &&
      total.count === rows &&
      counts.every((count) => Number.isSafeInteger(count) && count >= 0) &&
      sums.length === counts.length * features &&
      shift.length === (rows > 0 ? features : 0) &&
      [...sums, ...shift].every(Number.isFinite) &&
      (given === 0 || given === counts.length);
    if (!isPossible) throw new RangeError('fromBytes: expected sums of classes, got others');
    const collapse = new NeuralCollapse(features, given === 0 ? undefined : given);
    collapse.#total.merge(total);
    collapse.#grow(counts.length);
    for (const [c, count] of counts.entries()) {
      collapse.#counts[c] = count;
      collapse.#sums[c].set(sums.subarray(c * features, (c + 1) * features));
    }
    if (rows > 0) collapse.#shift = shift;
    return collapse;
  }

  /** The mean of each class: C x features, row-major; NaN for a class without rows. */
  classMeans(): Float64Array {
    const { features, classes } = this;
    const means = new Float64Array(classes * features);
    for (const [c, sums] of this.#sums.entries()) {
      for (let j = 0; j < features; j++) {
        means[c * features + j] = (this.#shift?.[j] ?? Number.NaN) + sums[j] / this.#counts[c];
      }
    }
    return means;
  }

  /**
   * The measures, of the classes that have rows; NaN if fewer than 2 have.
   *
   * @param weights of the classifier behind the layer, C x features, row-major, for `nc3`
   * @throws RangeError if the weights are not as many, or a class of theirs has no rows
   */
  measures(weights?: ArrayLike<number>): CollapseMeasures {
    const { features } = this;
    if (weights !== undefined && weights.length !== this.classes * features) {
      throw new RangeError(
        `weights: expected ${this.classes} x ${features} numbers, a row per class, got ${describe(weights.length)}`,
      );
    }
    const empty = this.#counts.indexOf(0);
    if (weights !== undefined && empty >= 0)
      throw new RangeError(`measures: expected rows of each class, got none of class ${empty}`);
    const centers = this.#centered();
    const classes = centers.length;
    if (classes < 2) return { nc1: Number.NaN, nc2Norms: Number.NaN, nc2Angles: Number.NaN };
    const norms = Array.from(centers, norm);
    const meanNorm = norms.reduce((sum, x) => sum + x, 0) / classes;
    const deviation = Math.sqrt(norms.reduce((sum, x) => sum + (x - meanNorm) ** 2, 0) / (classes - 1));
    let angles = 0;
    for (let c = 0; c < classes; c++) {
      for (let k = 0; k < classes; k++) {
        if (c !== k) angles += Math.abs(dot(centers[c], centers[k]) / (norms[c] * norms[k]) + 1 / (classes - 1));
      }
    }
    return {
      nc1: this.#withinOverBetween(centers),
      nc2Norms: deviation / meanNorm,
      nc2Angles: angles / (classes * (classes - 1)),
      ...(weights && {
        nc3: distanceOfDirections(
          weights,
          centers.flatMap((center) => [...center]),
        ),
      }),
    };
  }

  /**
   * NC4, in a second pass: in how many of these rows the nearest class mean is another class than the network predicts.
   *
   * @param predictions the class that the network predicts for each row
   * @returns a fraction, from 0 to 1
   */
  mismatch(rows: ArrayLike<number>, predictions: ArrayLike<number>): number {
    const { features, classes } = this;
    if (rows.length !== predictions.length * features) {
      throw new RangeError(
        `mismatch: expected ${predictions.length} rows of ${features} features, one per prediction, got ${rows.length} numbers`,
      );
    }
    const means = this.classMeans();
    let different = 0;
    for (let i = 0; i < predictions.length; i++) {
      let [nearest, least] = [-1, Number.POSITIVE_INFINITY];
      for (let c = 0; c < classes; c++) {
        let square = 0;
        for (let j = 0; j < features; j++) square += (rows[i * features + j] - means[c * features + j]) ** 2;
        if (square < least) [nearest, least] = [c, square];
      }
      if (nearest !== predictions[i]) different++;
    }
    return different / predictions.length;
  }

  #grow(classes: number): void {
    while (this.#counts.length < classes) {
      this.#counts.push(0);
      this.#sums.push(new Float64Array(this.features));
    }
  }

  /** The means of the classes that have rows minus their mean. */
  #centered(): Float64Array[] {
    const { features, classes } = this;
    const means = this.classMeans();
    const rows = Array.from({ length: classes }, (_, c) => means.subarray(c * features, (c + 1) * features)).filter(
      (_, c) => this.#counts[c] > 0,
    );
    const mean = new Float64Array(features);
    for (const row of rows) for (let j = 0; j < features; j++) mean[j] += row[j] / rows.length;
    return rows.map((row) => row.map((x, j) => x - mean[j]));
  }

  /** tr(W B^+), in the C - 1 directions in which the class means differ. */
  #withinOverBetween(centers: Float64Array[]): number {
    const { features } = this;
    const classes = centers.length;
    const gram = Float64Array.from({ length: classes ** 2 }, (_, p) => {
      return dot(centers[Math.floor(p / classes)], centers[p % classes]) / classes;
    });
    const { values, vectors } = symmetricEigen(gram);
    const covariance = this.#total.covariance();
    const mean = this.#total.mean();
    const means = this.classMeans();
    let sum = 0;
    for (let k = 0; k < classes - 1; k++) {
      if (!(values[k] > 1e-12 * values[0])) break;
      const direction = new Float64Array(features);
      for (let c = 0; c < classes; c++) {
        const weight = vectors[k * classes + c] / Math.sqrt(classes * values[k]);
        for (let j = 0; j < features; j++) direction[j] += weight * centers[c][j];
      }
      let within = 0;
      for (let i = 0; i < features; i++) {
        within += direction[i] * dot(covariance.subarray(i * features, (i + 1) * features), direction);
      }
      for (let c = 0; c < this.classes; c++) {
        if (this.#counts[c] === 0) continue;
        let along = 0;
        for (let j = 0; j < features; j++) along += direction[j] * (means[c * features + j] - mean[j]);
        within -= (this.#counts[c] / this.count) * along * along;
      }
      sum += within / values[k];
    }
    return sum;
  }
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
  return sum;
}

function norm(x: ArrayLike<number>): number {
  return Math.sqrt(dot(x, x));
}

/** |a / |a| - b / |b||^2 */
function distanceOfDirections(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [lengthA, lengthB] = [norm(a), norm(b)];
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += (a[j] / lengthA - b[j] / lengthB) ** 2;
  return sum;
}

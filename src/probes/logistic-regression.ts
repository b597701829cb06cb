import type { SampleMatrix } from '../recording/samples.js';
import { type MinimizeOptions, minimize } from './minimize.js';

/** Options of a logistic regression. */
export interface LogisticRegressionOptions extends MinimizeOptions {
  /**
   * Weight of the squared coefficients: the objective is the sum of the samples' cross-entropies + l2 / 2 * |W|^2, without
   * the biases. Default 1, which is scikit-learn's C = 1.
   */
  l2?: number;
}

/**
 * Multinomial logistic regression, solved to its only optimum: the probe of https://arxiv.org/abs/1610.01644 as the papers on
 * saturation use it (scikit-learn's LogisticRegression with C = 1).
 */
export class LogisticRegression {
  /** Number of classes. */
  readonly classes: number;
  /** Numbers per sample. */
  readonly features: number;
  /** features x classes, row-major. */
  readonly weights: Float64Array;
  /** One per class. */
  readonly bias: Float64Array;
  /** Whether the solver reached its tolerance. */
  readonly converged: boolean;
  /** How many steps the solver took. */
  readonly iterations: number;

  private constructor(
    classes: number,
    weights: Float64Array,
    bias: Float64Array,
    converged: boolean,
    iterations: number,
  ) {
    this.classes = classes;
    this.features = weights.length / classes;
    this.weights = weights;
    this.bias = bias;
    this.converged = converged;
    this.iterations = iterations;
  }

  /**
   * Fits samples and their classes 0, 1, ..., of which the largest label is the last one.
   *
   * @throws RangeError if labels and rows differ in number, a label is not a class, or a value is not finite
   */
  static fit(
    samples: SampleMatrix,
    labels: ArrayLike<number>,
    options: LogisticRegressionOptions = {},
  ): LogisticRegression {
    const { rows, features } = samples;
    const l2 = options.l2 ?? 1;
    if (!(l2 >= 0 && Number.isFinite(l2))) throw new RangeError(`LogisticRegression: expected l2 >= 0, got ${l2}`);
    const classes = countClasses(labels, rows);
    const { standard, mean, scale } = standardize(samples, classes, l2);
    const solution = new Float64Array((features + 1) * classes);
    // The tolerance is per sample, so that it means the same for few samples and for many.
    const tolerance = (options.tolerance ?? 1e-5) * rows;
    const result = minimize(crossEntropy(standard, labels, rows, features, classes, scale, l2), solution, {
      ...options,
      tolerance,
    });
    const weights = new Float64Array(features * classes);
    const bias = solution.slice(features * classes);
    for (let feature = 0; feature < features; feature++) {
      for (let k = 0; k < classes; k++) {
        const weight = solution[feature * classes + k]! / scale[feature]!;
        weights[feature * classes + k] = weight;
        bias[k]! -= weight * mean[feature]!;
      }
    }
    return new LogisticRegression(classes, weights, bias, result.converged, result.iterations);
  }

  /** The most probable class of each sample. */
  predict(samples: SampleMatrix): Int32Array {
    if (samples.features !== this.features) {
      throw new RangeError(`LogisticRegression: expected ${this.features} features, got ${samples.features}`);
    }
    const scores = new Float64Array(this.classes);
    return Int32Array.from({ length: samples.rows }, (_, row) => {
      scores.set(this.bias);
      addProduct(scores, samples.values, row * this.features, this.weights, this.features, this.classes);
      let best = 0;
      for (let k = 1; k < this.classes; k++) if (scores[k]! > scores[best]!) best = k;
      return best;
    });
  }

  /** Fraction of the samples whose class is predicted, in [0, 1]. */
  accuracy(samples: SampleMatrix, labels: ArrayLike<number>): number {
    if (labels.length !== samples.rows) {
      throw new RangeError(`LogisticRegression: expected ${samples.rows} labels, got ${labels.length}`);
    }
    const predicted = this.predict(samples);
    let right = 0;
    predicted.forEach((label, row) => {
      if (label === labels[row]) right++;
    });
    return right / samples.rows;
  }
}

function countClasses(labels: ArrayLike<number>, rows: number): number {
  if (labels.length !== rows || rows === 0) {
    throw new RangeError(
      `LogisticRegression: expected a label per sample (${rows}, at least one), got ${labels.length}`,
    );
  }
  let most = 0;
  for (let row = 0; row < rows; row++) {
    const label = labels[row]!;
    if (!(Number.isInteger(label) && label >= 0)) {
      throw new RangeError(`LogisticRegression: expected labels 0, 1, ..., got ${label} for sample ${row}`);
    }
    most = Math.max(most, label);
  }
  return most + 1;
}

/**
 * Columns with mean 0, and a scale that gives every weight about the same curvature: that of the cross-entropy (samples *
 * variance * p (1 - p)) and that of the penalty together. The optimum is not changed by it (the penalty is put on the
 * weights of the original columns), but it is reached in far fewer steps.
 */
function standardize({ values, rows, features }: SampleMatrix, classes: number, l2: number) {
  const penalty = l2 / (rows * (1 / classes) * (1 - 1 / classes) || 1);
  const mean = new Float64Array(features);
  const scale = new Float64Array(features);
  for (let row = 0; row < rows; row++) {
    for (let feature = 0; feature < features; feature++) mean[feature]! += values[row * features + feature]! / rows;
  }
  for (let row = 0; row < rows; row++) {
    for (let feature = 0; feature < features; feature++) {
      scale[feature]! += (values[row * features + feature]! - mean[feature]!) ** 2 / rows;
    }
  }
  for (let feature = 0; feature < features; feature++) {
    if (!Number.isFinite(scale[feature]!)) {
      throw new RangeError(`LogisticRegression: expected finite values, got NaN or Infinity in feature ${feature}`);
    }
    // The weight of a column that never varies stays 0 at any scale.
    scale[feature] = Math.sqrt(scale[feature]! + penalty) || 1;
  }
  const standard = new Float64Array(rows * features);
  for (let row = 0; row < rows; row++) {
    for (let feature = 0; feature < features; feature++) {
      const at = row * features + feature;
      standard[at] = (values[at]! - mean[feature]!) / scale[feature]!;
    }
  }
  return { standard, mean, scale };
}

function crossEntropy(
  standard: Float64Array,
  labels: ArrayLike<number>,
  rows: number,
  features: number,
  classes: number,
  scale: Float64Array,
  l2: number,
) {
  const scores = new Float64Array(classes);
  const biasAt = features * classes;
  return (x: Float64Array, gradient: Float64Array): number => {
    let value = 0;
    for (let feature = 0; feature < features; feature++) {
      // The weight of the original column is x / scale.
      const factor = l2 / scale[feature]! ** 2;
      for (let at = feature * classes; at < (feature + 1) * classes; at++) {
        value += 0.5 * factor * x[at]! ** 2;
        gradient[at] = factor * x[at]!;
      }
    }
    gradient.fill(0, biasAt);
    for (let row = 0; row < rows; row++) {
      for (let k = 0; k < classes; k++) scores[k] = x[biasAt + k]!;
      addProduct(scores, standard, row * features, x, features, classes);
      value += softmaxLoss(scores, labels[row]!);
      for (let feature = 0; feature < features; feature++) {
        const input = standard[row * features + feature]!;
        if (input === 0) continue;
        const at = feature * classes;
        for (let k = 0; k < classes; k++) gradient[at + k]! += input * scores[k]!;
      }
      for (let k = 0; k < classes; k++) gradient[biasAt + k]! += scores[k]!;
    }
    return value;
  };
}

/** scores += row * weights (features x classes). */
function addProduct(
  scores: Float64Array,
  values: Float32Array | Float64Array,
  from: number,
  weights: Float64Array,
  features: number,
  classes: number,
): void {
  for (let feature = 0; feature < features; feature++) {
    const input = values[from + feature]!;
    if (input === 0) continue;
    const at = feature * classes;
    for (let k = 0; k < classes; k++) scores[k]! += input * weights[at + k]!;
  }
}

/** -log softmax(scores)[label]; the scores become probabilities minus one at the label, which is the loss's gradient. */
function softmaxLoss(scores: Float64Array, label: number): number {
  const top = Math.max(...scores);
  let sum = 0;
  for (let k = 0; k < scores.length; k++) sum += Math.exp(scores[k]! - top);
  const loss = top + Math.log(sum) - scores[label]!;
  for (let k = 0; k < scores.length; k++) scores[k] = Math.exp(scores[k]! - top) / sum - (k === label ? 1 : 0);
  return loss;
}

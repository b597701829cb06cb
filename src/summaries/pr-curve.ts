/** Precision-recall curves: counted from labels and predictions, or from counts that the caller has made. */
import { encodeMessage } from '../encoding/message-codec.js';
import { checkAttached, describe } from '../errors.js';
import type { TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { type Later, type Numbers, type NumericArray, readNumbers, whenAllRead } from './numbers.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { floatTensor, isNumeric } from './tensor.js';

/** Options of addPrCurve. */
export interface PrCurveOptions {
  /** How many thresholds are spread evenly from 0 to 1, ends included; at least 2. Default: 201. */
  thresholds?: number;
  /** How much each label counts: one weight per label, or one for all. Default: 1. */
  weights?: Numbers;
}

/**
 * Counts that the caller has made, one for each of n thresholds i / (n - 1), i = 0 .. n - 1. A prediction at or above the
 * threshold counts as positive.
 */
export interface PrCounts {
  /** Positive labels that are predicted as positive. */
  readonly truePositives: ArrayLike<number>;
  /** Negative labels that are predicted as positive. */
  readonly falsePositives: ArrayLike<number>;
  /** Negative labels that are predicted as negative. */
  readonly trueNegatives: ArrayLike<number>;
  /** Positive labels that are predicted as negative. */
  readonly falseNegatives: ArrayLike<number>;
  /** True positives over all predicted positives, 0 to 1; computed from the counts by default. */
  readonly precision?: ArrayLike<number>;
  /** True positives over all positive labels, 0 to 1; computed from the counts by default. */
  readonly recall?: ArrayLike<number>;
}

/** A softmax in float32 may exceed 1 by its rounding; TensorBoard takes what is outside for 0 or 1. */
const rounding = 1e-6;
/** TensorBoard's default. Source: tensorboard/plugins/pr_curve/summary.py */
const defaultThresholds = 201;
/** Replaces zero in denominators. Source: the same file. */
const minimumCount = 1e-7;

/**
 * A precision-recall curve, counted as TensorBoard's own writer counts it
 * (https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/pr_curve/summary.py).
 *
 * @param labels 0 or 1, or booleans
 * @param predictions in [0, 1], as many as labels. Those in float32 are compared with thresholds in float32, as there
 * @throws RangeError if labels, predictions or weights are outside their range, or differ in number
 */
export function prCurveSummary(
  labels: Numbers,
  predictions: Numbers,
  options: PrCurveOptions = {},
  call = 'pr curve',
): Later<PluginSummary> {
  const { thresholds = defaultThresholds, weights = 1 } = options;
  checkThresholds(thresholds, call);
  return whenAllRead(
    [
      readNumbers(labels, `${call}, labels`),
      readNumbers(predictions, `${call}, predictions`),
      readNumbers(weights, `${call}, weights`),
    ] as const,
    (numbers: readonly NumericArray[]) => encodeCounts(countAll(numbers[0], numbers[1], numbers[2], thresholds, call)),
  );
}

/**
 * A precision-recall curve whose counts the caller has made.
 *
 * @throws RangeError if rows differ in length, or hold negative counts or ratios outside [0, 1]
 */
export function prCurveRawSummary(counts: PrCounts, call = 'pr curve'): PluginSummary {
  if (typeof counts !== 'object' || counts === null) {
    throw new TypeError(`${call}: expected an object of truePositives, falsePositives, …, got ${describe(counts)}`);
  }
  for (const row of Object.values(counts)) checkAttached(row, call);
  if (counts.truePositives === undefined) throw new TypeError(`${call}: expected truePositives, got undefined`);
  const thresholds = counts.truePositives?.length;
  checkThresholds(thresholds, call);
  for (const name of ['truePositives', 'falsePositives', 'trueNegatives', 'falseNegatives'] as const) {
    checkRow(counts[name], name, thresholds, Number.POSITIVE_INFINITY, call);
  }
  for (const name of ['precision', 'recall'] as const) {
    const row = counts[name];
    if (row !== undefined) checkRow(row, name, thresholds, 1, call);
  }
  return encodeCounts(counts);
}

function checkThresholds(thresholds: number, call: string): void {
  if (!Number.isSafeInteger(thresholds) || thresholds < 2) {
    throw new RangeError(`${call}: expected a whole number of at least 2 thresholds, got ${describe(thresholds)}`);
  }
}

function checkRow(row: ArrayLike<number>, name: string, length: number, max: number, call: string): void {
  if (row?.length !== length) throw new RangeError(`${call}: expected ${length} ${name}, got ${describe(row)}`);
  for (let i = 0; i < length; i++) {
    if (!(row[i] >= 0 && row[i] <= max))
      throw new RangeError(`${call}: ${name}[${i}]: expected a number from 0 to ${max}, got ${describe(row[i])}`);
  }
}

function countAll(
  labels: NumericArray,
  predictions: NumericArray,
  weights: NumericArray,
  thresholds: number,
  call: string,
): PrCounts {
  const count = labels.values.length;
  if (predictions.values.length !== count) {
    throw new RangeError(
      `${call}: expected as many predictions as labels, got ${predictions.values.length} and ${count}`,
    );
  }
  const oneWeight = weights.shape.length === 0;
  if (!oneWeight && weights.values.length !== count) {
    throw new RangeError(
      `${call}: expected one weight or as many as labels, got ${weights.values.length} and ${count}`,
    );
  }
  const truePositives = new Float64Array(thresholds);
  const falsePositives = new Float64Array(thresholds);
  const round = predictions.dtype === 'float32' ? Math.fround : (product: number) => product;
  for (let i = 0; i < count; i++) {
    const label = labels.values[i];
    const prediction = predictions.values[i];
    const weight = weights.values[oneWeight ? 0 : i];
    if (label !== 0 && label !== 1)
      throw new RangeError(`${call}: labels[${i}]: expected 0, 1 or a boolean, got ${label}`);
    if (!(prediction >= -rounding && prediction <= 1 + rounding))
      throw new RangeError(`${call}: predictions[${i}]: expected a number from 0 to 1, got ${prediction}`);
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY))
      throw new RangeError(`${call}: weights[${i}]: expected a number of at least 0, got ${weight}`);
    const bucket = Math.floor(round(Math.min(1, Math.max(0, prediction)) * (thresholds - 1)));
    (label === 1 ? truePositives : falsePositives)[bucket] += weight;
  }
  for (let i = thresholds - 2; i >= 0; i--) {
    truePositives[i] += truePositives[i + 1];
    falsePositives[i] += falsePositives[i + 1];
  }
  return {
    truePositives,
    falsePositives,
    trueNegatives: falsePositives.map((value) => falsePositives[0] - value),
    falseNegatives: truePositives.map((value) => truePositives[0] - value),
  };
}

function encodeCounts(counts: PrCounts): PluginSummary {
  const { truePositives, falsePositives, trueNegatives, falseNegatives } = counts;
  const thresholds = truePositives.length;
  const precision = counts.precision ?? ratios(truePositives, falsePositives);
  const recall = counts.recall ?? ratios(truePositives, falseNegatives);
  const rows = new Float64Array(6 * thresholds);
  [truePositives, falsePositives, trueNegatives, falseNegatives, precision, recall].forEach((row, index) => {
    rows.set(row, index * thresholds);
  });
  return {
    plugin: 'pr_curves',
    content: encodeMessage(tensorboard.PrCurvePluginData, { numThresholds: thresholds }),
    dataClass: DataClass.tensor,
    tensor: floatTensor(rows, [6, thresholds]),
  };
}

/** part / (part + rest), or 0 if both are 0. */
function ratios(part: ArrayLike<number>, rest: ArrayLike<number>): Float64Array {
  return Float64Array.from(part, (value, i) => value / Math.max(minimumCount, value + rest[i]));
}

/**
 * Checks the tensor of a curve.
 *
 * @throws RangeError if it is not 6 rows of numbers, or a count is not finite: TensorBoard asks for the curves of all runs
 * at once, and would draw none
 */
export function checkCounts({ data, dtype, shape }: TensorValue): void {
  if (shape.length !== 2 || shape[0] !== 6 || !isNumeric(dtype)) {
    throw new RangeError(`expected 6 x n numbers, got a ${dtype} tensor of the shape [${shape.join(', ')}]`);
  }
  for (let i = 0; i < 4 * shape[1]; i++) {
    if (!Number.isFinite(Number(data[i]))) throw new RangeError(`expected counts, got ${data[i]}`);
  }
}

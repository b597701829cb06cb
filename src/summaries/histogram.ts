/**
 * Histograms: values are counted into buckets as TF2 counts them, or buckets counted by the caller are checked; both are
 * written as a float64 tensor, and read back from that or from the HistogramProto of TF1.
 */
import { decodeMessage } from '../encoding/message-codec.js';
import { checkAttached, describe } from '../errors.js';
import type { HistogramValue, TensorValue } from '../event/event.js';
import { countRows, extremesOf } from '../kernels/histogram.js';
import { tensorboard } from '../proto/tensorboard.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { doubleTensor, isNumeric } from './tensor.js';

/** How many buckets TF2 and tfjs-node use. */
const defaultBuckets = 30;

/** The counts of `bucketize`. */
interface Histogram {
  /** k x 3, row-major: left edge, right edge, count. */
  readonly buckets: Float64Array;
  /** How many values were left out because they are NaN or infinite. */
  readonly rejected: number;
}

/**
 * Counts values into buckets of equal width exactly as TF2's `tf.summary.histogram` does: the first left edge is the minimum,
 * the last right edge the maximum; if all values are equal, every bucket is [v, v] and the last one counts them; without
 * values all rows are zero. Any finite float64 range works. NaN and ±Infinity are left out, and counted.
 * Source: https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/histogram/summary_v2.py
 *
 * @param count number of buckets, 1 or more
 * @throws RangeError if it is not
 */
export function bucketize(values: ArrayLike<number>, count: number = defaultBuckets, call = 'histogram'): Histogram {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`${call}: expected buckets to be a whole number of at least 1, got ${describe(count)}`);
  }
  const length = values.length;
  let { min, max } = extremesOf(values);
  const rejected = Number.isNaN(min) ? countNotFinite(values) : 0;
  if (rejected > 0) ({ min, max } = extremesOf(Array.from(values).filter(Number.isFinite)));
  const buckets = new Float64Array(count * 3);
  const used = length - rejected;
  if (used === 0) return { buckets, rejected };
  min += 0; // -0 becomes 0
  max += 0;
  if (min === max) {
    for (let row = 0; row < count; row++) buckets[3 * row] = buckets[3 * row + 1] = min;
    buckets[3 * count - 1] = used;
    return { buckets, rejected };
  }
  // max - min overflows beyond 2^1023: halved, everything stays in range and loses no bit that matters.
  const scale = Number.isFinite(max - min) ? 1 : 0.5;
  const start = min * scale;
  const range = max * scale - start;
  const width = range / count;
  const last = count - 1;
  // Subnormal widths carry too few bits for offset / width to stay below count.
  if (rejected === 0 && scale === 1 && width > 1e-290 && count < 2 ** 30) {
    const counted = countRows(values, start, width, count);
    // The maximum lies on the right edge of the last bucket, which it belongs to.
    for (let row = 0; row <= count; row++) buckets[3 * Math.min(row, last) + 2] += counted[row];
  } else {
    for (let i = 0; i < length; i++) {
      const value = values[i];
      if (value - value !== 0) continue;
      const offset = value * scale - start;
      // A range of a few subnormals divided by count is 0; then the order of the two operations matters.
      let row = Math.floor(width > 0 ? offset / width : (offset / range) * count);
      if (row > last) row = last;
      buckets[3 * row + 2]++;
    }
  }
  for (let row = 0; row < count; row++) {
    buckets[3 * row] = row === 0 ? min : buckets[3 * row - 2];
    buckets[3 * row + 1] =
      row === last ? max : Math.min(max, (start + edgeOffset(row + 1, width, range, count)) / scale);
  }
  return { buckets, rejected };
}

function countNotFinite(values: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) count++;
  return count;
}

function edgeOffset(row: number, width: number, range: number, count: number): number {
  return width > 0 ? row * width : (row / count) * range;
}

/**
 * A histogram as TF2 writes it: float64 [k, 3] of left edge, right edge and count.
 *
 * @param buckets k x 3, as `bucketize` returns it
 */
export function histogramSummary(buckets: Float64Array): PluginSummary {
  return { plugin: 'histograms', dataClass: DataClass.tensor, tensor: doubleTensor(buckets, [buckets.length / 3, 3]) };
}

/** Buckets that the caller has counted, k x 3: left edge, right edge, count; as rows, or one after another. */
export type Buckets = ArrayLike<number> | readonly (readonly number[])[];

/**
 * Copies and checks buckets that the caller has counted. Counts may be fractions, such as weights.
 *
 * @throws TypeError if they are no numbers; RangeError if left > right, a bucket begins before the previous one ends, a count is negative, or anything is NaN or
 * infinite
 */
export function checkBuckets(buckets: Buckets, call = 'histogram'): Float64Array {
  if (typeof buckets !== 'object' || typeof buckets?.length !== 'number') {
    throw new TypeError(`${call}: expected k x 3 numbers (left, right, count), got ${describe(buckets)}`);
  }
  checkAttached(buckets, call);
  const rows = Array.isArray(buckets) && Array.isArray(buckets[0]) ? (buckets as readonly unknown[]) : undefined;
  const odd = rows?.findIndex((row) => !Array.isArray(row) || row.length !== 3) ?? -1;
  if (rows && odd >= 0) {
    throw new RangeError(
      `${call}: bucket ${odd}: expected left edge, right edge and count, got ${describe(rows[odd])}`,
    );
  }
  if (!rows && buckets.length % 3 !== 0) {
    throw new RangeError(`${call}: expected k x 3 numbers (left, right, count), got ${buckets.length}`);
  }
  const checked = Float64Array.from(rows ? (rows.flat() as number[]) : (buckets as ArrayLike<number>));
  for (let at = 0; at < checked.length; at += 3) {
    const left = checked[at];
    const right = checked[at + 1];
    const count = checked[at + 2];
    const row = `${call}: bucket ${at / 3}`;
    if (!Number.isFinite(left) || !Number.isFinite(right))
      throw new RangeError(`${row}: expected finite edges, got ${left} and ${right}`);
    if (left > right) throw new RangeError(`${row}: expected left <= right, got ${left} and ${right}`);
    if (at > 0 && left < checked[at - 2]) {
      throw new RangeError(
        `${row}: expected it to begin at or after ${checked[at - 2]}, the end of the previous one, got ${left}`,
      );
    }
    if (!(count >= 0 && count < Number.POSITIVE_INFINITY))
      throw new RangeError(`${row}: expected a count of at least 0, got ${count}`);
  }
  return checked;
}

/** The buckets in a histogram's tensor. */
export function decodeHistogram({ data, dtype, shape }: TensorValue): HistogramValue | undefined {
  if (shape.length !== 2 || shape[1] !== 3 || !isNumeric(dtype)) return undefined;
  return { buckets: data instanceof Float64Array ? data : Float64Array.from(data as ArrayLike<number>, Number) };
}

/**
 * The buckets in a HistogramProto, which stores every bucket's right edge and count. As in TensorBoard's own migration,
 * empty buckets at both ends are dropped, and min and max become the outer edges of the others, whose stored edges are
 * ±1e12 or more.
 * Source: https://github.com/tensorflow/tensorboard/blob/master/tensorboard/data_compat.py (_migrate_histogram_value);
 * unlike there, the numbers stay float64.
 *
 * @throws MalformedMessageError if the bytes are not a HistogramProto, RangeError if its edges and counts differ in number
 */
export function decodeHistogramProto(bytes: Uint8Array): HistogramValue {
  const histogram = decodeMessage(tensorboard.HistogramProto, bytes);
  const limits = histogram.bucketLimit ?? [];
  const counts = histogram.bucket ?? [];
  if (limits.length !== counts.length) {
    throw new RangeError(`a histogram of ${limits.length} bucket limits and ${counts.length} counts`);
  }
  const first = counts.findIndex((count) => count > 0);
  let last = counts.length - 1;
  while (last >= 0 && !(counts[last] > 0)) last--;
  const rows = first < 0 ? 0 : last - first + 1;
  const buckets = new Float64Array(rows * 3);
  for (let row = 0; row < rows; row++) {
    const index = first + row;
    buckets[row * 3] = row === 0 ? (histogram.min ?? 0) : limits[index - 1];
    buckets[row * 3 + 1] = index === last ? (histogram.max ?? 0) : limits[index];
    buckets[row * 3 + 2] = counts[index];
  }
  const { max = 0, min = 0, num = 0, sum = 0, sumSquares = 0 } = histogram;
  return { buckets, min, max, num, sum, sumSquares };
}

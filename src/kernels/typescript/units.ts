import type { Rows } from '../moments.js';
import { type UnitSums, unitCounts } from '../units.js';

/** TypeScript twin of the WebAssembly kernel: see NumericKernels.addUnits. */
export function addUnits(sums: UnitSums, rows: Rows, count: number): void {
  const row = new Float64Array(sums.absolute.length);
  for (let at = 0, left = count; left > 0; at += row.length, left--) {
    // One kind of array in the loops below, so that they are compiled for it.
    row.set(rows.subarray(at, at + row.length));
    addRow(sums, row);
  }
}

function addRow({ counts, absolute, nonzero }: UnitSums, row: Float64Array): void {
  const features = row.length;
  const first = row[0];
  // Relative to the first number, so that a row of one number has exactly no variance.
  let sum = 0;
  for (let j = 0; j < features; j++) sum += row[j] - first;
  if (!Number.isFinite(sum)) return;
  let largest = counts[unitCounts.largest];
  let second = 0;
  let fourth = 0;
  const mean = first + sum / features;
  for (let j = 0; j < features; j++) {
    const size = Math.abs(row[j]);
    absolute[j] += size;
    nonzero[j] += Number(size > 0);
    largest = Math.max(largest, size);
    const square = (row[j] - mean) * (row[j] - mean);
    second += square;
    fourth += square * square;
  }
  counts[unitCounts.rows]++;
  counts[unitCounts.largest] = largest;
  const kurtosis = (features * fourth) / (second * second);
  if (!Number.isFinite(kurtosis)) return; // all numbers are the same
  counts[unitCounts.varied]++;
  counts[unitCounts.kurtosis] += kurtosis;
}

/** TypeScript twin of the WebAssembly kernel: see NumericKernels.sumByClass. */
export function sumByClass(rows: Float32Array, labels: Int32Array, classes: number): Float64Array {
  const features = rows.length / labels.length;
  const sums = new Float64Array(classes * features);
  for (let i = 0, at = 0; i < labels.length; i++) {
    for (let to = labels[i] * features, end = to + features; to < end; at++, to++) sums[to] += rows[at];
  }
  return sums;
}

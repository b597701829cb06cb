import { kernels } from '../kernels/kernels.js';

/** Rows summed by class: what neural collapse is measured from, beside mean and covariance. Plain, so that it travels between threads. */
export interface ClassSums {
  /** Rows of each class. */
  counts: Float64Array;
  /** What is subtracted from each row, so that sums lose no digits far from zero: the first row. */
  readonly shift: Float64Array;
  /** Sum of each class's rows minus the shift: classes x features, row-major. */
  sums: Float64Array;
}

/** Most classes where their number is not given: a label beyond is none. */
export const mostClasses = 2 ** 16;

/** Makes room for as many classes. */
function growClasses(sums: ClassSums, classes: number): void {
  const { counts, shift } = sums;
  if (counts.length >= classes) return;
  sums.counts = new Float64Array(classes);
  sums.counts.set(counts);
  const grown = new Float64Array(classes * shift.length);
  grown.set(sums.sums);
  sums.sums = grown;
}

/**
 * Adds rows; those with a NaN or an Infinity are left out.
 *
 * @param sums undefined before the first row
 * @param rows row-major
 * @param labels the class of each row, from 0
 */
export function addClasses(
  sums: ClassSums | undefined,
  features: number,
  rows: Float32Array | Float64Array,
  labels: ArrayLike<number>,
): ClassSums | undefined {
  const isWhole = (row: number) => {
    let check = 0;
    for (let at = row * features; at < (row + 1) * features; at++) check += rows[at] * 0; // NaN for NaN and Infinity alone
    return check === 0;
  };
  let known = sums;
  if (known === undefined) {
    let first = 0;
    while (first < labels.length && !isWhole(first)) first++;
    if (first === labels.length) return undefined;
    const shift = Float64Array.from(rows.subarray(first * features, (first + 1) * features));
    known = { counts: new Float64Array(0), shift, sums: new Float64Array(0) };
  }
  let classes = 0;
  for (let i = 0; i < labels.length; i++) classes = Math.max(classes, labels[i] + 1);
  growClasses(known, classes);
  // Nearly always all rows are finite. If the sums are few, that these are so tells it for less than a look at each number.
  if (rows instanceof Float32Array && 4 * classes * features <= rows.length) {
    if (
      addSums(
        known,
        kernels().sumByClass(rows, labels instanceof Int32Array ? labels : Int32Array.from(labels), classes),
        labels,
      )
    )
      return known;
  }
  const { shift, sums: into } = known;
  for (let i = 0; i < labels.length; i++) {
    if (!isWhole(i)) continue;
    for (let j = 0, at = i * features, to = labels[i] * features; j < features; j++, at++, to++) {
      into[to] += rows[at] - shift[j];
    }
    known.counts[labels[i]]++;
  }
  return known;
}

/** Adds sums of rows as they are: classes x features. Returns false, having added nothing, if one of the rows was not finite. */
function addSums({ counts, shift, sums }: ClassSums, added: Float64Array, labels: ArrayLike<number>): boolean {
  let check = 0;
  for (let at = 0; at < added.length; at++) check += added[at] * 0;
  if (check !== 0) return false;
  const features = shift.length;
  const rows = new Float64Array(added.length / features);
  for (let i = 0; i < labels.length; i++) rows[labels[i]]++;
  for (let c = 0, at = 0; c < rows.length; c++) {
    counts[c] += rows[c];
    for (let j = 0; j < features; j++, at++) sums[at] += added[at] - rows[c] * shift[j];
  }
  return true;
}

/** Adds the sums of other rows, which stay as they are. */
export function mergeClasses(sums: ClassSums | undefined, other: ClassSums): ClassSums {
  if (sums === undefined) return structuredClone(other);
  const features = sums.shift.length;
  growClasses(sums, other.counts.length);
  for (let c = 0, at = 0; c < other.counts.length; c++) {
    for (let j = 0; j < features; j++, at++) {
      sums.sums[at] += other.sums[at] + other.counts[c] * (other.shift[j] - sums.shift[j]);
    }
  }
  // Last: both may be the same.
  for (let c = 0; c < other.counts.length; c++) sums.counts[c] += other.counts[c];
  return sums;
}

/** The mean of each class: classes x features, row-major; NaN for a class without rows. */
export function classMeansOf({ counts, shift, sums }: ClassSums): Float64Array {
  const features = shift.length;
  return sums.map((sum, at) => shift[at % features] + sum / counts[Math.floor(at / features)]);
}

/** The same sums about another shift. */
export function classesAbout({ counts, shift, sums }: ClassSums, about: Float64Array): ClassSums {
  const features = shift.length;
  const moved = sums.map((sum, at) => {
    const j = at % features;
    return sum + counts[Math.floor(at / features)] * (shift[j] - about[j]);
  });
  return { counts, shift: about, sums: moved };
}

// Sums over rows that tell dead units and outliers.
import { multiplyAdd } from './multiply-add.as';
import { sumLanes } from './vector.as';

/** Sum of x[i] - first. Four chains of sums, because each waits for its last one. */
function sumAbout(x: usize, first: f64, length: i32): f64 {
  const base = f64x2.splat(first);
  let a = f64x2.splat(0), b = a, c = a, d = a;
  let i = 0;
  for (; i + 8 <= length; i += 8, x += 64) {
    a = f64x2.add(a, f64x2.sub(v128.load(x), base));
    b = f64x2.add(b, f64x2.sub(v128.load(x, 16), base));
    c = f64x2.add(c, f64x2.sub(v128.load(x, 32), base));
    d = f64x2.add(d, f64x2.sub(v128.load(x, 48), base));
  }
  let sum = sumLanes(f64x2.add(f64x2.add(a, b), f64x2.add(c, d)));
  for (; i < length; i++, x += 8) sum += load<f64>(x) - first;
  return sum;
}

/** absolute[i] += |x[i]| for two columns; returns the sizes. */
// @ts-ignore: decorator
@inline
function addSizes(x: v128, absolute: usize, nonzero: usize): v128 {
  const size = f64x2.abs(x);
  v128.store(absolute, f64x2.add(v128.load(absolute), size));
  const counted = v128.and(f64x2.ne(x, f64x2.splat(0)), f64x2.splat(1));
  v128.store(nonzero, f64x2.add(v128.load(nonzero), counted));
  return size;
}

/**
 * Adds rows to absolute (sums of |x| per column), nonzero (how often x is not 0 per column) and counts: rows used, the largest |x|,
 * rows whose numbers are not all the same, and the sum of their kurtoses. Rows with a NaN or an Infinity are left out.
 */
export function addUnits(
  rows: usize,
  count: i32,
  features: i32,
  absolute: usize,
  nonzero: usize,
  counts: usize,
): void {
  const zero = f64x2.splat(0);
  let largest = f64x2.splat(load<f64>(counts, 8));
  let used = load<f64>(counts), varied = load<f64>(counts, 16), kurtoses = load<f64>(counts, 24);
  const end = <usize>features << 3;
  const whole = <usize>(features & ~3) << 3;
  for (let i = 0; i < count; i++, rows += end) {
    const first = load<f64>(rows);
    const sum = sumAbout(rows, first, features);
    if (sum - sum != 0) continue;
    const mean = first + sum / <f64>features;
    const means = f64x2.splat(mean);
    let second0 = zero, second1 = zero, fourth0 = zero, fourth1 = zero;
    let at: usize = 0;
    for (; at < whole; at += 32) {
      const x0 = v128.load(rows + at), x1 = v128.load(rows + at, 16);
      const size0 = addSizes(x0, absolute + at, nonzero + at);
      const size1 = addSizes(x1, absolute + at + 16, nonzero + at + 16);
      largest = f64x2.pmax(largest, f64x2.pmax(size0, size1));
      const difference0 = f64x2.sub(x0, means), difference1 = f64x2.sub(x1, means);
      const square0 = f64x2.mul(difference0, difference0), square1 = f64x2.mul(difference1, difference1);
      second0 = f64x2.add(second0, square0);
      second1 = f64x2.add(second1, square1);
      fourth0 = multiplyAdd(fourth0, square0, square0);
      fourth1 = multiplyAdd(fourth1, square1, square1);
    }
    let second = sumLanes(f64x2.add(second0, second1)), fourth = sumLanes(f64x2.add(fourth0, fourth1));
    for (; at < end; at += 8) {
      const x = load<f64>(rows + at);
      const size = abs<f64>(x);
      store<f64>(absolute + at, load<f64>(absolute + at) + size);
      if (x != 0) store<f64>(nonzero + at, load<f64>(nonzero + at) + 1);
      largest = f64x2.pmax(largest, f64x2.splat(size));
      const square = (x - mean) * (x - mean);
      second += square;
      fourth += square * square;
    }
    used += 1;
    const kurtosis = (<f64>features * fourth) / (second * second);
    if (kurtosis - kurtosis != 0) continue; // all numbers are the same
    varied += 1;
    kurtoses += kurtosis;
  }
  store<f64>(counts, used);
  store<f64>(counts, max<f64>(f64x2.extract_lane(largest, 0), f64x2.extract_lane(largest, 1)), 8);
  store<f64>(counts, varied, 16);
  store<f64>(counts, kurtoses, 24);
}

/** sums[label][j] += x[j] for each row, float32. */
export function addByClass(rows: usize, count: i32, features: i32, labels: usize, sums: usize): void {
  const whole = features & ~1;
  for (let i = 0; i < count; i++, labels += 4) {
    let s = sums + ((<usize>load<i32>(labels) * <usize>features) << 3);
    const end = s + (<usize>whole << 3);
    for (; s < end; s += 16, rows += 8) {
      v128.store(s, f64x2.add(v128.load(s), f64x2.promote_low_f32x4(v128.load64_zero(rows))));
    }
    if (whole < features) {
      store<f64>(s, load<f64>(s) + <f64>load<f32>(rows));
      rows += 4;
    }
  }
}

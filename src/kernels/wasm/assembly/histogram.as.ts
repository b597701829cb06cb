// What a histogram's values need, one pass each: a module of its own, so that a page that only writes does not load the others.

/** The values of a vector. */
// @ts-ignore: decorator
@inline
function lanes<T>(): i32 {
  return 16 / <i32>sizeof<T>();
}

// @ts-ignore: decorator
@inline
function splat<T>(value: T): v128 {
  return v128.splat<T>(value);
}

/** Writes the smallest and the largest value to out; both are NaN if some value is NaN or infinite. */
function extremes<T>(values: usize, count: i32, out: usize): void {
  let least0 = splat<T>(<T>Infinity), least1 = least0;
  let greatest0 = splat<T>(<T>-Infinity), greatest1 = greatest0;
  // x - x is 0 or NaN.
  let odd0 = splat<T>(<T>0), odd1 = odd0;
  let i = 0;
  for (; i + 2 * lanes<T>() <= count; i += 2 * lanes<T>(), values += 32) {
    const a = v128.load(values), b = v128.load(values, 16);
    least0 = v128.pmin<T>(least0, a);
    least1 = v128.pmin<T>(least1, b);
    greatest0 = v128.pmax<T>(greatest0, a);
    greatest1 = v128.pmax<T>(greatest1, b);
    odd0 = v128.or(odd0, v128.sub<T>(a, a));
    odd1 = v128.or(odd1, v128.sub<T>(b, b));
  }
  const least = v128.pmin<T>(least0, least1), greatest = v128.pmax<T>(greatest0, greatest1);
  let odd = v128.any_true(v128.or(odd0, odd1));
  v128.store(out, least);
  v128.store(out, greatest, 16);
  let low = load<T>(out), high = load<T>(out, 16);
  for (let lane = 1; lane < lanes<T>(); lane++) {
    const at = out + lane * sizeof<T>();
    low = min<T>(low, load<T>(at));
    high = max<T>(high, load<T>(at, 16));
  }
  for (; i < count; i++, values += sizeof<T>()) {
    const value = load<T>(values);
    if (value - value != 0) odd = true;
    low = min<T>(low, value);
    high = max<T>(high, value);
  }
  store<f64>(out, odd ? NaN : <f64>low);
  store<f64>(out, odd ? NaN : <f64>high, 8);
}

export function extremesFloat32(values: usize, count: i32, out: usize): void {
  extremes<f32>(values, count, out);
}

export function extremesFloat64(values: usize, count: i32, out: usize): void {
  extremes<f64>(values, count, out);
}

/** Beside 2^52 a double has no room for a fraction, and its low 32 bits are the whole number that was added. */
const WHOLE: f64 = 4503599627370496;

/** The rows of two values as whole numbers, in the low halves of the lanes: floor((x - start) / width), from 0 to last. */
// @ts-ignore: decorator
@inline
function rowsOf(values: v128, start: v128, width: v128, last: v128): v128 {
  const quotient = f64x2.div(f64x2.sub(values, start), width);
  // In this order NaN becomes 'last': values in shared memory may change at any moment, and must not lead out of the tables.
  const row = f64x2.pmax(f64x2.splat(0), f64x2.pmin(last, quotient));
  return f64x2.add(f64x2.floor(row), f64x2.splat(WHOLE));
}

// @ts-ignore: decorator
@inline
function count(table: usize, row: i32): void {
  const at = table + (<usize>row << 2);
  store<i32>(at, load<i32>(at) + 1);
}

/**
 * Adds how many values fall into each row, floor((value - start) / width), to four tables of 32-bit counts, one behind another.
 * Values beyond the row 'last' count there. Four tables spare each count from waiting for the previous one.
 */
function countRows<T>(values: usize, length: i32, start: f64, width: f64, last: i32, tables: usize): void {
  const starts = f64x2.splat(start), widths = f64x2.splat(width), lasts = f64x2.splat(<f64>last);
  const size = <usize>(last + 1) << 2;
  const second = tables + size, third = second + size, fourth = third + size;
  let i = 0;
  for (; i + 4 <= length; i += 4, values += 4 * sizeof<T>()) {
    let a = v128.load(values), b: v128;
    if (sizeof<T>() == 4) {
      b = f64x2.promote_low_f32x4(i64x2.shuffle(a, a, 1, 0));
      a = f64x2.promote_low_f32x4(a);
    } else {
      b = v128.load(values, 16);
    }
    a = rowsOf(a, starts, widths, lasts);
    b = rowsOf(b, starts, widths, lasts);
    count(tables, i32x4.extract_lane(a, 0));
    count(second, i32x4.extract_lane(a, 2));
    count(third, i32x4.extract_lane(b, 0));
    count(fourth, i32x4.extract_lane(b, 2));
  }
  for (; i < length; i++, values += sizeof<T>()) {
    const value = f64x2.splat(<f64>load<T>(values));
    count(tables, i32x4.extract_lane(rowsOf(value, starts, widths, lasts), 0));
  }
}

export function countRowsFloat32(values: usize, length: i32, start: f64, width: f64, last: i32, tables: usize): void {
  countRows<f32>(values, length, start, width, last, tables);
}

export function countRowsFloat64(values: usize, length: i32, start: f64, width: f64, last: i32, tables: usize): void {
  countRows<f64>(values, length, start, width, last, tables);
}

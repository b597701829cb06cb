// Loops over vectors of float64.
import { multiplyAdd, subtractProducts } from './multiply-add.as';

// @ts-ignore: decorator
@inline
export function get(vector: usize, index: i32): f64 {
  return load<f64>(vector + (<usize>index << 3));
}

// @ts-ignore: decorator
@inline
export function set(vector: usize, index: i32, value: f64): void {
  store<f64>(vector + (<usize>index << 3), value);
}

// @ts-ignore: decorator
@inline
export function sumLanes(pair: v128): f64 {
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}

/** Sum of a[i] b[i]. */
export function dot(a: usize, b: usize, length: i32): f64 {
  let s0 = f64x2.splat(0), s1 = s0;
  let i = 0;
  for (; i + 4 <= length; i += 4, a += 32, b += 32) {
    s0 = multiplyAdd(s0, v128.load(a), v128.load(b));
    s1 = multiplyAdd(s1, v128.load(a, 16), v128.load(b, 16));
  }
  let sum = sumLanes(f64x2.add(s0, s1));
  for (; i < length; i++, a += 8, b += 8) sum += load<f64>(a) * load<f64>(b);
  return sum;
}

/** a += factor b. */
export function addScaled(a: usize, factor: f64, b: usize, length: i32): void {
  const f = f64x2.splat(factor);
  let i = 0;
  for (; i + 2 <= length; i += 2, a += 16, b += 16) {
    v128.store(a, multiplyAdd(v128.load(a), f, v128.load(b)));
  }
  if (i < length) store<f64>(a, load<f64>(a) + factor * load<f64>(b));
}

/** a -= f b + g c. */
export function subtractTwo(a: usize, f: f64, b: usize, g: f64, c: usize, length: i32): void {
  const ff = f64x2.splat(f), gg = f64x2.splat(g);
  let i = 0;
  for (; i + 2 <= length; i += 2, a += 16, b += 16, c += 16) {
    v128.store(a, subtractProducts(v128.load(a), ff, v128.load(b), gg, v128.load(c)));
  }
  if (i < length) store<f64>(a, load<f64>(a) - (f * load<f64>(b) + g * load<f64>(c)));
}

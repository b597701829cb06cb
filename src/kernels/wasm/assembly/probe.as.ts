// Whether this engine and this processor fuse products and sums: a module of its own, tried before the kernels that need it.

/** a a - b, rounded once: not 0 where a a and b differ by less than a double can show. */
export function fusedDifference(a: f64, b: f64): f64 {
  const factor = f64x2.splat(a);
  return f64x2.extract_lane(f64x2.relaxed_madd(factor, factor, f64x2.splat(-b)), 0);
}

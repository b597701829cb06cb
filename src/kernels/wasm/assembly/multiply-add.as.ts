// Products that are added at once. Of the two builds of the kernels one has relaxed SIMD: there an engine makes one rounded
// instruction (FMA) of both, where the processor has it. The other one rounds twice, as it does on every machine.

/** sum + a b, float64. */
// @ts-ignore: decorator
@inline
export function multiplyAdd(sum: v128, a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_madd(a, b, sum);
  return f64x2.add(sum, f64x2.mul(a, b));
}

/** sum - a b, float64. */
// @ts-ignore: decorator
@inline
export function multiplySubtract(sum: v128, a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_nmadd(a, b, sum);
  return f64x2.sub(sum, f64x2.mul(a, b));
}

/** sum + a b, float32. */
// @ts-ignore: decorator
@inline
export function multiplyAddFloat32(sum: v128, a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, sum);
  return f32x4.add(sum, f32x4.mul(a, b));
}

/** sum + (a b + c d), float64. */
// @ts-ignore: decorator
@inline
export function addProducts(sum: v128, a: v128, b: v128, c: v128, d: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_madd(c, d, f64x2.relaxed_madd(a, b, sum));
  return f64x2.add(sum, f64x2.add(f64x2.mul(a, b), f64x2.mul(c, d)));
}

/** sum - (a b + c d), float64. */
// @ts-ignore: decorator
@inline
export function subtractProducts(sum: v128, a: v128, b: v128, c: v128, d: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_nmadd(c, d, f64x2.relaxed_nmadd(a, b, sum));
  return f64x2.sub(sum, f64x2.add(f64x2.mul(a, b), f64x2.mul(c, d)));
}

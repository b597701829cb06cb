// Left^T right for two tiles: columns side by side, 32 bytes per row.
import { multiplyAdd, multiplyAddFloat32 } from './multiply-add.as';
import { TILE_ROWS } from './pack.as';

/** Columns whose tiles stay in the second-level cache while all rows of a product pass by: 64 x 193 x 8 = 97 KB. */
export const COLUMN_BLOCK: i32 = 64;
/**
 * Columns of the left operand. A fused product and sum waits for the last one of its chain four cycles, in which a processor can
 * begin eight, so that eight chains leave no slack; for products and sums apart, twelve chains are more than there are registers.
 */
export const HEIGHT: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 4;
/** Bytes per row of a left operand, whose numbers fill 16 bytes each. */
export const SPREAD_ROW: usize = <usize>HEIGHT << 4;
/** The same for float32: four columns are read from their tile as they are. */
const LEFT_ROW_FLOAT32: usize = HEIGHT == 4 ? 32 : SPREAD_ROW;
/** Where the products are left: 6 x 8 float64 at most. The host keeps the memory free up to SPREAD_END. */
export const PRODUCT: usize = 64;
/** Where multiplyTiles leaves them: PRODUCT, or elsewhere for a second thread in the same memory. */
let product: usize = PRODUCT;
/** One block's float32 sums: 6 x 8. */
const PART: usize = PRODUCT + 6 * 8 * 8;
/** Room for the left operand of the moments. */
export const SPREAD: usize = PART + 6 * 8 * 4;
/** The end of that, in either build. */
export const SPREAD_END: usize = SPREAD + <usize>TILE_ROWS * 96;
/** Rows summed in float32 before they are added in float64. */
const PART_ROWS: i32 = 32;

/**
 * Two columns of `from` (`step` bytes per row), every number twice, into a left operand. What a product of tiles multiplies by
 * is then a plain load; the loads that double a number cost V8 an address computation each.
 */
export function spreadPair(from: usize, step: usize, count: i32, to: usize): void {
  for (const end = to + <usize>count * SPREAD_ROW; to < end; to += SPREAD_ROW, from += step) {
    v128.store(to, v128.load64_splat(from));
    v128.store(to, v128.load64_splat(from, 8), 16);
  }
}

/** The same for float32, every number four times. */
export function spreadPairFloat32(from: usize, step: usize, count: i32, to: usize): void {
  for (const end = to + <usize>count * SPREAD_ROW; to < end; to += SPREAD_ROW, from += step) {
    v128.store(to, v128.load32_splat(from));
    v128.store(to, v128.load32_splat(from, 4), 16);
  }
}

/** Leaves products elsewhere from now on: 6 x 8 float64 at most. */
export function leaveProductsAt(at: usize): void {
  product = at;
}

/**
 * product[q][c] = sum over the rows of left[q] right[c], for four c and HEIGHT q; left as spreadPair left it. That all sums are
 * stored right behind the loop, in their order, is what lets V8 keep them in registers.
 */
export function multiplyTiles(left: usize, right: usize, rightStep: usize, count: i32): void {
  const end = left + <usize>count * SPREAD_ROW;
  let c00 = f64x2.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  let c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  for (; left < end; left += SPREAD_ROW, right += rightStep) {
    const b0 = v128.load(right), b1 = v128.load(right, 16);
    let a = v128.load(left);
    c00 = multiplyAdd(c00, a, b0);
    c01 = multiplyAdd(c01, a, b1);
    a = v128.load(left, 16);
    c10 = multiplyAdd(c10, a, b0);
    c11 = multiplyAdd(c11, a, b1);
    a = v128.load(left, 32);
    c20 = multiplyAdd(c20, a, b0);
    c21 = multiplyAdd(c21, a, b1);
    a = v128.load(left, 48);
    c30 = multiplyAdd(c30, a, b0);
    c31 = multiplyAdd(c31, a, b1);
    if (HEIGHT == 4) continue;
    a = v128.load(left, 64);
    c40 = multiplyAdd(c40, a, b0);
    c41 = multiplyAdd(c41, a, b1);
    a = v128.load(left, 80);
    c50 = multiplyAdd(c50, a, b0);
    c51 = multiplyAdd(c51, a, b1);
  }
  const at = product;
  storeFour(at, c00, c01, c10, c11);
  storeFour(at + 64, c20, c21, c30, c31);
  if (HEIGHT > 4) storeFour(at + 128, c40, c41, c50, c51);
}

/** out[q][c] += what multiplyTiles would leave, for `height` q, HEIGHT at most. */
export function addTileProduct(
  left: usize, right: usize, rightStep: usize, count: i32, out: usize, outStep: usize, height: i32,
): void {
  multiplyTiles(left, right, rightStep, count);
  const end = product + (<usize>min<i32>(height, HEIGHT) << 5);
  for (let from = product; from < end; from += 32, out += outStep) {
    v128.store(out, f64x2.add(v128.load(out), v128.load(from)));
    v128.store(out, f64x2.add(v128.load(out, 16), v128.load(from, 16)), 16);
  }
}

/** PRODUCT[q][c] = the same for eight c, float32; sums of PART_ROWS rows in float32. */
export function multiplyTilesFloat32(left: usize, right: usize, count: i32): void {
  memory.fill(PRODUCT, 0, HEIGHT * 8 * 8);
  for (; count > 0; count -= PART_ROWS, left += <usize>PART_ROWS * LEFT_ROW_FLOAT32, right += <usize>PART_ROWS * 32) {
    multiplyPartFloat32(left, right, min<i32>(PART_ROWS, count));
    for (let from = PART, to = PRODUCT; from < PART + HEIGHT * 8 * 4; from += 8, to += 16) {
      v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(v128.load64_zero(from))));
    }
  }
}

/** PART[q][c] = the same for one part. The module exports it so that it stays a function of its own, see multiplyTiles. */
export function multiplyPartFloat32(left: usize, right: usize, count: i32): void {
  const end = left + <usize>count * LEFT_ROW_FLOAT32;
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  let c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  for (; left < end; left += LEFT_ROW_FLOAT32, right += 32) {
    const b0 = v128.load(right), b1 = v128.load(right, 16);
    let a = HEIGHT == 4 ? v128.load32_splat(left) : v128.load(left);
    c00 = multiplyAddFloat32(c00, a, b0);
    c01 = multiplyAddFloat32(c01, a, b1);
    a = HEIGHT == 4 ? v128.load32_splat(left, 4) : v128.load(left, 16);
    c10 = multiplyAddFloat32(c10, a, b0);
    c11 = multiplyAddFloat32(c11, a, b1);
    a = HEIGHT == 4 ? v128.load32_splat(left, 8) : v128.load(left, 32);
    c20 = multiplyAddFloat32(c20, a, b0);
    c21 = multiplyAddFloat32(c21, a, b1);
    a = HEIGHT == 4 ? v128.load32_splat(left, 12) : v128.load(left, 48);
    c30 = multiplyAddFloat32(c30, a, b0);
    c31 = multiplyAddFloat32(c31, a, b1);
    if (HEIGHT == 4) continue;
    a = v128.load(left, 64);
    c40 = multiplyAddFloat32(c40, a, b0);
    c41 = multiplyAddFloat32(c41, a, b1);
    a = v128.load(left, 80);
    c50 = multiplyAddFloat32(c50, a, b0);
    c51 = multiplyAddFloat32(c51, a, b1);
  }
  storeFour(PART, c00, c01, c10, c11);
  storeFour(PART + 64, c20, c21, c30, c31);
  if (HEIGHT > 4) storeFour(PART + 128, c40, c41, c50, c51);
}

// @ts-ignore: decorator
@inline
function storeFour(at: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(at, a);
  v128.store(at, b, 16);
  v128.store(at, c, 32);
  v128.store(at, d, 48);
}

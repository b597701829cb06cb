// Left^T right for two tiles: columns side by side, 32 bytes per row.

/** Columns whose tiles stay in the second-level cache while all rows of a product pass by: 64 x 193 x 8 = 97 KB. */
export const COLUMN_BLOCK: i32 = 64;
/** Where the products are left: 4 x 8 float64 at most. The host keeps the memory free up to the end of SPREAD. */
export const PRODUCT: usize = 64;
/** One block's float32 sums: 4 x 8. */
const PART: usize = PRODUCT + 4 * 8 * 8;
/** Room for a tile of the moments' 193 rows as spreadTile leaves it. */
export const SPREAD: usize = PART + 4 * 8 * 4;
/** Rows summed in float32 before they are added in float64. */
const PART_ROWS: i32 = 32;

/**
 * Four columns of `from` (`step` bytes per row), every number twice: 64 bytes per row. What a product of tiles multiplies
 * by is then a plain load; the loads that double a number cost V8 an address computation each.
 */
export function spreadTile(from: usize, step: usize, count: i32, to: usize): void {
  for (const end = to + (<usize>count << 6); to < end; to += 64, from += step) {
    v128.store(to, v128.load64_splat(from));
    v128.store(to, v128.load64_splat(from, 8), 16);
    v128.store(to, v128.load64_splat(from, 16), 32);
    v128.store(to, v128.load64_splat(from, 24), 48);
  }
}

/** out[q][c] += sum over the rows of left[q] right[c], for four c and `height` q, four at most; left as spreadTile left it. */
export function addTileProduct(
  left: usize, right: usize, rightStep: usize, count: i32, out: usize, outStep: usize, height: i32,
): void {
  const end = left + (<usize>count << 6);
  let c00 = f64x2.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (; left < end; left += 64, right += rightStep) {
    const b0 = v128.load(right), b1 = v128.load(right, 16);
    let a = v128.load(left);
    c00 = f64x2.add(c00, f64x2.mul(a, b0));
    c01 = f64x2.add(c01, f64x2.mul(a, b1));
    a = v128.load(left, 16);
    c10 = f64x2.add(c10, f64x2.mul(a, b0));
    c11 = f64x2.add(c11, f64x2.mul(a, b1));
    a = v128.load(left, 32);
    c20 = f64x2.add(c20, f64x2.mul(a, b0));
    c21 = f64x2.add(c21, f64x2.mul(a, b1));
    a = v128.load(left, 48);
    c30 = f64x2.add(c30, f64x2.mul(a, b0));
    c31 = f64x2.add(c31, f64x2.mul(a, b1));
  }
  addFour(out, c00, c01);
  if (height < 2) return;
  addFour((out += outStep), c10, c11);
  if (height < 3) return;
  addFour((out += outStep), c20, c21);
  if (height < 4) return;
  addFour(out + outStep, c30, c31);
}

// @ts-ignore: decorator
@inline
function addFour(at: usize, low: v128, high: v128): void {
  v128.store(at, f64x2.add(v128.load(at), low));
  v128.store(at, f64x2.add(v128.load(at, 16), high), 16);
}

/** The same for the first four columns of `left` and eight of `right`, float32; sums of PART_ROWS rows in float32. */
// @ts-ignore: decorator
@inline
export function multiplyTilesFloat32(left: usize, right: usize, count: i32): void {
  memory.fill(PRODUCT, 0, 4 * 8 * 8);
  const last = left + (<usize>count << 5);
  while (left < last) {
    const end = min<usize>(last, left + (<usize>PART_ROWS << 5));
    let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
    for (; left < end; left += 32, right += 32) {
      const b0 = v128.load(right), b1 = v128.load(right, 16);
      let a = v128.load32_splat(left);
      c00 = f32x4.add(c00, f32x4.mul(a, b0));
      c01 = f32x4.add(c01, f32x4.mul(a, b1));
      a = v128.load32_splat(left, 4);
      c10 = f32x4.add(c10, f32x4.mul(a, b0));
      c11 = f32x4.add(c11, f32x4.mul(a, b1));
      a = v128.load32_splat(left, 8);
      c20 = f32x4.add(c20, f32x4.mul(a, b0));
      c21 = f32x4.add(c21, f32x4.mul(a, b1));
      a = v128.load32_splat(left, 12);
      c30 = f32x4.add(c30, f32x4.mul(a, b0));
      c31 = f32x4.add(c31, f32x4.mul(a, b1));
    }
    storeEight(PART, c00, c01, c10, c11, c20, c21, c30, c31);
    for (let from = PART, to = PRODUCT; from < PART + 128; from += 8, to += 16) {
      v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(v128.load64_zero(from))));
    }
  }
}

// @ts-ignore: decorator
@inline
function storeEight(at: usize, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128): void {
  v128.store(at, a);
  v128.store(at, b, 16);
  v128.store(at, c, 32);
  v128.store(at, d, 48);
  v128.store(at, e, 64);
  v128.store(at, f, 80);
  v128.store(at, g, 96);
  v128.store(at, h, 112);
}

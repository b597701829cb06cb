// Rows times directions, float32: what a sketch of a wide layer is made of. Rows and directions come in blocks of columns.
import { multiplyAdd, multiplyAddFloat32 } from './multiply-add.as';
import { sumLanes } from './vector.as';

/**
 * rows -= shift, `count` rows of `columns` float32 numbers, a multiple of four; sums (float64) += their columns. Returns the sum of
 * all squares.
 */
export function centerBlock(rows: usize, count: i32, columns: i32, shift: usize, sums: usize): f64 {
  const stride = <usize>columns << 2;
  let low2 = f64x2.splat(0), high2 = low2;
  for (let c: usize = 0; c < stride; c += 16) {
    const center = v128.load(shift + c);
    let low = f64x2.splat(0), high = low;
    for (let at = rows + c, end = at + <usize>count * stride; at < end; at += stride) {
      const x = f32x4.sub(v128.load(at), center);
      v128.store(at, x);
      const a = f64x2.promote_low_f32x4(x), b = f64x2.promote_low_f32x4(i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
      low = f64x2.add(low, a);
      high = f64x2.add(high, b);
      low2 = multiplyAdd(low2, a, a);
      high2 = multiplyAdd(high2, b, b);
    }
    const to = sums + (c << 1);
    v128.store(to, f64x2.add(v128.load(to), low));
    v128.store(to, f64x2.add(v128.load(to, 16), high), 16);
  }
  return sumLanes(f64x2.add(low2, high2));
}

// @ts-ignore: decorator
@inline
function sumFour(x: v128): f64 {
  const high = i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  return sumLanes(f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(high)));
}

// @ts-ignore: decorator
@inline
function addThree(at: usize, a: v128, b: v128, c: v128): void {
  store<f64>(at, load<f64>(at) + sumFour(a));
  store<f64>(at, load<f64>(at, 8) + sumFour(b), 8);
  store<f64>(at, load<f64>(at, 16) + sumFour(c), 16);
}

/**
 * out[i][j] += rows[i] directions[j], inner products of `columns` float32 numbers (a multiple of four, few enough for float32 sums).
 * count and rank are multiples of three.
 */
export function addInnerProducts(
  rows: usize, count: i32, directions: usize, rank: i32, columns: i32, out: usize,
): void {
  const stride = <usize>columns << 2;
  for (let j = 0; j < rank; j += 3) {
    for (let i = 0; i < count; i += 3) {
      let a = rows + <usize>i * stride, b = directions + <usize>j * stride;
      const end = a + stride;
      let s00 = f32x4.splat(0), s01 = s00, s02 = s00, s10 = s00, s11 = s00, s12 = s00, s20 = s00, s21 = s00, s22 = s00;
      for (; a < end; a += 16, b += 16) {
        const a0 = v128.load(a), a1 = v128.load(a + stride), a2 = v128.load(a + 2 * stride);
        let x = v128.load(b);
        s00 = multiplyAddFloat32(s00, a0, x);
        s10 = multiplyAddFloat32(s10, a1, x);
        s20 = multiplyAddFloat32(s20, a2, x);
        x = v128.load(b + stride);
        s01 = multiplyAddFloat32(s01, a0, x);
        s11 = multiplyAddFloat32(s11, a1, x);
        s21 = multiplyAddFloat32(s21, a2, x);
        x = v128.load(b + 2 * stride);
        s02 = multiplyAddFloat32(s02, a0, x);
        s12 = multiplyAddFloat32(s12, a1, x);
        s22 = multiplyAddFloat32(s22, a2, x);
      }
      const at = out + (<usize>(i * rank + j) << 3), step = <usize>rank << 3;
      addThree(at, s00, s01, s02);
      addThree(at + step, s10, s11, s12);
      addThree(at + 2 * step, s20, s21, s22);
    }
  }
}

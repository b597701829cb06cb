// Householder reduction in panels, for matrices that outgrow the cache (LAPACK's dsytrd/dlatrd order of work; Dongarra,
// Hammarling & Sorensen 1989, "Block reduction of matrices to condensed forms"). Within a panel the matrix is only
// read; the updates of all its reflectors are then done in one product of high arithmetic intensity.
import { makeReflector } from './reflector.as';
import { COLUMN_BLOCK, multiplyTiles, PRODUCT } from './tile-product.as';
import { addScaled, dot, get, set, subtractTwo, sumLanes } from './vector.as';

/** Reflectors per panel. */
export const PANEL: i32 = 32;

/**
 * Reduces rows from the last up while more than `keep` remain, as tridiagonalize does; returns how many rows remain.
 * work: 2 PANEL + 2 vectors of size + 8 numbers, then two areas of 2 PANEL (size + 4) numbers.
 */
export function reducePanels(
  matrix: usize, size: i32, stride: usize, diagonal: usize, offDiagonal: usize, tau: usize, work: usize, keep: i32,
): i32 {
  const length = <usize>(size + 8) << 3;
  const vs = work, ws = vs + <usize>PANEL * length, u = ws + <usize>PANEL * length, y = u + length;
  const left = y + length, right = left + ((<usize>(2 * PANEL) * <usize>(size + 4)) << 3);
  let n = size;
  while (n > keep) {
    memory.fill(vs, 0, 2 * PANEL * length);
    for (let k = 0; k < PANEL; k++) {
      const r = n - 1 - k;
      const row = matrix + <usize>r * stride;
      const v = vs + <usize>k * length, w = ws + <usize>k * length;
      for (let p = 0; p < k; p++) {
        const vp = vs + <usize>p * length, wp = ws + <usize>p * length;
        subtractTwo(row, get(vp, r), wp, get(wp, r), vp, r + 1);
      }
      set(diagonal, r, get(row, r));
      const t = makeReflector(row, r, u, offDiagonal + (<usize>(r - 1) << 3));
      set(tau, r, t);
      set(u, r, 0);
      memory.copy(row, u, <usize>(r + 1) << 3);
      if (t == 0) continue;
      memory.copy(v, u, <usize>r << 3);
      multiply(matrix, stride, r, u, y);
      for (let p = 0; p < k; p++) {
        const vp = vs + <usize>p * length, wp = ws + <usize>p * length;
        subtractTwo(y, dot(wp, u, r), vp, dot(vp, u, r), wp, r);
      }
      const correction = -0.5 * t * t * dot(y, u, r);
      for (let j = 0; j < r; j++) set(w, j, t * get(y, j) + correction * get(u, j));
    }
    n -= PANEL;
    updateTriangle(matrix, stride, n, vs, ws, length, left, right);
  }
  return n;
}

/** Columns of A u done together: what they read of u and write of y stays in the first-level cache. */
const COLUMNS: i32 = 512;

/** y = A u on the leading r x r block, of which the lower triangle is read once. Four rows at a time. */
function multiply(matrix: usize, stride: usize, r: i32, u: usize, y: usize): void {
  memory.fill(y, 0, <usize>r << 3);
  let i = 0;
  for (let first = 0; first + 4 <= r; first += COLUMNS) {
    for (i = first; i + 4 <= r; i += 4) multiplyFour(matrix, stride, i, first, u, y);
  }
  for (; i < r; i++) {
    const row = matrix + <usize>i * stride;
    addScaled(y, get(u, i), row, i);
    set(y, i, dot(row, u, i + 1));
  }
}

/** What rows i to i + 3 have in COLUMNS columns from `first` on, up to the diagonal. */
function multiplyFour(matrix: usize, stride: usize, i: i32, first: i32, u: usize, y: usize): void {
  const o = <usize>i << 3;
  const begin = <usize>first << 3;
  const stop = <usize>min<i32>(i, first + COLUMNS) << 3;
  const a = matrix + <usize>i * stride, b = a + stride, c = b + stride, d = c + stride;
  const u0 = v128.load64_splat(u + o), u1 = v128.load64_splat(u + o, 8);
  const u2 = v128.load64_splat(u + o, 16), u3 = v128.load64_splat(u + o, 24);
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  // Pointers and fixed offsets: an address that is computed costs as much as a multiplication here.
  let pa = a + begin, pb = b + begin, pc = c + begin, pd = d + begin, pu = u + begin, py = y + begin;
  for (const end = a + stop; pa < end; pa += 32, pb += 32, pc += 32, pd += 32, pu += 32, py += 32) {
    let uj = v128.load(pu);
    let x = v128.load(pa);
    s0 = f64x2.add(s0, f64x2.mul(x, uj));
    let yj = f64x2.add(v128.load(py), f64x2.mul(x, u0));
    x = v128.load(pb);
    s1 = f64x2.add(s1, f64x2.mul(x, uj));
    yj = f64x2.add(yj, f64x2.mul(x, u1));
    x = v128.load(pc);
    s2 = f64x2.add(s2, f64x2.mul(x, uj));
    yj = f64x2.add(yj, f64x2.mul(x, u2));
    x = v128.load(pd);
    s3 = f64x2.add(s3, f64x2.mul(x, uj));
    v128.store(py, f64x2.add(yj, f64x2.mul(x, u3)));
    uj = v128.load(pu, 16);
    x = v128.load(pa, 16);
    s0 = f64x2.add(s0, f64x2.mul(x, uj));
    yj = f64x2.add(v128.load(py, 16), f64x2.mul(x, u0));
    x = v128.load(pb, 16);
    s1 = f64x2.add(s1, f64x2.mul(x, uj));
    yj = f64x2.add(yj, f64x2.mul(x, u1));
    x = v128.load(pc, 16);
    s2 = f64x2.add(s2, f64x2.mul(x, uj));
    yj = f64x2.add(yj, f64x2.mul(x, u2));
    x = v128.load(pd, 16);
    s3 = f64x2.add(s3, f64x2.mul(x, uj));
    v128.store(py, f64x2.add(yj, f64x2.mul(x, u3)), 16);
  }
  add(y, i, sumLanes(s0));
  add(y, i + 1, sumLanes(s1));
  add(y, i + 2, sumLanes(s2));
  add(y, i + 3, sumLanes(s3));
  if (i >= first + COLUMNS) return;
  // The 4 x 4 block on the diagonal.
  const f0 = get(u, i), f1 = get(u, i + 1), f2 = get(u, i + 2), f3 = get(u, i + 3);
  const a10 = get(b, i), a20 = get(c, i), a21 = get(c, i + 1);
  const a30 = get(d, i), a31 = get(d, i + 1), a32 = get(d, i + 2);
  add(y, i, get(a, i) * f0 + a10 * f1 + a20 * f2 + a30 * f3);
  add(y, i + 1, a10 * f0 + get(b, i + 1) * f1 + a21 * f2 + a31 * f3);
  add(y, i + 2, a20 * f0 + a21 * f1 + get(c, i + 2) * f2 + a32 * f3);
  add(y, i + 3, a30 * f0 + a31 * f1 + a32 * f2 + get(d, i + 3) * f3);
}

// @ts-ignore: decorator
@inline
function add(vector: usize, index: i32, value: f64): void {
  set(vector, index, get(vector, index) + value);
}

/** Leading n x n lower triangle -= V W^T + W V^T, in 4 x 4 blocks; what lies right of the diagonal is scratch. */
function updateTriangle(
  matrix: usize, stride: usize, n: i32, vs: usize, ws: usize, length: usize, left: usize, right: usize,
): void {
  const tileBytes: usize = (2 * PANEL) << 5;
  for (let i = 0; i < n; i += 4) {
    let l = left + <usize>(i >> 2) * tileBytes, r = right + <usize>(i >> 2) * tileBytes;
    for (let p = 0; p < PANEL; p++, l += 64, r += 64) {
      const v = vs + <usize>p * length + (<usize>i << 3), w = ws + <usize>p * length + (<usize>i << 3);
      const v0 = v128.load(v), v1 = v128.load(v, 16), w0 = v128.load(w), w1 = v128.load(w, 16);
      v128.store(l, v0);
      v128.store(l, v1, 16);
      v128.store(l, w0, 32);
      v128.store(l, w1, 48);
      v128.store(r, w0);
      v128.store(r, w1, 16);
      v128.store(r, v0, 32);
      v128.store(r, v1, 48);
    }
  }
  for (let block = 0; block < n; block += COLUMN_BLOCK) {
    for (let i = block; i < n; i += 4) {
      const rows = min<i32>(4, n - i), stop = min<i32>(block + COLUMN_BLOCK, i + 4);
      for (let j = block; j < stop; j += 4) {
        multiplyTiles(left + <usize>(i >> 2) * tileBytes, right + <usize>(j >> 2) * tileBytes, 2 * PANEL);
        let at = matrix + <usize>i * stride + (<usize>j << 3);
        for (let q: i32 = 0; q < rows; q++, at += stride) addScaled(at, -1, PRODUCT + (<usize>q << 5), 4);
      }
    }
  }
}

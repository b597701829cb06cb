// Householder reduction to tridiagonal form: see src/kernels/typescript/tridiagonal.ts, which says the same without SIMD.
import { multiplyAdd, subtractProducts } from './multiply-add.as';
import { makeReflector } from './reflector.as';
import { addScaled, dot, get, set, subtractTwo, sumLanes } from './vector.as';

/**
 * Reduces the lower triangle of `matrix` (`stride` bytes per row, a multiple of 16), which is overwritten by the
 * reflectors. diagonal, offDiagonal and tau have `size` numbers; work has room for 4 (size + 4).
 * Couplings: offDiagonal[i] between i and i + 1; the last and tau[0] are left as they are. The reflector of row r is I - tau[r] u u^T, u left in the row.
 */
export function tridiagonalize(
  matrix: usize, size: i32, stride: usize, diagonal: usize, offDiagonal: usize, tau: usize, work: usize,
): void {
  const length = <usize>(size + 4) << 3;
  const v = work, w = v + length, u = w + length, y = u + length;
  memory.fill(work, 0, 4 * length);
  let pending = false; // whether the update A -= v w^T + w v^T is still to be done
  for (let r = size - 1; r >= 0; r--) {
    const row = matrix + <usize>r * stride;
    if (pending) subtractTwo(row, get(v, r), w, get(w, r), v, r + 1);
    set(diagonal, r, get(row, r));
    if (r == 0) break;
    const t = makeReflector(row, r, u, offDiagonal + (<usize>(r - 1) << 3));
    set(tau, r, t);
    set(u, r, 0);
    memory.copy(row, u, <usize>(r + 1) << 3);
    if (t == 0 && !pending) continue;
    updateAndMultiply(matrix, stride, r, v, w, u, y);
    pending = t != 0;
    if (pending) {
      const correction = -0.5 * t * t * dot(y, u, r);
      for (let j = 0; j < r; j++) {
        set(w, j, t * get(y, j) + correction * get(u, j));
        set(v, j, get(u, j));
      }
    } else {
      memory.fill(v, 0, <usize>r << 3);
      memory.fill(w, 0, <usize>r << 3);
    }
    set(v, r, 0);
    set(w, r, 0);
  }
}

/** On the leading r x r block: A -= v w^T + w v^T, and y = A u. Two rows at a time. */
function updateAndMultiply(matrix: usize, stride: usize, r: i32, v: usize, w: usize, u: usize, y: usize): void {
  memory.fill(y, 0, <usize>(r + 1) << 3);
  let i = 0;
  for (; i + 2 <= r; i += 2) {
    const o = <usize>i << 3;
    const a = matrix + <usize>i * stride, b = a + stride;
    const v0 = v128.load64_splat(v + o), v1 = v128.load64_splat(v + o, 8);
    const w0 = v128.load64_splat(w + o), w1 = v128.load64_splat(w + o, 8);
    const u0 = v128.load64_splat(u + o), u1 = v128.load64_splat(u + o, 8);
    let s0 = f64x2.splat(0), s1 = s0;
    for (let p: usize = 0; p < o; p += 16) {
      const vj = v128.load(v + p), wj = v128.load(w + p), uj = v128.load(u + p);
      let x = subtractProducts(v128.load(a + p), v0, wj, w0, vj);
      v128.store(a + p, x);
      s0 = multiplyAdd(s0, x, uj);
      let yj = multiplyAdd(v128.load(y + p), x, u0);
      x = subtractProducts(v128.load(b + p), v1, wj, w1, vj);
      v128.store(b + p, x);
      s1 = multiplyAdd(s1, x, uj);
      yj = multiplyAdd(yj, x, u1);
      v128.store(y + p, yj);
    }
    // The 2 x 2 block on the diagonal.
    const vi = get(v, i), vn = get(v, i + 1), wi = get(w, i), wn = get(w, i + 1), ui = get(u, i), un = get(u, i + 1);
    const aii = get(a, i) - 2 * vi * wi;
    const ani = get(b, i) - (vn * wi + wn * vi);
    const ann = get(b, i + 1) - 2 * vn * wn;
    set(a, i, aii);
    set(b, i, ani);
    set(b, i + 1, ann);
    set(y, i, get(y, i) + sumLanes(s0) + aii * ui + ani * un);
    set(y, i + 1, get(y, i + 1) + sumLanes(s1) + ani * ui + ann * un);
  }
  if (i < r) {
    const a = matrix + <usize>i * stride;
    subtractTwo(a, get(v, i), w, get(w, i), v, i + 1);
    addScaled(y, get(u, i), a, i);
    set(y, i, get(y, i) + dot(a, u, i + 1));
  }
}

/**
 * Rows of Q^T (size x stride bytes, room for three more), where Q^T A Q is the tridiagonal matrix: see reflectorRows in
 * TypeScript. Here four rows at a time take all reflectors, so that they stay in the cache.
 */
export function reflectorRows(matrix: usize, size: i32, stride: usize, tau: usize, rows: usize): void {
  memory.fill(rows, 0, <usize>size * stride);
  for (let i = 0; i < size; i++) set(rows + <usize>i * stride, i, 1.0);
  for (let i = 0; i < size; i += 4) {
    const row = rows + <usize>i * stride;
    for (let r = i + 1; r < size; r++) {
      const t = get(tau, r);
      // Row r - 1 and those below have no entries left of column r - 1 yet, so the reflector leaves them as they are.
      if (t != 0) reflectFour(row, stride, matrix + <usize>r * stride, <usize>r << 3, -t);
    }
  }
}

/** x += factor (x u) u for four rows x of `bytes` bytes; a last odd number is done together with the zero behind it. */
export function reflectFour(a: usize, stride: usize, u: usize, bytes: usize, factor: f64): void {
  const b = a + stride, c = b + stride, d = c + stride;
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (let p: usize = 0; p < bytes; p += 16) {
    const x = v128.load(u + p);
    s0 = multiplyAdd(s0, x, v128.load(a + p));
    s1 = multiplyAdd(s1, x, v128.load(b + p));
    s2 = multiplyAdd(s2, x, v128.load(c + p));
    s3 = multiplyAdd(s3, x, v128.load(d + p));
  }
  s0 = f64x2.splat(factor * sumLanes(s0));
  s1 = f64x2.splat(factor * sumLanes(s1));
  s2 = f64x2.splat(factor * sumLanes(s2));
  s3 = f64x2.splat(factor * sumLanes(s3));
  for (let p: usize = 0; p < bytes; p += 16) {
    const x = v128.load(u + p);
    v128.store(a + p, multiplyAdd(v128.load(a + p), s0, x));
    v128.store(b + p, multiplyAdd(v128.load(b + p), s1, x));
    v128.store(c + p, multiplyAdd(v128.load(c + p), s2, x));
    v128.store(d + p, multiplyAdd(v128.load(d + p), s3, x));
  }
}

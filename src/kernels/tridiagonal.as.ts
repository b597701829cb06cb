// Householder reduction to tridiagonal form: see typescript-tridiagonal.ts, which says the same without SIMD.
import { addScaled, dot, get, set, subtractTwo, sumLanes } from './vector.as';

/**
 * Reduces the lower triangle of `matrix` (`stride` bytes per row, a multiple of 16), which is overwritten by the
 * reflectors. diagonal, offDiagonal and tau have `size` numbers; work has room for 4 (size + 4).
 * Couplings: offDiagonal[i] between i and i + 1. The reflector of row r is I - tau[r] u u^T, u left in the row.
 */
export function tridiagonalize(
  matrix: usize, size: i32, stride: usize, diagonal: usize, offDiagonal: usize, tau: usize, work: usize,
): void {
  const length = <usize>(size + 4) << 3;
  const v = work, w = v + length, u = w + length, y = u + length;
  memory.fill(work, 0, 4 * length);
  memory.fill(tau, 0, <usize>size << 3);
  memory.fill(offDiagonal, 0, <usize>size << 3);
  let pending = false; // whether the update A -= v w^T + w v^T is still to be done
  for (let r = size - 1; r >= 0; r--) {
    const row = matrix + <usize>r * stride;
    if (pending) subtractTwo(row, get(v, r), w, get(w, r), v, r + 1);
    set(diagonal, r, get(row, r));
    if (r == 0) break;
    const t = makeReflector(row, r, u, offDiagonal + (<usize>(r - 1) << 3));
    set(tau, r, t);
    memory.copy(row, u, <usize>r << 3);
    set(u, r, 0);
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

/** u with last entry 1 such that (I - tau u u^T) x = beta e_last; u = 0 where nothing is to be done. Returns tau. */
function makeReflector(x: usize, length: i32, u: usize, beta: usize): f64 {
  const last = length - 1;
  const alpha = get(x, last);
  let largest: f64 = 0;
  for (let j = 0; j < length; j++) largest = max(largest, abs(get(x, j)));
  let tail: f64 = 0;
  if (largest > 0) {
    const inverse = 1.0 / largest;
    for (let j = 0; j < last; j++) set(u, j, get(x, j) * inverse);
    tail = dot(u, u, last);
  }
  if (tail == 0) {
    store<f64>(beta, alpha);
    memory.fill(u, 0, <usize>length << 3);
    return 0;
  }
  const scaled = alpha / largest;
  const norm = Math.sqrt(scaled * scaled + tail);
  const image = scaled >= 0 ? -norm : norm;
  const scale = 1.0 / (scaled - image);
  for (let j = 0; j < last; j++) set(u, j, get(u, j) * scale);
  set(u, last, 1.0);
  store<f64>(beta, image * largest);
  return (image - scaled) / image;
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
      let x = f64x2.sub(v128.load(a + p), f64x2.add(f64x2.mul(v0, wj), f64x2.mul(w0, vj)));
      v128.store(a + p, x);
      s0 = f64x2.add(s0, f64x2.mul(x, uj));
      let yj = f64x2.add(v128.load(y + p), f64x2.mul(x, u0));
      x = f64x2.sub(v128.load(b + p), f64x2.add(f64x2.mul(v1, wj), f64x2.mul(w1, vj)));
      v128.store(b + p, x);
      s1 = f64x2.add(s1, f64x2.mul(x, uj));
      yj = f64x2.add(yj, f64x2.mul(x, u1));
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

/** Rows of Q^T (size x stride bytes), where Q^T A Q is the tridiagonal matrix: see reflectorRows in TypeScript. */
export function reflectorRows(matrix: usize, size: i32, stride: usize, tau: usize, rows: usize): void {
  memory.fill(rows, 0, <usize>size * stride);
  for (let i = 0; i < size; i++) set(rows + <usize>i * stride, i, 1.0);
  for (let r = 1; r < size; r++) {
    const t = get(tau, r);
    if (t == 0) continue;
    const u = matrix + <usize>r * stride;
    for (let i = 0; i < r; i++) {
      const row = rows + <usize>i * stride;
      addScaled(row, -t * dot(row, u, r), u, r);
    }
  }
}

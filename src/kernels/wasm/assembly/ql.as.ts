// Eigenvalues of symmetric tridiagonal matrices: see src/kernels/typescript/ql.ts, which says the same with its sources.
import { multiplyAdd, multiplySubtract } from './multiply-add.as';
import { get, set } from './vector.as';

/** Sweeps whose rotations are collected before they are applied to the eigenvectors, strip by strip. */
export const COLLECTED_SWEEPS: i32 = 32;

const EPSILON: f64 = 1.1102230246251565e-16;
const NEGLIGIBLE: f64 = 1e-290;
const MAX_SWEEPS: i32 = 30;

function normalize(d: usize, e: usize, size: i32): f64 {
  let norm: f64 = 0;
  for (let i = 0; i < size; i++) norm = max(norm, max(abs(get(d, i)), abs(get(e, i))));
  if (norm == 0) return 0;
  for (let i = 0; i < size; i++) {
    set(d, i, get(d, i) / norm);
    set(e, i, get(e, i) / norm);
  }
  return norm;
}

function blockEnd(d: usize, e: usize, first: i32, size: i32): i32 {
  let last = first;
  for (; last < size - 1; last++) {
    const coupling = abs(get(e, last));
    if (
      coupling <= Math.sqrt(abs(get(d, last))) * Math.sqrt(abs(get(d, last + 1))) * EPSILON ||
      coupling * coupling <= NEGLIGIBLE
    ) {
      set(e, last, 0);
      break;
    }
  }
  return last;
}

function reverse(vector: usize, first: i32, last: i32): void {
  for (let i = first, j = last; i < j; i++, j--) {
    const t = get(vector, i);
    set(vector, i, get(vector, j));
    set(vector, j, t);
  }
}

/**
 * Replaces d by the eigenvalues, in no order; destroys e (e[i] couples i and i + 1). Returns false when it gave up.
 * Applies every rotation to the rows of `vectors` (`stride` bytes each, a multiple of 64), unless that is 0: then there
 * are no rotations, and a block's e hold their squares (Pal, Walker and Kahan).
 * rotations: room for COLLECTED_SWEEPS sweeps of 2 size numbers; ranges: for 2 COLLECTED_SWEEPS numbers.
 */
export function ql(
  d: usize, e: usize, size: i32, vectors: usize, stride: usize, rotations: usize, ranges: usize,
): bool {
  const norm = normalize(d, e, size);
  if (norm == 0) return true;
  let sweeps = MAX_SWEEPS * size;
  let next = 0;
  let collected = 0;
  while (next < size) {
    const first = next;
    const last = blockEnd(d, e, first, size);
    next = last + 1;
    if (abs(get(d, last)) < abs(get(d, first))) {
      applyRotations(vectors, stride, rotations, ranges, collected, size);
      collected = 0;
      reverse(d, first, last);
      reverse(e, first, last - 1);
      for (let i = first, j = last; i < j; i++, j--) {
        swapRows(vectors + <usize>i * stride, vectors + <usize>j * stride, stride);
      }
    }
    if (!vectors) for (let i = first; i < last; i++) set(e, i, get(e, i) * get(e, i));
    let l = first;
    while (l <= last) {
      let m = l;
      while (m < last) {
        const coupling = get(e, m);
        const square = vectors ? coupling * coupling : coupling;
        if (square <= EPSILON * EPSILON * abs(get(d, m) * get(d, m + 1)) + NEGLIGIBLE) break;
        m++;
      }
      if (m < last) set(e, m, 0);
      if (m == l) {
        l++;
      } else if (!vectors && m == l + 1) {
        solveTwoByTwo(d, e, l);
        l += 2;
      } else {
        if (sweeps-- == 0) return false;
        if (!vectors) {
          sweepValues(d, e, l, m);
          continue;
        }
        const lowest = sweepVectors(d, e, l, m, rotations + <usize>collected * (<usize>size << 4));
        set(ranges, 2 * collected, <f64>lowest);
        set(ranges, 2 * collected + 1, <f64>m);
        if (++collected == COLLECTED_SWEEPS) {
          applyRotations(vectors, stride, rotations, ranges, collected, size);
          collected = 0;
        }
      }
    }
  }
  applyRotations(vectors, stride, rotations, ranges, collected, size);
  for (let i = 0; i < size; i++) set(d, i, get(d, i) * norm);
  return true;
}

function solveTwoByTwo(d: usize, squares: usize, l: i32): void {
  const a = get(d, l), c = get(d, l + 1), square = get(squares, l);
  const sum = a + c;
  const root = Math.sqrt((a - c) * (a - c) + 4 * square);
  const large = 0.5 * (sum < 0 ? sum - root : sum + root);
  set(d, l, large);
  set(d, l + 1, sum == 0 ? -large : (a / large) * c - square / large);
  set(squares, l, 0);
}

function sweepValues(d: usize, squares: usize, l: i32, m: i32): void {
  const root = Math.sqrt(get(squares, l));
  const half = (get(d, l + 1) - get(d, l)) / (2 * root);
  const radius = Math.sqrt(half * half + 1);
  const shift = get(d, l) - root / (half + (half >= 0 ? radius : -radius));
  let cosine: f64 = 1, sine: f64 = 0;
  let gamma = get(d, m) - shift;
  let p = gamma * gamma;
  for (let i = m - 1; i >= l; i--) {
    const square = get(squares, i);
    const r = p + square;
    if (i != m - 1) set(squares, i + 1, sine * r);
    const previousCosine = cosine;
    cosine = p / r;
    sine = square / r;
    const previousGamma = gamma;
    const alpha = get(d, i);
    gamma = cosine * (alpha - shift) - sine * previousGamma;
    set(d, i + 1, previousGamma + (alpha - gamma));
    p = cosine != 0 ? (gamma * gamma) / cosine : previousCosine * square;
  }
  set(squares, l, sine * p);
  set(d, l, shift + gamma);
}

function swapRows(a: usize, b: usize, stride: usize): void {
  for (let p: usize = 0; p < stride; p += 16) {
    const t = v128.load(a + p);
    v128.store(a + p, v128.load(b + p));
    v128.store(b + p, t);
  }
}

/** Writes the rotation of rows i and i + 1 to rotations[2 i], [2 i + 1] (cosine, sine); returns the lowest such i. */
function sweepVectors(d: usize, e: usize, l: i32, m: i32, rotations: usize): i32 {
  const half = (get(d, l + 1) - get(d, l)) / (2 * get(e, l));
  const radius = Math.sqrt(half * half + 1);
  let g = get(d, m) - get(d, l) + get(e, l) / (half + (half >= 0 ? radius : -radius));
  let sine: f64 = 1, cosine: f64 = 1, p: f64 = 0;
  for (let i = m - 1; i >= l; i--) {
    const f = sine * get(e, i);
    const b = cosine * get(e, i);
    const r = Math.sqrt(f * f + g * g);
    set(e, i + 1, r);
    if (r == 0) {
      set(d, i + 1, get(d, i + 1) - p);
      set(e, m, 0);
      return i + 1;
    }
    sine = f / r;
    cosine = g / r;
    g = get(d, i + 1) - p;
    const t = (get(d, i) - g) * sine + 2 * cosine * b;
    p = sine * t;
    set(d, i + 1, g + p);
    g = cosine * t - b;
    set(rotations, 2 * i, cosine);
    set(rotations, 2 * i + 1, sine);
  }
  set(d, l, get(d, l) - p);
  set(e, l, g);
  set(e, m, 0);
  return l;
}

/** Applies the collected sweeps to strips of eight columns, which stay in the cache; a row is loaded once per sweep. */
function applyRotations(vectors: usize, stride: usize, rotations: usize, ranges: usize, sweeps: i32, size: i32): void {
  for (let strip = vectors, end = vectors + stride; strip < end; strip += 64) {
    for (let k = 0; k < sweeps; k++) {
      const l = <i32>get(ranges, 2 * k), m = <i32>get(ranges, 2 * k + 1);
      const sweep = rotations + <usize>k * (<usize>size << 4);
      let at = strip + <usize>m * stride;
      let x0 = v128.load(at), x1 = v128.load(at, 16), x2 = v128.load(at, 32), x3 = v128.load(at, 48);
      for (let i = m - 1; i >= l; i--) {
        const c = v128.load64_splat(sweep + (<usize>i << 4)), s = v128.load64_splat(sweep + (<usize>i << 4), 8);
        const below = at - stride;
        let y = v128.load(below);
        v128.store(at, multiplyAdd(f64x2.mul(s, y), c, x0));
        x0 = multiplySubtract(f64x2.mul(c, y), s, x0);
        y = v128.load(below, 16);
        v128.store(at, multiplyAdd(f64x2.mul(s, y), c, x1), 16);
        x1 = multiplySubtract(f64x2.mul(c, y), s, x1);
        y = v128.load(below, 32);
        v128.store(at, multiplyAdd(f64x2.mul(s, y), c, x2), 32);
        x2 = multiplySubtract(f64x2.mul(c, y), s, x2);
        y = v128.load(below, 48);
        v128.store(at, multiplyAdd(f64x2.mul(s, y), c, x3), 48);
        x3 = multiplySubtract(f64x2.mul(c, y), s, x3);
        at = below;
      }
      v128.store(at, x0);
      v128.store(at, x1, 16);
      v128.store(at, x2, 32);
      v128.store(at, x3, 48);
    }
  }
}

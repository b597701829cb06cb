/**
 * Eigenvalues of symmetric tridiagonal matrices by QL iteration: TypeScript twin of src/kernels/wasm/assembly/ql.as.ts.
 *
 * Values only: the square-root-free Pal-Walker-Kahan variant, as described for LAPACK's dsterf
 * (https://netlib.org/lapack/explore-html/d2/d24/group__sterf.html; Parlett, The Symmetric Eigenvalue Problem, 8.15).
 * With vectors: implicit QL with Wilkinson's shift (Parlett, 8.11). Both work block by block, and reverse a block whose
 * large end is at the bottom: plain QL does not converge on strongly graded matrices.
 */

/** Half the spacing of doubles at 1, LAPACK's dlamch('Epsilon'). */
const EPSILON = 2 ** -53;
/** Squared couplings below this are noise beside a matrix of norm 1, even if the diagonal is zero. */
const NEGLIGIBLE = 1e-290;
/** Sweeps per eigenvalue after which the iteration gives up: LAPACK's limit. About two are usual. */
const MAX_SWEEPS = 30;

/** Scales the matrix to norm 1; returns the norm. */
function normalize(diagonal: Float64Array, offDiagonal: Float64Array): number {
  let norm = 0;
  for (const x of diagonal) norm = Math.max(norm, Math.abs(x));
  for (const x of offDiagonal) norm = Math.max(norm, Math.abs(x));
  if (norm === 0) return 0;
  for (let i = 0; i < diagonal.length; i++) {
    diagonal[i] /= norm;
    offDiagonal[i] /= norm;
  }
  return norm;
}

/** Last row of the block that starts at `first`; the coupling behind it is set to zero. */
function blockEnd(diagonal: Float64Array, offDiagonal: Float64Array, first: number): number {
  let last = first;
  for (; last < diagonal.length - 1; last++) {
    const scale = Math.sqrt(Math.abs(diagonal[last])) * Math.sqrt(Math.abs(diagonal[last + 1]));
    const coupling = Math.abs(offDiagonal[last]);
    if (coupling <= scale * EPSILON || coupling * coupling <= NEGLIGIBLE) {
      offDiagonal[last] = 0;
      break;
    }
  }
  return last;
}

function shouldReverse(diagonal: Float64Array, first: number, last: number): boolean {
  return Math.abs(diagonal[last]) < Math.abs(diagonal[first]);
}

function notConverged(): Error {
  return new Error('The eigenvalue iteration did not converge; please report the matrix.');
}

/** Replaces `diagonal` by the eigenvalues, in no particular order; destroys `offDiagonal` (entry i couples i and i + 1). */
export function qlEigenvalues(diagonal: Float64Array, offDiagonal: Float64Array): void {
  const norm = normalize(diagonal, offDiagonal);
  if (norm === 0) return;
  let sweeps = MAX_SWEEPS * diagonal.length;
  for (let next = 0; next < diagonal.length; ) {
    const first = next;
    const last = blockEnd(diagonal, offDiagonal, first);
    next = last + 1;
    if (shouldReverse(diagonal, first, last)) {
      diagonal.subarray(first, last + 1).reverse();
      offDiagonal.subarray(first, last).reverse();
    }
    for (let i = first; i < last; i++) offDiagonal[i] *= offDiagonal[i];
    for (let l = first; l <= last; ) {
      let m = l;
      while (m < last && offDiagonal[m] > EPSILON * EPSILON * Math.abs(diagonal[m] * diagonal[m + 1]) + NEGLIGIBLE) m++;
      if (m < last) offDiagonal[m] = 0;
      if (m === l) l++;
      else if (m === l + 1) {
        solveTwoByTwo(diagonal, offDiagonal, l);
        l += 2;
      } else {
        if (sweeps-- === 0) throw notConverged();
        sweepValues(diagonal, offDiagonal, l, m);
      }
    }
  }
  for (let i = 0; i < diagonal.length; i++) diagonal[i] *= norm;
}

/** Eigenvalues of [[a, b], [b, c]] with b squared in squares[l]; the smaller one from the determinant, without cancellation. */
function solveTwoByTwo(diagonal: Float64Array, squares: Float64Array, l: number): void {
  const a = diagonal[l];
  const c = diagonal[l + 1];
  const sum = a + c;
  const root = Math.sqrt((a - c) * (a - c) + 4 * squares[l]);
  const large = 0.5 * (sum < 0 ? sum - root : sum + root);
  diagonal[l] = large;
  diagonal[l + 1] = sum === 0 ? -large : (a / large) * c - squares[l] / large;
  squares[l] = 0;
}

/** One square-root-free QL sweep over rows l..m; `squares` holds the squared couplings. */
function sweepValues(diagonal: Float64Array, squares: Float64Array, l: number, m: number): void {
  const root = Math.sqrt(squares[l]);
  const half = (diagonal[l + 1] - diagonal[l]) / (2 * root);
  const radius = Math.sqrt(half * half + 1);
  const shift = diagonal[l] - root / (half + (half >= 0 ? radius : -radius));
  let cosine = 1;
  let sine = 0;
  let gamma = diagonal[m] - shift;
  let p = gamma * gamma;
  for (let i = m - 1; i >= l; i--) {
    const square = squares[i];
    const r = p + square;
    if (i !== m - 1) squares[i + 1] = sine * r;
    const previousCosine = cosine;
    cosine = p / r;
    sine = square / r;
    const previousGamma = gamma;
    const alpha = diagonal[i];
    gamma = cosine * (alpha - shift) - sine * previousGamma;
    diagonal[i + 1] = previousGamma + (alpha - gamma);
    p = cosine !== 0 ? (gamma * gamma) / cosine : previousCosine * square;
  }
  squares[l] = sine * p;
  diagonal[l] = shift + gamma;
}

/**
 * Does what qlEigenvalues does, and applies every rotation to the rows of `vectors` (size x size): if they are the rows of
 * Q^T, they become the eigenvectors, and row i belongs to diagonal[i].
 */
export function qlEigenvectors(diagonal: Float64Array, offDiagonal: Float64Array, vectors: Float64Array): void {
  const size = diagonal.length;
  const norm = normalize(diagonal, offDiagonal);
  if (norm === 0) return;
  let sweeps = MAX_SWEEPS * size;
  for (let next = 0; next < size; ) {
    const first = next;
    const last = blockEnd(diagonal, offDiagonal, first);
    next = last + 1;
    if (shouldReverse(diagonal, first, last)) {
      diagonal.subarray(first, last + 1).reverse();
      offDiagonal.subarray(first, last).reverse();
      for (let i = first, j = last; i < j; i++, j--) swapRows(vectors, size, i, j);
    }
    for (let l = first; l <= last; ) {
      let m = l;
      while (m < last) {
        const coupling = offDiagonal[m] * offDiagonal[m];
        if (coupling <= EPSILON * EPSILON * Math.abs(diagonal[m] * diagonal[m + 1]) + NEGLIGIBLE) break;
        m++;
      }
      if (m < last) offDiagonal[m] = 0;
      if (m === l) l++;
      else {
        if (sweeps-- === 0) throw notConverged();
        sweepVectors(diagonal, offDiagonal, vectors, l, m);
      }
    }
  }
  for (let i = 0; i < size; i++) diagonal[i] *= norm;
}

function swapRows(vectors: Float64Array, size: number, a: number, b: number): void {
  const row = vectors.slice(a * size, (a + 1) * size);
  vectors.copyWithin(a * size, b * size, (b + 1) * size);
  vectors.set(row, b * size);
}

/** One implicit QL sweep over rows l..m with Wilkinson's shift. */
function sweepVectors(d: Float64Array, e: Float64Array, vectors: Float64Array, l: number, m: number): void {
  const size = d.length;
  const half = (d[l + 1] - d[l]) / (2 * e[l]);
  const radius = Math.sqrt(half * half + 1);
  let g = d[m] - d[l] + e[l] / (half + (half >= 0 ? radius : -radius));
  let sine = 1;
  let cosine = 1;
  let p = 0;
  for (let i = m - 1; i >= l; i--) {
    const f = sine * e[i];
    const b = cosine * e[i];
    const r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] -= p;
      e[m] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1] - p;
    const t = (d[i] - g) * sine + 2 * cosine * b;
    p = sine * t;
    d[i + 1] = g + p;
    g = cosine * t - b;
    rotateRows(vectors, i * size, (i + 1) * size, size, cosine, sine);
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
}

function rotateRows(v: Float64Array, lower: number, upper: number, size: number, cosine: number, sine: number): void {
  for (let k = 0; k < size; k++) {
    const a = v[lower + k];
    const b = v[upper + k];
    v[upper + k] = sine * a + cosine * b;
    v[lower + k] = cosine * a - sine * b;
  }
}

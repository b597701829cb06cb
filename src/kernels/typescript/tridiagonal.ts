/**
 * Householder reduction of a symmetric matrix to tridiagonal form, from the last row up (Golub & Van Loan, Matrix
 * Computations, section 8.3.1). Each step's rank-2 update is fused with the next step's matrix-vector product, so the
 * triangle is read and written once per step. TypeScript twin of
 * src/kernels/wasm/assembly/tridiagonal.as.ts.
 */
export interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** Entry i couples i and i + 1; the last is 0. */
  readonly offDiagonal: Float64Array;
  /** Entry r scales the reflector that is left in row r of the matrix: H = I - tau u u^T. 0: no reflection. */
  readonly tau: Float64Array;
}

/** Reduces `matrix` (size x size, lower triangle), which is overwritten by the reflectors. */
export function tridiagonalize(matrix: Float64Array, size: number): Tridiagonal {
  const diagonal = new Float64Array(size);
  const offDiagonal = new Float64Array(size);
  const tau = new Float64Array(size);
  const v = new Float64Array(size);
  const w = new Float64Array(size);
  const u = new Float64Array(size);
  const product = new Float64Array(size);
  let pending = false; // whether the update A -= v w^T + w v^T is still to be done
  for (let r = size - 1; r >= 0; r--) {
    const row = r * size;
    if (pending) for (let j = 0; j <= r; j++) matrix[row + j] -= v[r] * w[j] + w[r] * v[j];
    diagonal[r] = matrix[row + r];
    if (r === 0) break;
    const reflector = makeReflector(matrix, row, r, u);
    offDiagonal[r - 1] = reflector.beta;
    tau[r] = reflector.tau;
    if (reflector.tau === 0) u.fill(0, 0, r);
    matrix.set(u.subarray(0, r), row);
    if (reflector.tau === 0 && !pending) continue;
    updateAndMultiply(matrix, size, r, pending ? v : undefined, w, u, product);
    pending = reflector.tau !== 0;
    if (!pending) continue;
    let inner = 0;
    for (let j = 0; j < r; j++) inner += product[j] * u[j];
    const correction = -0.5 * reflector.tau * reflector.tau * inner;
    for (let j = 0; j < r; j++) {
      w[j] = reflector.tau * product[j] + correction * u[j];
      v[j] = u[j];
    }
  }
  return { diagonal, offDiagonal, tau };
}

/** u with last entry 1 such that (I - tau u u^T) x = beta e_last, for x = matrix[row .. row + length). */
function makeReflector(
  matrix: Float64Array,
  row: number,
  length: number,
  u: Float64Array,
): { tau: number; beta: number } {
  const alpha = matrix[row + length - 1];
  let largest = 0;
  for (let j = 0; j < length; j++) largest = Math.max(largest, Math.abs(matrix[row + j]));
  if (largest === 0) return { tau: 0, beta: alpha };
  let tail = 0;
  for (let j = 0; j < length - 1; j++) {
    const t = matrix[row + j] / largest;
    tail += t * t;
  }
  if (tail === 0) return { tau: 0, beta: alpha };
  const scaled = alpha / largest;
  const norm = Math.sqrt(scaled * scaled + tail);
  const beta = scaled >= 0 ? -norm : norm;
  const scale = 1 / (scaled - beta);
  for (let j = 0; j < length - 1; j++) u[j] = (matrix[row + j] / largest) * scale;
  u[length - 1] = 1;
  return { tau: (beta - scaled) / beta, beta: beta * largest };
}

/** On the leading r x r block: A -= v w^T + w v^T (when v is given), then product = A u. */
function updateAndMultiply(
  matrix: Float64Array,
  size: number,
  r: number,
  v: Float64Array | undefined,
  w: Float64Array,
  u: Float64Array,
  product: Float64Array,
): void {
  for (let i = 0; i < r; i++) {
    const row = i * size;
    const ui = u[i];
    let sum = 0;
    if (v) {
      const vi = v[i];
      const wi = w[i];
      for (let j = 0; j < i; j++) {
        const a = matrix[row + j] - (vi * w[j] + wi * v[j]);
        matrix[row + j] = a;
        sum += a * u[j];
        product[j] += a * ui;
      }
      matrix[row + i] -= 2 * vi * wi;
    } else {
      for (let j = 0; j < i; j++) {
        const a = matrix[row + j];
        sum += a * u[j];
        product[j] += a * ui;
      }
    }
    product[i] = sum + matrix[row + i] * ui;
  }
}

/**
 * Rows of Q^T (size x size), where Q^T A Q is the tridiagonal matrix, from the reflectors that tridiagonalize left.
 * Built from the smallest reflector up, so that step r touches the leading r x r block only.
 */
export function reflectorRows(matrix: Float64Array, size: number, tau: Float64Array): Float64Array {
  const rows = new Float64Array(size * size);
  for (let i = 0; i < size; i++) rows[i * size + i] = 1;
  for (let r = 1; r < size; r++) {
    if (tau[r] === 0) continue;
    const u = matrix.subarray(r * size, r * size + r);
    for (let i = 0; i < r; i++) {
      const start = i * size;
      let inner = 0;
      for (let j = 0; j < r; j++) inner += rows[start + j] * u[j];
      inner *= tau[r];
      for (let j = 0; j < r; j++) rows[start + j] -= inner * u[j];
    }
  }
  return rows;
}

import { normal, uniform } from './random.js';

/** A symmetric matrix (row-major), with its eigenvalues (descending) if they are known by construction. */
export interface StressMatrix {
  name: string;
  size: number;
  entries: Float64Array;
  eigenvalues?: Float64Array;
}

type Entry = (i: number, j: number) => number;

function fromEntries(name: string, size: number, entry: Entry, eigenvalues?: ArrayLike<number>): StressMatrix {
  const entries = Float64Array.from({ length: size * size }, (_, p) => entry(Math.floor(p / size), p % size));
  return { name, size, entries, eigenvalues: eigenvalues && Float64Array.from(eigenvalues).sort().reverse() };
}

/** Q diag(values) Q^T with Q a product of `reflections` random Householder reflections: the spectrum is known. */
export function withSpectrum(name: string, values: ArrayLike<number>, seed: number, reflections = 3): StressMatrix {
  const size = values.length;
  const next = normal(seed);
  const matrix = fromEntries(name, size, (i, j) => (i === j ? values[i] : 0), values);
  const { entries } = matrix;
  for (let step = 0; step < reflections; step++) {
    const u = Float64Array.from({ length: size }, next);
    const square = u.reduce((sum, x) => sum + x * x, 0);
    // A - u w^T - w u^T with w = (2 / u.u) (A u - (u.A u / u.u) u)
    const product = u.map((_, i) => u.reduce((sum, x, j) => sum + entries[i * size + j] * x, 0));
    const inner = u.reduce((sum, x, i) => sum + x * product[i], 0);
    const w = product.map((x, i) => (2 / square) * (x - (inner / square) * u[i]));
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) entries[i * size + j] -= u[i] * w[j] + w[i] * u[j];
    }
  }
  return matrix;
}

const sizes = [2, 3, 4, 5, 8, 13, 16, 21, 32, 33, 47, 64];
/** Scales at the ends of the double range and between: a subnormal, the smallest normal ones, 1, and huge ones. */
const scales = [1e-320, 1e-305, 1e-160, 1, 1e160, 1e300];

/** Matrices that are hard for eigenvalue solvers: more than 500, of sizes 1 to 512. */
export function stressMatrices(): StressMatrix[] {
  const all: StressMatrix[] = [fromEntries('one number', 1, () => -2.5, [-2.5])];
  for (const n of sizes) {
    const range = Array.from({ length: n }, (_, i) => i);
    const seed = 100 * n;
    all.push(
      fromEntries(`zeros ${n}`, n, () => 0, new Float64Array(n)),
      fromEntries(
        `ones ${n}`,
        n,
        () => 1,
        range.map((i) => (i === 0 ? n : 0)),
      ),
      fromEntries(
        `subnormal ones ${n}`,
        n,
        () => 1e-320,
        range.map((i) => (i === 0 ? n * 1e-320 : 0)),
      ),
      fromEntries(`dead rows ${n}`, n, (i, j) => (i % 3 && j % 3 ? 1 / (i + j) : 0)),
      fromEntries(
        `minus ones ${n}`,
        n,
        () => -1,
        range.map((i) => (i === 0 ? -n : 0)),
      ),
      fromEntries(`identity ${n}`, n, (i, j) => Number(i === j), new Float64Array(n).fill(1)),
      fromEntries(
        `diagonal ${n}`,
        n,
        (i, j) => (i === j ? i - n / 2 : 0),
        range.map((i) => i - n / 2),
      ),
      fromEntries(
        `exchange ${n}`,
        n,
        (i, j) => Number(i + j === n - 1),
        range.map((i) => (i < Math.ceil(n / 2) ? 1 : -1)),
      ),
      fromEntries(
        `second difference ${n}`,
        n,
        (i, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0),
        range.map((i) => 4 * Math.sin(((i + 1) * Math.PI) / (2 * (n + 1))) ** 2),
      ),
      fromEntries(
        `path ${n}`,
        n,
        (i, j) => Number(Math.abs(i - j) === 1),
        range.map((i) => 2 * Math.cos(((i + 1) * Math.PI) / (n + 1))),
      ),
      fromEntries(
        `Clement ${n}`,
        n,
        (i, j) => (Math.abs(i - j) === 1 ? Math.sqrt(Math.max(i, j) * (n - Math.max(i, j))) : 0),
        range.map((i) => n - 1 - 2 * i),
      ),
      fromEntries(`Hilbert ${n}`, n, (i, j) => 1 / (i + j + 1)),
      fromEntries(`Wilkinson ${n}`, n, (i, j) => (i === j ? Math.abs(i - (n - 1) / 2) : Number(Math.abs(i - j) === 1))),
      fromEntries(
        `min ${n}`,
        n,
        (i, j) => Math.min(i, j) + 1,
        range.map((i) => 0.25 / Math.sin(((2 * i + 1) * Math.PI) / (4 * n + 2)) ** 2),
      ),
      fromEntries(`Kac ${n}`, n, (i, j) => 0.99 ** Math.abs(i - j)),
      fromEntries(`graded down ${n}`, n, (i, j) => 10 ** -(i + j)),
      fromEntries(`graded up ${n}`, n, (i, j) => 10 ** (i + j - 2 * n)),
      fromEntries(
        `graded couplings ${n}`,
        n,
        (i, j) =>
          (i === j ? Math.exp(-i / 8) : Math.abs(i - j) === 1 ? 0.1 * Math.exp(-i / 8) : 0) *
          (i > j ? Math.exp(1 / 8) : 1),
      ),
      withSpectrum(
        `exp(-i/8) ${n}`,
        range.map((i) => Math.exp(-i / 8)),
        seed + 1,
      ),
      withSpectrum(
        `exp(i/8) ${n}`,
        range.map((i) => Math.exp(i / 8)),
        seed + 2,
      ),
      withSpectrum(
        `1/i ${n}`,
        range.map((i) => 1 / (i + 1)),
        seed + 3,
      ),
      withSpectrum(
        `i^-4 ${n}`,
        range.map((i) => (i + 1) ** -4),
        seed + 4,
      ),
      withSpectrum(
        `rank 1 ${n}`,
        range.map((i) => (i === 0 ? 3 : 0)),
        seed + 5,
      ),
      withSpectrum(
        `half rank ${n}`,
        range.map((i) => (i < n / 2 ? 1 + i : 0)),
        seed + 6,
      ),
      withSpectrum(
        `pairs ${n}`,
        range.map((i) => Math.floor(i / 2)),
        seed + 7,
      ),
      withSpectrum(
        `cluster at 1 ${n}`,
        range.map((i) => 1 + i * 1e-14),
        seed + 8,
      ),
      withSpectrum(
        `two clusters ${n}`,
        range.map((i) => (i % 2 ? 1 : 1e-8) * (1 + i * 1e-12)),
        seed + 9,
      ),
      withSpectrum(
        `both signs ${n}`,
        range.map((i) => (i % 2 ? -1 : 1) / (i + 1)),
        seed + 10,
      ),
      withSpectrum(
        `one large ${n}`,
        range.map((i) => (i === 0 ? 1e12 : 1)),
        seed + 11,
      ),
      withSpectrum(
        `one small ${n}`,
        range.map((i) => (i === 0 ? 1e-12 : 1)),
        seed + 12,
      ),
      withSpectrum(
        `geometric 1e-16 ${n}`,
        range.map((i) => 10 ** ((-16 * i) / n)),
        seed + 13,
      ),
      gram(`Gram of fewer rows ${n}`, Math.max(1, n >> 1), n, seed + 14),
      gram(`Gram of more rows ${n}`, 3 * n, n, seed + 15),
      wigner(n, seed + 16),
      sparse(n, seed + 17),
      ...scales.map((scale) => scaledSpectrum(n, scale, seed + 18)),
    );
  }
  const long = Array.from({ length: 200 }, (_, i) => i);
  all.push(
    withSpectrum(
      'exp(-i/8) 200',
      long.map((i) => Math.exp(-i / 8)),
      1,
      2,
    ),
    withSpectrum(
      'exp(-i/2) 200',
      long.map((i) => Math.exp(-i / 2)),
      2,
      2,
    ),
    withSpectrum(
      'exp(-i/8) 512',
      Float64Array.from({ length: 512 }, (_, i) => Math.exp(-i / 8)),
      4,
      2,
    ),
    fromEntries('graded down 200', 200, (i, j) => Math.exp(-(i + j) / 8)),
    fromEntries('graded up 200', 200, (i, j) => Math.exp((i + j) / 8 - 50)),
    fromEntries('Wilkinson 201', 201, (i, j) => (i === j ? Math.abs(i - 100) : Number(Math.abs(i - j) === 1))),
    ...Array.from({ length: 40 }, (_, seed) => wigner(3 + (seed % 29), 5000 + seed)),
    ...Array.from({ length: 40 }, (_, seed) => gram(`Gram ${seed}`, 2 + (seed % 17), 3 + (seed % 23), 6000 + seed)),
  );
  return all;
}

/** Powers of two between the entries and 1 keep the known spectrum exact; subnormal entries are rounded, so few digits count. */
function scaledSpectrum(n: number, scale: number, seed: number): StressMatrix {
  const matrix = withSpectrum(
    `scale ${scale} ${n}`,
    Array.from({ length: n }, (_, i) => 1 / (i + 1)),
    seed,
  );
  if (scale < 1e-300) {
    const entries = Float64Array.from({ length: n * n }, (_, p) => (p % (n + 1) === 0 ? (1 + p) * scale : 0));
    return {
      name: `diagonal, scale ${scale} ${n}`,
      size: n,
      entries,
      eigenvalues: entries
        .filter((_, p) => p % (n + 1) === 0)
        .sort()
        .reverse(),
    };
  }
  return {
    ...matrix,
    entries: matrix.entries.map((x) => x * scale),
    eigenvalues: matrix.eigenvalues?.map((x) => x * scale),
  };
}

function gram(name: string, rows: number, size: number, seed: number): StressMatrix {
  const next = normal(seed);
  const x = Float64Array.from({ length: rows * size }, next);
  return fromEntries(`${name} ${rows}x${size}`, size, (i, j) => {
    let sum = 0;
    for (let r = 0; r < rows; r++) sum += x[r * size + i] * x[r * size + j];
    return sum;
  });
}

function wigner(size: number, seed: number): StressMatrix {
  const next = normal(seed);
  const x = Float64Array.from({ length: size * size }, next);
  return fromEntries(`Wigner ${size}`, size, (i, j) => x[Math.max(i, j) * size + Math.min(i, j)]);
}

function sparse(size: number, seed: number): StressMatrix {
  const next = uniform(seed);
  const x = Float64Array.from({ length: size * size }, () => (next() < 0.15 ? next() : 0));
  return fromEntries(`sparse ${size}`, size, (i, j) => x[Math.max(i, j) * size + Math.min(i, j)]);
}

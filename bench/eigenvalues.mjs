// Eigenvalues of a symmetric matrix, values only and with vectors: ours (WebAssembly, TypeScript) beside LAPACK on one
// thread and ml-matrix. Interleaved repeats, medians. Run: node bench/eigenvalues.mjs [--sizes 64,256] (after a build)
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { kernels } from '../dist/kernels/kernels.js';
import { typescriptKernels } from '../dist/kernels/typescript/kernels.js';
import { digits, median, printRow, sizesFrom, startLapack, time } from './peer.mjs';

const wasm = kernels();
const lapack = await startLapack();

/** Covariance of 2 d rows whose features have standard deviations 1 / i. */
function covariance(d) {
  const next = (() => {
    let state = 1;
    return () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
  })();
  const columns = Float64Array.from({ length: 2 * d * d }, (_, i) => next() / (1 + (i % d)));
  const entries = new Float64Array((d * (d + 1)) / 2);
  wasm.addOuterProducts(entries, columns, 2 * d, d);
  return { size: d, entries: entries.map((x) => x / (2 * d)), packed: true };
}

console.log(`Eigenvalues, milliseconds (median). LAPACK: ${lapack?.library ?? 'not found'}, float64, one thread.\n`);
const names = [
  'd',
  'ours',
  'LAPACK values',
  'ours / LAPACK',
  'LAPACK with vectors',
  'ours / 3 x with vectors (Delve)',
  'TypeScript',
  'ml-matrix',
  'ml-matrix / ours',
  'ours with vectors',
];
printRow(names);
printRow(names.map(() => '---:'));
// Compiled before it is timed.
for (let r = 0; r < 20; r++) {
  typescriptKernels.eigenvalues(covariance(48));
  mlMatrixTime(covariance(48));
}
for (const d of sizesFrom([64, 128, 256, 512, 1024, 2048, 4096])) {
  const matrix = covariance(d);
  const repeats = d <= 256 ? 15 : d <= 1024 ? 7 : 3;
  const times = { wasm: [], typescript: [], vectors: [], values: [], eigh: [] };
  wasm.eigenvalues(matrix);
  for (let r = 0; r < repeats; r++) {
    times.wasm.push(time(() => wasm.eigenvalues(matrix)));
    if (lapack) times.values.push(...(await lapack.time('eigvalsh', d, 2 * d, 1)));
    if (d <= 2048 && r < 3) times.typescript.push(time(() => typescriptKernels.eigenvalues(matrix)));
    if (d <= 2048 && r < 3) times.vectors.push(time(() => wasm.eigen(matrix)));
  }
  if (lapack) times.eigh = await lapack.time('eigh', d, 2 * d, Math.min(3, repeats));
  const mlMatrix =
    d <= 1024 ? median(Array.from({ length: d <= 512 ? 3 : 1 }, () => mlMatrixTime(matrix))) : Number.NaN;
  const [ours, values, eigh] = [median(times.wasm), median(times.values), median(times.eigh)];
  const numbers = [
    ours,
    values,
    ours / values,
    eigh,
    ours / (3 * eigh),
    median(times.typescript),
    mlMatrix,
    mlMatrix / ours,
    median(times.vectors),
  ];
  printRow([d, ...numbers.map(digits)]);
}
lapack?.close();

function mlMatrixTime({ size, entries }) {
  const full = new Matrix(size, size);
  for (let i = 0, p = 0; i < size; i++) {
    for (let j = 0; j <= i; j++, p++) {
      full.set(i, j, entries[p]);
      full.set(j, i, entries[p]);
    }
  }
  return time(() => new EigenvalueDecomposition(full, { assumeSymmetric: true }));
}

// Eigenvalues of a symmetric matrix, values only and with vectors: ours (WebAssembly, TypeScript) beside LAPACK on one
// thread and ml-matrix. Interleaved repeats, medians. Run: node bench/eigenvalues.mjs [--sizes 64,256] (after a build)
// With --threads 1,2 instead: our eigenvalues on one thread and on two, which must have the same bits, beside LAPACK on as many.
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { kernels } from '../dist/kernels/kernels.js';
import { typescriptKernels } from '../dist/kernels/typescript/kernels.js';
import { ComputeThread } from '../dist/statistics/threads/thread.js';
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

if (process.argv.includes('--threads')) {
  await compareThreads();
  lapack?.close();
  process.exit();
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

async function compareThreads() {
  const lapackOnTwo = await startLapack(2);
  const second = new ComputeThread();
  await second.ready;
  console.log(`Eigenvalues, milliseconds (median), by threads. LAPACK: ${lapack?.library ?? 'not found'}, float64.\n`);
  const columns = [
    'd',
    'ours, 1',
    'ours, 2',
    'ours, 1 / 2',
    'LAPACK, 1',
    'LAPACK, 2',
    'LAPACK, 1 / 2',
    'parts by the second',
  ];
  printRow(columns);
  printRow(columns.map(() => '---:'));
  for (const d of sizesFrom([512, 1024, 1536, 2048, 4096])) {
    const matrix = covariance(d);
    const times = { one: [], two: [], ratio: [], lapackOne: [], lapackTwo: [], parts: [] };
    const expected = wasm.eigenvalues(matrix);
    for (let r = 0; r < (d <= 2048 ? 7 : 3); r++) {
      times.one.push(time(() => wasm.eigenvalues(matrix)));
      let parts = 0;
      let values;
      const offer = (work) => {
        parts = second.ask({ type: 'assist', work }).result;
      };
      times.two.push(
        time(() => {
          values = wasm.eigenvalues(matrix, offer);
        }),
      );
      times.ratio.push(times.one.at(-1) / times.two.at(-1));
      times.parts.push(await parts);
      if (values.some((x, i) => !Object.is(x, expected[i])))
        throw new Error(`${d}: two threads have other bits than one`);
      if (lapack) times.lapackOne.push(...(await lapack.time('eigvalsh', d, 2 * d, 1)));
      if (lapackOnTwo) times.lapackTwo.push(...(await lapackOnTwo.time('eigvalsh', d, 2 * d, 1)));
    }
    const { one, two, ratio, lapackOne, lapackTwo, parts } = times;
    const numbers = [one, two, ratio, lapackOne, lapackTwo].map(median);
    const lapackRatio = numbers[3] / numbers[4];
    printRow([d, ...[...numbers, lapackRatio, median(parts)].map(digits)]);
  }
  second.terminate();
  lapackOnTwo?.close();
}

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

// Eigenvalues of a symmetric matrix, values only and with vectors: ours (WebAssembly, TypeScript) beside LAPACK on one
// thread and ml-matrix, in turn; writes its section of bench/results.json.
//
//   node bench/eigenvalues.mjs [--sizes 64,256]     (after a build; with --sizes it writes nothing)
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { kernels } from '../dist/kernels/kernels.js';
import { typescriptKernels } from '../dist/kernels/typescript/kernels.js';
import { benchOptions } from './options.mjs';
import { digits, sizesFrom, spreadOf, startLapack, time, untilKnown } from './peer.mjs';
import { beginSection, versionOf } from './results.mjs';

const options = benchOptions(85, { sizes: { type: 'string' } });
const record = beginSection('eigenvalues', { ...options, dry: options.dry || options.sizes !== undefined });
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

// Compiled before it is timed.
for (let r = 0; r < 20; r++) {
  typescriptKernels.eigenvalues(covariance(48));
  mlMatrixTime(covariance(48));
}
const sizes = sizesFrom(options.sizes, options.quick ? [64, 128] : [64, 128, 256, 512, 1024, 2048, 4096]);
/** Larger matrices get more of the time. */
const secondsOf = (d) => (options.seconds * d) / sizes.reduce((sum, each) => sum + each, 0);
const rows = [];
for (const d of sizes) {
  const matrix = covariance(d);
  wasm.eigenvalues(matrix);
  const once = { seconds: secondsOf(d) / 4, least: 3 };
  // What takes minutes is left out.
  const slow = await untilKnown(
    async () => ({
      typescript: d <= 1024 ? time(() => typescriptKernels.eigenvalues(matrix)) : Number.NaN,
      mlMatrix: d <= 512 ? mlMatrixTime(matrix) : Number.NaN,
      vectors: d <= 1024 ? time(() => wasm.eigen(matrix)) : Number.NaN,
      lapackVectors: lapack ? (await lapack.time('eigh', d, 2 * d, 1))[0] : Number.NaN,
    }),
    once,
  );
  const fast = await untilKnown(
    async () => {
      const ours = time(() => wasm.eigenvalues(matrix));
      const peer = lapack ? (await lapack.time('eigvalsh', d, 2 * d, 1))[0] : Number.NaN;
      return { ours, lapack: peer, ratio: ours / peer };
    },
    { seconds: (3 * secondsOf(d)) / 4, within: 0.01, least: 9 },
  );
  const known = Object.entries({ ...fast, ...slow }).map(([name, numbers]) => [name, spreadOf(numbers)]);
  rows.push({ d, ...Object.fromEntries(known) });
  console.log(`${d}: ${digits(rows.at(-1).ours.median)} ms, ${digits(rows.at(-1).ratio?.median)} of LAPACK's`);
}
lapack?.close();
record({
  library: lapack?.library,
  kernels: wasm.name,
  versions: { 'ml-matrix': versionOf('ml-matrix') },
  missing: lapack ? {} : { LAPACK: 'torch could not be installed' },
  rows,
});

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

// Streaming moments: GFLOP/s of ours (WebAssembly float64, copy from JavaScript included) beside X^T X of LAPACK's
// library in float64 on one thread, and beside the best dgemm of this machine; writes its section of bench/results.json.
//
//   node bench/moments.mjs [--sizes 64,256]     (after a build; with --sizes it writes nothing)
import { kernels } from '../dist/kernels/kernels.js';
import { newMoments } from '../dist/kernels/moments.js';
import { typescriptKernels } from '../dist/kernels/typescript/kernels.js';
import { CovarianceAccumulator } from '../dist/statistics/covariance.js';
import { benchOptions } from './options.mjs';
import { digits, sizesFrom, spreadOf, startLapack, time, untilKnown } from './peer.mjs';
import { beginSection } from './results.mjs';

const options = benchOptions(40, { sizes: { type: 'string' } });
const record = beginSection('moments', { ...options, dry: options.dry || options.sizes !== undefined });
const wasm = kernels();
const lapack = await startLapack();
const dgemm = lapack && Math.max(...(await lapack.time('dgemm', 1536, 1, 7)).map((ms) => (2 * 1536 ** 3) / ms / 1e6));
const sizes = sizesFrom(options.sizes, options.quick ? [64, 128] : [64, 128, 256, 512, 1024, 2048]);
const result = [];
for (const d of sizes) {
  const rows = Math.max(1024, Math.min(65536, Math.floor(2 ** 28 / (d * d)) & ~127));
  const samples = Float32Array.from({ length: rows * d }, (_, i) => Math.sin(i) / (1 + (i % d)) + 1);
  const speed = (millis) => (2 * rows * d * d) / millis / 1e6;
  const moments = newMoments(d);
  moments.shift.set(samples.subarray(0, d));
  const accumulator = new CovarianceAccumulator(d);
  const inBatches = () => {
    for (let start = 0; start < rows; start += 128) accumulator.update(samples.subarray(start * d, (start + 128) * d));
  };
  const found = await untilKnown(
    async (round) => {
      const ours = speed(time(() => wasm.addRows(moments, samples, 0, rows)));
      const library = lapack ? speed((await lapack.time('moments', d, rows, 1))[0]) : Number.NaN;
      return {
        ours,
        library,
        ratio: ours / library,
        float32: speed(time(() => wasm.addRows(moments, samples, 0, rows, true))),
        batches: speed(time(inBatches)),
        // Compiled in the first round.
        typescript: round < 3 ? speed(time(() => typescriptKernels.addRows(moments, samples, 0, rows))) : Number.NaN,
      };
    },
    { seconds: options.seconds / sizes.length, within: 0.01, least: 9 },
  );
  const known = Object.entries(found).map(([name, numbers]) => [name, spreadOf(numbers)]);
  result.push({ d, rows, ...Object.fromEntries(known) });
  console.log(`${d}: ${digits(result.at(-1).ours.median)} GFLOP/s`);
}
lapack?.close();
record({
  library: lapack?.library,
  kernels: wasm.name,
  dgemm,
  missing: lapack ? {} : { LAPACK: 'torch could not be installed' },
  rows: result,
});

// Streaming moments: GFLOP/s of ours (WebAssembly float64, copy from JavaScript included) beside X^T X of LAPACK's
// library in float64 on one thread, and beside the best dgemm of this machine. Counted as 2 n d^2 for all, although a
// symmetric product needs half. Run: node bench/moments.mjs [--sizes 64,256] (after a build)

import { kernels } from '../dist/kernels/kernels.js';
import { newMoments } from '../dist/kernels/moments.js';
import { typescriptKernels } from '../dist/kernels/typescript/kernels.js';
import { CovarianceAccumulator } from '../dist/statistics/covariance.js';
import { digits, median, printRow, sizesFrom, startLapack, time } from './peer.mjs';

const wasm = kernels();
const lapack = await startLapack();
const peak = lapack && median((await lapack.time('dgemm', 1536, 1, 5)).map((ms) => (2 * 1536 ** 3) / ms / 1e6));
console.log(`Moments, GFLOP/s (2 n d^2 / time, median). Beside: ${lapack?.library ?? 'nothing'}, float64, one thread;`);
console.log(`its dgemm reaches ${digits(peak)} GFLOP/s here.\n`);
const names = [
  'd',
  'rows',
  'ours',
  'float32 products',
  'through batches of 128',
  'library',
  'ours / library',
  'ours / peak',
  'TypeScript',
];
printRow(names);
printRow(names.map(() => '---:'));
for (const d of sizesFrom([64, 128, 256, 512, 1024, 2048])) {
  const rows = Math.max(1024, Math.min(65536, Math.floor(2 ** 28 / (d * d)) & ~127));
  const samples = Float32Array.from({ length: rows * d }, (_, i) => Math.sin(i) / (1 + (i % d)) + 1);
  const flops = 2 * rows * d * d;
  const speeds = { wasm: [], narrow: [], batches: [], typescript: [], library: [] };
  const moments = newMoments(d);
  moments.shift.set(samples.subarray(0, d));
  const accumulator = new CovarianceAccumulator(d);
  for (let r = 0; r < 9; r++) {
    speeds.wasm.push(flops / time(() => wasm.addRows(moments, samples, 0, rows)) / 1e6);
    speeds.narrow.push(flops / time(() => wasm.addRows(moments, samples, 0, rows, true)) / 1e6);
    const inBatches = () => {
      for (let start = 0; start < rows; start += 128)
        accumulator.update(samples.subarray(start * d, (start + 128) * d));
    };
    speeds.batches.push(flops / time(inBatches) / 1e6);
    if (lapack) speeds.library.push(...(await lapack.time('moments', d, rows, 1)).map((ms) => flops / ms / 1e6));
    if (r < 2) speeds.typescript.push(flops / time(() => typescriptKernels.addRows(moments, samples, 0, rows)) / 1e6);
  }
  const [ours, narrow, batches, library] = [speeds.wasm, speeds.narrow, speeds.batches, speeds.library].map(median);
  const typescript = median(speeds.typescript);
  printRow([d, rows, ...[ours, narrow, batches, library, ours / library, ours / peak, typescript].map(digits)]);
}
lapack?.close();

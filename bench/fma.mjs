// What fused products and sums gain: both builds of the WebAssembly kernels beside LAPACK's library, one thread each, in turn.
//   node bench/fma.mjs [--sizes 64,256] [--write]     (after a build; Node 22 or later, and a processor that fuses)
//   --write puts the tables into bench/RESULTS.md. MKL_ENABLE_INSTRUCTIONS=SSE4_2 | AVX2 limits torch's library.
import { newMoments } from '../dist/kernels/moments.js';
import { createWasmKernels } from '../dist/kernels/wasm/kernels.js';
import { digits, sizesFrom, startLapack, time } from './peer.mjs';
import { machine, writeSection } from './results.mjs';

const [plain, fused] = ['wasm', 'wasm-fma'].map((name) => createWasmKernels(name));
const lapack = await startLapack();
if (!lapack) throw new Error('expected torch or numpy in .venv-bench or of python3, got neither');

const peak = async (job) => Math.max(...(await lapack.time(job, 1536, 1, 7)).map((ms) => (2 * 1536 ** 3) / ms / 1e6));
const [dgemm, sgemm] = [await peak('dgemm'), await peak('sgemm')];
const [values, sums] = [[], []];
for (const d of sizesFrom([64, 128, 256, 512, 1024, 2048, 4096])) {
  const columns = Float64Array.from({ length: 2 * d * d }, (_, i) => Math.sin(i * i) / (1 + (i % d)));
  const entries = new Float64Array((d * (d + 1)) / 2);
  plain.addOuterProducts(entries, columns, 2 * d, d);
  const matrix = { size: d, entries, packed: true };
  const times = { plain: [], fused: [], lapack: [] };
  fused.eigenvalues(matrix);
  for (let r = 0; r < (d <= 256 ? 31 : d <= 1024 ? 11 : d <= 2048 ? 5 : 2); r++) {
    times.plain.push(time(() => plain.eigenvalues(matrix)));
    times.fused.push(time(() => fused.eigenvalues(matrix)));
    times.lapack.push(...(await lapack.time('eigvalsh', d, 2 * d, 1)));
  }
  const [a, b, c] = [times.plain, times.fused, times.lapack].map((all) => Math.min(...all));
  values.push([d, ...[a, b, c, a / b, a / c, b / c].map(digits)]);
  console.log(`eigenvalues | ${values.at(-1).join(' | ')}`);
  if (d > 2048) continue;
  const rows = Math.max(1024, Math.min(65536, Math.floor(2 ** 27 / (d * d)) & ~127));
  const samples = Float32Array.from({ length: rows * d }, (_, i) => Math.sin(i) / (1 + (i % d)) + 1);
  const moments = newMoments(d);
  moments.shift.set(samples.subarray(0, d));
  const rates = [[], [], [], []];
  for (let r = 0; r < 11; r++) {
    [false, true].forEach((narrow, n) => {
      [plain, fused].forEach((kernels, k) => {
        const millis = time(() => kernels.addRows(moments, samples, 0, rows, narrow));
        rates[2 * n + k].push((2 * rows * d * d) / millis / 1e6);
      });
    });
  }
  const [p, f, p32, f32] = rates.map((all) => Math.max(...all));
  sums.push([d, ...[p, f, f / p, f / dgemm, p32, f32, f32 / p32, f32 / sgemm].map(digits)]);
  console.log(`moments | ${sums.at(-1).join(' | ')}`);
}
lapack.close();
const limit = process.env.MKL_ENABLE_INSTRUCTIONS;
console.log(`dgemm ${digits(dgemm)}, sgemm ${digits(sgemm)} GFLOP/s (${lapack.library}${limit ? `, ${limit}` : ''})`);
if (process.argv.includes('--write')) {
  const table = (rows) => rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
  writeSection(
    'fma',
    `## Fused products and sums

\`node bench/fma.mjs --write\`, ${machine()}, while other programs kept the processors busy; the best of interleaved repeats, which is what others disturb least, one thread
each. 'wasm' rounds products and sums apart, 'wasm-fma' together. LAPACK: ${lapack.library}, whose dgemm reaches ${digits(dgemm)} and whose sgemm ${digits(sgemm)} GFLOP/s
here, with registers of up to 512 bits; WebAssembly has 128. Eigenvalues, milliseconds:

| d | wasm | wasm-fma | LAPACK | wasm / wasm-fma | wasm / LAPACK | wasm-fma / LAPACK |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${table(values)}

Moments, GFLOP/s counted as a full product:

| d | wasm | wasm-fma | gain | of dgemm | wasm, float32 products | wasm-fma, float32 products | gain | of sgemm |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${table(sums)}`,
  );
}

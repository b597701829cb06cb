// What fused products and sums gain: both builds of the WebAssembly kernels beside LAPACK's library, one thread each, in turn. On a
// Node that lacks relaxed SIMD it runs itself on Node 24, which is installed for it. Writes its section of bench/results.json.
//
//   npm run bench:fma [-- --sizes 64,256]     (after a build; on a processor that fuses; with --sizes it writes nothing)
//   MKL_ENABLE_INSTRUCTIONS=SSE4_2 | AVX2 limits torch's library.
import { spawnSync } from 'node:child_process';
import { nodeOf } from '../scripts/runtimes.mjs';
import { benchOptions } from './options.mjs';
import { digits, sizesFrom, spreadOf, startLapack, time, untilKnown } from './peer.mjs';
import { beginSection } from './results.mjs';

const options = benchOptions(75, { sizes: { type: 'string' } });
if (Number(process.versions.node.split('.')[0]) < 22) {
  const node = nodeOf(24);
  if (node === undefined) throw new Error('expected Node 22 or later, or one that npm can install, got neither');
  process.exit(spawnSync(node, process.argv.slice(1), { stdio: 'inherit' }).status ?? 1);
}
const { newMoments } = await import('../dist/kernels/moments.js');
const { createWasmKernels } = await import('../dist/kernels/wasm/kernels.js');
const record = beginSection('fma', { ...options, dry: options.dry || options.sizes !== undefined });
const [plain, fused] = ['wasm', 'wasm-fma'].map((name) => createWasmKernels(name));
const lapack = await startLapack();
if (!lapack) throw new Error('expected torch in .venv-bench, got none');

const peak = async (job) => Math.max(...(await lapack.time(job, 1536, 1, 7)).map((ms) => (2 * 1536 ** 3) / ms / 1e6));
const [dgemm, sgemm] = [await peak('dgemm'), await peak('sgemm')];
const sizes = sizesFrom(options.sizes, options.quick ? [64, 128] : [64, 128, 256, 512, 1024, 2048, 4096]);
const budget = { seconds: options.seconds / (2 * sizes.length), within: 0.01, least: 9 };
const known = (found) => Object.fromEntries(Object.entries(found).map(([name, numbers]) => [name, spreadOf(numbers)]));
const [eigenvalues, sums] = [[], []];
for (const d of sizes) {
  const columns = Float64Array.from({ length: 2 * d * d }, (_, i) => Math.sin(i * i) / (1 + (i % d)));
  const entries = new Float64Array((d * (d + 1)) / 2);
  plain.addOuterProducts(entries, columns, 2 * d, d);
  const matrix = { size: d, entries, packed: true };
  for (const each of [plain, fused]) each.eigenvalues(matrix);
  const times = await untilKnown(async () => {
    const [a, b] = [plain, fused].map((each) => time(() => each.eigenvalues(matrix)));
    const [c] = await lapack.time('eigvalsh', d, 2 * d, 1);
    return { plain: a, fused: b, lapack: c, gain: a / b, plainRatio: a / c, fusedRatio: b / c };
  }, budget);
  eigenvalues.push({ d, ...known(times) });

  const rows = Math.max(1024, Math.min(65536, Math.floor(2 ** 27 / (d * d)) & ~127));
  const samples = Float32Array.from({ length: rows * d }, (_, i) => Math.sin(i) / (1 + (i % d)) + 1);
  const moments = newMoments(d);
  moments.shift.set(samples.subarray(0, d));
  const rates = await untilKnown(async () => {
    const rate = (kernels, narrow) =>
      (2 * rows * d * d) / time(() => kernels.addRows(moments, samples, 0, rows, narrow)) / 1e6;
    const [p, f, p32, f32] = [rate(plain, false), rate(fused, false), rate(plain, true), rate(fused, true)];
    return { plain: p, fused: f, gain: f / p, plain32: p32, fused32: f32, gain32: f32 / p32 };
  }, budget);
  sums.push({ d, ...known(rates) });
  console.log(
    `${d}: eigenvalues ${digits(eigenvalues.at(-1).gain.median)}, moments ${digits(sums.at(-1).gain.median)}`,
  );
}
lapack.close();
const limit = process.env.MKL_ENABLE_INSTRUCTIONS;
record({ library: `${lapack.library}${limit ? `, ${limit}` : ''}`, dgemm, sgemm, eigenvalues, moments: sums });

// Eigenvalues of wide layers on one thread and on two, which must have the same bits, beside LAPACK on as many, in turn; writes its section
// of bench/results.json.
//
//   npm run bench:threads [-- --sizes 1024,2048]     (after a build; with --sizes it writes nothing)
import { kernels } from '../dist/kernels/kernels.js';
import { ComputeThread } from '../dist/statistics/threads/thread.js';
import { benchOptions } from './options.mjs';
import { covarianceOf, digits, sizesFrom, spreadOf, startLapack, time, untilKnown } from './peer.mjs';
import { beginSection } from './results.mjs';

const options = benchOptions(75, { sizes: { type: 'string' } });
const record = beginSection('threads', { ...options, dry: options.dry || options.sizes !== undefined });
const wasm = kernels();
const [lapack, lapackOnTwo] = [await startLapack(1), await startLapack(2)];
const second = new ComputeThread();
await second.ready;
const sizes = sizesFrom(options.sizes, options.quick ? [256] : [2048, 3072, 4096]);
const rows = [];
for (const d of sizes) {
  const matrix = covarianceOf(wasm, d);
  const expected = wasm.eigenvalues(matrix);
  const found = await untilKnown(
    async () => {
      const one = time(() => wasm.eigenvalues(matrix));
      let values;
      let parts = 0;
      const offer = (work) => {
        parts = second.ask({ type: 'assist', work }).result;
      };
      const two = time(() => {
        values = wasm.eigenvalues(matrix, offer);
      });
      if (values.some((x, i) => !Object.is(x, expected[i])))
        throw new Error(`${d}: expected the bits of one thread, two had others`);
      const [lapackOne] = lapack ? await lapack.time('eigvalsh', d, 2 * d, 1) : [];
      const [lapackTwo] = lapackOnTwo ? await lapackOnTwo.time('eigvalsh', d, 2 * d, 1) : [];
      return { one, two, gain: one / two, lapackOne, lapackTwo, lapackGain: lapackOne / lapackTwo, parts: await parts };
    },
    { seconds: (options.seconds * d) / sizes.reduce((sum, each) => sum + each, 0) },
  );
  const known = Object.entries(found).map(([name, numbers]) => [name, spreadOf(numbers)]);
  rows.push({ d, ...Object.fromEntries(known) });
  console.log(`${d}: one / two ${digits(rows.at(-1).gain.median)}`);
}
second.terminate();
lapack?.close();
lapackOnTwo?.close();
record({
  library: lapack?.library,
  kernels: wasm.name,
  missing: lapack ? {} : { LAPACK: 'torch could not be installed' },
  rows,
});

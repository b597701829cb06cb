// One network on one backend: milliseconds per training step without and with a tracker, in blocks that take turns.
// Arguments: backend, network, steps per block, rounds, then the variants. Prints one JSON line.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { SaturationTracker } from '../dist/tfjs.js';
import { setUp } from './saturation-models.mjs';

const [backend, network, stepsText, roundsText, ...kinds] = process.argv.slice(2);
const [steps, rounds] = [Number(stepsText), Number(roundsText)];
const require = createRequire(import.meta.url);

const variants = {
  plain: undefined,
  default: {},
  float64: { precision: 'float64' },
  auto: { sampling: 'auto' },
};

if (backend === 'wasm') {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'dist')}/`);
}
if (backend === 'tensorflow') require('@tensorflow/tfjs-node');
await tf.setBackend(backend);
await tf.ready();

const nowhere = { add() {} };
const runs = kinds.map((kind) => {
  const { model, x, y } = setUp(network);
  const tracker =
    variants[kind] &&
    new SaturationTracker('unused', model, { ...variants[kind], stats: ['saturation'], saveTo: [nowhere] });
  const step = () => model.trainOnBatch(x, y);
  return {
    kind,
    tracker,
    times: [],
    async block() {
      const start = performance.now();
      for (let i = 0; i < steps; i++) {
        const loss = await (tracker === undefined ? step() : tracker.record('train', step));
        tf.dispose(loss);
      }
      // The spectra of this block are solved while the next one trains, as they are between epochs of a fit; waiting for
      // them here is the dearer way, and the fair one.
      await tracker?.addSaturations();
      return (performance.now() - start) / steps;
    },
  };
});
for (const run of runs) await run.block();
for (const run of runs) await run.block();
for (let round = 0; round < rounds; round++) {
  // Each round begins with another variant, so that none always follows the same one.
  for (let i = 0; i < runs.length; i++) {
    const run = runs[(round + i) % runs.length];
    run.times.push(await run.block());
  }
}
const strategies = runs.map((run) => [run.kind, [...new Set(run.tracker?.strategies.values() ?? [])]]);
console.log(
  JSON.stringify({
    times: Object.fromEntries(runs.map((run) => [run.kind, run.times])),
    strategies: Object.fromEntries(strategies),
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
);
for (const run of runs) await run.tracker?.close();
process.exit(0);

// One network on one backend: milliseconds per training step without and with a tracker, in blocks that take turns.
// Arguments: backend, network, spectra per block, steps per spectrum, rounds, then the variants. Prints one JSON line.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { SaturationTracker } from '../dist/tfjs.js';
import { setUp } from './saturation-models.mjs';

const [backend, network, ...rest] = process.argv.slice(2);
const [spectra, steps, rounds] = rest.splice(0, 3).map(Number);
const kinds = rest;
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

// What trackers read from the device (but float64 products, which come by another way).
let bytesRead = 0;
const backendObject = tf.backend();
const readSync = backendObject.readSync.bind(backendObject);
backendObject.readSync = (id) => {
  const values = readSync(id);
  bytesRead += values.byteLength;
  return values;
};

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
    bytes: 0,
    async block() {
      const start = performance.now();
      const before = bytesRead;
      let written;
      for (let i = 1; i <= spectra * steps; i++) {
        const loss = await (tracker === undefined ? step() : tracker.record('train', step));
        tf.dispose(loss);
        // The spectra are solved while training goes on, as they are between the epochs of a fit. Those before have been
        // awaited by then, as fit does; the block's last ones are waited for inside the timing.
        if (i % steps === 0) {
          await written;
          written = tracker?.addSaturations();
        }
      }
      await written;
      this.bytes = (bytesRead - before) / (spectra * steps);
      return (performance.now() - start) / (spectra * steps);
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
    bytes: Object.fromEntries(runs.map((run) => [run.kind, run.bytes])),
    strategies: Object.fromEntries(strategies),
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
);
for (const run of runs) await run.tracker?.close();
process.exit(0);

// One network on one backend, trained without a tracker or with one of a kind: a process of its own, which trains when its
// parent says so. Arguments: backend, network, kind.
// Messages: { steps, spectra } in, { milliseconds, cpu } out (of all threads); { end } for the rest.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { keepFreedMemory } from '../dist/activations/tensors.js';
import { SaturationTracker } from '../dist/tfjs.js';
import { setUp } from './saturation-models.mjs';

const [backend, network, kind] = process.argv.slice(2);
const require = createRequire(import.meta.url);

const kinds = {
  plain: undefined,
  // No tracker, but the memory that one has the C library keep.
  kept: undefined,
  default: {},
  float64: { precision: 'float64' },
  auto: { sampling: 'auto' },
  health: { stats: 'health' },
  // Of several processes: takes what would be solved.
  worker: { role: 'worker' },
  deterministic: { deterministic: true },
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

const { model, x, y } = setUp(network);
// Other options are given as JSON.
const options = kind.startsWith('{') ? JSON.parse(kind) : kinds[kind];
const tracker =
  options && new SaturationTracker('unused', model, { stats: ['saturation'], ...options, saveTo: [{ add() {} }] });
const step = () => model.trainOnBatch(x, y);
if (kind === 'kept') keepFreedMemory();
let stepsDone = 0;
let written;

/** Trains; asks for the spectra at the end, where wanted. Those before have been awaited by then, as in a fit. */
async function train(steps, spectra) {
  const start = performance.now();
  for (let i = 0; i < steps; i++) {
    tf.dispose(await (tracker === undefined ? step() : tracker.record('train', step)));
  }
  stepsDone += steps;
  if (spectra) {
    await written;
    written = options?.role === 'worker' ? tracker.take() : tracker?.addSaturations();
  }
  return performance.now() - start;
}

process.on('message', async ({ steps, spectra, end }) => {
  if (!end) {
    const before = process.cpuUsage();
    const milliseconds = await train(steps, spectra);
    const { user, system } = process.cpuUsage(before);
    process.send({ milliseconds, cpu: (user + system) / 1000 });
    return;
  }
  await written;
  process.send({
    strategies: [...new Set(tracker?.strategies.values() ?? [])],
    kilobytesPerStep: bytesRead / 1024 / stepsDone,
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
  });
  await tracker?.close();
  process.disconnect();
});
process.send({ ready: true });

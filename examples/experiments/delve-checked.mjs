// Delve, checked: what Delve's published code counts on a network of this package's, and what it does in situations where
// its documentation promises something else. Python with torch and delve runs Delve; PYTHON names it:
//
//   python3 -m venv .venv-delve && .venv-delve/bin/pip install torch delve==0.1.50 pandas matplotlib tensorboardX tqdm
//   PYTHON=.venv-delve/bin/python node examples/experiments/delve-checked.mjs
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { extractSaturation } from 'delve-tensorboard/tfjs';
import { seenIn, situations } from './delve-situations.js';
import { accuracy, batchesOf, initializers, openLab, train } from './lab.js';

const THRESHOLDS = [0.9, 0.99, 0.999];
const IMAGES = 3000;
const BATCH = 100;

const lab = await openLab('delve-checked', { epochs: 6, seeds: 1 });
const python = process.env.PYTHON ?? 'python3';
const folder = mkdtempSync(join(tmpdir(), 'delve-checked-'));

const init = initializers(1);
const conv = (name, filters, more) =>
  tf.layers.conv2d({
    name,
    filters,
    kernelSize: 3,
    strides: 2,
    activation: 'relu',
    kernelInitializer: init(),
    ...more,
  });
const dense = (name, units, activation) => tf.layers.dense({ name, units, activation, kernelInitializer: init() });
const model = tf.sequential({
  layers: [
    conv('conv1', 12, { inputShape: [28, 28, 1] }),
    conv('conv2', 32),
    conv('conv3', 64),
    tf.layers.flatten(),
    dense('dense1', 128, 'relu'),
    dense('dense2', 64, 'relu'),
    dense('digit', 10, 'softmax'),
  ],
});

const floats = (file, tensor) => {
  writeFileSync(join(folder, file), Buffer.from(tensor.dataSync().slice().buffer));
  return file;
};
const images = lab.test.xs.shape[0] >= IMAGES ? lab.test.xs : lab.train.xs.slice([0], [IMAGES]);
floats('images.bin', images);

const ours = [];
const exported = [];
async function measure() {
  const spectra = await extractSaturation(model, batchesOf(images, BATCH), {
    activations: 'preActivation',
    progress: false,
  });
  const epoch = exported.length;
  for (const threshold of THRESHOLDS) {
    const count = (rule) => [...spectra.values()].map((each) => each.intrinsicDimensionality(threshold, rule));
    ours.push({ epoch, threshold, delve: count('delve'), paper: count('paper') });
  }
  exported.push(
    [...spectra].map(([name, { features, samples }]) => {
      const [kernel, bias] = model.getLayer(name).getWeights();
      return {
        name,
        features,
        samples,
        kernel: floats(`${epoch}-${name}-kernel.bin`, kernel),
        kernelShape: kernel.shape,
        bias: floats(`${epoch}-${name}-bias.bin`, bias),
        biasShape: bias.shape,
      };
    }),
  );
}

await measure();
await train(model, lab.train, { epochs: lab.epochs, seed: 1, onEpoch: measure });
const reached = accuracy(model, lab.test);
writeFileSync(
  join(folder, 'network.json'),
  JSON.stringify({ images: images.shape, batch: BATCH, thresholds: THRESHOLDS, epochs: exported }),
);

const script = fileURLToPath(new URL('delve_checked.py', import.meta.url));
const child = spawnSync(python, [script, folder], { encoding: 'utf8' });
if (child.status !== 0) throw new Error(`${python}: ${child.error?.message ?? child.stderr}`);
const delve = JSON.parse(readFileSync(join(folder, 'delve.json'), 'utf8'));

const seen = await Promise.all(
  readdirSync(join(folder, 'delve-run'), { recursive: true })
    .filter((file) => file.includes('tfevents'))
    .map((file) => seenIn(join(folder, 'delve-run', file))),
);
const together = (what) => [...new Set(seen.map((each) => each[what]).filter(Boolean))].join(', ');
Object.assign(delve.situations.tensorboard, { steps: together('steps'), tags: together('tags') });

const found = [];
for (const { name, title, delve: worded, ours: run } of situations) {
  const theirs = delve.situations[name];
  const rows = theirs.input && readFileSync(join(folder, theirs.input.file));
  const numbers = rows && new Float64Array(rows.buffer.slice(rows.byteOffset, rows.byteOffset + rows.length));
  const here = await run(theirs, numbers, theirs.input?.shape);
  found.push({ name, title, delve: worded(theirs), ours: here });
  console.log(`${name}\n  Delve: ${found.at(-1).delve}\n  ours:  ${here}`);
}

const layers = exported.at(-1).map(({ name, features, samples }) => ({ name, features, samples }));
const kinds = ['one pass', 'batches, accumulated', 'batches'];
for (const kind of kinds) {
  const theirs = delve.network.filter((each) => each.kind === kind);
  const equal = theirs.map(
    ({ epoch, threshold, counts }) =>
      counts.filter((n, at) => {
        const row = ours.find((each) => each.epoch === epoch && each.threshold === threshold);
        return row.delve[at] === n;
      }).length,
  );
  console.log(`${kind}: ${equal.reduce((a, b) => a + b)} of ${theirs.length * layers.length} counts equal`);
}
const { network, delve: version, code, torch, numpy } = delve;
lab.save({
  delve: { version, code, torch, numpy },
  images: IMAGES,
  batch: BATCH,
  accuracy: reached,
  layers,
  ours,
  network,
  situations: found,
});

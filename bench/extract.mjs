// What extractSaturation costs beside the model alone: a MobileNet of random weights that sees noise, and, with --models <folder>
// of the npm package nsfwjs (its dist/models), three pretrained networks. Writes bench/RESULTS.md. Run: npm run bench:extract
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { extractSaturation, graphNodes } from '../dist/tfjs.js';
import { programOptions } from './options.mjs';
import { machine, writeSection } from './results.mjs';

process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
const require = createRequire(import.meta.url);
require('@tensorflow/tfjs-node');
const tf = await import('@tensorflow/tfjs');
await tf.setBackend('tensorflow');
process.on('warning', () => {});
process.removeAllListeners('warning');

const options = programOptions({ models: { type: 'string' }, rounds: { type: 'string', default: '5' } });
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** The blocks of MobileNetV1 at half its width (Howard et al. 2017), with random weights. */
function mobileNet(side) {
  const { layers } = tf;
  const widths = [32, 64, 64, 128, 128, 256, 256, 256, 256, 256, 256, 512, 512];
  const strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1];
  const first = { filters: 16, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' };
  return tf.sequential({
    layers: [
      layers.conv2d({ ...first, inputShape: [side, side, 3] }),
      ...widths.flatMap((filters, index) => [
        layers.depthwiseConv2d({ kernelSize: 3, strides: strides[index], padding: 'same', activation: 'relu' }),
        layers.conv2d({ filters, kernelSize: 1, activation: 'relu' }),
      ]),
      layers.globalAveragePooling2d({}),
      layers.dense({ units: 1000, activation: 'softmax' }),
    ],
  });
}

/** A model that nsfwjs ships as scripts. */
function pretrained(name, shards, load) {
  const part = (file) => {
    const loaded = require(join(options.models, name, `${file}.min.js`));
    return loaded.default ?? loaded;
  };
  const { modelTopology, weightsManifest, format } = part('model');
  const weights = Buffer.concat(
    Array.from({ length: shards }, (_, i) => Buffer.from(part(`group1-shard${i + 1}of${shards}`), 'base64')),
  );
  const weightData = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length);
  const weightSpecs = weightsManifest.flatMap((group) => group.weights);
  return load({ load: async () => ({ modelTopology, weightSpecs, weightData, format }) });
}

const own = mobileNet(224);
const networks = [64, 512, 2048].map((images) => ({
  name: 'MobileNetV1, half as wide',
  model: own,
  side: 224,
  images,
}));
if (options.models) {
  const layersModel = await pretrained('mobilenet_v2', 1, tf.loadLayersModel);
  for (const images of [64, 512]) networks.push({ name: 'MobileNetV2', model: layersModel, side: 224, images });
  const model = await pretrained('mobilenet_v2_mid', 2, tf.loadGraphModel);
  // Every convolution and product, as they come out.
  const nodes = graphNodes(model)
    .filter(({ op }) => /Conv|MatMul/.test(op))
    .map(({ name }) => name);
  networks.push({ name: 'MobileNetV2, GraphModel', model, nodes, side: 224, images: 64 });
  const inception = await pretrained('inception_v3', 6, tf.loadLayersModel);
  networks.push({ name: 'InceptionV3', model: inception, side: 299, images: 64 });
}

const rows = [];
for (const { name, model, nodes, side, images } of networks) {
  // Eight batches that come again and again: what is in them costs nothing.
  const made = Array.from({ length: 8 }, (_, i) => tf.randomUniform([8, side, side, 3], 0, 1, 'float32', i + 1));
  const batches = Array.from({ length: images / 8 }, (_, i) => made[i % made.length]);
  const target = nodes === undefined ? model : { model, nodes };
  let layers = 0;
  const ways = {
    plain: async () => {
      for (const batch of batches) {
        const out = model.predict(batch);
        await [out].flat()[0].data();
        tf.dispose(out);
      }
    },
    auto: async () => void (layers = (await extractSaturation(target, batches, { progress: false })).size),
    corrected: async () => void (await extractSaturation(target, batches, { progress: false, sampling: 'corrected' })),
    all: async () => void (await extractSaturation(target, batches, { progress: false, sampling: 'all' })),
  };
  await ways.plain();
  const times = { plain: [], auto: [], corrected: [], all: [] };
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [way, run] of Object.entries(ways)) {
      const start = performance.now();
      await run();
      times[way].push(performance.now() - start);
    }
  }
  const seconds = (way) => (median(times[way]) / 1000).toPrecision(3);
  const ratio = (way) => median(times[way].map((time, round) => time / times.plain[round])).toFixed(2);
  rows.push(
    `| ${[name, images, layers, seconds('plain'), seconds('auto'), ratio('auto'), seconds('corrected'), ratio('corrected'), seconds('all'), ratio('all')].join(' | ')} |`,
  );
  console.log(rows.at(-1));
  tf.dispose(made);
}

const version = JSON.parse(readFileSync(require.resolve('@tensorflow/tfjs-node/package.json'), 'utf8')).version;
writeSection(
  'extract',
  `## Saturation of trained networks

\`npm run bench:extract${options.models ? ' -- --models <dist/models of npm nsfwjs 4.4.0>' : ''}\`, ${machine()}, tfjs-node ${version}. Images of noise in batches of 8, every
layer that is tracked by default (of the GraphModel every convolution and product). Medians of ${options.rounds} rounds of the four ways in turn; solving
the spectra is counted. "plain" is \`model.predict\`. A product of a layer's rows costs as much as the layer itself or several times that, so
that 'auto' saves time where a layer offers more rows than it needs (64 to 128 per feature): in early layers soon, in late ones of few
places only with thousands of images. Solving the spectra is the same work however many images there are.

| network | images | layers | plain s | 'auto' s | auto / plain | 'corrected' s | corrected / plain | 'all' s | all / plain |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${rows.join('\n')}`,
);

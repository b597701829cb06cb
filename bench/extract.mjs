// What extractSaturation costs beside the model alone: a MobileNet of random weights that sees noise, and three pretrained networks of
// the npm package nsfwjs, which is installed for it. Writes its section of bench/results.json. Run: npm run bench:extract
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { extractSaturation, graphNodes } from '../dist/tfjs.js';
import { installed } from '../scripts/runtimes.mjs';
import { benchOptions } from './options.mjs';
import { besidePlain, digits, spreadOf, untilKnown } from './peer.mjs';
import { beginSection, versionOf } from './results.mjs';

const options = benchOptions(195);
const record = beginSection('extract', options);

process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
const require = createRequire(import.meta.url);
require('@tensorflow/tfjs-node');
const tf = await import('@tensorflow/tfjs');
await tf.setBackend('tensorflow');
process.on('warning', () => {});
process.removeAllListeners('warning');

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
    const loaded = require(join(models, name, `${file}.min.js`));
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
/** Images and seconds of each. */
const networks = [
  [64, 12],
  [512, 36],
  [1024, 66],
].map(([images, seconds]) => ({ name: 'MobileNetV1, half as wide', model: own, side: 224, images, seconds }));
const models = installed('nsfwjs', 'nsfwjs@4.4.0', join('nsfwjs', 'dist', 'models'));
if (models !== undefined) {
  const layersModel = await pretrained('mobilenet_v2', 1, tf.loadLayersModel);
  networks.push({ name: 'MobileNetV2', model: layersModel, side: 224, images: 64, seconds: 26 });
  const model = await pretrained('mobilenet_v2_mid', 2, tf.loadGraphModel);
  // Every convolution and product, as they come out.
  const nodes = graphNodes(model)
    .filter(({ op }) => /Conv|MatMul/.test(op))
    .map(({ name }) => name);
  networks.push({ name: 'MobileNetV2, GraphModel', model, nodes, side: 224, images: 32, seconds: 26 });
  const inception = await pretrained('inception_v3', 6, tf.loadLayersModel);
  networks.push({ name: 'InceptionV3', model: inception, side: 299, images: 32, seconds: 28 });
}

const usual = networks.reduce((sum, { seconds }) => sum + seconds, 0);
const rows = [];
for (const { name, model, nodes, side, images: most, seconds: part } of networks) {
  const images = options.quick ? 8 : most;
  // Eight batches that come again and again: what is in them costs nothing.
  const made = Array.from({ length: Math.min(8, images / 8) }, (_, i) =>
    tf.randomUniform([8, side, side, 3], 0, 1, 'float32', i + 1),
  );
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
  const found = await untilKnown(
    async () => {
      const { plain, ...ratios } = await besidePlain(ways);
      return { ...ratios, plain: plain / 1000 };
    },
    { seconds: (options.seconds * part) / usual },
  );
  const known = Object.entries(found).map(([way, numbers]) => [way, spreadOf(numbers)]);
  rows.push({ network: name, images, layers, ...Object.fromEntries(known) });
  console.log(`${name}, ${images} images: ${digits(rows.at(-1).auto.median)}`);
  tf.dispose(made);
}
record({
  versions: { 'tfjs-node': versionOf('@tensorflow/tfjs-node'), ...(models && { nsfwjs: '4.4.0' }) },
  missing: models === undefined ? { 'the networks of nsfwjs': 'npm could not install it' } : {},
  rows,
});

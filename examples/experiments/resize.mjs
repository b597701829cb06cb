// New architectures of trained ones, on the digits: the widths that the used directions ask for, beside all layers changed alike to as
// many parameters; and a network without the tail that its receptive fields tell of. Writes the table of docs/shrink.md.
//   node examples/experiments/resize.mjs [--epochs 4] [--seeds 3] [--backend tensorflow] [--part widths | tail]
import { readFileSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { unproductiveLayers } from 'delve-tensorboard/reports';
import { extractSaturation, removeTail, resizeLayers } from 'delve-tensorboard/tfjs';
import { machine, replaceSection } from '../../bench/results.mjs';
import { NETWORKS } from '../demo/networks.js';
import { initializers, openLab } from './lab.js';

const lab = await openLab('resize', {
  epochs: 4,
  seeds: 3,
  options: { part: { type: 'string', default: 'widths' } },
});
const { part } = lab.options;
const networks = { widths: { dense: NETWORKS.dense, conv: NETWORKS.conv }, tail: { deep } }[part];
if (networks === undefined) throw new RangeError(`--part is widths or tail, not '${part}'`);
const { train, test } = lab;

/** Eight convolutions of 3 x 3, of which the last ones see beyond the image. */
function deep(seed) {
  const kernelInitializer = initializers(seed);
  const conv = (index, filters, first = {}) => [
    tf.layers.conv2d({
      name: `conv${index}`,
      filters,
      kernelSize: 3,
      padding: 'same',
      kernelInitializer: kernelInitializer(),
      ...first,
    }),
    tf.layers.batchNormalization({ name: `norm${index}` }),
    tf.layers.reLU({ name: `relu${index}` }),
  ];
  return tf.sequential({
    layers: [
      ...conv(1, 8, { inputShape: [28, 28, 1] }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      ...conv(2, 16),
      ...conv(3, 16),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      ...[4, 5, 6, 7, 8].flatMap((index) => conv(index, 32)),
      tf.layers.globalAveragePooling2d({}),
      tf.layers.dense({ name: 'digit', units: 10, activation: 'softmax', kernelInitializer: kernelInitializer() }),
    ],
  });
}

async function accuracyAfter(model, epochs) {
  model.compile({ optimizer: tf.train.adam(1e-3), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  await model.fit(train.xs, train.ys, { epochs, batchSize: 64, verbose: 0, shuffle: true });
  const [loss, accuracy] = model.evaluate(test.xs, test.ys, { batchSize: 256 });
  const [percent] = accuracy.dataSync();
  tf.dispose([loss, accuracy]);
  return 100 * percent;
}

/** All layers but the last, changed alike to about as many parameters. */
function changedAlike(model, parameters) {
  const widths = model.layers
    .slice(0, -1)
    .map((layer) => [layer.name, layer.getConfig().filters ?? layer.getConfig().units])
    .filter(([, width]) => width !== undefined);
  let best;
  for (let share = 0.02; share <= 4; share *= 1.03) {
    const scaled = new Map(widths.map(([name, width]) => [name, Math.max(1, Math.round(width * share))]));
    if (widths.every(([name, width]) => scaled.get(name) === width)) continue;
    const { model: made } = resizeLayers(model, scaled);
    const distance = Math.abs(Math.log(made.countParams() / parameters));
    if (best === undefined || distance < best.distance) {
      best?.model.dispose();
      best = { model: made, distance };
    } else made.dispose();
  }
  return best.model;
}

const rows = [];
const mean = (numbers) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
const range = (numbers) =>
  `${mean(numbers).toFixed(1)} (${Math.min(...numbers).toFixed(1)} to ${Math.max(...numbers).toFixed(1)})`;
for (const [name, make] of Object.entries(networks)) {
  const found = {};
  const note = (what, model, accuracy, whole, multiplyAdds) => {
    found[what] ??= { parameters: [], accuracy: [], multiplyAdds: [] };
    found[what].parameters.push((100 * model.countParams()) / whole.countParams());
    found[what].accuracy.push(accuracy);
    if (multiplyAdds !== undefined) {
      found[what].multiplyAdds.push((100 * multiplyAdds.after) / multiplyAdds.before);
    }
  };
  for (const seed of lab.seeds) {
    const model = make(seed);
    note('as it is', model, await accuracyAfter(model, lab.epochs), model);
    const images = tf.tidy(() => train.xs.slice(0, 2000));
    const spectra = part === 'widths' ? await extractSaturation(model, [images], { progress: false }) : undefined;
    for (const saturation of part === 'widths' ? [0.3, 0.9] : []) {
      const resized = resizeLayers(model, spectra, { saturation });
      const changes = resized.layers.map((layer) => `${layer.name} ${layer.before} -> ${layer.after}`);
      console.log(name, seed, saturation, changes.join(', '));
      const accuracy = await accuracyAfter(resized.model, lab.epochs);
      note(`resized to a saturation of ${saturation}`, resized.model, accuracy, model, resized.multiplyAdds);
      const alike = changedAlike(model, resized.model.countParams());
      note(
        `all widths changed alike, to as many parameters as at ${saturation}`,
        alike,
        await accuracyAfter(alike, lab.epochs),
        model,
      );
      for (const each of [resized.model, alike]) each.dispose();
    }
    const [border] = unproductiveLayers(model);
    if (part === 'tail') {
      const last = model.layers[model.layers.findIndex((layer) => layer.name === border) - 1].name;
      const short = removeTail(model, last);
      const again = removeTail(model, last).model;
      const fresh = await tf.models.modelFromJSON(JSON.parse(short.model.toJSON()));
      const what = `without what is behind its border (${short.removed.filter((each) => each.startsWith('conv')).join(', ')})`;
      const noteShort = async (how, each, epochs) =>
        note(`${what}, ${how}`, each, await accuracyAfter(each, epochs), model, short.multiplyAdds);
      await noteShort('new weights, trained as long', fresh, lab.epochs);
      await noteShort('its weights, one epoch more', short.model, 1);
      await noteShort('its weights, trained as long again', again, lab.epochs);
      note('as it is, one epoch more', model, await accuracyAfter(model, 1), model);
      if (lab.epochs > 1) {
        note('as it is, trained as long again', model, await accuracyAfter(model, lab.epochs - 1), model);
      }
      for (const each of [again, fresh]) each.dispose();
      short.model.dispose();
    }
    model.dispose();
    images.dispose();
  }
  for (const [what, { parameters, accuracy, multiplyAdds }] of Object.entries(found)) {
    const cost = multiplyAdds.length > 0 ? `${mean(multiplyAdds).toFixed(0)} %` : '';
    rows.push(`| ${name} | ${what} | ${mean(parameters).toFixed(0)} % | ${cost} | ${range(accuracy)} |`);
    console.log(rows.at(-1));
  }
}

const how = {
  widths: 'Resized networks are trained from new weights as long as the first.',
  tail: 'Weights that are kept go on from those of the network as it is.',
}[part];
const path = new URL('../../docs/shrink.md', import.meta.url);
writeFileSync(
  path,
  replaceSection(
    readFileSync(path, 'utf8'),
    part,
    `\`node examples/experiments/resize.mjs --epochs ${lab.epochs} --seeds ${lab.seeds.length} --backend ${tf.getBackend()} --part ${part}\`: ${machine()}, TensorFlow.js ${tf.version_core}. Means
over the seeds and their range; accuracy in % on ${test.xs.shape[0]} digits. ${how}

| network | | parameters | multiply-adds | accuracy |
| --- | --- | ---: | ---: | ---: |
${rows.join('\n')}`,
  ),
);

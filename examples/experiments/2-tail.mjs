// Experiment 2: does a network too deep for its input have a tail of idle layers, where the receptive field says?
//
// Eight 3x3 convolutions learn digits of 10 x 10 pixels. By their receptive fields the last five get what has already
// seen all of the image. Saturation and linear probes tell what they do; then the network is mended in two ways: without
// those layers, and with the same images enlarged (nothing is added to them, they are only interpolated).
// The claims: https://arxiv.org/abs/2006.08679 (the tail), https://arxiv.org/abs/2106.12307 (the border layer).
//
//   node examples/experiments/2-tail.mjs [--epochs 8] [--seeds 3] [--backend auto] [--out DIR]
import * as tf from '@tensorflow/tfjs';
import {
  borderLayer,
  inputSizeRange,
  profilePlot,
  receptiveFieldPlot,
  receptiveFields,
  tailOf,
  unproductiveLayers,
} from 'delve-tensorboard/reports';
import { extractSaturation, probeLayers } from 'delve-tensorboard/tfjs';
import { accuracy, batchesOf, classesOf, openLab, stack, train } from './lab.js';
import { mean, percent } from './numbers.js';

const SIDE = 10;
/** Filters of each convolution: more with depth, as networks have them. */
const FILTERS = [16, 32, 48, 64, 96, 96, 96, 96];
const DEPTH = FILTERS.length;
/** Digits to train on, and to fit probes on: enough, and quick. */
const TRAINED = 4000;
const PROBED = 1000;

const lab = await openLab('2-tail', { epochs: 8, seeds: 3 });

/**
 * The digits at another size: the 20 x 20 pixels that MNIST's digits fill, averaged down to 10 x 10 first, so that a
 * larger size holds no more than that.
 */
function atSize({ xs, ys }, side, count) {
  return tf.tidy(() => {
    const filled = xs.slice([0, 4, 4, 0], [count, 20, 20, 1]);
    const small = tf.avgPool(filled, 2, 2, 'valid');
    return {
      xs: side === SIDE ? small : tf.image.resizeBilinear(small, [side, side], false, true),
      ys: ys.slice([0], [count]),
    };
  });
}

/** One early stride, as networks have for larger images. */
const CONVOLUTIONS = FILTERS.map((filters, index) => ({ filters, stride: index === 0 ? 2 : 1 }));
const network = (side, depth, seed) => stack(CONVOLUTIONS.slice(0, depth), { side, classes: 10, seed });

const whole = network(SIDE, DEPTH, 1);
const idle = unproductiveLayers(whole);
const range = inputSizeRange(whole);
console.log(
  `receptive fields: border layer ${borderLayer(whole)}, idle ${idle.join(' ')}, input sizes ${range.min[0]} to ${range.max[0]}`,
);
whole.dispose();

const border = DEPTH - idle.length;
const variants = [
  { name: 'too deep', side: SIDE, depth: DEPTH },
  { name: 'without its tail', side: SIDE, depth: DEPTH - idle.length },
  { name: 'input doubled', side: 2 * SIDE, depth: DEPTH },
];

/** Mean saturation behind the border of the small images, over that before it; the first convolution is left out. */
function behindBefore(saturation) {
  return mean(saturation.slice(border, DEPTH)) / mean(saturation.slice(1, border));
}

const results = [];
for (const seed of lab.seeds) {
  for (const { name, side, depth } of variants) {
    const trainSet = atSize(lab.train, side, TRAINED);
    const testSet = atSize(lab.test, side, lab.test.xs.shape[0]);
    const model = network(side, depth, seed);
    await train(model, trainSet, { epochs: lab.epochs, seed });
    const reached = accuracy(model, testSet);
    const spectra = await extractSaturation(model, batchesOf(trainSet.xs), { progress: false });
    const part = ({ xs, ys }) => ({ xs: xs.slice([0], [PROBED]), ys: classesOf(ys).slice(0, PROBED) });
    const probes = await probeLayers(model, part(trainSet), part(testSet), { maxPlaces: 9 });
    const saturation = new Map([...spectra].map(([layer, spectrum]) => [layer, spectrum.saturation(0.99)]));
    const fields = receptiveFields(model);
    const tail = tailOf(saturation);
    const result = {
      name,
      side,
      depth,
      seed,
      accuracy: reached,
      border: borderLayer(model) ?? 'none',
      tail: tail.layers,
      layers: [...saturation.keys()],
      saturation: [...saturation.values()],
      probes: probes.map((probe) => probe.accuracy),
      ...(depth === DEPTH ? { behindBefore: behindBefore([...saturation.values()]) } : {}),
    };
    results.push(result);
    lab.save({ side: SIDE, filters: FILTERS, idle, range, results });
    console.log(
      `${name}, ${side} px, seed ${seed}: accuracy ${percent(reached)}, border ${result.border}, tail ${tail.layers.join(' ') || 'none'}`,
    );
    console.log(`  saturation ${result.saturation.map((value) => value.toFixed(2)).join(' ')}`);
    console.log(`  probes     ${result.probes.map((value) => value.toFixed(2)).join(' ')}`);
    if (seed === 1) {
      const file = `2-tail-${name.replaceAll(/\W+/g, '-').toLowerCase()}`;
      const heading = `${depth} convolutions, ${side} x ${side} pixels: ${name}`;
      await lab.figure(
        file,
        profilePlot(
          { labels: result.layers, values: result.saturation },
          { probes: result.probes, tail: tail.layers, title: heading, metrics: { 'test accuracy': reached } },
        ),
      );
      const seen = result.layers.map((layer) => fields.find((field) => field.layer === layer));
      await lab.figure(
        `${file}-receptive-field`,
        receptiveFieldPlot(
          {
            labels: result.layers,
            min: seen.map((field) => field.min),
            max: seen.map((field) => field.max),
            saturation: result.saturation,
          },
          { title: heading, inputSize: side },
        ),
      );
    }
    model.dispose();
    for (const tensor of [trainSet.xs, trainSet.ys, testSet.xs, testSet.ys]) tensor.dispose();
  }
}

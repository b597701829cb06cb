// Experiment 2, at a length and on a task that make a tail: which of nine photographs is a patch of 32 x 32 pixels from?
//
// Ten 3x3 convolutions with strides see all of a patch before the seventh (the border layer). A control has the same
// widths, strides and depth, but kernels of 2 and 1, so that no layer ever sees beyond the patch. With --side 16 the same
// patches are averaged down, so that the border is earlier in the same network. The authors train with SGD at a high rate;
// one network learns with Adam and without weight decay instead.
// The claims: https://arxiv.org/abs/2006.08679 (the tail), https://arxiv.org/abs/2106.12307 (the border layer).
//
//   node examples/experiments/2-tail-photographs.mjs [--epochs 15] [--seeds 3] [--side 32] [--backend auto] [--out DIR]
import * as tf from '@tensorflow/tfjs';
import { borderLayer, profilePlot, receptiveFields, unproductiveLayers } from 'delve-tensorboard/reports';
import { probeLayers, SaturationTracker } from 'delve-tensorboard/tfjs';
import { accuracy, classesOf, openLab, stack, train } from './lab.js';
import { mean, percent } from './numbers.js';
import { loadPatches } from './photographs.js';

/** Pixels of a photograph that a patch has on a side. */
const CUT = 32;
const TRAINED = 2700;
const TESTED = 1800;
/** Patches that the probes learn from. */
const PROBED = 1000;
const CLASSES = 9;
const FILTERS = [16, 32, 48, 64, 64, 128, 192, 192, 192, 192];
const STRIDES = [2, 2, 1, 1, 2, 2, 1, 1, 1, 1];
const CONTROL_KERNELS = [2, 2, 3, 3, 2, 2, 1, 1, 1, 1];

const lab = await openLab('2-tail-photographs', {
  epochs: 15,
  seeds: 3,
  digits: false,
  options: { side: { type: 'string', default: String(CUT) } },
});
/** Pixels of a patch on a side as the networks get it. */
const SIDE = Number(lab.options.side);
if (![8, 16, CUT].includes(SIDE)) throw new RangeError(`--side: expected 8, 16 or ${CUT}, got ${lab.options.side}`);

const convolutions = FILTERS.map((filters, index) => ({ filters, stride: STRIDES[index] }));
const whole = stack(convolutions, { side: SIDE, classes: CLASSES, seed: 1 });
const idle = unproductiveLayers(whole);
const border = Number(borderLayer(whole).slice('conv'.length));
whole.dispose();
console.log(`border layer conv${border}, idle ${idle.join(' ')}`);

const sgd = { l2: 0.0005, optimizer: () => tf.train.momentum(0.05, 0.9) };
/** `seeds`: how many of the seeds a variant gets; a run takes minutes. */
const variants = [
  { name: 'SGD', convolutions, ...sgd },
  {
    name: 'SGD, no border',
    convolutions: convolutions.map((each, index) => ({ ...each, kernel: CONTROL_KERNELS[index] })),
    ...sgd,
  },
  { name: 'SGD, without its idle layers', convolutions: convolutions.slice(0, border - 1), ...sgd },
  { name: 'Adam', seeds: 1, convolutions, optimizer: () => tf.train.adam(0.001) },
].slice(0, SIDE === CUT ? undefined : 1);
const setting = { side: SIDE, trained: TRAINED, tested: TESTED, filters: FILTERS, strides: STRIDES, idle, border };

function patchesAt(side, seed) {
  const cut = loadPatches({ side: CUT, train: TRAINED, test: TESTED, seed });
  if (side === CUT) return cut;
  const small = ({ xs, ys }) => ({ xs: tf.avgPool(xs, CUT / side, CUT / side, 'valid'), ys });
  const patches = { train: small(cut.train), test: small(cut.test) };
  tf.dispose([cut.train.xs, cut.test.xs]);
  return patches;
}

const results = [];
for (const seed of lab.seeds) {
  for (const { name, convolutions: convs, l2, optimizer, seeds = lab.seeds.length } of variants) {
    if (seed > seeds) continue;
    const patches = patchesAt(SIDE, seed);
    const model = stack(convs, { side: SIDE, classes: CLASSES, seed, l2 });
    const epochs = [];
    const tracker = new SaturationTracker('', model, {
      saveTo: [{ add: (epoch) => void epochs.push(epoch) }],
      stats: ['saturation'],
      sampling: 'auto',
      layers: (layer) => layer.name.startsWith('conv'),
    });
    let trained = 0;
    await train(model, patches.train, {
      epochs: lab.epochs,
      seed,
      optimizer: optimizer(),
      callbacks: [tracker.callback()],
      onEpoch: (_, logs) => void (trained = logs.acc),
    });
    await tracker.close();
    const fields = receptiveFields(model);
    const layers = convs.map((_, index) => `conv${index + 1}`);
    const profiles = epochs.map((epoch) =>
      layers.map(
        (layer) => epoch.layers.find((each) => each.split === 'train' && each.layer === layer).values.saturation,
      ),
    );
    // The first convolution is left out, as for the authors' networks.
    const behindBefore = profiles.map((row) => mean(row.slice(border - 1)) / mean(row.slice(1, border - 1)));
    const spread = tf.tidy(() =>
      tf
        .linspace(0, TRAINED - 1, PROBED)
        .floor()
        .toInt(),
    );
    const part = { xs: patches.train.xs.gather(spread), ys: patches.train.ys.gather(spread) };
    const probed = ({ xs, ys }) => ({ xs, ys: classesOf(ys) });
    const probes = await probeLayers(model, probed(part), probed(patches.test), { maxPlaces: 4 });
    tf.dispose([spread, part.xs, part.ys]);
    const result = {
      name,
      seed,
      border: borderLayer(model) ?? 'none',
      fields: layers.map((layer) => fields.find((field) => field.layer === layer).min),
      accuracy: accuracy(model, patches.test),
      trainAccuracy: trained,
      saturation: profiles.at(-1),
      probes: layers.map((layer) => probes.find((probe) => probe.layer === layer)?.accuracy),
      ...(convs.length === FILTERS.length ? { behindBefore } : {}),
    };
    results.push(result);
    lab.save({ ...setting, results });
    console.log(
      `${name}, seed ${seed}: accuracy ${percent(result.accuracy)} (training ${percent(trained)}), border ${result.border}`,
    );
    console.log(`  fields       ${result.fields.join(' ')}`);
    console.log(`  saturation   ${result.saturation.map((value) => value.toFixed(2)).join(' ')}`);
    console.log(`  probes       ${result.probes.map((value) => value?.toFixed(2)).join(' ')}`);
    console.log(`  behind/before ${behindBefore.map((value) => value.toFixed(2)).join(' ')}`);
    if (seed === 1) {
      await lab.figure(
        `2-tail-photographs-${name.replaceAll(/\W+/g, '-').toLowerCase()}`,
        profilePlot(
          { labels: layers, values: result.saturation },
          {
            probes: result.probes,
            title: `Patches of photographs, ${lab.epochs} epochs: ${name}`,
            tail: result.border === 'none' ? [] : idle,
            metrics: { 'test accuracy': result.accuracy },
          },
        ),
      );
    }
    model.dispose();
    for (const { xs, ys } of [patches.train, patches.test]) tf.dispose([xs, ys]);
  }
}

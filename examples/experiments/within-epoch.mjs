// ReLUs that die of a large rate, told within the epoch: in which batch a finding of the tracker (its option findEvery) tells them, and in
// which the validation loss does, which is computed as often. Beside healthy networks of the same seeds. Writes its table into
// docs/diseases.md.
//
// The validation loss shows the disease from the first look on from which it is above every healthy run's at the same batch, for good.
//
//   node examples/experiments/within-epoch.mjs [--epochs 2] [--seeds 5] [--every 5] [--rates 0.03,0.01] [--backend wasm] [--dry]
import { readFileSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { SaturationTracker } from 'delve-tensorboard/tfjs';
import { machine, replaceSection } from '../../bench/results.mjs';
import { openLab, reluNetwork, train } from './lab.js';

const lab = await openLab('within-epoch', {
  epochs: 2,
  seeds: 5,
  options: {
    every: { type: 'string', default: '5' },
    rates: { type: 'string', default: '0.03,0.01' },
    dry: { type: 'boolean', default: false },
  },
});
const every = Number(lab.options.every);
const rates = lab.options.rates.split(',').map(Number);
const digits = { xs: lab.train.xs.slice([0], [4000]), ys: lab.train.ys.slice([0], [4000]) };
const perEpoch = Math.ceil(4000 / 64);

async function run(seed, rate) {
  const model = reluNetwork(seed, { name: 'digit', units: 10, activation: 'softmax' });
  const findings = [];
  const losses = [];
  const tracker = new SaturationTracker('', model, {
    saveTo: [],
    stats: ['deadUnits'],
    findEvery: every,
    layers: ({ name }) => name !== 'flatten',
  });
  tracker.on('finding', ({ epoch, batch = perEpoch - 1, text }) => {
    findings.push({ batch: epoch * perEpoch + batch + 1, text });
  });
  let batches = 0;
  const look = new tf.CustomCallback({
    onBatchEnd: () => {
      if (++batches % every !== 0) return;
      const loss = model.evaluate(lab.test.xs, lab.test.ys, { batchSize: 500 });
      const [first] = Array.isArray(loss) ? loss : [loss];
      losses.push(first.dataSync()[0]);
      tf.dispose(loss);
    },
  });
  await train(model, digits, {
    epochs: lab.epochs,
    seed,
    optimizer: tf.train.adam(rate),
    callbacks: [tracker.callback(), look],
  });
  await tracker.close();
  model.dispose();
  console.log(`rate ${rate}, seed ${seed}: loss ${losses.map((loss) => loss.toFixed(2)).join(' ')}`);
  for (const { text } of findings) console.log(`  ${text}`);
  return { rate, seed, findings, losses };
}

/** The batch of the first look from which on the loss is above every healthy run's; undefined if it is not so at the end. */
function shownBy(losses, healthy) {
  const within = losses.findLastIndex((loss, at) => loss <= Math.max(...healthy.map((each) => each.losses[at])));
  return within + 1 < losses.length ? (within + 2) * every : undefined;
}

const healthy = [];
for (const seed of lab.seeds) healthy.push(await run(seed, 0.001));
const results = [];
for (const rate of rates) for (const seed of lab.seeds) results.push(await run(seed, rate));
const rows = results.map(({ rate, seed, findings, losses }) => {
  const layer = /'(\w+)'/.exec(findings[0]?.text)?.[1];
  const finding = findings.length > 0 ? `${findings[0].batch} (${layer})` : 'never';
  return `| ${rate} | ${seed} | ${finding} | ${shownBy(losses, healthy) ?? 'never'} | ${Math.max(...losses).toFixed(2)} | ${losses.at(-1).toFixed(2)} |`;
});
const last = healthy.map(({ losses }) => losses.at(-1));
const of = healthy.filter(({ findings }) => findings.length > 0).length;
const section = `\`node examples/experiments/within-epoch.mjs --epochs ${lab.epochs} --seeds ${lab.seeds.length} --every ${every} --rates ${rates} --backend ${tf.getBackend()}\`:
${machine()}, TensorFlow.js ${tf.version_core}. An epoch has ${perEpoch} batches of 64; findings and the validation loss are looked for every ${every} batches.

| rate | seed | first finding in batch | validation loss shows it in batch | its largest value | at the end |
| ---: | ---: | ---: | ---: | ---: | ---: |
${rows.join('\n')}

Of the ${healthy.length} healthy runs (rate 0.001) ${of === 0 ? 'none has' : `${of} have`} a finding; their loss at the end is ${Math.min(...last).toFixed(2)} to ${Math.max(...last).toFixed(2)}.`;
console.log(section);
lab.save({ healthy, results });
if (!lab.options.dry) {
  const path = new URL('../../docs/diseases.md', import.meta.url);
  writeFileSync(path, replaceSection(readFileSync(path, 'utf8'), 'within', section));
}

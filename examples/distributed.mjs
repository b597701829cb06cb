// Three processes train on a third of the digits each and average their weights after every epoch. Together they write one run: its
// saturation is that of all rows, which the mean of the three saturations is not.
//   node examples/distributed.mjs [logdir]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import * as tf from '@tensorflow/tfjs';
import { SaturationRecorder } from 'delve-tensorboard';
import { SaturationTracker } from 'delve-tensorboard/tfjs';
import { loadDigits } from './demo/digits.js';

const processes = 3;
const epochs = 3;
const digits = 1536;
tf.enableProdMode();
await tf.setBackend('cpu');

const model = tf.sequential({
  layers: [
    tf.layers.flatten({ inputShape: [28, 28, 1] }),
    dense('hidden1', 128, 'relu', 1),
    dense('hidden2', 64, 'relu', 2),
    dense('digits', 10, 'softmax', 3),
  ],
});
model.compile({ optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy' });

if (process.send) await train(Number(process.argv[2]));
else await lead(process.argv[2] ?? 'runs/examples/distributed');

/** A dense layer whose weights begin the same in every run of this program. */
function dense(name, units, activation, seed) {
  return tf.layers.dense({ name, units, activation, kernelInitializer: tf.initializers.glorotUniform({ seed }) });
}

/** One of the processes that train. It writes no file and solves no spectrum. */
async function train(rank) {
  const share = digits / processes;
  const { xs, ys } = loadDigits({ seed: 1, validationShare: 0 }).train;
  const [x, y] = [xs.slice(rank * share, share), ys.slice(rank * share, share)];
  const tracker = new SaturationTracker('', model, { role: 'worker' });
  for await (const [weights] of messages()) {
    setWeights(weights);
    const { history } = await model.fit(x, y, {
      epochs: 1,
      batchSize: 32,
      shuffle: false, // by chance, which has no seed here
      verbose: 0,
      callbacks: tracker,
    });
    process.send({ loss: history.loss[0], weights: getWeights(), state: await tracker.take() });
  }
  await tracker.close();
}

/** The process that averages weights, merges what the others have measured, and writes the run. */
async function lead(logdir) {
  const workers = Array.from({ length: processes }, (_, rank) =>
    fork(new URL(import.meta.url), [String(rank)], { serialization: 'advanced' }),
  );
  const writer = new SaturationTracker(logdir, model, { role: 'writer' });
  // For comparison: what each process would have written.
  const alone = workers.map(() => new SaturationRecorder('', { role: 'writer', saveTo: [], stats: ['saturation'] }));
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const answers = workers.map(async (worker) => (await once(worker, 'message'))[0]);
    for (const worker of workers) worker.send(getWeights());
    // By rank, whoever comes first: the order decides the last bits.
    const results = await Promise.all(answers);
    setWeights(results[0].weights.map((_, i) => meanOf(results.map(({ weights }) => weights[i]))));
    const loss = results.reduce((sum, result) => sum + result.loss / processes, 0);
    writer.addScalar('loss', loss);
    for (const { state } of results) writer.merge(state);
    const merged = await writer.addSaturations();

    const apart = await Promise.all(
      results.map(({ state }, rank) => {
        alone[rank].merge(state);
        return alone[rank].addSaturations();
      }),
    );
    console.log(`epoch ${epoch}: loss ${loss.toFixed(3)}`);
    for (const [i, { layer, samples, saturation }] of merged.entries()) {
      const each = apart.map((layers) => layers[i].saturation);
      const mean = each.reduce((sum, one) => sum + one / processes, 0);
      const words = each.map((one) => one.toFixed(3)).join(', ');
      console.log(
        `  ${layer}: ${saturation.toFixed(3)} of ${samples} rows; each alone ${words}, whose mean is ${mean.toFixed(3)}`,
      );
    }
  }
  for (const worker of workers) worker.disconnect();
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  await Promise.all([writer, ...alone].map((each) => each.close()));
  console.log(`npx delve-tensorboard serve ${logdir}`);
}

/** The messages of the process that leads, until it disconnects. */
async function* messages() {
  const ended = new AbortController();
  process.once('disconnect', () => ended.abort());
  for (;;) {
    try {
      yield await once(process, 'message', ended);
    } catch (error) {
      if (ended.signal.aborted) return;
      throw error;
    }
  }
}

function getWeights() {
  return model.getWeights().map((weight) => weight.dataSync().slice());
}

function setWeights(values) {
  tf.tidy(() => model.setWeights(model.getWeights().map(({ shape }, i) => tf.tensor(values[i], shape))));
}

function meanOf(arrays) {
  return arrays[0].map((_, i) => arrays.reduce((sum, array) => sum + array[i] / arrays.length, 0));
}

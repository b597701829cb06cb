// Graphs: a Sequential model, and a functional one with a shared layer and a nested model.
//   node examples/graphs.mjs [logdir]
import * as tf from '@tensorflow/tfjs';
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/graphs';
const writer = new SummaryWriter(logdir);

const encoder = tf.sequential({
  name: 'encoder',
  layers: [
    tf.layers.conv2d({ filters: 8, kernelSize: 3, activation: 'relu', inputShape: [28, 28, 1], name: 'conv1' }),
    tf.layers.maxPooling2d({ poolSize: 2, name: 'pool1' }),
    tf.layers.conv2d({ filters: 16, kernelSize: 3, activation: 'relu', name: 'conv2' }),
    tf.layers.flatten({ name: 'flatten' }),
    tf.layers.dense({ units: 32, name: 'code' }),
  ],
});
writer.run('sequential').addGraph(encoder);

// Two pictures through one encoder: are they of the same digit?
const [left, right] = ['left', 'right'].map((name) => tf.input({ shape: [28, 28, 1], name }));
const both = tf.layers.concatenate({ name: 'both' }).apply([encoder.apply(left), encoder.apply(right)]);
const hidden = tf.layers.dense({ units: 16, activation: 'relu', name: 'hidden' }).apply(both);
const same = tf.layers.dense({ units: 1, activation: 'sigmoid', name: 'same' }).apply(hidden);
writer.run('functional').addGraph(tf.model({ inputs: [left, right], outputs: same }));
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);

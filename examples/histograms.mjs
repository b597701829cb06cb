// Histograms: how values are distributed, step by step.
//   node examples/histograms.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/histograms';
const writer = new SummaryWriter(logdir);

/** A sample of the normal distribution (Box and Muller). */
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

for (let step = 0; step < 30; step++) {
  const weights = Float32Array.from({ length: 10_000 }, () => step / 10 + (1 + step / 20) * normal());
  writer.addHistogram('weights/dense', weights, step, { description: 'Drifts to the right and widens' });
  writer.addHistogram('weights/fine', weights, step, { buckets: 100 });
  // Counted elsewhere: left edge, right edge and count of each bucket.
  writer.addHistogramRaw('ages', [0, 18, 40 - step, 18, 65, 100 + step, 65, 100, 20], step);
}
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);

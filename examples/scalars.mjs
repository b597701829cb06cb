// Scalars: one chart for each tag, and several lines in one chart.
//   node examples/scalars.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/scalars';
const writer = new SummaryWriter(logdir);
for (let step = 0; step < 200; step++) {
  const description = 'Cross-entropy on the **training** batches';
  writer.addScalar('train/loss', Math.exp(-step / 60) + 0.05 * Math.random(), step, {
    displayName: 'loss',
    description,
  });
  writer.addScalar('train/accuracy', 1 - Math.exp(-step / 40), step);
  // Each key becomes a run of its own, so that TensorBoard draws the lines over each other.
  writer.addScalars('optimizer', { learningRate: 0.1 * 0.99 ** step, momentum: 0.9 }, step);
}
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);

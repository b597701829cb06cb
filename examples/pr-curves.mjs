// Precision-recall curves, step by step.
//   node examples/pr-curves.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/pr-curves';
const writer = new SummaryWriter(logdir);
for (let step = 0; step < 5; step++) {
  const labels = Array.from({ length: 2000 }, () => Math.random() < 0.3);
  // Positives move towards 1 as the model learns.
  const predictions = labels.map((label) => Math.min(1, Math.random() ** (label ? 1 / (1 + step) : 1)));
  writer.addPrCurve('is a cat', labels, predictions, step);
}
// Counted elsewhere, at the thresholds 0, 0.5 and 1.
writer.addPrCurveRaw('counted', {
  truePositives: [40, 30, 0],
  falsePositives: [60, 10, 0],
  trueNegatives: [0, 50, 60],
  falseNegatives: [0, 10, 40],
});
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);

// Custom scalars: charts of several tags, as lines or as a band between two of them.
//   node examples/custom-scalars.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/custom-scalars';
const writer = new SummaryWriter(logdir);
writer.addCustomScalars({
  categories: [
    {
      title: 'Training',
      charts: [
        // Regular expressions: every tag that matches is a line.
        { title: 'all losses', multiline: ['loss/.*'] },
        { title: 'mean of five runs', margin: [{ value: 'band/mean', lower: 'band/min', upper: 'band/max' }] },
      ],
    },
  ],
});
for (let step = 0; step < 100; step++) {
  const loss = Math.exp(-step / 30);
  writer.addScalar('loss/train', loss, step);
  writer.addScalar('loss/validation', loss + 0.1 + step / 1000, step);
  writer.addScalar('band/mean', loss, step);
  writer.addScalar('band/min', loss * 0.7, step);
  writer.addScalar('band/max', loss * 1.2, step);
}
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);

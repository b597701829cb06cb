// Text: markdown, and tables from rows of cells.
//   node examples/text.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/text';
const writer = new SummaryWriter(logdir);
writer.addText('notes', '# Run 12\n\nWith *label smoothing* and `adam`:\n\n- batch 128\n- 20 epochs', 0);
writer.addText(
  'samples',
  [
    ['**prompt**', '**answer**'],
    ['2 + 2', '4'],
    ['capital of France', 'Paris'],
  ],
  0,
);
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);

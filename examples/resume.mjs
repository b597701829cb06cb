// A run that crashed and is resumed from its last checkpoint: purgeStep hides what was written after that.
//   node examples/resume.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/resume';
const checkpoint = 60;

const crashed = new SummaryWriter(logdir);
for (let step = 0; step < 100; step++) crashed.addScalar('loss', 1 / (step + 1) + (step > 80 ? step / 100 : 0), step);
await crashed.close();

const resumed = new SummaryWriter(logdir, { purgeStep: checkpoint });
for (let step = checkpoint; step < 150; step++) resumed.addScalar('loss', 1 / (step + 1), step);
await resumed.close();
console.log(`tensorboard --logdir ${logdir}`);

// What a program has written that ends by an exception.
//   <runtime> test/runtimes/throws.mjs <logdir>
import { SummaryWriter } from '../../dist/index.js';

const writer = new SummaryWriter(process.argv[2]);
for (let step = 0; step < 50; step++) writer.addScalar('loss', step, step);
throw new Error('on purpose');

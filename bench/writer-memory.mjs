// Memory while scalars are added, for bench/writer.mjs: node bench/writer-memory.mjs <count> <logdir>
// Prints one line of JSON: the resident bytes after every tenth of them, once collected.
import { SummaryWriter } from '../dist/index.js';

const [countText, logdir] = process.argv.slice(2);
const count = Number(countText);
const writer = new SummaryWriter(logdir);
const resident = [];
for (let step = 1; step <= count; step++) {
  writer.addScalar('train/loss', step, step);
  if (step % (count / 10) === 0) resident.push(process.memoryUsage().rss);
}
await writer.close();
console.log(JSON.stringify({ resident, peakBytes: process.resourceUsage().maxRSS * 1024 }));

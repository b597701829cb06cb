// One reading of one file by us, for bench/writer.mjs and bench/reading.mjs:
//   node bench/reader-job.mjs <file> [all | values | inspect]
// 'all' reads events with the bytes of their summaries, 'values' without; 'inspect' is the command. The last line is JSON.
import { existsSync, readFileSync } from 'node:fs';

const [file, how = 'all'] = process.argv.slice(2);

let events = 0;
// A program that reads has loaded the package long before; the command is measured with all that it loads.
const { readEvents } = how === 'inspect' ? {} : await import('../dist/index.js');
const began = process.cpuUsage();
const start = performance.now();
const report = () => {
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(began);
  // Where Linux says it: the maxRSS of resourceUsage begins with that of the process that started this one.
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const peakBytes = 1024 * Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? process.resourceUsage().maxRSS);
  console.log(JSON.stringify({ seconds, processorSeconds: (user + system) / 1e6, events, peakBytes }));
};
if (how === 'inspect') {
  process.argv = [process.argv[0], 'delve-tensorboard', 'inspect', file];
  process.on('exit', report);
  await import('../dist/cli.js');
} else {
  for await (const _ of readEvents(file, how === 'values' ? { raw: false } : {})) events++;
  report();
}

// One reading of one file by our reader, for bench/writer.mjs: node bench/reader-job.mjs <file>
import { readEvents } from '../dist/index.js';

let events = 0;
const start = performance.now();
for await (const _ of readEvents(process.argv[2])) events++;
const seconds = (performance.now() - start) / 1000;
console.log(JSON.stringify({ seconds, events, peakBytes: process.resourceUsage().maxRSS * 1024 }));

// Adds images in a loop, for bench/images.mjs, and prints one line of JSON: images a second from the first call to the end of close,
// milliseconds of a call, and of all processors for an image.
import { SummaryWriter } from '../dist/index.js';
import { picture } from './writer-inputs.mjs';

const [logdir, count] = [process.argv[2], Number(process.argv[3])];
const image = { data: picture(), shape: [256, 256, 3] };
const writer = new SummaryWriter(logdir);
// The first calls compile, and start the threads.
for (let step = 0; step < 100; step++) writer.addImage('picture', image, step);
await writer.flush();
const before = process.cpuUsage();
const start = performance.now();
for (let step = 100; step < 100 + count; step++) writer.addImage('picture', image, step);
await writer.close();
const millis = performance.now() - start;
const { system, user } = process.cpuUsage(before);
console.log(JSON.stringify({ rate: (1000 * count) / millis, processor: (system + user) / 1000 / count }));

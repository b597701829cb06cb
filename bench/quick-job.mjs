// A process that measures portions of one job of quick-jobs.mjs when it is told to: node bench/quick-job.mjs <checkout> <job>
import { pathToFileURL } from 'node:url';
import { jobs } from './quick-jobs.mjs';

const [checkout, name] = process.argv.slice(2);
const index = await import(new URL('dist/index.js', pathToFileURL(`${checkout}/`)));
const [, , prepare] = jobs[name];
const work = await prepare(index);
// Compiled before it is timed.
for (const end = performance.now() + 400; performance.now() < end; ) await work();
process.on('message', async () => {
  const start = performance.now();
  await work();
  process.send(performance.now() - start);
});
process.send('ready');

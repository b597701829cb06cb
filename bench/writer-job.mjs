// One measurement of one JavaScript writer in a process of its own, for bench/writer.mjs:
//   node bench/writer-job.mjs <delve|tfjs-node> <job> <count> <logdir>
// Prints one line of JSON: { seconds, calls: [p50, p99] in microseconds, bytes, peakBytes }.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { histogramValues, picture, text } from './writer-inputs.mjs';

const [who, job, countText, logdir] = process.argv.slice(2);
const count = Number(countText);

/** [addX, finish] of a writer for a job; undefined where it has no such summary. */
async function writerOf() {
  if (who === 'delve') {
    const { SummaryWriter } = await import('../dist/index.js');
    const writer = new SummaryWriter(logdir);
    const finish = () => writer.close();
    if (job === 'scalars') return [(step) => writer.addScalar('train/loss', step * 0.5, step), finish];
    if (job === 'texts') return [(step) => writer.addText('notes', text(step), step), finish];
    if (job === 'histograms') {
      const values = histogramValues();
      return [(step) => writer.addHistogram('weights', values, step), finish];
    }
    const pixels = { data: picture(), shape: [256, 256, 3] };
    return [(step) => writer.addImage('samples', pixels, step), finish];
  }
  const tf = (await import('@tensorflow/tfjs-node')).default;
  const writer = tf.node.summaryFileWriter(logdir);
  const finish = () => writer.flush();
  if (job === 'scalars') return [(step) => writer.scalar('train/loss', step * 0.5, step), finish];
  if (job === 'histograms') {
    const values = tf.tensor1d(histogramValues());
    return [(step) => writer.histogram('weights', values, step), finish];
  }
  return undefined;
}

const writer = await writerOf();
if (!writer) {
  console.log('null');
} else {
  const [add, finish] = writer;
  // The first calls compile and open the file.
  const warmUp = Math.min(100, count / 10);
  for (let step = 0; step < warmUp; step++) add(step);
  const start = performance.now();
  for (let step = 0; step < count; step++) add(warmUp + step);
  await finish();
  const seconds = (performance.now() - start) / 1000;
  const file = readdirSync(logdir).find((name) => name.includes('tfevents'));
  const bytes = statSync(join(logdir, file)).size / (count + warmUp);

  // Timing every call costs time itself, so calls are timed apart from the whole. tfjs-node keeps one writer per logdir.
  const times = new Float64Array(Math.min(count, 5000));
  const [addTimed, finishTimed] = who === 'delve' ? await again() : writer;
  for (let step = 0; step < times.length; step++) {
    const before = process.hrtime.bigint();
    addTimed(warmUp + count + step);
    times[step] = Number(process.hrtime.bigint() - before) / 1000;
  }
  await finishTimed();
  times.sort();
  const at = (part) => times[Math.min(times.length - 1, Math.floor(part * times.length))];
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  console.log(JSON.stringify({ seconds, calls: [at(0.5), at(0.99)], bytes, peakBytes }));
}

/** A second writer of the same kind, in the same folder; it has been closed by then. */
async function again() {
  return writerOf();
}

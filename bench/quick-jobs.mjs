// What the quick benchmark measures. A job is made for a checkout: it gets the checkout's modules and returns a function that does a
// portion of the work; `units` says how many units a portion has. Each imports only what checkouts of different age have in common.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const uniform = (() => {
  let state = 1;
  return () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
})();

function numbers(count) {
  return Float32Array.from({ length: count }, uniform);
}

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'bench-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

function covariance(index, d) {
  const accumulator = new index.CovarianceAccumulator(d);
  accumulator.update(numbers(2 * d * d));
  return accumulator.covariance();
}

const adding = (count, prepare) => async (index) => {
  const writer = new index.SummaryWriter(folder());
  const add = prepare(writer);
  let step = 0;
  return async () => {
    for (let i = 0; i < count; i++) add(step++);
    await writer.flush();
  };
};

const eigenvalues = (d, repeats) => (index) => {
  const matrix = covariance(index, d);
  return () => {
    for (let i = 0; i < repeats; i++) index.eigenvalues(matrix);
  };
};

const moments = (d, rows, float32Products) => (index) => {
  const samples = numbers(rows * d);
  return () => {
    const accumulator = new index.CovarianceAccumulator(d, { float32Products });
    accumulator.update(samples);
    accumulator.variances();
  };
};

const reading = (count, add) => async (index) => {
  const path = folder();
  const writer = new index.SummaryWriter(path);
  for (let step = 0; step < count; step++) add(writer, step);
  await writer.close();
  return async () => {
    let seen = 0;
    for await (const _ of index.readEvents(path)) seen++;
    if (seen < count) throw new Error(`expected ${count} events, got ${seen}`);
  };
};

const histogram = numbers(10_000);
const picture = { data: new Uint8Array(128 * 128 * 3).map(() => 255 * Math.abs(uniform())), shape: [128, 128, 3] };

/** By name: how many units a portion has, what a unit is, and the job. */
export const jobs = {
  'scalars written': [50_000, 'event', adding(50_000, (w) => (step) => w.addScalar('loss', 1 / (1 + step), step))],
  'histograms written (10,000 values)': [300, 'event', adding(300, (w) => (s) => w.addHistogram('h', histogram, s))],
  'images written (128 x 128 x 3)': [20, 'event', adding(20, (w) => (step) => w.addImage('picture', picture, step))],
  'texts written': [3000, 'event', adding(3000, (w) => (step) => w.addText('note', `step **${step}**`, step))],
  'scalars read': [50_000, 'event', reading(50_000, (w, step) => w.addScalar('loss', 1 / (1 + step), step))],
  'histograms read': [3000, 'event', reading(3000, (w, s) => w.addHistogramRaw('h', new Float64Array(90), s))],
  'eigenvalues, d = 64': [100, 'matrix', eigenvalues(64, 100)],
  'eigenvalues, d = 256': [10, 'matrix', eigenvalues(256, 10)],
  'eigenvalues, d = 512': [2, 'matrix', eigenvalues(512, 2)],
  'eigenvalues, d = 1024': [1, 'matrix', eigenvalues(1024, 1)],
  'covariance, 8192 rows of 128': [8192, 'row', moments(128, 8192, false)],
  'covariance, 2048 rows of 512': [2048, 'row', moments(512, 2048, false)],
  'covariance, 2048 rows of 512, float32 products': [2048, 'row', moments(512, 2048, true)],
};

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { executablePath, openPage } from '../support/chromium.js';

if (!executablePath) console.error('SKIPPED the script for CDNs: no chromium on the path');

const html = `<!doctype html><title>x</title><script type="module">
import { MemoryOutput, readEvents, SaturationRecorder, SummaryWriter } from './delve-tensorboard.min.js';
const output = new MemoryOutput();
const writer = new SummaryWriter(output);
for (let step = 0; step < 10; step++) writer.addScalar('loss', 1 / (step + 1), step);
writer.addHistogram('weights', [1, 2, 3], 1);
const recorder = new SaturationRecorder(writer);
recorder.observe('layer', { data: Float32Array.from({ length: 600 }, (_, i) => Math.sin(i * i)), shape: [200, 3] }, 'train');
const [{ saturation }] = await recorder.addSaturations();
await recorder.close();
await writer.close();
const steps = [];
for await (const { step, summary } of readEvents(output.bytes)) if (summary?.[0].tag === 'loss') steps.push(step);
document.title = JSON.stringify({ steps, saturation, runs: [...output.runs.keys()] });
</script>`;

describe.skipIf(!executablePath)('the script for CDNs', () => {
  it('writes, reads and measures in a page without a bundler, and asks for nothing else', async () => {
    const { page, complaints, foreign } = await openPage();
    const asked: string[] = [];
    await page.route('http://view.test/**', (route) => {
      const { pathname } = new URL(route.request().url());
      asked.push(pathname);
      if (pathname === '/') return route.fulfill({ contentType: 'text/html', body: html });
      if (pathname !== '/delve-tensorboard.min.js') return route.fulfill({ status: 404 });
      const body = readFileSync(new URL('../../dist/delve-tensorboard.min.js', import.meta.url));
      return route.fulfill({ contentType: 'text/javascript', body });
    });
    await page.goto('http://view.test/');
    await expect
      .poll(() => page.title())
      .toBe(JSON.stringify({ steps: [...Array(10).keys()], saturation: 1, runs: ['train'] }));
    expect(asked.filter((path) => path !== '/favicon.ico')).toEqual(['/', '/delve-tensorboard.min.js']);
    expect({ complaints: complaints.filter((text) => !text.includes('404')), foreign }).toEqual({
      complaints: [],
      foreign: [],
    });
  });

  const solving = `<!doctype html><title>x</title><script type="module">
import { CovarianceAccumulator, solverThreads, Spectrum, useSolverThreads } from './delve-tensorboard.min.js';
const features = 1792;
const accumulator = new CovarianceAccumulator(features);
accumulator.update(Float64Array.from({ length: 2000 * features }, (_, i) => Math.sin(i * i) / (1 + (i % features))));
const solve = async (threads) => {
  useSolverThreads(threads);
  return (await Spectrum.solve(accumulator)).eigenvalues;
};
const alone = await solve(1);
const threads = [solverThreads()];
let isSame = true;
// The second thread may come when there is nothing left to do, so it gets several chances.
for (let round = 0; round < (crossOriginIsolated ? 20 : 1) && solverThreads() === 1; round++) {
  const together = await solve(2);
  isSame &&= together.every((value, i) => Object.is(value, alone[i]));
}
threads.push(solverThreads());
document.title = JSON.stringify({ crossOriginIsolated, count: alone.length, threads, isSame });
</script>`;

  it.each([
    [true, [1, 2]],
    [false, [1, 1]],
  ])(
    'solves a large spectrum by two threads, to the same bits, where the page is isolated: %s',
    async (isIsolated, threads) => {
      const { page, complaints } = await openPage();
      const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
      const headers: Record<string, string> = isIsolated ? isolation : {};
      await page.route('http://127.0.0.1:9999/**', (route) => {
        const { pathname } = new URL(route.request().url());
        if (pathname === '/') return route.fulfill({ contentType: 'text/html', headers, body: solving });
        if (pathname !== '/delve-tensorboard.min.js') return route.fulfill({ status: 404 });
        const body = readFileSync(new URL('../../dist/delve-tensorboard.min.js', import.meta.url));
        return route.fulfill({ contentType: 'text/javascript', headers, body });
      });
      await page.goto('http://127.0.0.1:9999/');
      await expect
        .poll(() => page.title(), { timeout: 100_000 })
        .toBe(JSON.stringify({ crossOriginIsolated: isIsolated, count: 1792, threads, isSame: true }));
      expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
    },
  );

  const training = (tensorFlow: string) => `<!doctype html><title>x</title>${tensorFlow}<script type="module">
import { MemoryOutput, readEvents, SaturationTracker, SummaryWriter, tensorBoard } from './delve-tensorboard-tfjs.min.js';
const model = tf.sequential({ layers: [tf.layers.dense({ units: 8, inputShape: [4] }), tf.layers.dense({ units: 1 })] });
model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
const [x, y] = [tf.randomNormal([200, 4]), tf.randomNormal([200, 1])];
const output = new MemoryOutput();
const tracker = new SaturationTracker(new SummaryWriter(output), model);
const own = { onEpochEnd: () => {} };
const beside = new MemoryOutput();
await model.fit(x, y, { epochs: 2, callbacks: [tracker.callback(), own, tensorBoard(beside)] });
await tracker.close();
const tags = new Set();
for await (const { summary } of readEvents(output.runs.get('train').bytes)) for (const { tag } of summary ?? []) tags.add(tag);
document.title = JSON.stringify([tags.has('saturation/dense_Dense1'), [...beside.runs.keys()]]);
</script>`;

  async function pageOf(html: string) {
    const opened = await openPage();
    const tensorFlow = createRequire(import.meta.url).resolve('@tensorflow/tfjs/package.json');
    const files: Record<string, URL | string> = {
      '/delve-tensorboard-tfjs.min.js': new URL('../../dist/delve-tensorboard-tfjs.min.js', import.meta.url),
      '/tf.min.js': join(dirname(tensorFlow), 'dist/tf.min.js'),
    };
    await opened.page.route('http://view.test/**', (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === '/') return route.fulfill({ contentType: 'text/html', body: html });
      if (files[pathname] === undefined) return route.fulfill({ status: 404 });
      return route.fulfill({ contentType: 'text/javascript', body: readFileSync(files[pathname]) });
    });
    await opened.page.goto('http://view.test/');
    return opened;
  }

  it('tracks a training of the TensorFlow.js that a page has loaded as a script', async () => {
    const { page, complaints, foreign } = await pageOf(training('<script src="tf.min.js"></script>'));
    await expect.poll(() => page.title(), { timeout: 60_000 }).toBe(JSON.stringify([true, ['train']]));
    expect({ complaints: complaints.filter((text) => !text.includes('404')), foreign }).toEqual({
      complaints: [],
      foreign: [],
    });
  });

  it('says what to load where there is no TensorFlow.js', async () => {
    const { complaints } = await pageOf(training(''));
    await expect.poll(() => complaints.join()).toMatch(/load its script \(tf\.min\.js\) before this module/);
  });
});

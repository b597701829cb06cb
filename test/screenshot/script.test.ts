import { readFileSync } from 'node:fs';
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
});

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEvents } from '../../src/index.js';
import { executablePath, openPage, violationsIn } from '../support/chromium.js';
import { temporaryFolder } from '../support/folders.js';

if (!executablePath) console.error('SKIPPED the playground in a browser: no chromium on the path');
const site = temporaryFolder(afterAll);
const script = fileURLToPath(new URL('../../scripts/playground.mjs', import.meta.url));

beforeAll(() => {
  mkdirSync('artifacts', { recursive: true });
  if (executablePath === undefined) return;
  const { status, stderr } = spawnSync(process.execPath, [script, '--out', site], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
});

/** The page, from a host that is none: folders of the browser's own need an address. */
async function openPlayground(options: Parameters<typeof openPage>[0]) {
  const opened = await openPage(options);
  await opened.page.route('https://view.test/**', (route) => {
    const { pathname } = new URL(route.request().url());
    return route.fulfill({ path: join(site, pathname === '/' ? 'index.html' : pathname.slice(1)) });
  });
  await opened.page.goto('https://view.test/');
  await opened.page.getByRole('slider', { name: 'units of layer 1' }).waitFor();
  return opened;
}

describe.skipIf(!executablePath)('the playground', () => {
  it.each([
    ['desktop-light', {}],
    ['phone-dark', { width: 390, height: 844, dark: true }],
  ])('%s: bars move while a network learns; layers are widened, added and removed', async (name, options) => {
    const { page, complaints, foreign } = await openPlayground(options);
    const bars = page.locator('.layer .bar');
    expect(await bars.count()).toBe(3);
    await page.getByRole('button', { name: 'Train' }).click();
    await expect.poll(() => page.locator('#status').textContent(), { timeout: 60_000 }).toMatch(/^epoch ([3-9]|\d\d)/);
    await expect.poll(() => bars.first().getAttribute('aria-label')).toMatch(/^layer 1 uses [1-9]\d* % of its width$/);
    await expect.poll(() => page.locator('#view svg').count()).toBeGreaterThan(0);
    await page.screenshot({ path: `artifacts/playground-${name}.png`, fullPage: true });
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Train' }).waitFor();
    expect(await violationsIn(page, page, 'body')).toEqual([]);
    await page.getByRole('slider', { name: 'units of layer 2' }).fill('40');
    await expect
      .poll(() => page.locator('.layer small').allTextContents())
      .toEqual(['24 units', '40 units', '24 units']);
    await page.getByRole('button', { name: '+ layer' }).click();
    await expect.poll(() => bars.count()).toBe(4);
    await page.getByRole('button', { name: 'remove layer 1' }).click();
    await expect
      .poll(() => page.locator('.layer small').allTextContents())
      .toEqual(['40 units', '24 units', '24 units']);
    expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });
  });

  it('gives its logdir away, which this reader reads', async () => {
    const { page } = await openPlayground({});
    await page.getByRole('button', { name: 'Train' }).click();
    await expect.poll(() => page.locator('#status').textContent(), { timeout: 60_000 }).toMatch(/^epoch ([3-9]|\d\d)/);
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download the logdir' }).click(),
    ]);
    const files = unzipSync(new Uint8Array(readFileSync(await saved.path())));
    const names = Object.keys(files);
    expect(names.some((path) => /^playground\/train\/.*tfevents/.test(path))).toBe(true);
    const tags = new Map<string, number>();
    for (const name of names) {
      for await (const { summary } of readEvents(files[name])) {
        for (const { tag } of summary ?? []) tags.set(tag, (tags.get(tag) ?? 0) + 1);
      }
    }
    for (const tag of ['saturation/hidden1', 'eigenvalues/hidden3', 'loss', 'accuracy']) {
      expect(tags.get(tag), tag).toBeGreaterThanOrEqual(3);
    }
  });
});

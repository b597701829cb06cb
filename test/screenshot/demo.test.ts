import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithTensorBoard, LOADERS, startTensorBoard, type TensorBoard } from '../compat/harness.js';

/** The run to look at: one that the demo has left, or a short one that it trains now. */
let logdir = process.env.DELVE_DEMO_LOGDIR ?? '';
let context: BrowserContext | undefined;
const temporary = mkdtempSync(join(tmpdir(), 'delve-screenshot-'));

const browser = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout?.trim())
  .find(Boolean);
if (!browser) console.error('SKIPPED the screenshots: no chromium on the path');

beforeAll(() => {
  mkdirSync('artifacts', { recursive: true });
  if (existsSync(logdir)) return;
  logdir = join(temporary, 'digits');
  execFileSync(process.execPath, ['examples/demo/demo.js', '--epochs', '2', '--logdir', logdir], { stdio: 'inherit' });
}, 300_000);

afterAll(async () => {
  await context?.close();
  rmSync(temporary, { recursive: true, force: true });
});

/** A page of Debian's chromium that reaches nothing but this machine. */
async function openPage(): Promise<Page> {
  context ??= await chromium.launchPersistentContext(join(temporary, 'profile'), {
    executablePath: browser,
    viewport: { width: 1280, height: 720 },
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });
  return context.newPage();
}

/** Opens one of TensorBoard's dashboards; the older ones keep their state behind the #, which only a reload reads again. */
async function openDashboard(board: TensorBoard, state: string, query = ''): Promise<Page> {
  const page = await openPage();
  await page.goto(`${board.url}/${query}#${state}`);
  await page.reload();
  return page;
}

describeWithTensorBoard.each(LOADERS)("the demo's run through $loader", ({ fast }) => {
  it('has saturation, intrinsic dimensionality and a spectrum of every layer, for both splits', async () => {
    const board = await startTensorBoard(logdir, { fast });
    const scalars = await board.ask<Record<string, Record<string, object>>>('scalars/tags');
    const histograms = await board.ask<Record<string, Record<string, object>>>('histograms/tags');
    expect(Object.keys(scalars).sort()).toEqual(['train', 'val']);
    const layersOf = (tags: Record<string, object>, group: string) =>
      Object.keys(tags)
        .filter((tag) => tag.startsWith(`${group}/`))
        .map((tag) => tag.slice(group.length + 1))
        .sort();
    const layers = layersOf(scalars.train, 'saturation');
    expect(layers.length).toBeGreaterThanOrEqual(6);
    for (const run of ['train', 'val']) {
      expect(layersOf(scalars[run], 'saturation')).toEqual(layers);
      expect(layersOf(scalars[run], 'intrinsic-dimensionality')).toEqual(layers);
      expect(layersOf(histograms[run], 'spectrum')).toEqual(layers);
      const losses = await board.ask<[number, number, number][]>('scalars/scalars', { run, tag: 'epoch_loss' });
      const values = await board.ask<[number, number, number][]>('scalars/scalars', { run, tag: 'saturation/digit' });
      expect(values.map(([, step]) => step)).toEqual(losses.map((_, epoch) => epoch + 1));
      for (const [, , saturation] of values) expect(saturation).toBeGreaterThan(0);
    }
  });
});

describeWithTensorBoard('the page that TensorBoard draws of it', () => {
  it.skipIf(!browser)('has one line per layer and split, in the colors of the two runs', async () => {
    const board = await startTensorBoard(logdir, { fast: true });
    const { tag_to_events } = await board.ask<{ tag_to_events: object }>('custom_scalars/scalars', {
      run: 'train',
      tag: '^saturation/',
    });
    const layers = Object.keys(tag_to_events).length;
    const page = await openDashboard(board, 'custom_scalars&_smoothingWeight=0');
    const chart = page.locator('tf-custom-scalar-multi-line-chart-card').first();
    await chart
      .locator('path.line')
      .nth(2 * layers - 1)
      .waitFor({ state: 'attached', timeout: 30_000 });
    await chart.locator('[icon="fullscreen"], [title="Toggle enlarged size"]').first().click();
    await page.waitForTimeout(1500);
    const lines = await chart.locator('path.line').evaluateAll((paths) =>
      paths
        .filter((path) => (path.getAttribute('d') ?? '').length > 0)
        .map((path) => getComputedStyle(path).stroke)
        .filter((stroke) => stroke !== 'none'),
    );
    await page.screenshot({ path: 'artifacts/tensorboard-saturation.png' });
    expect(lines.length).toBeGreaterThanOrEqual(2 * layers);
    expect(new Set(lines).size).toBe(2);
  });

  it.skipIf(!browser)('has a card per layer with both splits, and ridges of the spectra', async () => {
    const board = await startTensorBoard(logdir, { fast: true });
    const cards = await openDashboard(board, 'timeseries', '?tagFilter=%5Esaturation%2F&smoothing=0');
    const card = cards.locator('scalar-card').first();
    await card.waitFor({ timeout: 30_000 });
    await cards.waitForTimeout(5000);
    await cards.screenshot({ path: 'artifacts/tensorboard-layers.png' });
    const shown = await card.textContent();
    for (const text of ['saturation/', 'train', 'val']) expect(shown).toContain(text);

    const ridges = await openDashboard(board, 'histograms&tagFilter=%5Espectrum%2F');
    await ridges.locator('vz-histogram-timeseries, tf-histogram-dashboard').first().waitFor({ timeout: 30_000 });
    await ridges.waitForTimeout(3000);
    await ridges.screenshot({ path: 'artifacts/tensorboard-spectra.png' });
  });
});

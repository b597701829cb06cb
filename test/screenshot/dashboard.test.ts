import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import { SaturationWriter } from '../../src/saturation/saturation-writer.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { executablePath, openPage, sidewaysIn, violationsIn } from '../support/chromium.js';
import { temporaryFolder } from '../support/folders.js';

if (!executablePath) console.error('SKIPPED the dashboard in a browser: no chromium on the path');
const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const evil = '<img src=x onerror=alert(1)>';

const logdir = temporaryFolder(afterAll);
beforeAll(async () => {
  mkdirSync('artifacts', { recursive: true });
  for (const [at, name] of ['wide', 'narrow'].entries()) {
    const writer = new SaturationWriter(join(logdir, name, 'train'));
    for (let step = 0; step < 200; step++) {
      writer.addScalar('loss/train', Math.exp(-step / (20 + 30 * at)) + 0.02 * Math.sin(step * 7), step);
      writer.addScalar('accuracy', 1 - Math.exp(-step / 30) / (1 + at), step);
      if (step % 20 > 0) continue;
      writer.addHistogram(
        'weights',
        Array.from({ length: 300 }, (_, i) => Math.sin(i * 1.7) * (1 + step / 50)),
        step,
      );
      writer.addImage('picture', { data: new Uint8Array(3 * 64).fill(step), shape: [8, 8, 3] }, step);
      writer.addAudio('tone', [0, 0.5, -0.5, 0], step, { sampleRate: 8000 });
      writer.addText('notes', `# Step ${step}\n\n**bold** ${evil} [link](javascript:alert(1))`, step);
      writer.addPrCurve('cats', [1, 0, 1, 0], [0.9, 0.4, 0.6, 0.1], step);
      const eigenvalues = Array.from({ length: 16 }, (_, i) => (1 + i) ** -(1 + at + step / 100));
      for (const layer of ['conv1', evil]) {
        writer.addSaturation(layer, Spectrum.fromEigenvalues(eigenvalues, { samples: 5000 }), step);
      }
    }
    writer.addHparams({ lr: 0.1 / (1 + at), note: evil }, {}, { status: 'success' });
    await writer.close();
  }
  const hostile = new SummaryWriter(join(logdir, 'names'));
  hostile.addScalar(`${evil}/x`, 1, 1);
  hostile.addScalar('\u202egnp.evil', 1, 1);
  await hostile.close();
});

/** Starts `serve`; resolves to its address. */
async function serve(folder: string, ...args: string[]): Promise<string> {
  const program = spawn(process.execPath, [cli, 'serve', folder, '--port', '0', ...args], { stdio: 'pipe' });
  onTestFinished(() => ended(program));
  let said = '';
  for await (const chunk of program.stdout) {
    said += chunk;
    const address = /http:\/\/\S+/.exec(said);
    if (address !== null) return address[0];
  }
  throw new Error(`serve said: ${said}`);
}

async function ended(program: ChildProcess): Promise<void> {
  if (program.exitCode !== null) return;
  program.kill('SIGINT');
  await once(program, 'exit');
}

/** A plain web server that knows neither ranges nor anything of ours. */
async function plainServer(folder: string): Promise<string> {
  const server = createServer(({ url = '/' }, response) => {
    const path = decodeURIComponent(new URL(url, 'http://x').pathname).replace(/^\/below\/it\//, '/');
    try {
      const type = { '.js': 'text/javascript', '.html': 'text/html', '.json': 'application/json' }[extname(path)];
      const body = readFileSync(join(folder, path === '/' ? 'index.html' : path));
      response.writeHead(200, { 'content-type': path === '/' ? 'text/html' : (type ?? 'application/octet-stream') });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/below/it/`;
}

/** The pages, and what is in them when they are drawn. */
const drawn = {
  scalars: '.card svg path',
  saturation: '.saturation-view svg',
  histograms: '.card svg path',
  images: '.card img',
  audio: '.card audio',
  text: '.card .markdown h3',
  hparams: 'table.hparams tbody tr',
  pr: '.card svg path',
};

describe.skipIf(!executablePath)('the dashboard', () => {
  it.each([
    ['desktop-light', {}],
    ['laptop-dark', { width: 1280, height: 900, dark: true }],
    ['tablet-light', { width: 800, height: 1000 }],
    ['phone-dark', { width: 390, height: 844, dark: true }],
  ])('%s: every page shows what the files hold; axe finds nothing; no other host is asked', async (name, options) => {
    const address = await serve(logdir);
    const { page, complaints, foreign } = await openPage(options);
    await page.goto(address);
    for (const [tab, content] of Object.entries(drawn)) {
      await page.locator(`#tab-${tab}`).click();
      await page.locator(content).first().waitFor({ state: 'attached' });
      await expect.poll(() => page.locator('.status').textContent()).toBe('');
      await page.screenshot({ path: `artifacts/dashboard-${tab}-${name}.png` });
      expect(await sidewaysIn(page, '.tabs, .scroll, pre'), tab).toEqual([]);
      expect(await violationsIn(page, page, 'body'), tab).toEqual([]);
    }
    expect(await page.locator('img[src="x"], a[href^="javascript"]').count()).toBe(0);
    expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });
  });

  it('opens on the first page that has something, and a histogram of one value leaves the others readable', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const values = (step: number) => Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i) * step);
    for (const step of [0, 50]) writer.addHistogram('bias', values(step), step);
    await writer.close();
    const { page, complaints } = await openPage();
    await page.goto(await serve(logdir));
    await expect.poll(() => page.locator('[role=tab][aria-selected=true]').textContent()).toBe('Histograms');
    const lines = page.locator('.card svg g[stroke-opacity="0.9"] path');
    await expect.poll(() => lines.count()).toBe(2);
    const [constant, spread] = await lines.evaluateAll((paths) =>
      paths.map((path) => (path as SVGPathElement).getBBox().height),
    );
    // TensorBoard draws counts in 30 bins; the writer's 30 buckets of the last step are these.
    const counts = new Array(30).fill(0);
    for (const value of values(50)) counts[Math.min(29, Math.floor((value / 50 + 1) * 15))]++;
    expect(spread / constant).toBeCloseTo(Math.max(...counts) / 1000, 1);
    expect(spread).toBeGreaterThan(5);
    expect(complaints).toEqual([]);
  });

  it('names are shown as what they are, and a link shows the same again', async () => {
    const { page, complaints } = await openPage();
    await page.goto(`${await serve(logdir)}#tab=scalars&tags=${encodeURIComponent('gnp|/x$')}`);
    const titles = page.locator('.card h2');
    await expect.poll(() => titles.allTextContents()).toEqual(['\\u202egnp.evil', `${evil}/x`]);
    await page.getByLabel('Filter tags').fill('loss');
    await expect.poll(() => titles.allTextContents()).toEqual(['loss/train']);
    await page.getByLabel('logarithmic axis').check();
    await expect.poll(() => page.url()).toContain('log=');
    await page.reload();
    await expect.poll(() => titles.allTextContents()).toEqual(['loss/train']);
    expect(await page.getByLabel('logarithmic axis').isChecked()).toBe(true);
    expect(complaints).toEqual([]);
  });

  it('tells the last value of each run, and saves all points', async () => {
    const { page } = await openPage();
    await page.goto(`${await serve(logdir)}#tags=accuracy`);
    const chart = page.locator('.card svg[role=img]');
    const last = (at: number) => String(Number(Math.fround(1 - Math.exp(-199 / 30) / (1 + at)).toPrecision(5)));
    await expect
      .poll(() => chart.getAttribute('aria-label'))
      .toContain(`narrow/train ends at ${last(1)}, wide/train ends at ${last(0)}`);
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'CSV of accuracy' }).click(),
    ]);
    const rows = readFileSync(await saved.path(), 'utf8')
      .trim()
      .split('\r\n');
    expect(rows.length).toBe(1 + 2 * 200);
    expect(rows[200]).toMatch(new RegExp(`^"narrow/train",199,[\\d.]+,${Math.fround(1 - Math.exp(-199 / 30) / 2)}$`));
  });

  it('follows runs that grow, come and vanish', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(join(folder, 'first'));
    writer.addScalar('x', 1, 1);
    await writer.flush();
    const { page, complaints } = await openPage();
    await page.goto(await serve(folder));
    const label = () => page.locator('.card svg[role=img]').first().getAttribute('aria-label');
    await expect.poll(label).toBe('x: first ends at 1');
    writer.addScalar('x', 2, 2);
    await writer.flush();
    await expect.poll(label, { timeout: 20_000 }).toBe('x: first ends at 2');
    const second = new SummaryWriter(join(folder, 'second'));
    second.addScalar('x', 5, 1);
    await second.close();
    await expect.poll(() => page.locator('.run').count(), { timeout: 20_000 }).toBe(2);
    await page.locator('.run', { hasText: 'second' }).locator('input').check();
    await expect.poll(label).toBe('x: first ends at 2, second ends at 5');
    await writer.close();
    rmSync(join(folder, 'first'), { recursive: true });
    await expect.poll(label, { timeout: 20_000 }).toBe('x: second ends at 5');
    expect(complaints).toEqual([]);
  });

  it('goes on past a damaged file, and complains of it', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(join(folder, 'good'));
    writer.addScalar('x', 3, 1);
    await writer.close();
    mkdirSync(join(folder, 'bad'));
    writeFileSync(join(folder, 'bad/a.tfevents'), 'this is no event file at all');
    const { page } = await openPage();
    await page.goto(await serve(folder));
    await expect.poll(() => page.locator('.complaints summary').textContent()).toBe('1 complaint');
    await expect
      .poll(() => page.locator('.complaints li').textContent())
      .toContain('Damaged record at byte 0 of bad/a.tfevents');
    await expect.poll(() => page.locator('.card svg').count()).toBe(1);
  });

  it('opens a folder of this computer that is chosen in the page', async () => {
    const empty = temporaryFolder();
    const { page, complaints } = await openPage();
    await page.goto(await serve(empty));
    await expect.poll(() => page.locator('#panel').textContent()).toContain('There is no event file here yet.');
    await page.getByLabel('Another logdir').setInputFiles(empty);
    await expect.poll(() => page.locator('.status').textContent()).toContain('There is no event file in it');
    await page.getByLabel('Another logdir').setInputFiles(logdir);
    await expect.poll(() => page.locator('.run').allTextContents()).toEqual(['names', 'narrow/train', 'wide/train']);
    for (const [tab, content] of Object.entries(drawn)) {
      await page.locator(`#tab-${tab}`).click();
      await page.locator(content).first().waitFor({ state: 'attached' });
    }
    expect(complaints).toEqual([]);
  });

  it('opens a folder that is dropped onto the page', async () => {
    const { page, complaints } = await openPage();
    await page.goto(await serve(temporaryFolder()));
    await expect.poll(() => page.locator('#panel').textContent()).toContain('There is no event file here yet.');
    const browser = await page.context().newCDPSession(page);
    // A browser on a busy machine may lose the event of a drag, and then says nothing more of it: so this drags again
    // until the page was dropped upon.
    const drop = async (folder: string) => {
      await page.evaluate(() => {
        Object.assign(globalThis, { drops: 0 });
        addEventListener('drop', () => Object.assign(globalThis, { drops: 1 }), { once: true });
      });
      const dropped = () => page.evaluate(() => (globalThis as unknown as { drops: number }).drops);
      const data = { items: [], files: [folder], dragOperationsMask: 1 };
      const send = (type: 'dragEnter' | 'dragOver' | 'drop' | 'dragCancel') =>
        Promise.race([browser.send('Input.dispatchDragEvent', { type, x: 600, y: 300, data }), setTimeout(3000)]);
      for (let attempt = 0; attempt < 5 && (await dropped()) === 0; attempt++) {
        if (attempt > 0) await send('dragCancel');
        for (const type of ['dragEnter', 'dragOver', 'drop'] as const) await send(type);
        await setTimeout(200 * (attempt + 1));
      }
      expect(await dropped()).toBe(1);
    };
    await drop(logdir);
    await expect.poll(() => page.locator('.run').allTextContents()).toEqual(['names', 'narrow/train', 'wide/train']);
    await page.locator('#tab-images').click();
    await page.locator(drawn.images).first().waitFor({ state: 'attached' });
    await drop(temporaryFolder());
    await expect.poll(() => page.locator('.status').textContent()).toContain('There is no event file in it');
    expect(complaints).toEqual([]);
  });

  it('of a thousand runs only those in sight are elements, and only those shown are read', async () => {
    const folder = temporaryFolder();
    for (let i = 0; i < 1000; i++) {
      const writer = new SummaryWriter(join(folder, `run${String(i).padStart(4, '0')}`));
      writer.addScalar('x', i, 1);
      await writer.close();
    }
    const { page, complaints } = await openPage();
    const asked: string[] = [];
    page.on('request', (request) => void (request.url().includes('tfevents') && asked.push(request.url())));
    await page.goto(await serve(folder));
    await expect
      .poll(() => page.locator('.card svg[role=img]').getAttribute('aria-label'))
      .toContain('run0005 ends at 5');
    expect(await page.locator('.run').count()).toBeLessThan(40);
    expect(new Set(asked).size).toBe(6);
    await page.locator('.run-window').evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await page.locator('.run', { hasText: 'run0999' }).locator('input').check();
    await expect
      .poll(() => page.locator('.card svg[role=img]').getAttribute('aria-label'))
      .toContain('run0999 ends at 999');
    expect(await page.locator('.run', { hasText: 'run0999' }).locator('input').isChecked()).toBe(true);
    expect(await page.locator('.run').count()).toBeLessThan(40);
    await page.getByLabel('Filter runs').fill('run05..');
    await expect.poll(() => page.locator('.run').first().textContent()).toBe('run0500');
    expect(complaints).toEqual([]);
  });

  it('a link to the saturation of six runs shows all of them, in their order', async () => {
    const folder = temporaryFolder();
    const names = ['a', 'b', 'c'].flatMap((name) => [`${name}/train`, `${name}/val`]);
    for (const [at, name] of names.entries()) {
      const writer = new SaturationWriter(join(folder, name));
      // The first one is read last.
      for (let step = 1; step <= (at === 0 ? 300 : 3); step++) {
        const eigenvalues = Array.from({ length: 64 }, (_, i) => (1 + i) ** -(1 + at / 10));
        writer.addSaturation('layer', Spectrum.fromEigenvalues(eigenvalues, { samples: 5000 }), step);
      }
      await writer.close();
    }
    const { page, complaints } = await openPage();
    // The page is drawn before it knows the runs, and one of them comes late.
    await page.context().route(/runs\.json|c\/val/, async (route) => {
      await setTimeout(700);
      await route.continue();
    });
    await page.goto(`${await serve(folder)}#tab=saturation`);
    await expect.poll(() => page.locator('.saturation-view .run').allTextContents()).toEqual(names);
    await expect.poll(() => page.locator('.saturation-view .run input:checked').count()).toBe(6);
    expect(complaints).toEqual([]);
  });

  it('shows the list of runs once where there is little room', async () => {
    const { page } = await openPage({ width: 390, height: 844 });
    await page.goto(`${await serve(logdir)}#tab=saturation`);
    await page.locator(drawn.saturation).first().waitFor({ state: 'attached' });
    expect(await page.locator('.run-window:visible').count()).toBe(1);
    expect(await page.locator('.saturation-view .run input:checked').count()).toBe(2);
    await page.locator('#tab-scalars').click();
    await expect.poll(() => page.locator('.run-window:visible').count()).toBe(1);
  });

  it('keeps its settings behind one line where there is little room, and opens them where there is more', async () => {
    const { page } = await openPage({ width: 390, height: 844 });
    await page.goto(await serve(logdir));
    await page.locator(drawn.scalars).first().waitFor({ state: 'attached' });
    const smoothing = page.getByLabel('Smoothing', { exact: true });
    expect(await smoothing.isVisible()).toBe(false);
    await page.getByText('Settings', { exact: true }).click();
    expect(await smoothing.isVisible()).toBe(true);
    await page.getByText('Settings', { exact: true }).click();
    await page.setViewportSize({ width: 1280, height: 800 });
    await expect.poll(() => smoothing.isVisible()).toBe(true);
  });

  it('shows the logdir that was opened last, though the one before was still being read', async () => {
    const other = temporaryFolder();
    const writer = new SummaryWriter(join(other, 'wide', 'train'));
    writer.addScalar('accuracy', 7, 1);
    await writer.close();
    const { page, complaints } = await openPage();
    await page.goto(`${await serve(logdir)}#tags=accuracy`);
    await page.getByLabel('Another logdir').setInputFiles(other);
    const label = () => page.locator('.card svg[role=img]').first().getAttribute('aria-label');
    await expect.poll(label).toBe('accuracy: wide/train ends at 7');
    await page.getByLabel('Another logdir').setInputFiles(logdir);
    await page.getByLabel('Another logdir').setInputFiles(other);
    await expect.poll(label).toBe('accuracy: wide/train ends at 7');
    await expect.poll(() => page.locator('.status').textContent()).toBe('');
    expect(await label()).toBe('accuracy: wide/train ends at 7');
    expect(complaints).toEqual([]);
  });

  it('for other computers asks for its token', async () => {
    const address = await serve(logdir, '--host', '127.0.0.1');
    expect(address).toMatch(/\?token=[\w-]{20,}$/);
    expect((await fetch(address.replace(/\?.*/, ''))).status).toBe(401);
    const { page, complaints } = await openPage();
    await page.goto(address);
    await page.locator('.card svg path').first().waitFor({ state: 'attached' });
    expect(complaints).toEqual([]);
  });

  it('is a folder that any web server shows, below any address and without ranges', async () => {
    const site = temporaryFolder();
    const program = spawn(process.execPath, [cli, 'share', logdir, '--out', site], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    for await (const chunk of program.stdout) said += chunk;
    expect(said).toContain(`3 runs, `);
    const { page, complaints, foreign } = await openPage();
    await page.goto(await plainServer(site));
    for (const [tab, content] of Object.entries(drawn)) {
      await page.locator(`#tab-${tab}`).click();
      await page.locator(content).first().waitFor({ state: 'attached' });
    }
    expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });
  });
});

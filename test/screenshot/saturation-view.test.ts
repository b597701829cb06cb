import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { SaturationWriter, Spectrum } from '../../src/index.js';
import { describeWithTensorBoard, LOADERS, pluginEnvironment, startTensorBoard } from '../compat/harness.js';
import { executablePath, openPage, violationsIn } from '../support/chromium.js';
import { temporaryFolder } from '../support/folders.js';
import { normal } from '../support/random.js';

if (!executablePath) console.error('SKIPPED the saturation view in a browser: no chromium on the path');
beforeAll(() => void mkdirSync('artifacts', { recursive: true }));

/** Serves dist/view.js and a page that shows runs made in it, from no real host. */
async function openMounted(script: string, options: Parameters<typeof openPage>[0] = {}) {
  const opened = await openPage(options);
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>view</title><body style="margin:0"><div id="view"></div><script type="module">
import { mountSaturationView, LiveSource } from '/view.js';
const element = document.getElementById('view');
${makeRuns}
${script}
</script></body></html>`;
  // No script that strings become: the page must work under this policy.
  const policy =
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:";
  await opened.page.route('http://view.test/**', (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === '/view.js') {
      const path = fileURLToPath(new URL('../../dist/view.js', import.meta.url));
      return route.fulfill({ contentType: 'text/javascript', body: readFileSync(path, 'utf8') });
    }
    if (pathname !== '/') return route.fulfill({ status: 204 });
    return route.fulfill({ contentType: 'text/html', body: html, headers: { 'content-security-policy': policy } });
  });
  await opened.page.goto('http://view.test/');
  return opened;
}

/** In the page: `make(experiments, layers, width, epochs)` gives runs whose layer l falls off with the power 0.5 + l / layers. */
const makeRuns = `
const hostile = ['<img src=x onerror=alert(1)>', '__proto__', 'constructor', '\\u202egnp.evil', 'x'.repeat(10000), '\`tick\` "quote" \\'', 'a/b\\\\c'];
function make(experiments, layerCount, width, epochs, names = []) {
  return experiments.flatMap((experiment, at) => ['train', 'val'].map((split) => ({
    name: experiment ? experiment + '/' + split : split, experiment, split, threshold: 0.99, rule: 'paper',
    layers: Array.from({ length: layerCount }, (_, l) => ({
      name: names[l] ?? 'block' + (l >> 2) + '/conv' + (l % 4),
      stats: new Map(),
      points: Array.from({ length: epochs }, (_, e) => {
        const eigenvalues = Float64Array.from({ length: width }, (_, i) => l === 1 ? 0 : (i + 1) ** -(0.5 + l / layerCount + e / epochs / 2 + at / 5 + (split === 'val' ? 0.1 : 0)));
        return { step: e + 1, samples: 40 * width, rejected: l === 2 ? 7 : 0, eigenvalues, features: width, trace: eigenvalues.reduce((a, b) => a + b, 0), isEstimated: false };
      }),
    })),
    scalars: new Map([['epoch_loss', { steps: Array.from({ length: epochs }, (_, e) => e + 1), values: Array.from({ length: epochs }, (_, e) => 1 / (e + 1 + at)) }]]),
  })));
}`;

describe.skipIf(!executablePath)('the saturation view in a page', () => {
  it.each([
    ['desktop, light', { width: 1400, height: 1000 }],
    ['desktop, dark', { width: 1400, height: 1000, dark: true }],
    ['phone, light', { width: 390, height: 844 }],
    ['phone, dark', { width: 390, height: 844, dark: true }],
  ])(
    '%s: 3, 16 and 60 layers, one experiment and three, without a complaint, and axe finds nothing',
    async (name, options) => {
      for (const [layers, experiments] of [
        [3, "['']"],
        [16, "['wide', 'narrow', 'deep']"],
        [60, "['']"],
      ] as const) {
        const { page, complaints, foreign } = await openMounted(
          `mountSaturationView(element, make(${experiments}, ${layers}, 64, 12));`,
          options,
        );
        await page.locator('#saturation-table table').waitFor();
        await page.waitForTimeout(300);
        await page.screenshot({ path: `artifacts/view-${name.replace(', ', '-')}-${layers}.png`, fullPage: true });
        await expect.poll(() => page.locator('#saturation-table tbody tr').count()).toBe(layers);
        // Nothing sticks out of the page.
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(options.width);
        expect(await violationsIn(page)).toEqual([]);
        expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });
      }
    },
  );

  it('shows names as what they are, whatever they hold, and marks dead layers and NaN where they stand', async () => {
    const { page, complaints } = await openMounted(
      "mountSaturationView(element, make([''], hostile.length, 16, 3, hostile));",
    );
    await page.locator('#saturation-table table').waitFor();
    const names = await page.locator('#saturation-table tbody td:first-child').allTextContents();
    expect(names[0]).toBe('<img src=x onerror=alert(1)>');
    expect(names.slice(1, 3)).toEqual(['__proto__', 'constructor']);
    expect(names[4]).toHaveLength(10000);
    const notes = await page.locator('#saturation-table tbody td:last-child').allTextContents();
    expect(notes[1]).toBe('dead: its output never varies');
    expect(notes[2]).toBe('put out NaN or Infinity');
    const signs = () => page.locator('#saturation-profile svg text').allTextContents();
    await expect.poll(signs).toEqual(expect.arrayContaining(['✕', '!']));
    expect(await page.locator('.saturation-view img, .saturation-view script').count()).toBe(0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(1400);
    expect(complaints).toEqual([]);
  });

  it('shows what many samples would show of few, at the threshold that is chosen', async () => {
    const { page, complaints } = await openMounted(`
      const runs = make([''], 4, 64, 3);
      for (const { layers } of runs) for (const { points } of layers) for (const point of points) point.samples = 96;
      mountSaturationView(element, runs);`);
    const cells = page.locator('#saturation-table tbody td:nth-child(6)');
    const expected = (threshold: number) =>
      Array.from({ length: 4 }, (_, l) => {
        const eigenvalues = Array.from({ length: 64 }, (_, i) => (l === 1 ? 0 : (i + 1) ** -(0.5 + l / 4 + 2 / 3 / 2)));
        const spectrum = Spectrum.fromEigenvalues(eigenvalues, { samples: 96 });
        const { saturation, low, high } = spectrum.saturationEstimate({ threshold });
        return `${saturation.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
      });
    await expect.poll(() => cells.allTextContents()).toEqual(expected(0.99));
    const bars = page.locator('#saturation-profile svg .interval line');
    // The first layer is full as it is; of the dead layer and of the one with NaN something else is said.
    await expect.poll(() => bars.count()).toBe(1);
    const lengths = () => bars.evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().height));
    const before = await lengths();
    await page.getByLabel('Threshold as a number').fill('0.9');
    await page.getByLabel('Threshold as a number').press('Enter');
    await expect.poll(() => cells.allTextContents()).toEqual(expected(0.9));
    await expect.poll(lengths).not.toEqual(before);
    await page.screenshot({ path: 'artifacts/view-few-samples.png', fullPage: true });
    await page.locator('#saturation-stat').selectOption('saturationCorrected');
    await expect
      .poll(() => page.locator('#saturation-profile-title').textContent())
      .toBe('Corrected saturation by depth');
    // Every spectrum of both splits was estimated for the heat map and the profile.
    await expect.poll(() => page.locator('#saturation-profile svg [aria-label=dot] circle').count()).toBe(8);
    expect(complaints).toEqual([]);
  });

  it('leaves out the folders that most names begin with, and tells whole names where one points', async () => {
    const { page } = await openMounted(
      "mountSaturationView(element, make([''], 4, 16, 3, ['net/body/conv_1', 'net/body/conv_2', 'net/body/fc', 'out']));",
    );
    const buttons = page.locator('#saturation-table tbody button');
    await buttons.first().waitFor();
    expect(await buttons.allTextContents()).toEqual(['conv_1', 'conv_2', 'fc', 'out']);
    const titles = await buttons.evaluateAll((all) => all.map((one) => one.getAttribute('title')));
    expect(titles).toEqual(['net/body/conv_1', 'net/body/conv_2', 'net/body/fc', 'out']);
    const axis = () => page.locator('#saturation-profile svg text').allTextContents();
    await expect.poll(axis).toEqual(expect.arrayContaining(['conv_1', 'conv_2', 'fc', 'out']));
    expect(await page.locator('#saturation-layer option').allTextContents()).toEqual(['conv_1', 'conv_2', 'fc', 'out']);
    const heading = () => page.locator('#saturation-spectrum-title').textContent();
    await expect.poll(heading).toBe('Spectrum of net/body/conv_1');
    const dot = page.locator('#saturation-profile svg [aria-label=dot] circle').first();
    const tip = page.locator('#saturation-profile svg [aria-label=tip]');
    // The chart may be drawn again between pointing and reading.
    await expect
      .poll(async () => {
        await dot.hover({ force: true });
        return (await tip.allTextContents()).join(' ');
      })
      .toContain('net/body/conv_1');
  });

  it('follows a training that goes on in the page, and stays where the user looks', async () => {
    const { page, complaints } = await openMounted(`
      const listeners = new Set(); let epochs = 1;
      window.add = () => { epochs++; for (const listener of listeners) listener(); };
      const runs = () => make([''], 4, 16, epochs);
      window.view = mountSaturationView(element, {
        list: async () => runs(), load: async (name) => runs().find((run) => run.name === name),
        subscribe: (listener) => { listeners.add(listener); return () => { listeners.delete(listener); window.stopped = true; }; },
      });`);
    const step = page.locator('output');
    await expect.poll(() => step.textContent()).toBe('1 of 1');
    await page.evaluate('add(); add()');
    await expect.poll(() => step.textContent()).toBe('3 of 3');
    await page.locator('#saturation-step').focus();
    await page.keyboard.press('ArrowLeft');
    await expect.poll(() => step.textContent()).toBe('2 of 3');
    await page.evaluate('add()');
    await expect.poll(() => step.textContent()).toBe('2 of 4');
    // The heat map is reached and moved by the keyboard alone.
    await page.locator('canvas').focus();
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => step.textContent()).toBe('3 of 4');
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => page.locator('#saturation-layer').inputValue()).toBe('block0/conv1');
    await page.evaluate('view.close()');
    expect(await page.evaluate('[window.stopped, document.getElementById("view").childNodes.length]')).toEqual([
      true,
      0,
    ]);
    expect(complaints).toEqual([]);
  });

  it('goes on with other runs when one cannot be read, and says which', async () => {
    const { page, complaints } = await openMounted(`
      const runs = make([''], 3, 8, 2);
      mountSaturationView(element, { list: async () => runs, load: async (name) => { if (name === 'train') throw new Error('damaged at byte 70'); return runs[1]; } });`);
    await page.locator('#saturation-table table').waitFor();
    await expect
      .poll(() => page.locator('[role=alert]').textContent())
      .toBe("'train' could not be read: damaged at byte 70");
    await expect.poll(() => page.locator('.run').allTextContents()).toEqual(['trainunreadable', 'val']);
    expect(complaints).toEqual([]);
  });

  it('a thousand runs: only those in sight are elements, and only those shown are read', async () => {
    const { page, complaints } = await openMounted(`
      window.loaded = [];
      const experiments = Array.from({ length: 500 }, (_, i) => 'seed' + i);
      mountSaturationView(element, {
        list: async () => experiments.flatMap((e) => ['train', 'val'].map((split) => ({ name: e + '/' + split, experiment: e, split }))),
        load: async (name) => { loaded.push(name); return make([name.split('/')[0]], 3, 8, 2).find((run) => run.name === name); },
      });`);
    await page.locator('#saturation-table table').waitFor();
    await expect.poll(() => page.locator('.run').count()).toBeGreaterThan(2);
    expect(await page.locator('.run').count()).toBeLessThan(40);
    await expect.poll(() => page.evaluate('loaded')).toEqual(['seed0/train', 'seed0/val']);
    await page.getByLabel('Filter runs').fill('seed4[29]9/val');
    await expect.poll(() => page.locator('.run').allTextContents()).toEqual(['seed429/val', 'seed499/val']);
    await page.locator('.run input').first().check();
    await expect.poll(() => page.evaluate('loaded')).toEqual(['seed0/train', 'seed0/val', 'seed429/val']);
    expect(await violationsIn(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('downloads the numbers as CSV and a chart as PNG', async () => {
    const { page } = await openMounted("mountSaturationView(element, make([''], 3, 8, 2, ['=1+1', 'a,b', 'c']));");
    await page.locator('#saturation-table table').waitFor();
    const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV' }).click()]);
    const lines = readFileSync(await csv.path(), 'utf8').split('\r\n');
    expect(lines[0]).toBe(
      'run,layer,step,width,samples,threshold,intrinsic-dimensionality,saturation,saturation-corrected,saturation-low,saturation-high',
    );
    expect(lines[1]).toMatch(/^train,'=1\+1,2,8,320,0\.99,\d(,(0\.\d+|1)){4}$/);
    expect(lines[2]).toMatch(/^train,"a,b",2,8,320,0\.99,0,0,0,0,0$/);
    expect(lines).toHaveLength(8);
    const [png] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'PNG of profile' }).click(),
    ]);
    const picture = readFileSync(await png.path());
    expect(picture.subarray(1, 4).toString()).toBe('PNG');
    expect(picture.readUInt32BE(16)).toBeGreaterThan(1500);
  });
});

describeWithTensorBoard.each(LOADERS)('the Saturation tab in TensorBoard behind $loader', ({ fast }) => {
  it.skipIf(!executablePath)(
    'counts at the threshold that is dragged, follows the files, keeps a link, and asks no other host',
    async () => {
      const logdir = temporaryFolder();
      const next = normal(8);
      const writer = new SaturationWriter(join(logdir, 'net/train'));
      const spectra: Spectrum[] = [];
      const add = (step: number) => {
        for (const layer of ['first', 'second']) {
          const spectrum = Spectrum.fromEigenvalues(
            Array.from({ length: 24 }, () => next() ** 4),
            { samples: 5000 },
          );
          spectra.push(spectrum);
          writer.addSaturation(layer, spectrum, step);
        }
        return writer.flush();
      };
      await add(1);
      const board = await startTensorBoard(logdir, { fast, env: pluginEnvironment() });
      const { page, complaints, foreign } = await openPage();
      await page.goto(`${board.url}/#saturation`);
      const tab = page.frameLocator('iframe');
      const cells = (column: number) =>
        tab.locator(`#saturation-table tbody td:nth-child(${column})`).allTextContents();
      await tab.locator('#saturation-table table').waitFor({ timeout: 30_000 });
      expect(await cells(1)).toEqual(['first', 'second']);
      expect(await cells(5)).toEqual(spectra.map((spectrum) => String(spectrum.intrinsicDimensionality())));

      const slider = tab.locator('#saturation-threshold');
      await slider.fill('0.5');
      // The view draws what was dragged in the next frame.
      const shownThreshold = async () => Number(await tab.getByLabel('Threshold as a number').inputValue());
      await expect.poll(shownThreshold).toBeCloseTo(1 / (1 + 10 ** -0.5), 3);
      const threshold = await shownThreshold();
      const dimensions = spectra.map((spectrum) => String(spectrum.intrinsicDimensionality(threshold)));
      await expect.poll(() => cells(5)).toEqual(dimensions);
      const labels = () => tab.locator('#saturation-spectrum svg text').allTextContents();
      await expect.poll(labels).toContain(`${dimensions[0]} of 24`);

      await add(2);
      await expect
        .poll(
          async () => {
            await page.locator('.reload-button').click();
            return tab.locator('output').textContent();
          },
          { timeout: 30_000, interval: 1500 },
        )
        .toBe('2 of 2');
      await page.screenshot({ path: `artifacts/tensorboard-tab-${fast ? 'rust' : 'python'}.png` });
      await expect.poll(() => page.url()).toContain(`p.saturation.threshold=${threshold}`);
      await page.reload();
      await expect
        .poll(() => tab.getByLabel('Threshold as a number').inputValue(), { timeout: 30_000 })
        .toBe(String(threshold));
      await writer.close();
      expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });
    },
  );
});

describeWithTensorBoard('delve-tensorboard board', () => {
  it('starts TensorBoard with the tab, hands over its options, and ends with it', async () => {
    const logdir = temporaryFolder();
    const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
    const python = process.env.PATH?.split(':').find((folder) => existsSync(join(folder, 'tensorboard')));
    const venv = fileURLToPath(new URL('../../.venv-compat/bin', import.meta.url));
    const env = { ...process.env, PATH: python === undefined ? `${venv}:${process.env.PATH}` : process.env.PATH };
    const board = spawn(process.execPath, [cli, 'board', logdir, '--port', '0', '--host', '127.0.0.1'], { env });
    onTestFinished(() => void board.kill('SIGKILL'));
    let said = '';
    board.stderr.on('data', (text) => (said += text));
    board.stdout.on('data', (text) => (said += text));
    await expect.poll(() => /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0], { timeout: 40_000 }).toBeDefined();
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
    const response = await fetch(`${url}/data/plugin/saturation/runs`);
    expect(await response.json()).toEqual([]);
    const ended = new Promise((resolve) => board.once('exit', (code) => resolve(code)));
    board.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  it('says how to get TensorBoard where there is none', () => {
    const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [cli, 'board', 'runs'], {
      env: { PATH: temporaryFolder() },
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/TensorBoard was not found\. Install it with 'pip install tensorboard'/);
    expect(status).toBe(1);
  });
});

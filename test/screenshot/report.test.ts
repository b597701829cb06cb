import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { SaturationWriter, Spectrum } from '../../src/index.js';
import { writeReport } from '../../src/reports.js';
import { executablePath, openPage, violationsIn } from '../support/chromium.js';
import { temporaryFolder } from '../support/folders.js';

if (!executablePath) console.error('SKIPPED reports in a browser: no chromium on the path');
beforeAll(() => void mkdirSync('artifacts', { recursive: true }));

const evil = '</script><img src=x onerror=alert(1)>';
const layers = ['conv1', 'conv2', evil, 'dense'];

/** The page about two experiments, whose layers' eigenvalues fall as powers of their numbers; opened from the disk. */
async function report(folder = temporaryFolder()) {
  for (const [at, experiment] of ['wide', 'narrow'].entries()) {
    const writer = new SaturationWriter(join(folder, experiment));
    for (const split of ['train', 'val'] as const) {
      const run = writer.run(split);
      for (let step = 1; step <= 3; step++) {
        for (const [l, layer] of layers.entries()) {
          const eigenvalues = Array.from({ length: 16 }, (_, i) => (1 + i) ** -(1 + l / 2 + at + step / 10));
          run.addSaturation(layer, Spectrum.fromEigenvalues(eigenvalues, { samples: 5000 }), step);
        }
      }
    }
    await writer.close();
  }
  return pathToFileURL(await writeReport(folder)).href;
}

describe.skipIf(!executablePath)('a report', () => {
  it.each([
    ['desktop-light', {}],
    ['phone-dark', { width: 390, height: 844, dark: true }],
  ])('%s: opens from a disk, asks nobody for anything, and axe finds nothing', async (name, options) => {
    const { page, complaints, foreign } = await openPage(options);
    await page.goto(await report());
    await page.getByRole('heading', { name: 'Saturation by depth' }).waitFor();
    await expect.poll(() => page.locator('.run').count()).toBe(4);
    await page.screenshot({ path: `artifacts/report-${name}.png`, fullPage: true });
    expect(await violationsIn(page, page, 'body')).toEqual([]);
    expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });
  });

  it('names no step twice on an axis, however few there are', async () => {
    const folder = temporaryFolder();
    const writer = new SaturationWriter(join(folder, 'short'));
    for (const split of ['train', 'val'] as const) {
      for (let step = 1; step <= 5; step++) {
        writer.run(split).addSaturation('dense', Spectrum.fromEigenvalues([4, 2, 1], { samples: 5000 }), step);
        writer.run(split).addScalar('epoch_loss', 1 / step, step);
      }
    }
    await writer.close();
    const { page } = await openPage();
    await page.goto(pathToFileURL(await writeReport(folder)).href);
    await page.getByRole('heading', { name: /Losses/ }).waitFor();
    const axes = page.locator('[aria-label="x-axis tick label"]');
    const labels = async () =>
      await axes.evaluateAll((all) =>
        all.map((axis) => [...axis.querySelectorAll('text')].map((text) => text.textContent)),
      );
    await expect.poll(labels).toContainEqual(['1', '2', '3', '4', '5']);
    for (const axis of await labels()) {
      const named = axis.filter((text) => text !== '');
      expect(new Set(named).size).toBe(named.length);
    }
  });

  it('counts anew at another threshold, as the library does, and its link shows the same again', async () => {
    const { page, complaints } = await openPage();
    await page.goto(await report());
    const cell = page.locator('#saturation-table tr', { hasText: 'dense' }).locator('td').nth(4);
    const dimensions = (threshold: number) => {
      const eigenvalues = Array.from({ length: 16 }, (_, i) => Math.fround((1 + i) ** -(1 + 3 / 2 + 1 + 3 / 10)));
      return String(Spectrum.fromEigenvalues(eigenvalues).intrinsicDimensionality(threshold));
    };
    await expect.poll(() => cell.textContent()).toBe(dimensions(0.99));
    await page.getByRole('spinbutton', { name: /Threshold/ }).fill('0.9999');
    await page.keyboard.press('Enter');
    await expect.poll(() => cell.textContent()).toBe(dimensions(0.9999));
    expect(dimensions(0.9999)).not.toBe(dimensions(0.99));
    await expect.poll(() => page.url()).toContain('threshold=0.9999');
    await page.reload();
    await expect.poll(() => cell.textContent()).toBe(dimensions(0.9999));
    expect(complaints).toEqual([]);
  });

  it('says in words and numbers what it holds where scripts are off', async () => {
    const { page } = await openPage({ scripts: false });
    await page.goto(await report());
    expect(await page.locator('table.numbers').count()).toBe(2);
    expect(await page.locator('table.numbers').first().isVisible()).toBe(true);
    expect(await page.locator('td', { hasText: evil }).count()).toBe(4);
    expect(await page.locator('img').count()).toBe(0);
    await page.screenshot({ path: 'artifacts/report-no-scripts.png', fullPage: true });
  });

  it('whose data were damaged still says it in words', async () => {
    const folder = temporaryFolder();
    const { page, complaints } = await openPage();
    const html = readFileSync(fileURLToPath(await report(folder)), 'utf8');
    const path = join(folder, 'cut.html');
    writeFileSync(path, html.replace(/id="runs">[^<]{40}/, 'id="runs">'));
    await page.goto(pathToFileURL(path).href);
    await expect.poll(() => page.locator('#view').textContent()).toContain('cannot be shown');
    expect(await page.locator('table.numbers').first().isVisible()).toBe(true);
    expect(complaints).toEqual([]);
  });
});

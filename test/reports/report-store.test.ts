import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ReportStore, writeReport } from '../../src/reports/report-store.js';
import type { EpochStatistics } from '../../src/saturation/epoch.js';
import { readHistory } from '../../src/saturation/runs.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';

let folder: string;
const epochs: EpochStatistics[] = [];
const reported = new MemoryStoreFiles();
let losses: number[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'));
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ name: 'first', units: 6, activation: 'relu', inputShape: [4] }),
      tf.layers.dense({ name: 'second/inner', units: 5 }),
      tf.layers.dense({ name: 'out', units: 1 }),
    ],
  });
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  const xs = tf.randomNormal([40, 4], 0, 1, 'float32', 1);
  const collect = { add: (epoch: EpochStatistics) => void epochs.push(epoch) };
  const tracker = new SaturationTracker(folder, model, {
    threshold: 0.9,
    saveTo: ['tensorboard', collect, new ReportStore('report.html', { files: reported, title: 'Small' })],
  });
  const fitted = await model.fit(xs, xs.sum(1, true), {
    epochs: 3,
    verbose: 0,
    validationSplit: 0.25,
    callbacks: [tracker.callback()],
  });
  losses = fitted.history.loss as number[];
  await tracker.close();
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a report of a tracked training', () => {
  test('the store writes one page when the tracker closes, spectra included', () => {
    expect([...reported.files.keys()]).toEqual(['report.html']);
    const html = new TextDecoder().decode(reported.files.get('report.html'));
    expect(html).toContain('<h1>Small</h1>');
    for (const text of ['first', 'second/inner', 'Spectrum of out']) expect(html).toContain(text);
  });

  test('the event files give back what the tracker measured: values, widths, samples, threshold, losses', async () => {
    const history = await readHistory(folder);
    expect(history.epochs.map(({ epoch, step }) => [epoch, step])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
    expect(history.last).toMatchObject({ threshold: 0.9, rule: 'paper' });
    for (const measured of epochs) {
      const read = history.epochs.find(({ epoch }) => epoch === measured.epoch)!;
      for (const { split, layer, features, samples, values } of measured.layers) {
        const found = read.layers.find((each) => each.split === split && each.layer === layer);
        expect(found, `${split}/${layer}`).toMatchObject({ features, samples });
        expect(found!.values.saturation).toBeCloseTo(values.saturation!, 6);
        expect(found!.values.intrinsicDimensionality).toBe(values.intrinsicDimensionality);
      }
    }
    const loss = history.scalars().find(({ name, split }) => name === 'epoch_loss' && split === 'train');
    expect(loss!.values).toHaveLength(losses.length);
    for (const [epoch, value] of loss!.values.entries()) expect(value).toBeCloseTo(losses[epoch]!, 5);
  });

  test('writeReport puts the page into the logdir and says where', async () => {
    const path = await writeReport(folder);
    expect(path).toBe(`${folder}/report.html`);
    expect(await readFile(path, 'utf8')).toContain('epoch_loss');
  });

  test('a folder without saturation is refused by name; no page comes from no epoch', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'report-'));
    await expect(writeReport(empty)).rejects.toThrow(/found none/);
    await rm(empty, { recursive: true });
    const files = new MemoryStoreFiles();
    await new ReportStore('x.html', { files }).close();
    expect(files.files.size).toBe(0);
    expect(() => new ReportStore('')).toThrow(/path of an HTML file/);
  });
});

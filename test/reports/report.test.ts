import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReceptiveField } from '../../src/insight/receptive-fields.js';
import { reportHtml } from '../../src/reports/report.js';
import { ReportStore, writeReport } from '../../src/reports/report-store.js';
import type { EpochStatistics, LayerStatistics, Split } from '../../src/saturation/epoch.js';
import { RunHistory } from '../../src/saturation/run-history.js';
import { readHistory } from '../../src/saturation/runs.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { temporaryFolder } from '../support/folders.js';

function history(layers: number, epochs: number, name = (layer: number) => `block_${layer}/conv2d`): RunHistory {
  const result = new RunHistory();
  for (let epoch = 0; epoch < epochs; epoch++) {
    const of = (split: Split) =>
      Array.from({ length: layers }, (_, layer): LayerStatistics => {
        const saturation = layer < layers / 2 ? 0.6 : 0.05;
        return {
          split,
          layer: name(layer),
          samples: 5000,
          rejected: 0,
          features: 64,
          saturation,
          intrinsicDimensionality: saturation * 64,
          values: { saturation, intrinsicDimensionality: saturation * 64 },
          spectrum: Spectrum.fromEigenvalues([4, 3, 2, 1]),
        };
      });
    const scalars: EpochStatistics['scalars'] = [
      { tag: 'loss', value: 1 / (epoch + 1), split: 'train' },
      { tag: 'loss', value: 1.1 / (epoch + 1), split: 'val' },
    ];
    result.add({
      epoch,
      step: epoch + 1,
      threshold: 0.99,
      rule: 'paper',
      layers: [...of('train'), ...of('val')],
      scalars,
    });
  }
  return result;
}

const count = (html: string, what: RegExp) => [...html.matchAll(what)].length;

describe('reportHtml', () => {
  it('holds every figure, the findings, and a row per layer and split', async () => {
    const html = await reportHtml(history(6, 3), { title: 'VGG on digits' });
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toContain('<title>VGG on digits</title>');
    // Profile, train against val, two heat maps, the loss, six spectra.
    expect(count(html, /<figure /g)).toBe(1 + 1 + 2 + 1 + 6);
    expect(html).toMatch(/<li class="tail">The last 2 layers/);
    expect(html).toContain('<code>block_4/conv2d</code>');
    expect(html).toContain('href="https://arxiv.org/abs/2006.08679"');
    expect(count(html, /<td>block_\d\/conv2d<\/td>/g)).toBe(12);
  });

  it('is one file: no script, no style sheet, no picture from elsewhere', async () => {
    const html = await reportHtml(history(3, 2));
    expect(html).not.toMatch(/<script|<link|<img|@import|url\((?!#)/i);
    expect(count(html, /\bsrc=/g)).toBe(0);
    expect(html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
  });

  it('receptive fields and probes are drawn and listed if they are given', async () => {
    const receptiveFields = Array.from({ length: 3 }, (_, layer): ReceptiveField => {
      const axis = {
        min: 3 + 2 * layer,
        max: 3 + 2 * layer,
        stride: 1,
        kernel: 3,
        minBefore: 1 + 2 * layer,
        strideBefore: 1,
        maxFinite: 0,
      };
      return {
        layer: `block_${layer}/conv2d`,
        className: 'Conv2D',
        min: axis.min,
        max: axis.max,
        axes: [axis],
        convolutional: true,
      };
    });
    const probes = [{ layer: 'block_0/conv2d', accuracy: 0.875 }];
    const html = await reportHtml(history(3, 1), { receptiveFields, inputSize: 4, probes });
    expect(html).toContain('Saturation and receptive field by depth');
    expect(html).toContain('>input 4<');
    expect(html).toContain('<th>receptive field</th><th>probe accuracy</th>');
    expect(html).toContain('<td>3</td><td>0.875</td>');
    expect(html).toContain('class="border"');
  });

  it('names from outside cannot become markup', async () => {
    const html = await reportHtml(
      history(3, 1, (layer) => `<b>${layer}</b>&"`),
      { title: '<i>' },
    );
    expect(html).not.toMatch(/<b>|<i>/);
    expect(html).toContain('&lt;b&gt;0&lt;/b&gt;&amp;&quot;');
  });

  it('no two elements of the page share an id', async () => {
    const html = await reportHtml(history(4, 3));
    const ids = [...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('an empty history is refused', async () => {
    await expect(reportHtml(new RunHistory())).rejects.toThrow(/at least one epoch/);
  });
});

describe('a report of a tracked training', () => {
  const folder = temporaryFolder(afterAll);
  const epochs: EpochStatistics[] = [];
  const reported = new MemoryStoreFiles();
  let losses: number[];

  beforeAll(async () => {
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

  it('the store writes one page when the tracker closes, spectra included', () => {
    expect([...reported.files.keys()]).toEqual(['report.html']);
    const html = new TextDecoder().decode(reported.files.get('report.html'));
    expect(html).toContain('<h1>Small</h1>');
    for (const text of ['first', 'second/inner', 'Spectrum of out']) expect(html).toContain(text);
  });

  it('the event files give back what the tracker measured: values, widths, samples, threshold, losses', async () => {
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

  it('writeReport puts the page into the logdir and says where', async () => {
    const path = await writeReport(folder);
    expect(path).toBe(`${folder}/report.html`);
    expect(await readFile(path, 'utf8')).toContain('epoch_loss');
  });

  it('a folder without saturation is refused by name; no page comes from no epoch', async () => {
    await expect(writeReport(temporaryFolder())).rejects.toThrow(/found none/);
    const files = new MemoryStoreFiles();
    await new ReportStore('x.html', { files }).close();
    expect(files.files.size).toBe(0);
    expect(() => new ReportStore('')).toThrow(/path of an HTML file/);
  });
});

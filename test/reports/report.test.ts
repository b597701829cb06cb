import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { printable } from '../../src/errors.js';
import type { ReceptiveField } from '../../src/insight/receptive-fields.js';
import { shortLabel } from '../../src/reports/plot-spec.js';
import { profilePlot } from '../../src/reports/profile-plot.js';
import { renderSvg } from '../../src/reports/render.js';
import { reportHtml } from '../../src/reports/report.js';
import { ReportStore, writeReport } from '../../src/reports/report-store.js';
import { splitsPlot } from '../../src/reports/splits-plot.js';
import type { EpochStatistics, LayerStatistics, Split } from '../../src/saturation/epoch.js';
import { RunHistory } from '../../src/saturation/run-history.js';
import { readHistory } from '../../src/saturation/runs.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { oddNames } from '../support/epochs.js';
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

  it('every layer appears as what it is, whatever its name, in its cell, caption, plots and findings', async () => {
    const pageOf = (name: (layer: number) => string) => {
      const named = history(oddNames.length, 2, name);
      const run = new RunHistory();
      for (const { layers, ...epoch } of named.epochs) {
        const scalars = oddNames.map((_, metric) => ({ tag: name(metric), value: 1, split: 'train' as const }));
        run.add({ ...epoch, scalars, layers: layers.map((layer) => ({ ...layer, rejected: 1 })) });
      }
      return reportHtml(run);
    };
    const html = await pageOf((layer) => oddNames[layer]!);
    const plain = await pageOf((layer) => `plain_${layer}`);
    const drawn = Array.from(html.matchAll(/<text [^>]*>([^<]*)<\/text>/g), ([, text]) => text!);
    const escaped = (text: string) =>
      text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
    for (const name of oddNames) {
      const shown = escaped(printable(name));
      expect(html.split(`<td>${shown}</td>`).length - 1, name).toBe(2);
      for (const part of [`<figcaption>Spectrum of ${shown}<`, `aria-label="Spectrum of ${shown}"`, `<code>${shown}<`])
        expect(html.includes(part), part).toBe(true);
      // As what a browser draws of a text: without blanks around it and characters that have no width.
      const bare = (text: string) => text.replaceAll('&quot;', '"').replaceAll('\u200b', '').trim();
      const label = bare(escaped(shortLabel(name)));
      // Profile, train against validation, two heat maps.
      if (label !== '') expect(drawn.filter((text) => bare(text) === label).length, name).toBeGreaterThanOrEqual(4);
    }
    // Every figure once, whatever a name would make of the pattern of a replacement.
    for (const tag of ['svg', 'figure', 'text', 'code']) {
      expect(html.split(`<${tag} `).length, tag).toBe(plain.split(`<${tag} `).length);
    }
    for (const raw of ['<script', '<b>', '\u0001', '\u001b', '\u2028', '\u202e']) {
      expect(html.includes(raw), raw).toBe(false);
    }
  }, 30_000);

  it('every metric may be plotted, whatever its name', async () => {
    for (const name of oddNames) {
      const options = { metric: name, title: name, subtitle: name };
      const probes = { probes: [1], metrics: { [name]: 1 } };
      await renderSvg(profilePlot({ labels: [name], values: [1] }, { ...options, ...probes }));
      await renderSvg(splitsPlot({ labels: [name], train: [1], val: [2] }, options));
    }
  }, 30_000);

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
    expect(() => new ReportStore('')).toThrow('ReportStore: expected a path');
  });
});

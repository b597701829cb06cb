import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { printable } from '../../src/errors.js';
import type { ReceptiveField } from '../../src/insight/receptive-fields.js';
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
import { unpackRuns } from '../../src/view/packed-runs.js';
import type { RunData } from '../../src/view/run-data.js';
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
/** What a page says without scripts. */
const wordsOf = (html: string) => html.slice(0, html.indexOf('<script'));
/** The runs that a page holds. */
function runsIn(html: string): RunData[] {
  const data = /<script type="application\/octet-stream" id="runs">([^<]*)<\/script>/.exec(html)![1]!;
  return unpackRuns(new Uint8Array(Buffer.from(data, 'base64')));
}

describe('reportHtml', () => {
  it('holds the findings, a row per layer and split, and all that the view shows', async () => {
    const html = await reportHtml(history(6, 3), { title: 'VGG on digits' });
    const words = wordsOf(html);
    expect(words).toMatch(/^<!doctype html>/);
    expect(words).toContain('<title>VGG on digits</title>');
    expect(words).toMatch(/<li class="tail">At <code>[^<]+<\/code> at the latest, saturation falls/);
    expect(words).toContain('<code>block_4/conv2d</code>');
    expect(words).toContain('href="https://arxiv.org/abs/2006.08679"');
    expect(count(words, /<td>block_\d\/conv2d<\/td>/g)).toBe(12);
    const runs = runsIn(html);
    expect(runs.map(({ name }) => name)).toEqual(['train', 'val']);
    for (const { layers, scalars } of runs) {
      expect(layers.map(({ name }) => name)).toEqual(Array.from({ length: 6 }, (_, i) => `block_${i}/conv2d`));
      expect(layers[5]!.points.map(({ step }) => step)).toEqual([1, 2, 3]);
      expect([...layers[0]!.points[2]!.eigenvalues]).toEqual([4, 3, 2, 1]);
      expect(layers[5]!.stats.get('saturation')).toEqual({ steps: [1, 2, 3], values: [0.05, 0.05, 0.05] });
      expect(scalars.get('loss')!.steps).toEqual([1, 2, 3]);
    }
  });

  it('says when a training ran and which network it was, as far as that is known', async () => {
    const told = history(3, 2);
    expect(await reportHtml(told)).toContain(
      '<div class="facts"><dl><dt>Measured</dt><dd>3 layers, of 64, 64 and 64 features; train and val, last at epoch 2</dd></dl></div>',
    );
    // 2026-03-01 12:00:00 UTC, by `date -u -d @1772366400`.
    told.times = { first: 1_772_366_400, last: 1_772_366_400 + 34 * 60 + 56 };
    told.model = { name: 'a<b', layers: 1001, types: { Conv2D: 1000, Dense: 1 }, parameters: 1234567 };
    const html = await reportHtml(told);
    expect(html).toContain('<dt>Trained</dt><dd>2026-03-01 12:00:00 to 12:34:56 UTC (34 min 56 s)</dd>');
    expect(html).toContain('<dt>Model</dt><dd>a&lt;b, 1,001 layers (1,000 Conv2D, 1 Dense), 1,234,567 parameters</dd>');
    told.times = { first: 1_772_366_400, last: 1_772_366_400 + 2 * 86400 + 3600 + 59 };
    expect(await reportHtml(told)).toContain('2026-03-01 12:00:00 to 2026-03-03 13:00:59 UTC (2 d 1 h)');
    const several = await reportHtml(
      new Map([
        ['wide', told],
        ['narrow', history(1, 1)],
      ]),
    );
    expect(several).toContain('<summary>2 trainings: when they were, and of which networks</summary><h2>wide</h2>');
    expect(several).toContain('1 layer, of 64 features; train and val, last at epoch 1');
    expect(runsIn(html)[1]).toMatchObject({ model: told.model, times: { first: 1_772_366_400 } });
  });

  it('is one file that loads nothing, and whose policy forbids it to', async () => {
    const html = await reportHtml(history(3, 2));
    const words = wordsOf(html);
    expect(words).not.toMatch(/<link|<img|@import|url\(|\bsrc=/i);
    expect(count(html, /<script\b/g)).toBe(2);
    expect(words).toContain("default-src 'none'; script-src 'unsafe-inline';");
    expect(words).not.toContain('unsafe-eval');
    expect(words).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    expect(html.length).toBeLessThan(500_000);
  });

  it('receptive fields and probes are listed if they are given, and the view gets the fields', async () => {
    const receptiveFields = Array.from({ length: 3 }, (_, layer): ReceptiveField => {
      const axis = {
        min: 3 + 2 * layer,
        max: layer === 2 ? Number.POSITIVE_INFINITY : 3 + 2 * layer,
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
    const html = await reportHtml(history(3, 1), { receptiveFields, inputSize: [4, 3], probes });
    expect(html).toContain('<th>receptive field</th><th>probe accuracy</th>');
    expect(html).toContain('<td>3</td><td>0.875</td>');
    expect(html).toContain('class="border"');
    expect(runsIn(html).map(({ fields }) => fields)).toEqual(Array(2).fill({ inputSize: 4, layers: receptiveFields }));
  });

  it('several experiments stand side by side, each as itself', async () => {
    const histories = new Map([
      ['fold1', history(2, 3)],
      ['deep/fold2', history(4, 1)],
    ]);
    const html = await reportHtml(histories);
    expect(wordsOf(html)).toMatch(/<h2>fold1<\/h2>[\s\S]*<h2>deep\/fold2<\/h2>/);
    const found = runsIn(html).map(({ name, experiment, split, layers }) => [name, experiment, split, layers.length]);
    expect(found).toEqual([
      ['fold1/train', 'fold1', 'train', 2],
      ['fold1/val', 'fold1', 'val', 2],
      ['deep/fold2/train', 'deep/fold2', 'train', 4],
      ['deep/fold2/val', 'deep/fold2', 'val', 4],
    ]);
    await expect(reportHtml(new Map())).rejects.toThrow('expected at least one history, got none');
    await expect(reportHtml(new Map([['a', new RunHistory()]]))).rejects.toThrow("a history of 'a' of at least one");
  });

  it('of many spectra it holds those of every so many epochs, and says so', async () => {
    const long = new RunHistory();
    const spectrum = Spectrum.fromEigenvalues(Float64Array.from({ length: 1024 }, (_, i) => 1 / (1 + i)));
    const [template] = history(1, 1).epochs;
    for (let epoch = 0; epoch < 5000; epoch++) {
      const layers = [{ ...template!.layers[0]!, features: 1024, spectrum }];
      long.add({ ...template!, epoch, step: epoch + 1, layers });
    }
    const html = await reportHtml(long);
    expect(wordsOf(html)).toContain('This file holds the spectra of every 2nd epoch, and all other numbers.');
    const [layer] = runsIn(html)[0]!.layers;
    expect([layer!.points.length, layer!.points[0]!.step, layer!.points.at(-1)!.step]).toEqual([2500, 2, 5000]);
    expect(layer!.stats.get('saturation')!.steps.length).toBe(5000);
  });

  it('names from outside cannot become markup, nor end what they stand in', async () => {
    const evil = '</script><b>&"<!--<script>';
    const html = await reportHtml(
      history(3, 1, (layer) => `${evil}${layer}`),
      { title: '<i>' },
    );
    expect(wordsOf(html)).not.toMatch(/<b>|<i>|<!--/);
    expect(html).toContain('&lt;b&gt;&amp;&quot;&lt;!--&lt;script&gt;0');
    expect([count(html, /<script\b/g), count(html, /<\/script>/g), count(html, /<!--/g)]).toEqual([2, 2, 0]);
    expect(runsIn(html)[0]!.layers[0]!.name).toBe(`${evil}0`);
  });

  it('every layer appears as what it is, whatever its name, in its cell, its finding and the view', async () => {
    const named = history(oddNames.length, 2, (layer) => oddNames[layer]!);
    const run = new RunHistory();
    for (const { layers, ...epoch } of named.epochs) {
      const scalars = oddNames.map((tag) => ({ tag, value: 1, split: 'train' as const }));
      run.add({ ...epoch, scalars, layers: layers.map((layer) => ({ ...layer, rejected: 1 })) });
    }
    const html = await reportHtml(run);
    const words = wordsOf(html);
    const escaped = (text: string) =>
      text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
    for (const name of oddNames) {
      const shown = escaped(printable(name));
      expect(words.split(`<td>${shown}</td>`).length - 1, name).toBe(2);
      expect(words.includes(`<code>${shown}<`), name).toBe(true);
    }
    const [train] = runsIn(html);
    expect(train!.layers.map(({ name }) => name)).toEqual(oddNames);
    expect([...train!.scalars.keys()].sort()).toEqual([...oddNames].sort());
    for (const raw of ['<b>', '\u0001', '\u001b', '\u2028', '\u202e']) expect(words.includes(raw), raw).toBe(false);
  });

  it('every metric may be plotted, whatever its name', async () => {
    for (const name of oddNames) {
      const options = { metric: name, title: name, subtitle: name };
      const probes = { probes: [1], metrics: { [name]: 1 } };
      await renderSvg(profilePlot({ labels: [name], values: [1] }, { ...options, ...probes }));
      await renderSvg(splitsPlot({ labels: [name], train: [1], val: [2] }, options));
    }
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
    expect(html).toContain('<h1 class="title">Small</h1>');
    for (const text of ['first', 'second/inner', 'out']) expect(wordsOf(html)).toContain(text);
    expect(runsIn(html).map(({ name, layers }) => [name, layers.map(({ points }) => points.length)])).toEqual([
      ['train', [3, 3, 3]],
      ['val', [3, 3, 3]],
    ]);
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
    expect(runsIn(await readFile(path, 'utf8'))[0]!.scalars.has('epoch_loss')).toBe(true);
  });

  it('a folder without saturation is refused by name; no page comes from no epoch', async () => {
    await expect(writeReport(temporaryFolder())).rejects.toThrow(/found none/);
    const files = new MemoryStoreFiles();
    await new ReportStore('x.html', { files }).close();
    expect(files.files.size).toBe(0);
    expect(() => new ReportStore('')).toThrow('ReportStore: expected a path');
  });
});

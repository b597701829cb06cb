import { describe, expect, test } from 'vitest';
import type { ReceptiveField } from '../../src/insight/receptive-fields.js';
import { reportHtml } from '../../src/reports/report.js';
import type { EpochStatistics, LayerStatistics, Split } from '../../src/saturation/epoch.js';
import { RunHistory } from '../../src/saturation/run-history.js';
import { Spectrum } from '../../src/statistics/spectrum.js';

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
  test('holds every figure, the findings, and a row per layer and split', async () => {
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

  test('is one file: no script, no style sheet, no picture from elsewhere', async () => {
    const html = await reportHtml(history(3, 2));
    expect(html).not.toMatch(/<script|<link|<img|@import|url\((?!#)/i);
    expect(count(html, /\bsrc=/g)).toBe(0);
    expect(html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
  });

  test('receptive fields and probes are drawn and listed where they are given', async () => {
    const receptiveFields = Array.from({ length: 3 }, (_, layer): ReceptiveField => {
      const axis = {
        min: 3 + 2 * layer,
        max: 3 + 2 * layer,
        stride: 1,
        kernel: 3,
        minBefore: 1 + 2 * layer,
        strideBefore: 1,
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

  test('names from outside cannot become markup', async () => {
    const html = await reportHtml(
      history(3, 1, (layer) => `<b>${layer}</b>&"`),
      { title: '<i>' },
    );
    expect(html).not.toMatch(/<b>|<i>/);
    expect(html).toContain('&lt;b&gt;0&lt;/b&gt;&amp;&quot;');
  });

  test('no two elements of the page share an id', async () => {
    const html = await reportHtml(history(4, 3));
    const ids = [...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('an empty history is refused', async () => {
    await expect(reportHtml(new RunHistory())).rejects.toThrow(/at least one epoch/);
  });
});

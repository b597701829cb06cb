import { spawnSync } from 'node:child_process';
import { Resvg } from '@resvg/resvg-js';
import { PNG } from 'pngjs';
import * as vega from 'vega';
import * as vegaLite from 'vega-lite';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PlotStore } from '../../src/reports/plot-store.js';
import { estimateTextBetter, loadRenderer, textWidth } from '../../src/reports/render.js';
import {
  addPlots,
  embeddingPlot,
  heatMapPlot,
  MissingRendererError,
  type PlotSpec,
  profilePlot,
  receptiveFieldPlot,
  renderPng,
  renderSvg,
  screePlot,
  seriesPlot,
  splitsPlot,
} from '../../src/reports.js';
import type { LayerStatistics, Split } from '../../src/saturation/epoch.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { epochOf, layer } from '../support/epochs.js';
import { Programs } from '../support/programs.js';

const decode = (png: Uint8Array) => PNG.sync.read(Buffer.from(png));

/** Every text in a drawing, in order. */
const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);

/** All rows of data anywhere in a specification. */
function rowsOf(spec: unknown): Record<string, unknown>[] {
  if (spec === null || typeof spec !== 'object') return [];
  if (Array.isArray(spec)) return spec.flatMap(rowsOf);
  return Object.entries(spec).flatMap(([key, value]) =>
    key === 'data' ? (value as { values: Record<string, unknown>[] }).values : rowsOf(value),
  );
}

describe('where code from strings is forbidden', () => {
  const labels = ['first', 'constructor', 'a\u2028b'];
  const settling = [
    [0.1, 0.2, Number.NaN],
    [0.1, 0.5, 1],
  ];
  const plots: [string, PlotSpec][] = [
    ['profile', profilePlot({ labels, values: [0.1, 0.2, Number.NaN] })],
    [
      'probes',
      profilePlot({ labels, values: [1, 0, 0.4] }, { probes: [0.1, 0.2, 0.3], tail: ['first'], split: 'val' }),
    ],
    ['splits', splitsPlot({ labels, train: [0.1, 0.2, 0.4], val: [0.1, Number.NaN, 0.1] })],
    ['series', seriesPlot({ epochs: [1, 2, 5], train: [1, 2, Number.NaN], val: [3, 4, 5] }, { metric: 'loss' })],
    ['heat map', heatMapPlot({ labels, epochs: [1, 2], values: settling })],
    ['spectrum', screePlot({ label: 'x', eigenvalues: Array.from({ length: 100 }, (_, i) => 1 / (i + 1)) })],
    [
      'receptive fields',
      receptiveFieldPlot({ labels, min: [1, 2, 4], max: [1, 2, Infinity], saturation: [0, 0.2, 1] }, { inputSize: 32 }),
    ],
    ['embedding', embeddingPlot([{ label: 'q', points: new Float64Array([1, 2, 3, 4]) }])],
  ];
  afterEach(() => {
    vi.unstubAllGlobals();
  });
  const forbid = () =>
    vi.stubGlobal('Function', () => {
      throw new EvalError('Code generation from strings disallowed for this context');
    });

  it.each(plots)('the plot is the same, byte for byte: %s', async (_, spec) => {
    // Vega counts the gradients of a program.
    const draw = async () => (await renderSvg(spec)).replace(/gradient_\d+/g, 'gradient');
    const usual = await draw();
    forbid();
    expect(await draw()).toBe(usual);
  });

  it('what cannot be drawn is an error, not an empty picture', async () => {
    const [, spec] = plots[3]!;
    forbid();
    const dated = { ...spec, transform: [{ calculate: 'year(datum.epoch)', as: 'year' }] };
    await expect(renderSvg(dated)).rejects.toThrow('a plot uses the function year in an expression');
  });

  it('a program that Node forbids it draws', async () => {
    const programs = new Programs();
    programs.add('src/reports.ts');
    const path = programs.write(`
      import { renderSvg, screePlot } from './src/reports.js';
      let isForbidden = false;
      try { new Function('return 1'); } catch { isForbidden = true; }
      const svg = await renderSvg(screePlot({ label: 'fc', eigenvalues: [3, 2, 1] }));
      console.log(isForbidden, svg.length, svg.slice(0, 4));`);
    const flag = '--disallow-code-generation-from-strings';
    const { stdout, stderr } = spawnSync(process.execPath, [flag, path], { encoding: 'utf8' });
    programs.remove();
    expect(stderr).toBe('');
    const usual = await renderSvg(screePlot({ label: 'fc', eigenvalues: [3, 2, 1] }));
    expect(stdout).toBe(`true ${usual.length} <svg\n`);
  });
});

const names = (count: number) =>
  Array.from({ length: count }, (_, layer) => `encoder/stage_1/bottleneck/depthwise_separable_conv2d_${layer}`);

/** One of each plot with n layers of long names. */
function everyPlot(count: number): Record<string, PlotSpec> {
  const labels = names(count);
  const values = labels.map((_, layer) => (layer + 1) / (count + 1));
  return {
    profile: profilePlot({ labels, values }, { probes: values, tail: labels.slice(1), metrics: { accuracy: 0.92571 } }),
    heatMap: heatMapPlot({ labels, epochs: [1, 2, 3], values: [values, values, values] }),
    splits: splitsPlot({ labels, train: values, val: values }),
    receptiveField: receptiveFieldPlot(
      { labels, min: labels.map(() => 3), max: labels.map(() => 5), saturation: values },
      { inputSize: 4 },
    ),
  };
}

describe('plots by depth', () => {
  for (const count of [1, 3, 16, 60]) {
    it(`with ${count} layers every name is there once per axis, in order, and short enough to read`, async () => {
      for (const [plot, spec] of Object.entries(everyPlot(count))) {
        const drawn = texts(await renderSvg(spec)).filter((text) => text?.includes('conv2d_'));
        expect(drawn, plot).toHaveLength(count);
        drawn.forEach((text, layer) => {
          expect(text!.endsWith(`conv2d_${layer}`), `${plot} ${text}`).toBe(true);
          expect(text!.length).toBeLessThanOrEqual(34);
        });
      }
    });
  }

  it('two layers of one name keep a place each', async () => {
    const drawn = texts(await renderSvg(profilePlot({ labels: ['dense', 'dense', 'out'], values: [0.1, 0.2, 0.3] })));
    expect(drawn.filter((text) => text === 'dense')).toHaveLength(2);
  });

  it('the values stand in the specification as they were given; what is not finite is left out', () => {
    const rows = rowsOf(profilePlot({ labels: ['a', 'b', 'c'], values: Float64Array.of(0.25, Number.NaN, 1) }));
    expect(rows.map(({ name, value }) => [name, value])).toEqual([
      ['a', 0.25],
      ['b', null],
      ['c', 1],
    ]);
    const fields = rowsOf(receptiveFieldPlot({ labels: ['a'], min: [3], max: [Number.POSITIVE_INFINITY] }));
    expect(fields).toEqual([{ layer: 0, name: 'a', min: 3, max: null }]);
  });

  it('a specification is plain JSON', () => {
    for (const spec of [...Object.values(everyPlot(3)), screePlot({ label: 'a', eigenvalues: [2, 1] })]) {
      expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
    }
  });

  it('saturation is drawn on [0, 1] whatever its values, other metrics are not; the title says which', async () => {
    const low = texts(await renderSvg(profilePlot({ labels: ['a', 'b'], values: [0.01, 0.02] })));
    expect(low).toContain('1.0');
    expect(low).toContain('Saturation by depth');
    const trace = texts(await renderSvg(profilePlot({ labels: ['a', 'b'], values: [10, 400] }, { metric: 'trace' })));
    expect(trace).toContain('400');
    expect(trace).toContain('Trace by depth');
  });

  it('accuracy and loss are written below the title, to four digits', async () => {
    const spec = profilePlot({ labels: ['a'], values: [1] }, { metrics: { accuracy: 0.92571, loss: 0.3 } });
    expect(texts(await renderSvg(spec))).toContain('accuracy 0.9257 · loss 0.3');
  });

  it('lists that do not belong together are refused, with both lengths', () => {
    expect(() => profilePlot({ labels: ['a', 'b'], values: [1] })).toThrow(/got 2 labels and 1 values/);
    expect(() => profilePlot({ labels: ['a'], values: [1] }, { probes: [] })).toThrow(/probes.*got 0/);
    expect(() => heatMapPlot({ labels: ['a'], epochs: [1, 2], values: [[1]] })).toThrow(/per epoch \(2\), got 1/);
    expect(() => heatMapPlot({ labels: ['a'], epochs: [4], values: [[1, 2]] })).toThrow(/epoch 4.*got 2/);
    expect(() => splitsPlot({ labels: ['a'], train: [1], val: [] })).toThrow(/val.*got 0/);
    expect(() => receptiveFieldPlot({ labels: ['a'], min: [1], max: [] })).toThrow(/max.*got 0/);
    expect(() => seriesPlot({ epochs: [1], train: [] }, { metric: 'loss' })).toThrow(/train.*\(1\), got 0/);
  });
});

describe('the scree plot', () => {
  it('counts what explains the threshold: .5 + .3 + .2 needs all three for 99 %, two for 80 %', () => {
    const spectrum = { label: 'fc', eigenvalues: [0.5, 0.3, 0.2] };
    const subtitle = (threshold: number) => (screePlot(spectrum, { threshold }).title as { subtitle: string }).subtitle;
    expect(subtitle(0.99)).toBe('3 of 3 dimensions explain 99 % of the variance (saturation 1)');
    expect(subtitle(0.8)).toBe('2 of 3 dimensions explain 80 % of the variance (saturation 0.667)');
  });

  it('sorts, sets negatives to zero, and ends its cumulative line at 1', () => {
    const rows = rowsOf(screePlot({ label: 'fc', eigenvalues: [1, -1e-18, 3] })).filter((row) => 'explained' in row);
    expect(rows.map(({ eigenvalue }) => eigenvalue)).toEqual([3, 1, null]);
    expect(rows.map(({ explained }) => explained)).toEqual([0.75, 1, 1]);
  });

  it('a wide spectrum is thinned, but keeps its ends and the crossing', () => {
    const eigenvalues = Float64Array.from({ length: 4096 }, (_, index) => 1 / (index + 1));
    const indices = rowsOf(screePlot({ label: 'fc', eigenvalues })).flatMap(({ index }) =>
      index === undefined ? [] : [index],
    );
    expect(indices.length).toBeLessThan(600);
    const [subtitle] = /^\d+/.exec((screePlot({ label: 'fc', eigenvalues }).title as { subtitle: string }).subtitle)!;
    expect(indices).toEqual(expect.arrayContaining([1, 2, 3, Number(subtitle), 4096]));
  });

  it('a dead layer has dimension 0 and no line', async () => {
    const spec = screePlot({ label: 'dead', eigenvalues: [0, 0] });
    expect((spec.title as { subtitle: string }).subtitle).toMatch(/^0 of 2/);
    expect(await renderSvg(spec)).toContain('<svg');
  });

  it('a threshold outside (0, 1] is refused', () => {
    expect(() => screePlot({ label: 'a', eigenvalues: [1] }, { threshold: 99 })).toThrow(
      /threshold: expected a number in \(0, 1\], got number 99/,
    );
  });
});

it('a metric over the epochs draws the splits it has', async () => {
  const drawn = texts(
    await renderSvg(seriesPlot({ epochs: [1, 2], train: [1, 0.5], val: [1, 0.7] }, { metric: 'epoch_loss' })),
  );
  expect(drawn).toEqual(expect.arrayContaining(['epoch_loss', 'train', 'val']));
  expect(texts(await renderSvg(seriesPlot({ epochs: [1], all: [1] }, { metric: 'x' })))).not.toContain('all');
});

it('embeddings are thinned evenly, one panel per layer', () => {
  const points = Float64Array.from({ length: 10_000 }, (_, at) => at);
  const spec = embeddingPlot(
    [
      { label: 'a', points },
      { label: 'b', points: [1, 2] },
    ],
    { maxSamples: 100 },
  );
  expect(spec.concat).toHaveLength(2);
  const rows = rowsOf(spec);
  expect(rows.slice(0, 2)).toEqual([
    { first: 0, second: 1 },
    { first: 100, second: 101 },
  ]);
  expect(rows).toHaveLength(101);
});

const plot = profilePlot({ labels: ['conv1', 'conv2', 'logits'], values: [0.2, 0.8, 0.4] });

describe('rendering', () => {
  it('a plot becomes an SVG document with its names, and the packages may be handed in', async () => {
    const svg = await renderSvg(plot);
    expect(svg).toMatch(/^<svg[^>]+xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg).toContain('logits');
    expect(await renderSvg(plot, { vega: vega as never, vegaLite: vegaLite as never })).toBe(svg);
  });

  it('a PNG has the size of its drawing times the scale, a white ground, and the line in its color', async () => {
    const svg = await renderSvg(plot);
    const width = Number(/width="([\d.]+)"/.exec(svg)![1]);
    const once = decode(await renderPng(plot, { scale: 1 }));
    const twice = decode(await renderPng(plot));
    expect(Math.abs(once.width - width)).toBeLessThanOrEqual(1);
    expect(Math.abs(twice.width - 2 * width)).toBeLessThanOrEqual(2);
    expect([...once.data.slice(0, 4)]).toEqual([255, 255, 255, 255]);
    const drawn = Array.from({ length: once.width * once.height }, (_, at) =>
      once.data.slice(at * 4, at * 4 + 3),
    ).filter(([r, g, b]) => r === 0x5e && g === 0x3c && b === 0x99);
    expect(drawn.length).toBeGreaterThan(50);
  });

  it('a specification that Vega-Lite cannot draw rejects', async () => {
    await expect(renderSvg({ $schema: plot.$schema, mark: 'no such mark' })).rejects.toThrow();
  });

  it('a scale of 0 is refused', async () => {
    await expect(renderPng(plot, { scale: 0 })).rejects.toThrow(/scale: expected a positive number, got number 0/);
  });

  it('a package that is not installed is named, with the command that installs what draws', async () => {
    const missing = loadRenderer('vega-that-nobody-installed', ['vega-that-nobody-installed', 'vega-lite']);
    await expect(missing).rejects.toThrow(MissingRendererError);
    await expect(missing).rejects.toThrow(
      /'vega-that-nobody-installed'.*npm install vega-that-nobody-installed vega-lite$/,
    );
    await expect(missing).rejects.toMatchObject({ packageName: 'vega-that-nobody-installed' });
  });
});

it('addPlots hands one figure per tag to the writer', async () => {
  const calls: unknown[][] = [];
  await addPlots({ addFigure: (...call) => void calls.push(call) }, { 'saturation/profile': plot, other: plot }, 4);
  expect(calls.map(([tag, svg, step]) => [tag, String(svg).slice(0, 4), step])).toEqual([
    ['saturation/profile', '<svg', 4],
    ['other', '<svg', 4],
  ]);
});

describe('the width of a text', () => {
  /** What resvg measures in the fonts of this machine. */
  function measured(text: string, fontSize: number, weight: string): number {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="100"><text x="10" y="50" font-family="DejaVu Sans" font-size="${fontSize}" font-weight="${weight}">${text}</text></svg>`;
    return new Resvg(svg, { font: { loadSystemFonts: true } }).getBBox()?.width ?? 0;
  }

  it.each([
    ['encoder/stage_1/conv2d_12', 11, 'normal'],
    ['Saturation and receptive field by depth', 15, 'bold'],
    ['features_conv13', 11, 'normal'],
    ['WWMM illicit', 12, 'normal'],
  ])('%s is estimated within a fifth of what is drawn', (text, fontSize, weight) => {
    const drawn = measured(text, fontSize as number, weight as string);
    // A machine without any font draws nothing to compare with.
    if (drawn === 0) return;
    const estimate = textWidth(text, fontSize as number, weight === 'bold');
    expect(estimate / drawn).toBeGreaterThan(0.8);
    expect(estimate / drawn).toBeLessThan(1.25);
  });

  it("vega's own estimate is back after a drawing, also after one that failed and two at once", async () => {
    const { textMetrics } = vega as unknown as { textMetrics: { width: unknown; estimateWidth: unknown } };
    const before = textMetrics.width;
    const plot = profilePlot({ labels: ['a'], values: [1] });
    await Promise.allSettled([renderSvg(plot), renderSvg(plot), renderSvg({ $schema: '', mark: 'none' })]);
    expect(textMetrics.width).toBe(before);
  });

  it('a measure that someone else set is left alone', () => {
    const own = () => 7;
    const metrics = { width: own, estimateWidth: () => 1 };
    estimateTextBetter(metrics)();
    expect(metrics.width).toBe(own);
    expect(() => estimateTextBetter(undefined)()).not.toThrow();
  });
});

const layerOf = (name: string, split: Split, over: Partial<LayerStatistics> = {}) =>
  layer(name, split, {
    values: {
      saturation: 0.25,
      intrinsicDimensionality: 4,
      trace: 2,
      determinant: 0.5,
      diagonalTrace: 2,
      entropyRank: 3,
    },
    ...over,
  });
const epoch = (number: number, layers: LayerStatistics[]) =>
  epochOf(number, layers, [{ tag: 'accuracy', value: 0.9, split: 'train' }]);

it('profilePlot draws the interval of each layer that has a corrected saturation, and no other', () => {
  const labels = ['a', 'b', 'c'];
  const corrected = {
    values: [Number.NaN, 0.5, 0.6],
    low: [Number.NaN, 0.4, Number.NaN],
    high: [Number.NaN, 0.55, Number.NaN],
  };
  const spec = profilePlot({ labels, values: [0.1, 0.3, 0.4] }, { corrected });
  const layers = spec.layer as { mark: { type: string }; data: { values: object[] } }[];
  const rowsOf = (type: string) => layers.find(({ mark }) => mark.type === type)?.data.values;
  expect(rowsOf('rule')).toEqual([{ layer: 1, name: 'b', low: 0.4, corrected: 0.5, high: 0.55 }]);
  expect(rowsOf('point')).toEqual([
    { layer: 1, name: 'b', low: 0.4, corrected: 0.5, high: 0.55 },
    { layer: 2, name: 'c', low: null, corrected: 0.6, high: null },
  ]);
  expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
  expect(() => profilePlot({ labels, values: [0, 0, 0] }, { corrected: { ...corrected, low: [1] } })).toThrow(
    'profilePlot: expected one of corrected.low per label (3 labels), got 1',
  );
});

describe('PlotStore', () => {
  it("names its files as Delve's plot writer does, one per statistic, split and epoch", async () => {
    const files = new MemoryStoreFiles();
    const store = new PlotStore('runs/vgg', { files });
    await store.add(epoch(0, [layerOf('a', 'train'), layerOf('b', 'train'), layerOf('a', 'val')]));
    await store.add(epoch(1, [layerOf('a', 'train')]));
    const stats = ['lsat', 'idim', 'trc', 'det', 'dtrc', 'entropyRank'];
    const expected = [
      ...stats.map((stat) => `runs/vgg_${stat}_train_epoch_0.png`),
      ...stats.map((stat) => `runs/vgg_${stat}_eval_epoch_0.png`),
      ...stats.map((stat) => `runs/vgg_${stat}_train_epoch_1.png`),
    ];
    expect([...files.files.keys()].sort()).toEqual(expected.sort());
    for (const bytes of files.files.values()) expect(decode(bytes).width).toBeGreaterThan(300);
  });

  it('layers, metric, split, epoch and accuracy are in the picture', async () => {
    const files = new MemoryStoreFiles();
    await new PlotStore('x', { files, format: 'svg' }).add(
      epoch(3, [layerOf('conv_1', 'train'), layerOf('fc', 'train')]),
    );
    const svg = new TextDecoder().decode(files.files.get('x_lsat_train_epoch_3.svg'));
    for (const text of ['conv_1', 'fc', 'Saturation by depth, train, epoch 3', 'accuracy 0.9'])
      expect(svg).toContain(text);
  });

  it('folders that most names begin with are in the picture once', async () => {
    const files = new MemoryStoreFiles();
    const names = ['net/body/conv_1', 'net/body/conv_2', 'net/body/head/fc'];
    await new PlotStore('x', { files, format: 'svg' }).add(
      epoch(
        3,
        names.map((name) => layerOf(name, 'train')),
      ),
    );
    const svg = new TextDecoder().decode(files.files.get('x_lsat_train_epoch_3.svg'));
    for (const text of ['>conv_1<', '>conv_2<', '>head/fc<', 'accuracy 0.9 · names without net/body/<'])
      expect(svg).toContain(text);
    expect(svg).not.toContain('net/body/conv');
  });

  it('embeddings of a split come in one picture, also beside layers without one', async () => {
    const files = new MemoryStoreFiles();
    const embedded = layerOf('a', 'train', { values: {}, embedding: Float64Array.of(1, 2, 3, 4) });
    await new PlotStore('x', { files, format: 'svg' }).add(epoch(0, [embedded, layerOf('b', 'train', { values: {} })]));
    expect([...files.files.keys()]).toEqual(['x_embed_train_epoch_0.svg']);
  });

  it('a layer that saw no finite row leaves a gap and no error', async () => {
    const files = new MemoryStoreFiles();
    const silent = layerOf('b', 'train', { samples: 0, values: { saturation: Number.NaN } });
    await new PlotStore('x', { files, format: 'svg' }).add(
      epoch(0, [layerOf('a', 'train', { values: { saturation: 1 } }), silent]),
    );
    expect([...files.files.keys()]).toEqual(['x_lsat_train_epoch_0.svg']);
  });

  it('an epoch without layers writes nothing', async () => {
    const files = new MemoryStoreFiles();
    await new PlotStore('x', { files }).add(epoch(0, []));
    expect(files.files.size).toBe(0);
  });

  it('errors name bad options', () => {
    expect(() => new PlotStore('')).toThrow(/savefile: expected a path/);
    expect(() => new PlotStore('x', { format: 'gif' as never })).toThrow(/'png' or 'svg', got the string "gif"/);
  });
});

import { describe, expect, test } from 'vitest';
import {
  embeddingPlot,
  heatMapPlot,
  type PlotSpec,
  profilePlot,
  receptiveFieldPlot,
  renderSvg,
  screePlot,
  seriesPlot,
  splitsPlot,
} from '../../src/reports.js';

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
    test(`with ${count} layers every name is there once per axis, in order, and short enough to read`, async () => {
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

  test('two layers of one name keep a place each', async () => {
    const drawn = texts(await renderSvg(profilePlot({ labels: ['dense', 'dense', 'out'], values: [0.1, 0.2, 0.3] })));
    expect(drawn.filter((text) => text === 'dense')).toHaveLength(2);
  });

  test('the values stand in the specification as they were given; what is not finite is left out', () => {
    const rows = rowsOf(profilePlot({ labels: ['a', 'b', 'c'], values: Float64Array.of(0.25, Number.NaN, 1) }));
    expect(rows.map(({ name, value }) => [name, value])).toEqual([
      ['a', 0.25],
      ['b', null],
      ['c', 1],
    ]);
    const fields = rowsOf(receptiveFieldPlot({ labels: ['a'], min: [3], max: [Number.POSITIVE_INFINITY] }));
    expect(fields).toEqual([{ layer: 0, name: 'a', min: 3, max: null }]);
  });

  test('a specification is plain JSON', () => {
    for (const spec of [...Object.values(everyPlot(3)), screePlot({ label: 'a', eigenvalues: [2, 1] })]) {
      expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
    }
  });

  test('saturation is drawn on [0, 1] whatever its values, other metrics are not; the title says which', async () => {
    const low = texts(await renderSvg(profilePlot({ labels: ['a', 'b'], values: [0.01, 0.02] })));
    expect(low).toContain('1.0');
    expect(low).toContain('Saturation by depth');
    const trace = texts(await renderSvg(profilePlot({ labels: ['a', 'b'], values: [10, 400] }, { metric: 'trace' })));
    expect(trace).toContain('400');
    expect(trace).toContain('Trace by depth');
  });

  test('accuracy and loss are written below the title, to four digits', async () => {
    const spec = profilePlot({ labels: ['a'], values: [1] }, { metrics: { accuracy: 0.92571, loss: 0.3 } });
    expect(texts(await renderSvg(spec))).toContain('accuracy 0.9257 · loss 0.3');
  });

  test('lists that do not belong together are refused, with both lengths', () => {
    expect(() => profilePlot({ labels: ['a', 'b'], values: [1] })).toThrow(/2 labels\), got 1/);
    expect(() => profilePlot({ labels: ['a'], values: [1] }, { probes: [] })).toThrow(/probes.*got 0/);
    expect(() => heatMapPlot({ labels: ['a'], epochs: [1, 2], values: [[1]] })).toThrow(/per epoch \(2\), got 1/);
    expect(() => heatMapPlot({ labels: ['a'], epochs: [4], values: [[1, 2]] })).toThrow(/epoch 4.*got 2/);
    expect(() => splitsPlot({ labels: ['a'], train: [1], val: [] })).toThrow(/val.*got 0/);
    expect(() => receptiveFieldPlot({ labels: ['a'], min: [1], max: [] })).toThrow(/max.*got 0/);
    expect(() => seriesPlot({ epochs: [1], train: [] }, { metric: 'loss' })).toThrow(/train.*\(1\), got 0/);
  });
});

describe('the scree plot', () => {
  test('counts what explains the threshold: .5 + .3 + .2 needs all three for 99 %, two for 80 %', () => {
    const spectrum = { label: 'fc', eigenvalues: [0.5, 0.3, 0.2] };
    const subtitle = (threshold: number) => (screePlot(spectrum, { threshold }).title as { subtitle: string }).subtitle;
    expect(subtitle(0.99)).toBe('3 of 3 dimensions explain 99 % of the variance (saturation 1)');
    expect(subtitle(0.8)).toBe('2 of 3 dimensions explain 80 % of the variance (saturation 0.667)');
  });

  test('sorts, sets negatives to zero, and ends its cumulative line at 1', () => {
    const rows = rowsOf(screePlot({ label: 'fc', eigenvalues: [1, -1e-18, 3] })).filter((row) => 'explained' in row);
    expect(rows.map(({ eigenvalue }) => eigenvalue)).toEqual([3, 1, null]);
    expect(rows.map(({ explained }) => explained)).toEqual([0.75, 1, 1]);
  });

  test('a wide spectrum is thinned, but keeps its ends and the crossing', () => {
    const eigenvalues = Float64Array.from({ length: 4096 }, (_, index) => 1 / (index + 1));
    const indices = rowsOf(screePlot({ label: 'fc', eigenvalues })).flatMap(({ index }) =>
      index === undefined ? [] : [index],
    );
    expect(indices.length).toBeLessThan(600);
    const [subtitle] = /^\d+/.exec((screePlot({ label: 'fc', eigenvalues }).title as { subtitle: string }).subtitle)!;
    expect(indices).toEqual(expect.arrayContaining([1, 2, 3, Number(subtitle), 4096]));
  });

  test('a dead layer has dimension 0 and no line', async () => {
    const spec = screePlot({ label: 'dead', eigenvalues: [0, 0] });
    expect((spec.title as { subtitle: string }).subtitle).toMatch(/^0 of 2/);
    expect(await renderSvg(spec)).toContain('<svg');
  });

  test('a threshold outside (0, 1] is refused', () => {
    expect(() => screePlot({ label: 'a', eigenvalues: [1] }, { threshold: 99 })).toThrow(
      /threshold in \(0, 1\], got 99/,
    );
  });
});

test('a metric over the epochs draws the splits it has', async () => {
  const drawn = texts(
    await renderSvg(seriesPlot({ epochs: [1, 2], train: [1, 0.5], val: [1, 0.7] }, { metric: 'epoch_loss' })),
  );
  expect(drawn).toEqual(expect.arrayContaining(['epoch_loss', 'train', 'val']));
  expect(texts(await renderSvg(seriesPlot({ epochs: [1], all: [1] }, { metric: 'x' })))).not.toContain('all');
});

test('embeddings are thinned evenly, one panel per layer', () => {
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

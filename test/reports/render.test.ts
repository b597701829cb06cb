import { decode } from 'fast-png';
import * as vega from 'vega';
import * as vegaLite from 'vega-lite';
import { describe, expect, test } from 'vitest';
import { loadRenderer } from '../../src/reports/render.js';
import { addPlots, MissingRendererError, profilePlot, renderPng, renderSvg } from '../../src/reports.js';

const plot = profilePlot({ labels: ['conv1', 'conv2', 'logits'], values: [0.2, 0.8, 0.4] });

describe('rendering', () => {
  test('a plot becomes an SVG document with its names, and the packages may be handed in', async () => {
    const svg = await renderSvg(plot);
    expect(svg).toMatch(/^<svg[^>]+xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg).toContain('logits');
    expect(await renderSvg(plot, { vega: vega as never, vegaLite: vegaLite as never })).toBe(svg);
  });

  test('a PNG has the size of its drawing times the scale, a white ground, and the line in its colour', async () => {
    const svg = await renderSvg(plot);
    const width = Number(/width="([\d.]+)"/.exec(svg)![1]);
    const once = decode(await renderPng(plot, { scale: 1 }));
    const twice = decode(await renderPng(plot));
    expect(Math.abs(once.width - width)).toBeLessThanOrEqual(1);
    expect(Math.abs(twice.width - 2 * width)).toBeLessThanOrEqual(2);
    expect([...once.data.slice(0, 4)]).toEqual([255, 255, 255, 255]);
    const blue = Array.from({ length: once.width * once.height }, (_, at) =>
      once.data.slice(at * 4, at * 4 + 3),
    ).filter(([r, g, b]) => r === 0x21 && g === 0x66 && b === 0xac);
    expect(blue.length).toBeGreaterThan(50);
  });

  test('a specification that Vega-Lite cannot draw rejects', async () => {
    await expect(renderSvg({ $schema: plot.$schema, mark: 'no such mark' })).rejects.toThrow();
  });

  test('a scale of nothing is refused', async () => {
    await expect(renderPng(plot, { scale: 0 })).rejects.toThrow(/scale to be a positive number, got 0/);
  });

  test('a package that is not installed is named, with the command that installs what draws', async () => {
    const missing = loadRenderer('vega-that-nobody-installed');
    await expect(missing).rejects.toThrow(MissingRendererError);
    await expect(missing).rejects.toThrow(/'vega-that-nobody-installed'.*npm install vega vega-lite @resvg\/resvg-js/);
    await expect(missing).rejects.toMatchObject({ packageName: 'vega-that-nobody-installed' });
  });
});

test('addPlots hands one figure per tag to the writer', async () => {
  const calls: unknown[][] = [];
  await addPlots({ addFigure: (...call) => void calls.push(call) }, { 'saturation/profile': plot, other: plot }, 4);
  expect(calls.map(([tag, svg, step]) => [tag, String(svg).slice(0, 4), step])).toEqual([
    ['saturation/profile', '<svg', 4],
    ['other', '<svg', 4],
  ]);
});

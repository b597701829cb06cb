import * as vega from 'vega';
import * as vegaLite from 'vega-lite';
import { expect, it } from 'vitest';
import { MemoryOutput, readEvents, SummaryWriter } from '../../src/index.js';
import { MissingRendererError, profilePlot, renderPng, renderSvg } from '../../src/reports.js';

const labels = ['conv1', 'conv2', 'dense'];
const spec = profilePlot({ labels, values: [0.2, 0.5, 0.9] });

it('draws a plot with the renderers a page hands in, and shows it in TensorBoard', async () => {
  const svg = await renderSvg(spec, { vega, vegaLite });
  const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml');
  expect(parsed.querySelector('parsererror')).toBeNull();
  const texts = [...parsed.querySelectorAll('text')].map(({ textContent }) => textContent);
  expect(texts).toEqual(expect.arrayContaining(labels));
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  writer.addFigure('profile', svg, 1);
  await writer.close();
  const sizes = [];
  for await (const { summary } of readEvents(output.bytes)) {
    for (const { value } of summary ?? []) {
      const { encoded, width, height } = value as { encoded: Uint8Array[]; width: number; height: number };
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(encoded[0])]));
      sizes.push([bitmap.width, bitmap.height], [width, height]);
    }
  }
  const root = parsed.documentElement;
  const drawn = [Number(root.getAttribute('width')), Number(root.getAttribute('height'))].map(Math.floor);
  expect(sizes).toEqual([drawn, drawn]);
});

it('draws a plot as PNG in twice its size', async () => {
  const svg = new DOMParser().parseFromString(await renderSvg(spec, { vega, vegaLite }), 'image/svg+xml');
  const bitmap = await createImageBitmap(new Blob([new Uint8Array(await renderPng(spec, { vega, vegaLite }))]));
  const size = ['width', 'height'].map((side) => 2 * Math.floor(Number(svg.documentElement.getAttribute(side))));
  expect([bitmap.width, bitmap.height]).toEqual(size);
});

it('says what is missing where a page hands in nothing', async () => {
  await expect(renderSvg(spec)).rejects.toThrow(MissingRendererError);
});

import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { expect, test } from 'vitest';
import { estimateTextBetter, textWidth } from '../../src/reports/render.js';
import { profilePlot, renderSvg } from '../../src/reports.js';

/** What resvg measures in the fonts of this machine. */
function measured(text: string, fontSize: number, weight: string): number {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="100"><text x="10" y="50" font-family="DejaVu Sans" font-size="${fontSize}" font-weight="${weight}">${text}</text></svg>`;
  return new Resvg(svg, { font: { loadSystemFonts: true } }).getBBox()?.width ?? 0;
}

test.each([
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

test("vega's own estimate is back after a drawing, also after one that failed and two at once", async () => {
  const { textMetrics } = vega as unknown as { textMetrics: { width: unknown; estimateWidth: unknown } };
  const before = textMetrics.width;
  const plot = profilePlot({ labels: ['a'], values: [1] });
  await Promise.allSettled([renderSvg(plot), renderSvg(plot), renderSvg({ $schema: '', mark: 'none' })]);
  expect(textMetrics.width).toBe(before);
});

test('a measure that someone else set is left alone', () => {
  const own = () => 7;
  const metrics = { width: own, estimateWidth: () => 1 };
  estimateTextBetter(metrics)();
  expect(metrics.width).toBe(own);
  expect(() => estimateTextBetter(undefined)()).not.toThrow();
});

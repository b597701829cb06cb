import { checkedThreshold, DEFAULT_THRESHOLD } from '../statistics/spectrum-measures.js';
import { accentColor, type PlotOptions, type PlotSpec, plainColor, plotSpec, shortLabel } from './plot-spec.js';

/** Options of screePlot. */
export interface ScreePlotOptions extends PlotOptions {
  /** Fraction of the variance that the counted directions explain, in (0, 1]. Default 0.99. */
  threshold?: number;
}

/** Most points that are drawn: a spectrum of 4096 values looks the same with 512 of them, and a page stays small. */
const mostPoints = 512;

/**
 * The spectrum of one layer (a scree plot): the eigenvalues on a logarithmic axis, and below them the cumulative explained
 * variance with the threshold as a line. The vertical rule stands at the intrinsic dimensionality, the smallest number of
 * eigenvalues whose explained variance reaches the threshold (https://arxiv.org/abs/1907.08589).
 *
 * @param layer the eigenvalues in any order, and the layer's name
 * @throws RangeError for a threshold outside (0, 1]
 */
export function screePlot(
  layer: { eigenvalues: ArrayLike<number>; label: string },
  options: ScreePlotOptions = {},
): PlotSpec {
  const { eigenvalues, label } = layer;
  const threshold = checkedThreshold(options.threshold ?? DEFAULT_THRESHOLD);
  const features = eigenvalues.length;
  const sorted = Float64Array.from(eigenvalues, (value) => Math.max(value, 0))
    .sort()
    .reverse();
  const total = sorted.reduce((sum, value) => sum + value, 0);
  let sum = 0;
  const cumulative = sorted.map((value) => (total > 0 ? (sum += value) / total : 0));
  const reached = cumulative.findIndex((value) => value >= threshold);
  const dimension = total > 0 ? (reached < 0 ? features : reached + 1) : 0;
  const rows = pointsToDraw(features, dimension).map((index) => ({
    index: index + 1,
    // A logarithmic axis cannot show what rounding left of a zero.
    eigenvalue: sorted[index]! > sorted[0]! * 1e-16 ? sorted[index] : null,
    explained: cumulative[index],
  }));
  const x = (title: string | null) => ({
    field: 'index',
    type: 'quantitative',
    // The intrinsic dimensionality is often a few of thousands: a logarithmic axis still shows it.
    scale: { type: features > 64 ? 'log' : 'linear', domain: [1, Math.max(features, 2)], nice: false },
    axis: { title, tickMinStep: 1, format: 'd', grid: false },
  });
  const rule = {
    data: { values: [{ at: dimension }] },
    mark: { type: 'rule', color: accentColor, strokeDash: [4, 3] },
    encoding: { x: { field: 'at', type: 'quantitative' } },
  };
  const line = (field: string, axis: Record<string, unknown>) => ({
    mark: {
      type: 'line',
      point: features <= 64 ? { size: 26, filled: true } : false,
      color: plainColor,
      strokeWidth: 1.8,
    },
    encoding: { x: x(field === 'explained' ? 'eigenvalue' : null), y: { field, type: 'quantitative', ...axis } },
  });
  const percent = `${Number((threshold * 100).toPrecision(6))} %`;
  return plotSpec(
    `Spectrum of ${shortLabel(label)}`,
    {
      ...options,
      subtitle:
        options.subtitle ??
        `${dimension} of ${features} dimensions explain ${percent} of the variance (saturation ${Number((features > 0 ? dimension / features : 0).toFixed(3))})`,
    },
    {
      data: { values: rows },
      vconcat: [
        {
          width: 460,
          height: 150,
          layer: [
            line('eigenvalue', { scale: { type: 'log' }, title: 'eigenvalue', axis: { format: '.0e', tickCount: 5 } }),
            rule,
          ],
        },
        {
          width: 460,
          height: 150,
          layer: [
            line('explained', { scale: { domain: [0, 1] }, title: 'explained variance' }),
            {
              data: { values: [{ at: threshold, text: percent }] },
              encoding: { y: { field: 'at', type: 'quantitative' } },
              layer: [
                { mark: { type: 'rule', color: '#555', strokeDash: [2, 2] } },
                {
                  mark: { type: 'text', align: 'right', baseline: 'top', dy: 3, fontSize: 11, color: '#333' },
                  encoding: { text: { field: 'text' }, x: { value: 456 } },
                },
              ],
            },
            rule,
          ],
        },
      ],
    },
  );
}

/**
 * Indices of the points to draw: all of them, or some, evenly spaced on the logarithmic axis, with both ends and the
 * point at the threshold.
 */
function pointsToDraw(features: number, dimension: number): number[] {
  if (features <= mostPoints) return Array.from({ length: features }, (_, index) => index);
  const kept = new Set<number>([0, features - 1, Math.max(dimension - 1, 0)]);
  for (let point = 0; point < mostPoints; point++) kept.add(Math.round(features ** (point / (mostPoints - 1))) - 1);
  return [...kept].sort((a, b) => a - b);
}

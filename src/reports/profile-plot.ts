import { type DepthProfile, profileEntries } from '../insight/tail.js';
import type { LayerStatistics } from '../saturation/epoch.js';
import type { ScalarStat } from '../saturation/stats.js';
import { splitColors } from '../view/palette.js';
import {
  checkLength,
  drawable,
  finite,
  layerAxis,
  layersWidth,
  legendOnTop,
  type PlotOptions,
  type PlotSpec,
  plainColor,
  plotSpec,
  probeColor,
} from './plot-spec.js';

/** @deprecated Use DepthProfile. */
export type Profile = Exclude<DepthProfile, ReadonlyMap<string, number>>;

/** Options of profilePlot. */
export interface ProfilePlotOptions extends PlotOptions {
  /** What the values are. Default 'saturation', for which the vertical axis is [0, 1]. */
  metric?: string;
  /** The split whose color the line has. Default: a color of its own. */
  split?: 'train' | 'val';
  /** Test accuracy of a linear probe on each layer, in [0, 1]: a second line beside saturation. Default: no such line. */
  probes?: ArrayLike<number>;
  /**
   * The saturation that many samples would show, and the interval in which it lies: a bar with a hollow dot beside each layer
   * that has one. NaN where there is none. Default: no such bars.
   */
  corrected?: {
    /** The corrected saturation of each layer. */
    readonly values: ArrayLike<number>;
    /** The lower end of its interval. */
    readonly low: ArrayLike<number>;
    /** The upper end of its interval. */
    readonly high: ArrayLike<number>;
  };
  /** The model's own accuracy or loss, such as `{ accuracy: 0.925 }`: a line below the title, as in Delve's plots. Default: none. */
  metrics?: Readonly<Record<string, number>>;
  /** Names of layers to shade, such as those that `tailOf` finds. Default: none. */
  tail?: readonly string[];
}

/** Metrics that are drawn on [0, 1], whatever their values. */
const fractions = new Set(['saturation', 'probe accuracy']);

/**
 * Saturation (or another statistic) by depth: a line with dots, with layer names turned by 90 degrees. NaN leaves a gap.
 * This is Delve's main figure (https://arxiv.org/abs/2006.08679); with `probes` and `tail` it is the figure of the papers
 * on unproductive layers (https://arxiv.org/abs/2106.12307).
 *
 * @throws RangeError if a list does not have one value per label
 */
export function profilePlot(profile: DepthProfile, options: ProfilePlotOptions = {}): PlotSpec {
  const metric = drawable(options.metric ?? 'saturation');
  const entries = profileEntries('profilePlot', profile);
  const labels = entries.map(([label]) => label);
  const values = entries.map(([, value]) => value);
  if (options.probes) checkLength('profilePlot', 'probes', options.probes.length, labels);
  const { corrected } = options;
  for (const [name, list] of Object.entries(corrected ?? {})) {
    checkLength('profilePlot', `corrected.${name}`, list.length, labels);
  }
  const color = options.split ? splitColors[options.split] : plainColor;
  const series = [seriesRows(metric, labels, values)];
  if (options.probes) series.push(seriesRows('probe accuracy', labels, options.probes));
  const y = {
    field: 'value',
    type: 'quantitative',
    title: options.probes ? null : metric,
    scale: fractions.has(metric) ? { domain: [0, 1] } : { zero: true },
  };
  const tail = new Set(options.tail ?? []);
  const shaded = labels.flatMap((label, layer) => (tail.has(label) ? [{ layer }] : []));
  return plotSpec(
    `${metric[0]!.toUpperCase()}${metric.slice(1)} by depth`,
    { ...options, subtitle: options.subtitle ?? metricsLine(options.metrics) },
    {
      width: layersWidth(labels.length),
      height: 260,
      layer: [
        ...(shaded.length > 0
          ? [
              {
                data: { values: shaded },
                mark: { type: 'rect', color: '#888', opacity: 0.16, width: { band: 1 } },
                encoding: { x: layerAxis(labels) },
              },
            ]
          : []),
        ...(corrected === undefined ? [] : intervals(labels, corrected, color)),
        {
          data: { values: series.flat() },
          mark: {
            type: 'line',
            point: { filled: true, size: labels.length > 40 ? 28 : 50 },
            strokeWidth: 1.8,
            clip: false,
          },
          encoding: {
            x: layerAxis(labels),
            y,
            color: {
              field: 'series',
              type: 'nominal',
              scale: { domain: [metric, 'probe accuracy'], range: [color, probeColor] },
              legend: options.probes ? legendOnTop : null,
            },
            tooltip: [{ field: 'name', title: 'layer' }, { field: 'series' }, { field: 'value' }],
          },
        },
      ],
    },
  );
}

/** Bars from the lower to the upper end of each layer's interval, with a hollow dot at the corrected saturation. */
function intervals(
  labels: readonly string[],
  { values, low, high }: NonNullable<ProfilePlotOptions['corrected']>,
  color: string,
): Record<string, unknown>[] {
  const rows = labels.flatMap((name, layer) =>
    Number.isNaN(values[layer]) || values[layer] === undefined
      ? []
      : [{ layer, name, low: finite(low[layer]!), corrected: values[layer], high: finite(high[layer]!) }],
  );
  if (rows.length === 0) return [];
  const x = layerAxis(labels);
  const tooltip = [
    { field: 'name', title: 'layer' },
    { field: 'corrected', title: 'with many samples' },
    { field: 'low', title: 'at least' },
    { field: 'high', title: 'at most' },
  ];
  return [
    {
      data: { values: rows.filter(({ low, high }) => low !== null && high !== null) },
      mark: { type: 'rule', color, strokeWidth: 5, opacity: 0.28 },
      encoding: { x, y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' }, tooltip },
    },
    {
      data: { values: rows },
      mark: { type: 'point', color, filled: false, size: 46, strokeWidth: 1.4 },
      encoding: { x, y: { field: 'corrected', type: 'quantitative' }, tooltip },
    },
  ];
}

/** The corrected saturations of layers for `profilePlot`; undefined if no layer has one. */
export function correctedSeries(layers: readonly LayerStatistics[]): ProfilePlotOptions['corrected'] {
  if (!layers.some(({ values }) => values.saturationCorrected !== undefined)) return undefined;
  const of = (stat: ScalarStat) => layers.map(({ values }) => values[stat] ?? Number.NaN);
  return { values: of('saturationCorrected'), low: of('saturationLow'), high: of('saturationHigh') };
}

function seriesRows(series: string, labels: readonly string[], values: ArrayLike<number>) {
  return labels.map((name, layer) => ({ layer, name, series, value: finite(values[layer]!) }));
}

/** A model's own numbers as a line below a title; undefined if there are none. */
export function metricsLine(metrics: Readonly<Record<string, number>> | undefined): string | undefined {
  const entries = Object.entries(metrics ?? {});
  if (entries.length === 0) return undefined;
  return entries.map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`).join(' · ');
}

import {
  checkLength,
  finite,
  layerAxis,
  layersWidth,
  legendOnTop,
  type PlotOptions,
  type PlotSpec,
  plainColor,
  plotSpec,
  probeColor,
  splitColors,
} from './plot-spec.js';

/** One number per layer, in order of depth. */
export interface Profile {
  /** Names of the layers, the input's first. */
  labels: readonly string[];
  /** One number per layer; NaN leaves a gap. */
  values: ArrayLike<number>;
}

/** Options of profilePlot. */
export interface ProfilePlotOptions extends PlotOptions {
  /** What the values are. With 'saturation', the default, the vertical axis covers [0, 1]. */
  metric?: string;
  /** The split whose color the line gets. */
  split?: 'train' | 'val';
  /** Test accuracy of a linear probe on each layer, from 0 to 1: a second line. */
  probes?: ArrayLike<number>;
  /** The model's own accuracy or loss, such as `{ accuracy: 0.925 }`: text below the title, as in Delve's figures. */
  metrics?: Readonly<Record<string, number>>;
  /** Layers to shade, as `tailOf` names them. */
  tail?: readonly string[];
}

/** Metrics that are fractions: they are drawn on [0, 1] whatever their values are. */
const fractions = new Set(['saturation', 'probe accuracy']);

/**
 * Plots saturation (or another statistic) by depth: a line with a dot per layer. This is Delve's signature figure (https://arxiv.org/abs/2006.08679); `probes` and `tail` make it the figure of
 * the papers on unproductive layers (https://arxiv.org/abs/2106.12307).
 */
export function profilePlot({ labels, values }: Profile, options: ProfilePlotOptions = {}): PlotSpec {
  const metric = options.metric ?? 'saturation';
  checkLength('profilePlot', 'values', values.length, labels);
  if (options.probes) checkLength('profilePlot', 'probes', options.probes.length, labels);
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

function seriesRows(series: string, labels: readonly string[], values: ArrayLike<number>) {
  return labels.map((name, layer) => ({ layer, name, series, value: finite(values[layer]!) }));
}

function metricsLine(metrics: Readonly<Record<string, number>> | undefined): string | undefined {
  const entries = Object.entries(metrics ?? {});
  if (entries.length === 0) return undefined;
  return entries.map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`).join(' · ');
}

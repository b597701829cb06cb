import { checkLength, finite, labelExpression, type PlotOptions, type PlotSpec, plotSpec } from './plot-spec.js';

/** One number per layer and epoch. */
export interface LayersByEpochs {
  /** Names of the layers, the input's first. */
  labels: readonly string[];
  /** The epochs (or steps), in order. */
  epochs: readonly number[];
  /** `values[e][l]`: the statistic of layer `l` at `epochs[e]`; NaN leaves a gap. */
  values: readonly ArrayLike<number>[];
}

/** Options of heatMapPlot. */
export interface HeatMapPlotOptions extends PlotOptions {
  /** What the values are. With 'saturation', the default, the colors cover [0, 1]. */
  metric?: string;
}

/**
 * Plots a number of every layer over the epochs as a heat map in viridis. Layers are rows, from the input at the top to the
 * output at the bottom.
 *
 * @throws RangeError if the lists differ in length
 */
export function heatMapPlot({ labels, epochs, values }: LayersByEpochs, options: HeatMapPlotOptions = {}): PlotSpec {
  const metric = options.metric ?? 'saturation';
  if (values.length !== epochs.length) {
    throw new RangeError(`heatMapPlot: expected a row of values per epoch (${epochs.length}), got ${values.length}`);
  }
  const rows = epochs.flatMap((epoch, row) => {
    checkLength('heatMapPlot', `values of epoch ${epoch}`, values[row]!.length, labels);
    return labels.map((name, layer) => ({ epoch, layer, name, value: finite(values[row]![layer]!) }));
  });
  const rowHeight = labels.length > 40 ? 13 : 18;
  // Every epoch gets a tick only while the numbers fit: about 40 on the widest plot.
  const every = Math.ceil(epochs.length / 40);
  return plotSpec(`${metric[0]!.toUpperCase()}${metric.slice(1)}: layers × epochs`, options, {
    data: { values: rows },
    width: Math.max(260, Math.min(epochs.length * 22, 900)),
    height: { step: rowHeight },
    mark: { type: 'rect' },
    encoding: {
      x: {
        field: 'epoch',
        type: 'ordinal',
        axis: { title: 'epoch', labelAngle: 0, values: epochs.filter((_, index) => index % every === 0) },
      },
      y: {
        field: 'layer',
        type: 'ordinal',
        sort: null,
        scale: { domain: labels.map((_, index) => index) },
        axis: { title: null, labelLimit: 0, labelOverlap: false, labelExpr: labelExpression(labels) },
      },
      color: {
        field: 'value',
        type: 'quantitative',
        scale: { scheme: 'viridis', ...(metric === 'saturation' ? { domain: [0, 1] } : {}) },
        legend: { title: metric, gradientLength: Math.max(60, Math.min(labels.length * rowHeight, 200)) },
      },
      tooltip: [{ field: 'name', title: 'layer' }, { field: 'epoch' }, { field: 'value', title: metric }],
    },
  });
}

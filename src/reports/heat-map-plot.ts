import {
  checkLength,
  drawable,
  finite,
  labelExpression,
  type PlotOptions,
  type PlotSpec,
  plotSpec,
} from './plot-spec.js';

/** A statistic of several layers over the epochs. */
export interface LayersByEpochs {
  /** Layer names, input first. */
  labels: readonly string[];
  /** The epochs (or steps) of the rows in `values`, ascending. */
  epochs: readonly number[];
  /** `values[e][l]`: the statistic of layer `l` at `epochs[e]`; NaN leaves its cell empty. */
  values: readonly ArrayLike<number>[];
}

/** Options of heatMapPlot. */
export interface HeatMapPlotOptions extends PlotOptions {
  /** What the values are. Default 'saturation', for which the color scale is [0, 1]. */
  metric?: string;
}

/**
 * Layers (the input on top) by epochs, colored by saturation in viridis.
 *
 * @throws RangeError if there is not one row of values per epoch, or not one value per label in each
 */
export function heatMapPlot({ labels, epochs, values }: LayersByEpochs, options: HeatMapPlotOptions = {}): PlotSpec {
  const metric = drawable(options.metric ?? 'saturation');
  if (values.length !== epochs.length) {
    throw new RangeError(`heatMapPlot: expected a row of values per epoch (${epochs.length}), got ${values.length}`);
  }
  const rows = epochs.flatMap((epoch, row) => {
    checkLength('heatMapPlot', `values of epoch ${epoch}`, values[row]!.length, labels);
    return labels.map((name, layer) => ({ epoch, layer, name, value: finite(values[row]![layer]!) }));
  });
  const rowHeight = labels.length > 40 ? 13 : 18;
  // About 40 numbers fit below the widest plot: with more epochs, only some have one.
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

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
  plotSpec,
} from './plot-spec.js';

/** Options of splitsPlot. */
export interface SplitsPlotOptions extends PlotOptions {
  /** What the values are. Default 'saturation', for which the vertical axis is [0, 1]. */
  metric?: string;
}

/** A statistic of the training split and of the validation split, per layer. */
export interface LayersBySplit {
  /** Layer names, input first. */
  labels: readonly string[];
  /** One number per layer for the training split; NaN is not drawn. */
  train: ArrayLike<number>;
  /** One number per layer for the validation split; NaN is not drawn. */
  val: ArrayLike<number>;
}

/**
 * Train against validation per layer: a dot for each and a line between them, so that the gap stands out.
 *
 * @throws RangeError if a list does not have one number per label
 */
export function splitsPlot({ labels, train, val }: LayersBySplit, options: SplitsPlotOptions = {}): PlotSpec {
  const metric = drawable(options.metric ?? 'saturation');
  checkLength('splitsPlot', 'train', train.length, labels);
  checkLength('splitsPlot', 'val', val.length, labels);
  const rows = labels.flatMap((name, layer) => [
    { layer, name, split: 'train', value: finite(train[layer]!) },
    { layer, name, split: 'val', value: finite(val[layer]!) },
  ]);
  const y = {
    field: 'value',
    type: 'quantitative',
    title: metric,
    scale: metric === 'saturation' ? { domain: [0, 1] } : { zero: true },
  };
  return plotSpec(`${metric[0]!.toUpperCase()}${metric.slice(1)}: train against validation`, options, {
    data: { values: rows },
    width: layersWidth(labels.length),
    height: 260,
    encoding: { x: layerAxis(labels) },
    layer: [
      {
        mark: { type: 'line', color: '#aaa', strokeWidth: 2 },
        encoding: { y, detail: { field: 'layer', type: 'ordinal' } },
      },
      {
        mark: { type: 'point', filled: true, opacity: 1 },
        encoding: {
          y,
          color: {
            field: 'split',
            type: 'nominal',
            scale: { domain: ['train', 'val'], range: [splitColors.train, splitColors.val] },
            legend: legendOnTop,
          },
          // The smaller dot is drawn over the larger one, so that both are visible if they coincide.
          size: {
            field: 'split',
            type: 'nominal',
            scale: { domain: ['train', 'val'], range: labels.length > 40 ? [56, 28] : [80, 32] },
            legend: null,
          },
          tooltip: [{ field: 'name', title: 'layer' }, { field: 'split' }, { field: 'value', title: metric }],
        },
      },
    ],
  });
}

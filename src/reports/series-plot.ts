import { splitColors } from '../view/palette.js';
import { finite, legendOnTop, type PlotOptions, type PlotSpec, plainColor, plotSpec } from './plot-spec.js';

/** A number over the epochs, per split or without one. */
export interface SeriesBySplit {
  /** Epochs (or steps), ascending. */
  epochs: readonly number[];
  /** The training split's numbers, one per epoch; NaN leaves a gap. Default: no line. */
  train?: ArrayLike<number>;
  /** The validation split's numbers, one per epoch; NaN leaves a gap. Default: no line. */
  val?: ArrayLike<number>;
  /** The numbers without a split, one per epoch; NaN leaves a gap. Default: no line. */
  all?: ArrayLike<number>;
}

/** Options of seriesPlot. */
export interface SeriesPlotOptions extends PlotOptions {
  /** What the numbers are: the title of the plot. */
  metric: string;
}

/**
 * A loss or metric over the epochs, train against validation.
 *
 * @throws RangeError if a list does not have one number per epoch
 */
export function seriesPlot(series: SeriesBySplit, options: SeriesPlotOptions): PlotSpec {
  const colors = { train: splitColors.train, val: splitColors.val, all: plainColor };
  const present = (['train', 'val', 'all'] as const).filter((split) => series[split] !== undefined);
  const rows = present.flatMap((split) => {
    const values = series[split]!;
    if (values.length !== series.epochs.length) {
      throw new RangeError(
        `seriesPlot: expected one of ${split} per epoch (${series.epochs.length}), got ${values.length}`,
      );
    }
    return series.epochs.map((epoch, index) => ({ epoch, split, value: finite(values[index]!) }));
  });
  return plotSpec(options.metric, options, {
    data: { values: rows },
    width: 320,
    height: 160,
    mark: { type: 'line', point: series.epochs.length <= 60 ? { size: 26, filled: true } : false, strokeWidth: 1.8 },
    encoding: {
      x: {
        field: 'epoch',
        type: 'quantitative',
        scale: { zero: false, nice: false },
        axis: { tickMinStep: 1, format: 'd', grid: false },
      },
      y: { field: 'value', type: 'quantitative', title: null, scale: { zero: false } },
      color: {
        field: 'split',
        type: 'nominal',
        scale: { domain: present, range: present.map((split) => colors[split]) },
        legend: present.length > 1 ? legendOnTop : null,
      },
    },
  });
}

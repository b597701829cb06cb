import {
  finite,
  legendOnTop,
  type PlotOptions,
  type PlotSpec,
  plainColor,
  plotSpec,
  splitColors,
} from './plot-spec.js';

/** A number over the epochs: of each split, or of no split. Every list may be absent. */
export interface SeriesBySplit {
  /** Epochs (or steps), in order. */
  epochs: readonly number[];
  /** One number per epoch for training; NaN leaves a gap. */
  train?: ArrayLike<number>;
  /** One number per epoch for validation; NaN leaves a gap. */
  val?: ArrayLike<number>;
  /** One number per epoch that belongs to no split; NaN leaves a gap. */
  all?: ArrayLike<number>;
}

/**
 * Plots a loss or a metric over the epochs, training against validation.
 *
 * @throws RangeError if a list has not one number per epoch
 */
export function seriesPlot(series: SeriesBySplit, options: PlotOptions & { metric: string }): PlotSpec {
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

import { drawable, type PlotOptions, type PlotSpec, plainColor, plotSpec, shortLabel } from './plot-spec.js';

/** Samples of one layer on its first two principal axes. */
export interface Embedding {
  /** Name of the layer. */
  label: string;
  /** The samples, n x 2, row-major. */
  points: ArrayLike<number>;
}

/** Options of embeddingPlot. */
export interface EmbeddingPlotOptions extends PlotOptions {
  /** Most samples to draw per layer, evenly spaced over all of them. Default 1000. */
  maxSamples?: number;
}

/** The samples of layers on their first two principal axes: one panel per layer, each with its own scale. */
export function embeddingPlot(embeddings: readonly Embedding[], options: EmbeddingPlotOptions = {}): PlotSpec {
  const most = options.maxSamples ?? 1000;
  const axis = (field: string, title: string) => ({
    field,
    type: 'quantitative',
    title,
    scale: { zero: false },
    axis: { grid: false, tickCount: 4 },
  });
  return plotSpec('Samples on the first two principal axes', options, {
    columns: 3,
    concat: embeddings.map(({ label, points }) => {
      const samples = points.length >> 1;
      const stride = Math.max(1, Math.ceil(samples / most));
      const rows: { first: number; second: number }[] = [];
      for (let row = 0; row < samples; row += stride)
        rows.push({ first: points[2 * row]!, second: points[2 * row + 1]! });
      return {
        title: { text: drawable(shortLabel(label)), fontSize: 12, fontWeight: 'normal', anchor: 'middle', offset: 4 },
        width: 220,
        height: 220,
        data: { values: rows },
        mark: { type: 'point', filled: true, size: 12, opacity: 0.5, color: plainColor },
        encoding: { x: axis('first', '1st'), y: axis('second', '2nd') },
      };
    }),
  });
}

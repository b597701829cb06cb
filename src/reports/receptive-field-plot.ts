import {
  accentColor,
  checkLength,
  finite,
  layerAxis,
  layersWidth,
  type PlotOptions,
  type PlotSpec,
  plainColor,
  plotSpec,
} from './plot-spec.js';

/** Options of receptiveFieldPlot. */
export interface ReceptiveFieldPlotOptions extends PlotOptions {
  /** Side of the input in pixels (or samples), drawn as a line, which the receptive field crosses at the border layer. Default: no line. */
  inputSize?: number;
}

/** Receptive fields by depth, with or without the saturation that was measured. */
export interface ReceptiveFieldProfile {
  /** Layer names, input first. */
  labels: readonly string[];
  /** Smallest receptive field over all paths, per layer, in pixels; Infinity (dense layers) is not drawn. */
  min: ArrayLike<number>;
  /** Largest receptive field over all paths, per layer, in pixels. */
  max: ArrayLike<number>;
  /** Saturation per layer, in [0, 1]. Default: it is not drawn. */
  saturation?: ArrayLike<number>;
}

/**
 * Saturation above, and below it the receptive field (smallest and largest over all paths, on a logarithmic axis) with
 * the input's size as a line. The layers to the right of the point where the smallest receptive field crosses the line
 * see nothing new (https://arxiv.org/abs/2106.12307).
 *
 * @throws RangeError if a list does not have one value per label
 */
export function receptiveFieldPlot(profile: ReceptiveFieldProfile, options: ReceptiveFieldPlotOptions = {}): PlotSpec {
  const { labels, min, max, saturation } = profile;
  checkLength('receptiveFieldPlot', 'min', min.length, labels);
  checkLength('receptiveFieldPlot', 'max', max.length, labels);
  if (saturation) checkLength('receptiveFieldPlot', 'saturation', saturation.length, labels);
  const width = layersWidth(labels.length);
  const x = layerAxis(labels);
  const bare = { ...x, axis: { ...(x.axis as object), labels: false, ticks: false } };
  const fields = labels.map((name, layer) => ({ layer, name, min: finite(min[layer]!), max: finite(max[layer]!) }));
  const log = { type: 'quantitative', scale: { type: 'log', base: 2, nice: true }, title: 'receptive field' };
  const point = { filled: true, size: labels.length > 40 ? 28 : 50 };
  const below = {
    width,
    height: 180,
    data: { values: fields },
    encoding: { x },
    layer: [
      {
        mark: { type: 'area', color: plainColor, opacity: 0.15 },
        encoding: { y: { field: 'min', ...log }, y2: { field: 'max' } },
      },
      {
        mark: { type: 'line', color: plainColor, point: { ...point, color: plainColor }, strokeWidth: 1.8 },
        encoding: { y: { field: 'min', ...log } },
      },
      { mark: { type: 'line', color: plainColor, strokeDash: [4, 3] }, encoding: { y: { field: 'max', ...log } } },
      ...(options.inputSize === undefined ? [] : [inputLine(options.inputSize)]),
    ],
  };
  const above = saturation && {
    width,
    height: 180,
    data: { values: labels.map((name, layer) => ({ layer, name, value: finite(saturation[layer]!) })) },
    mark: { type: 'line', color: plainColor, point: { ...point, color: plainColor }, strokeWidth: 1.8 },
    encoding: {
      x: bare,
      y: { field: 'value', type: 'quantitative', title: 'saturation', scale: { domain: [0, 1] } },
    },
  };
  return plotSpec(saturation ? 'Saturation and receptive field by depth' : 'Receptive field by depth', options, {
    vconcat: above ? [above, below] : [below],
    spacing: 14,
  });
}

function inputLine(inputSize: number) {
  return {
    data: { values: [{ size: inputSize, text: `input ${inputSize}` }] },
    encoding: { x: null, y: { field: 'size', type: 'quantitative' } },
    layer: [
      { mark: { type: 'rule', color: accentColor, strokeDash: [6, 3] } },
      {
        mark: { type: 'text', align: 'left', baseline: 'bottom', dy: -3, color: accentColor, fontSize: 11 },
        encoding: { text: { field: 'text' }, x: { value: 4 } },
      },
    ],
  };
}

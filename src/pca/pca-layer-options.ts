import { checkedThreshold } from '../statistics/check-threshold.js';
import { checkedRule, type IntrinsicDimensionRule } from '../statistics/spectrum-measures.js';

/** Options of a PCA layer. */
export interface PcaLayerOptions {
  /** The layer's name in its model. */
  name?: string;
  /** Part of the variance that the dimensions let through must explain, in (0, 1]; 0.99. */
  threshold?: number;
  /** Which dimensions these are: `paper` (default), the fewest that reach the threshold, or as Delve executes it. */
  rule?: IntrinsicDimensionRule;
  /**
   * Project about the mean (default): y = (x - m) E E^T + m. With false about the origin, as Delve's convolutional layers do:
   * y = x E E^T, with E the eigenvectors of the second moment.
   */
  centering?: boolean;
  /**
   * The output is as wide as the input (default); with false it is the coordinates in the eigenspace, as many as there
   * are dimensions. How many is known only after training, so in the model's graph that width is null: such a layer is the
   * last one, or layers of any width follow. In training the whole input passes.
   */
  keepDim?: boolean;
  /** Of a map larger than this, take note of so many places a side only. Projecting is not affected. */
  downsample?: number | null;
}

/** The options with their defaults. TypeError or RangeError for one out of its range, naming it. */
export function pcaLayerOptions(options: PcaLayerOptions) {
  const { threshold = 0.99, rule = 'paper', centering = true, keepDim = true, downsample } = options;
  checkedThreshold(threshold);
  checkedRule(rule);
  for (const [name, value] of Object.entries({ centering, keepDim })) {
    if (typeof value !== 'boolean') throw new TypeError(`${name}: expected true or false, got ${String(value)}`);
  }
  if (downsample != null && !(Number.isInteger(downsample) && downsample > 0)) {
    throw new RangeError(`downsample: expected a positive integer, got ${String(downsample)}`);
  }
  return { threshold, rule, centering, keepDim, downsample: downsample ?? undefined };
}

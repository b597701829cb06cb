import type { Step } from '../event/event.js';
import type { Spectrum } from '../statistics/spectrum.js';
import { checkedRule, checkedThreshold } from '../statistics/spectrum-measures.js';
import { SummaryWriter } from '../writer/summary-writer.js';
import { writeEigenvalues } from './eigenvalues.js';
import type { LayerStatistics } from './epoch.js';
import { type CountingOptions, dimensionsOf } from './measure-layer.js';
import { writeLayerStatistics, writeProfile } from './runs.js';

/**
 * A SummaryWriter that also writes saturation: scalars, histograms of the eigenvalues and the profile by depth. It needs
 * no TensorFlow.js: spectra come from a `CovarianceAccumulator`, which takes activations from anywhere.
 */
export class SaturationWriter extends SummaryWriter {
  /** The layers so far, numbered as they came. */
  readonly #layers = new Map<string, number>();

  /**
   * Writes the scalars `saturation/<layer>` and `intrinsic-dimensionality/<layer>` and the histogram `spectrum/<layer>` of
   * log10 of the eigenvalues (without those below a millionth of the largest), and the eigenvalues themselves in
   * `eigenvalues/<layer>`, which the Saturation tab shows. Layers stand there in the order of their first call.
   *
   * @throws RangeError for a threshold outside (0, 1] or an unknown rule
   */
  addSaturation(layer: string, spectrum: Spectrum, step: Step, options: CountingOptions = {}): void {
    const counting = checked(options);
    const { intrinsicDimensionality, saturation } = dimensionsOf(spectrum, counting);
    const dimensions = { saturation, intrinsicDimensionality };
    const statistics: LayerStatistics = {
      split: 'train',
      layer,
      samples: spectrum.samples ?? Number.NaN,
      rejected: 0,
      features: spectrum.features,
      ...dimensions,
      values: { ...dimensions },
      spectrum,
    };
    writeLayerStatistics(this, statistics, step, counting);
    const index = this.#layers.get(layer) ?? this.#layers.size;
    this.#layers.set(layer, index);
    writeEigenvalues(this, statistics, index, step, counting);
  }

  /**
   * Writes the saturation of every layer as one histogram, `saturation-profile`: bucket i is layer i in the map's order,
   * and its count the saturation. TensorBoard draws a ridge of depth by step.
   *
   * @throws RangeError for a threshold outside (0, 1] or an unknown rule
   */
  addSaturationProfile(spectra: ReadonlyMap<string, Spectrum>, step: Step, options: CountingOptions = {}): void {
    const counting = checked(options);
    const saturations = new Map(
      [...spectra].map(([layer, spectrum]) => [layer, dimensionsOf(spectrum, counting).saturation]),
    );
    writeProfile(this, saturations, step);
  }
}

function checked({ threshold = 0.99, rule = 'paper' }: CountingOptions): Required<CountingOptions> {
  return { threshold: checkedThreshold(threshold), rule: checkedRule(rule) };
}

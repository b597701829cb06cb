import { warn } from '#platform';
import type { RecordedLayer } from '../activations/recorder.js';
import type { EpochStatistics, Split } from '../saturation/epoch.js';
import { type Eigenspace, measureLayer } from '../saturation/measure-layer.js';
import { sampleSizeWarning } from '../statistics/sample-size.js';
import type { Spectrum } from '../statistics/spectrum.js';
import type { ResolvedOptions } from './options.js';

/** One layer in one split, as addSaturations reports it. */
export interface LayerSaturation {
  split: Split;
  layer: string;
  /** Rows used. */
  samples: number;
  /** Rows left out because of a NaN or Infinity. */
  rejected: number;
  /** Width of the layer. */
  features: number;
  /** intrinsicDimensionality / features; NaN where no row was finite. */
  saturation: number;
  intrinsicDimensionality: number;
}

/** What an epoch's layers come to. */
export interface MeasuredEpoch {
  epoch: EpochStatistics;
  /** By split/layer. */
  spectra: Map<string, Spectrum>;
  results: LayerSaturation[];
}

/** Turns what was recorded in an epoch into its statistics, one layer after another as they are solved. */
export class EpochMeasurer {
  readonly #options: ResolvedOptions;
  readonly #report: (error: unknown, where: string) => void;
  readonly #eigenspaces = new Map<string, Eigenspace>();
  readonly #warnedOfSize = new Set<string>();

  /** @param report told when a layer fails; the others go on */
  constructor(options: ResolvedOptions, report: (error: unknown, where: string) => void) {
    this.#options = options;
    this.#report = report;
  }

  async measure(
    recorded: readonly RecordedLayer[],
    at: Pick<EpochStatistics, 'epoch' | 'step' | 'scalars'>,
  ): Promise<MeasuredEpoch> {
    const { threshold, rule } = this.#options;
    const epoch: EpochStatistics = { ...at, threshold, rule, layers: [] };
    const spectra = new Map<string, Spectrum>();
    const results: LayerSaturation[] = [];
    for (const { split, layer, solved } of recorded) {
      const key = `${split}/${layer}`;
      try {
        const taken = await solved;
        if (taken === undefined) continue;
        const previous = this.#eigenspaces.get(key);
        const measured = measureLayer(split, layer, taken.solved, taken.rows, this.#options, previous);
        const { statistics, spectrum, eigenspace } = measured;
        if (eigenspace !== undefined) this.#eigenspaces.set(key, eigenspace);
        if (spectrum !== undefined) spectra.set(key, spectrum);
        epoch.layers.push(statistics);
        const { samples, rejected, features } = statistics;
        if (rejected > 0) {
          warn(
            `layer '${layer}' (${split}), epoch ${at.epoch}: ${rejected} of ${samples + rejected} rows held a NaN or Infinity and were left out`,
          );
        }
        const intrinsicDimensionality = spectrum?.intrinsicDimensionality(threshold, rule) ?? Number.NaN;
        const saturation = intrinsicDimensionality / features;
        results.push({ split, layer, samples, rejected, features, saturation, intrinsicDimensionality });
      } catch (error) {
        this.#report(error, `layer '${layer}' (${split})`);
      }
    }
    this.#warnOfFewSamples(spectra);
    return { epoch, spectra, results };
  }

  /** Once per layer and split: few rows show too little saturation. */
  #warnOfFewSamples(spectra: ReadonlyMap<string, Spectrum>): void {
    const { threshold, rule } = this.#options;
    const warnings: string[] = [];
    for (const [key, spectrum] of spectra) {
      if (this.#warnedOfSize.has(key)) continue;
      const warning = sampleSizeWarning(key, spectrum, { threshold, rule });
      if (warning === undefined) continue;
      this.#warnedOfSize.add(key);
      warnings.push(warning);
    }
    if (warnings.length > 0) warn(warnings.join('\n'));
  }
}

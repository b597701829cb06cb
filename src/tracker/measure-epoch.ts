import { warn } from '#platform';
import type { RecordedLayer } from '../activations/recorder.js';
import type { EpochStatistics, LayerSaturation, LayerStatistics } from '../saturation/epoch.js';
import { type Eigenspace, type MeasureOptions, measureLayer } from '../saturation/measure-layer.js';
import type { Spectrum } from '../statistics/spectrum.js';

/** What an epoch's layers come to. */
export interface MeasuredEpoch {
  /** What the stores are given. */
  epoch: EpochStatistics;
  /** The spectra by `split/layer`, whether they were asked for or not. */
  spectra: Map<string, Spectrum>;
  /** What `addSaturations` resolves to. */
  results: LayerSaturation[];
}

/** What is remembered from one epoch to the next. */
export class EpochMemory {
  /** Each layer's leading eigenvectors at the end of its last epoch, by `split/layer`: drift is measured from them. */
  readonly eigenspaces = new Map<string, Eigenspace>();
  /** Layers (`split/layer`) whose small number of samples was reported. */
  readonly fewSamplesReported = new Set<string>();
}

/**
 * Turns what was recorded in an epoch into its statistics, one layer after another as they are solved.
 *
 * @param at the epoch's number, its step, and the user's scalars
 * @param report receives the error of a layer that fails; the other layers go on
 */
export async function measureEpoch(
  recorded: readonly RecordedLayer[],
  at: Pick<EpochStatistics, 'epoch' | 'step' | 'scalars'>,
  options: MeasureOptions,
  memory: EpochMemory,
  report: (error: unknown, where: string) => void,
): Promise<MeasuredEpoch> {
  const { threshold, rule } = options;
  const layers: LayerStatistics[] = [];
  const spectra = new Map<string, Spectrum>();
  for (const { split, layer, strategy, solved } of recorded) {
    const key = `${split}/${layer}`;
    try {
      const taken = await solved;
      if (taken === undefined) continue;
      const previous = memory.eigenspaces.get(key);
      const { statistics, spectrum, eigenspace } = measureLayer(
        split,
        layer,
        taken.solved,
        taken.rows,
        options,
        previous,
      );
      if (eigenspace !== undefined) memory.eigenspaces.set(key, eigenspace);
      if (spectrum !== undefined) spectra.set(key, spectrum);
      layers.push({ ...statistics, strategy });
      warnOfRejected(statistics, at.epoch);
    } catch (error) {
      report(error, `layer '${layer}' (${split})`);
    }
  }
  warnOfFewSamples(spectra, options, memory.fewSamplesReported);
  return { epoch: { ...at, threshold, rule, layers }, spectra, results: layers.map(saturationOf) };
}

function saturationOf(statistics: LayerStatistics): LayerSaturation {
  const { split, layer, samples, rejected, features, saturation, intrinsicDimensionality } = statistics;
  return { split, layer, samples, rejected, features, saturation, intrinsicDimensionality };
}

function warnOfRejected({ split, layer, samples, rejected }: LayerStatistics, epoch: number): void {
  if (rejected === 0) return;
  const rows = `${rejected} of ${samples + rejected} rows held a NaN or Infinity and were left out`;
  warn(`layer '${layer}' (${split}), epoch ${epoch}: ${rows}`);
}

/** Warns once per layer and split: few rows show too little saturation. */
function warnOfFewSamples(
  spectra: ReadonlyMap<string, Spectrum>,
  { threshold, rule }: MeasureOptions,
  reported: Set<string>,
): void {
  const warnings: string[] = [];
  for (const [key, spectrum] of spectra) {
    if (reported.has(key)) continue;
    const warning = spectrum.sampleSizeWarning(key, { threshold, rule });
    if (warning === undefined) continue;
    reported.add(key);
    warnings.push(warning);
  }
  if (warnings.length > 0) warn(warnings.join('\n'));
}

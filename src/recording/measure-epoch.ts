import { warn } from '#platform';
import { type EpochStatistics, type LayerSaturation, type LayerStatistics, shortNames } from '../saturation/epoch.js';
import { type Eigenspace, type MeasureOptions, measureLayer } from '../saturation/measure-layer.js';
import { correctedStats } from '../saturation/stats.js';
import { MANY_ROWS_PER_FEATURE } from '../statistics/population-spectrum.js';
import type { Spectrum } from '../statistics/spectrum.js';
import type { LayerKernel, Solved } from '../statistics/threads/solve.js';
import { NotInTimeError } from '../statistics/threads/thread.js';
import type { SolvedLayer } from './layer-sums.js';
import type { RecordedLayer } from './sample-recorder.js';

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
  /** Singular values of each layer's kernel at the end of its last epoch of training. */
  readonly kernels = new Map<string, Float64Array>();
  /** Layers (`split/layer`) whose small number of samples was reported. */
  readonly fewSamplesReported = new Set<string>();
  /** Layers (`split/layer`) whose corrected saturation is saved, because their rows are few or were so in some epoch. */
  readonly corrected = new Set<string>();
  /** Layers (`split/layer`) of which it was reported that rows were left out. */
  readonly rejectedReported = new Set<string>();
  /** What was told of neural collapse: layers (`split/layer`) of which classes are missing, and '' if there are none at all. */
  readonly classesReported = new Set<string>();
  /** Whether there are epochs and splits to be named; a trained model has neither. */
  readonly isTraining: boolean;

  /** @param isTraining whether epochs and splits are named in warnings */
  constructor(isTraining = true) {
    this.isTraining = isTraining;
  }
}

/**
 * Turns what was recorded in an epoch into its statistics, one layer after another as they are solved. The error of a layer is
 * reported, and the other layers go on.
 */
export class EpochMeasurement {
  /** The epoch's number, its step, and the user's scalars. */
  readonly at: Pick<EpochStatistics, 'epoch' | 'step' | 'scalars'>;
  readonly #options: MeasureOptions;
  readonly #memory: EpochMemory;
  readonly #report: (error: unknown, where: string) => void;
  /** What has not been measured yet. */
  readonly #left: RecordedLayer[];
  readonly #layers: LayerStatistics[] = [];
  readonly #spectra = new Map<string, Spectrum>();
  #hasClasses = false;

  /** @param report receives errors, with what failed in words */
  constructor(
    recorded: readonly RecordedLayer[],
    at: Pick<EpochStatistics, 'epoch' | 'step' | 'scalars'>,
    options: MeasureOptions,
    memory: EpochMemory,
    report: (error: unknown, where: string) => void,
  ) {
    this.#left = [...recorded];
    this.at = at;
    this.#options = options;
    this.#memory = memory;
    this.#report = report;
  }

  /** Measures every layer as soon as it is solved. */
  async finish(): Promise<MeasuredEpoch> {
    while (this.#left.length > 0) {
      const [recorded] = this.#left;
      const outcome = await recorded.solved.result.then(
        (taken) => () => taken,
        (error) => () => {
          throw error;
        },
      );
      this.#left.shift();
      this.#measure(recorded, outcome);
    }
    return this.#end();
  }

  /**
   * Measures the layers that are solved in time, for which this thread stands still.
   *
   * @param deadline in milliseconds of `performance.now`
   * @returns also the layers that were not solved in time
   */
  finishNow(deadline: number): { measured: MeasuredEpoch; unsolved: RecordedLayer[] } {
    const unsolved: RecordedLayer[] = [];
    for (const recorded of this.#left.splice(0)) {
      let taken: SolvedLayer | undefined;
      try {
        taken = recorded.solved.now(deadline);
      } catch (error) {
        if (error instanceof NotInTimeError) unsolved.push(recorded);
        else this.#report(error, whereOf(recorded));
        continue;
      }
      this.#measure(recorded, () => taken);
    }
    return { measured: this.#end(), unsolved };
  }

  #measure(recorded: RecordedLayer, takeSolved: () => SolvedLayer | undefined): void {
    const { split, layer, strategy } = recorded;
    const key = `${split}/${layer}`;
    try {
      const taken = takeSolved();
      if (taken === undefined) return;
      this.#checkClasses(recorded, taken.solved);
      const previous = this.#memory.eigenspaces.get(key);
      const { statistics, spectrum, eigenspace } = measureLayer(
        split,
        layer,
        taken.solved,
        taken.rows,
        this.#options,
        previous,
      );
      if (eigenspace !== undefined) this.#memory.eigenspaces.set(key, eigenspace);
      if (spectrum !== undefined) this.#spectra.set(key, spectrum);
      if (this.#options.correctsOnlyFew && !this.#isOfFewRows(key, spectrum)) {
        for (const stat of correctedStats) delete statistics.values[stat];
      }
      const frozen = split === 'train' && this.#isFrozen(layer, taken.solved.kernel);
      this.#layers.push({ ...statistics, strategy, ...(frozen ? { isFrozen: true } : {}) });
    } catch (error) {
      this.#report(error, whereOf(recorded));
    }
  }

  /** Warns once of a layer whose neural collapse is not known in all, and why. */
  #checkClasses({ split, layer }: RecordedLayer, { collapse, count, features }: Solved): void {
    if (collapse === undefined) return;
    this.#hasClasses = true;
    const { labelled, means, nc1, nc3 } = collapse;
    const classes = Array.from({ length: means.length / features }, (_, c) => means[c * features]);
    const known = classes.filter((mean) => !Number.isNaN(mean)).length;
    let why: string | undefined;
    if (labelled !== count) {
      why = `collapseNC1: expected the class of each of its ${count} rows, got that of ${labelled}: it is NaN`;
    } else if (Number.isNaN(nc1)) why = `expected rows of two classes or more, got those of ${known}: it is NaN`;
    else if (nc3 !== undefined && Number.isNaN(nc3)) {
      why = `collapseNC3: expected a row of weights for each of its ${known} classes, got another classifier: it is NaN`;
    }
    const key = `${split}/${layer}`;
    if (why === undefined || this.#memory.classesReported.has(key)) return;
    this.#memory.classesReported.add(key);
    warn(`Neural collapse of layer '${layer}' (${split}): ${why}`);
  }

  /** Whether a layer's weights may change, and are those of its last epoch up to the rounding of their singular values. */
  #isFrozen(layer: string, kernel: LayerKernel | undefined): boolean {
    if (kernel === undefined) return false;
    const { singularValues: now, isTrainable } = kernel;
    const before = this.#memory.kernels.get(layer);
    this.#memory.kernels.set(layer, now);
    if (!isTrainable || before?.length !== now.length) return false;
    const rounding = 1e-12 * now.reduce((largest, value) => Math.max(largest, value), 0);
    return now.every((value, at) => Math.abs(value - before[at]) <= rounding);
  }

  /** Whether a layer's saturation needs correction; a layer that once needed it has a value in each later epoch. */
  #isOfFewRows(key: string, spectrum: Spectrum | undefined): boolean {
    const { corrected } = this.#memory;
    if (spectrum !== undefined && hasFewRows(spectrum, this.#options)) corrected.add(key);
    return corrected.has(key);
  }

  #end(): MeasuredEpoch {
    const { threshold, rule, classesByName } = this.#options;
    const told = this.#memory.classesReported;
    if (classesByName && !this.#hasClasses && this.#layers.length > 0 && !told.has('')) {
      told.add('');
      warn(
        'Neural collapse: expected the class of each item, got none: it comes from the targets of model.fit, or from observe(..., { labels })',
      );
    }
    warnOfRejected(this.#layers, this.at.epoch, this.#memory);
    warnOfFewSamples(this.#layers, this.#spectra, this.#options, this.#memory);
    return {
      epoch: { ...this.at, threshold, rule, layers: this.#layers },
      spectra: this.#spectra,
      results: this.#layers.map(saturationOf),
    };
  }
}

function whereOf({ split, layer }: RecordedLayer): string {
  return `layer '${layer}' (${split})`;
}

function saturationOf(statistics: LayerStatistics): LayerSaturation {
  const { split, layer, samples, effectiveSamples, rejected, features } = statistics;
  const { saturation, intrinsicDimensionality, bounds } = statistics;
  const all = { split, layer, samples, effectiveSamples, rejected, features, saturation, intrinsicDimensionality };
  return bounds === undefined ? all : { ...all, bounds };
}

/** How many layers a warning words; it counts the others. */
const mostLayersWorded = 3;

/** Warns once per layer and split of rows that were left out. */
function warnOfRejected(layers: readonly LayerStatistics[], epoch: number, memory: EpochMemory): void {
  const reported = memory.rejectedReported;
  const { short } = shortNames(layers.map(({ layer }) => layer));
  const words: string[] = [];
  for (const { split, layer, samples, rejected } of layers) {
    const key = `${split}/${layer}`;
    if (rejected === 0 || reported.has(key)) continue;
    reported.add(key);
    words.push(
      `${rejected} of ${samples + rejected} rows of layer '${short(layer)}'${memory.isTraining ? ` (${split})` : ''}`,
    );
  }
  if (words.length === 0) return;
  const more = words.length > mostLayersWorded ? ` and rows of ${words.length - mostLayersWorded} more` : '';
  const listed = words.slice(0, mostLayersWorded).join(', ');
  const when = memory.isTraining ? `epoch ${epoch + 1}: ` : '';
  warn(`${when}${listed}${more} held a NaN or Infinity and were left out; no more is said of these layers`);
}

/** Whether a spectrum's saturation may be too low by more than is told without a word. */
function hasFewRows(spectrum: Spectrum, { threshold, rule }: MeasureOptions): boolean {
  const rows = spectrum.effectiveSamples ?? 0;
  return rows < MANY_ROWS_PER_FEATURE * spectrum.features && !spectrum.isReliable({ threshold, rule });
}

/** Warns once per layer and split: few rows show too little saturation. */
function warnOfFewSamples(
  layers: readonly LayerStatistics[],
  spectra: ReadonlyMap<string, Spectrum>,
  options: MeasureOptions,
  memory: EpochMemory,
): void {
  const { threshold, rule, forCorrected = false } = options;
  const reported = memory.fewSamplesReported;
  const { short } = shortNames(layers.map(({ layer }) => layer));
  const warnings: string[] = [];
  for (const { split, layer } of layers) {
    const key = `${split}/${layer}`;
    const spectrum = spectra.get(key);
    if (spectrum === undefined || reported.has(key) || !hasFewRows(spectrum, options)) continue;
    if (forCorrected && !Number.isNaN(spectrum.saturationEstimate({ threshold, rule }).saturation)) continue;
    const warning = spectrum.sampleSizeWarning(memory.isTraining ? `${split}/${short(layer)}` : short(layer), {
      threshold,
      rule,
    });
    if (warning === undefined) continue;
    reported.add(key);
    warnings.push(warning);
  }
  if (warnings.length === 0) return;
  const more = warnings.length - mostLayersWorded;
  if (more > 0) {
    const counted = memory.isTraining ? ', counted by layer and split' : ' layers';
    warnings.splice(mostLayersWorded, more, `The same holds for ${more} more${counted}.`);
  }
  warn(warnings.join('\n'));
}

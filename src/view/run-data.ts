import type { ReceptiveField, ReceptiveFieldAxis } from '../insight/receptive-fields.js';
import type { LayerRole, Split } from '../saturation/epoch.js';
import type { NotedFields } from '../saturation/note.js';
import type { RunHistory } from '../saturation/run-history.js';
import type { ScalarStat } from '../saturation/stats.js';
import type { NotedModel, TrainingTimes } from '../saturation/training-facts.js';
import type { IntrinsicDimensionRule } from '../statistics/spectrum-measures.js';

/*
 * What the saturation view shows, wherever it comes from: the runs that a source lists, and the spectra and numbers of one
 * run. The view asks a source; a source knows nothing of the view.
 */

/** A run that a source has: one split of one experiment. */
export interface RunOutline {
  /** The run's name, unique in its source, such as `runs/wide/train`. */
  readonly name: string;
  /** The training that the run belongs to: what its splits have in common, such as `runs/wide`; may be empty. */
  readonly experiment: string;
  /** Which of the training's two splits it is. */
  readonly split: Split;
}

/** Numbers over steps. */
export interface StepSeries {
  /** The steps, ascending. */
  readonly steps: readonly number[];
  /** One number for each step; NaN if it is not a number. */
  readonly values: readonly number[];
}

/** The spectrum of a layer at one step. */
export interface SpectrumPoint {
  /** The step that it belongs to. */
  readonly step: number;
  /** Rows that it rests on; undefined if that is not known. */
  readonly samples?: number;
  /** How many independent rows these are worth: places of one image are not independent. Default: all. */
  readonly effectiveSamples?: number;
  /** Rows left out because they held a NaN or Infinity. */
  readonly rejected: number;
  /** The eigenvalues of the covariance, descending. Beyond those there may be a rest that was not stored. */
  readonly eigenvalues: Float32Array | Float64Array;
  /** Width of the layer; greater than the number of eigenvalues if only the leading ones were stored. */
  readonly features: number;
  /** Sum of all eigenvalues, of those not stored too. */
  readonly trace: number;
  /** Whether the eigenvalues are a guess from a histogram of 30 buckets. */
  readonly isEstimated: boolean;
}

/** One layer of a run. */
export interface LayerData {
  /** Name of the layer. */
  readonly name: string;
  /** The layer's spectra, by ascending step. */
  readonly points: readonly SpectrumPoint[];
  /** The statistics that the run holds of the layer. */
  readonly stats: ReadonlyMap<ScalarStat, StepSeries>;
  /** What the layer is for; absent if it has no special role, or the writer did not know the network. */
  readonly role?: LayerRole;
  /** Whether only a sketch of its covariance was kept, because it is so wide: its numbers are estimates. */
  readonly isSketch?: boolean;
}

/** Receptive fields of a network, and the size of its inputs. */
export interface FieldData {
  /** Side of the network's inputs in pixels or samples; undefined if it takes any. */
  readonly inputSize?: number;
  /** In order of depth. */
  readonly layers: readonly ReceptiveField[];
}

/** All of one run. */
export interface RunData extends RunOutline {
  /** Fraction of the variance that the writer counted up to, in (0, 1]. */
  readonly threshold: number;
  /** How the writer applied it. */
  readonly rule: IntrinsicDimensionRule;
  /** In order of depth. */
  readonly layers: readonly LayerData[];
  /** Losses and metrics, by tag. */
  readonly scalars: ReadonlyMap<string, StepSeries>;
  /** Absent if the writer did not know the network. */
  readonly fields?: FieldData;
  /** The network; absent if the writer did not know it, or did not tell. */
  readonly model?: NotedModel;
  /** When the training ran; absent if that is not known. */
  readonly times?: TrainingTimes;
}

/** Where the view gets its runs: TensorBoard, files, or the memory of a page that trains. */
export interface ViewSource {
  /** Lists the runs that hold saturation. */
  list(): Promise<readonly RunOutline[]>;
  /** Reads one of them. The view asks only for runs that are shown. */
  load(name: string): Promise<RunData>;
  /** Calls back when there may be more to list or load. Returns a function that stops it. */
  subscribe?(listener: () => void): () => void;
  /** Whether a training goes on whose first epoch is still to come if there is no run: false by default. */
  readonly awaitsEpochs?: boolean;
}

/** The experiment and the split that the path of a run tells: `wide/train` is the split `train` of `wide`. */
export function outlineOf(name: string): RunOutline {
  const slash = name.lastIndexOf('/');
  const last = name.slice(slash + 1);
  if (last !== 'train' && last !== 'val') return { name, experiment: name === '.' ? '' : name, split: 'train' };
  return { name, experiment: slash < 0 ? '' : name.slice(0, slash), split: last };
}

/** How many directions a spectrum needs to explain the threshold's share of its variance, as `Spectrum` counts them. */
export function dimensionsAt(point: SpectrumPoint, threshold: number, rule: IntrinsicDimensionRule): number {
  const { eigenvalues, trace, features } = point;
  if (!(trace > 0)) return 0;
  let below = 0;
  let sum = 0;
  while (below < eigenvalues.length) {
    sum += eigenvalues[below];
    if (sum / trace >= threshold) break;
    below++;
  }
  return rule === 'delve' ? below : Math.min(below + 1, features);
}

/** Index of the last of the ascending steps that is not after `step`; -1 if all are. */
export function indexAt(steps: ArrayLike<number>, step: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A layer's spectrum at a step, or the last one before it: what two tags keep of their steps need not agree. */
export function pointAt(layer: LayerData, step: number): SpectrumPoint | undefined {
  let low = 0;
  let high = layer.points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (layer.points[middle].step <= step) low = middle + 1;
    else high = middle;
  }
  return layer.points[low - 1];
}

/** All steps at which any layer of a run has a spectrum or a statistic, ascending. */
export function stepsOf(run: RunData): number[] {
  const steps = new Set<number>();
  for (const { points, stats } of run.layers) {
    for (const { step } of points) steps.add(step);
    for (const series of stats.values()) for (const step of series.steps) steps.add(step);
  }
  return [...steps].sort((one, other) => one - other);
}

/** The sum of eigenvalues as `Spectrum.trace` adds them: ascending index, in double precision. */
export function sumOf(eigenvalues: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < eigenvalues.length; index++) sum += eigenvalues[index];
  return sum;
}

/** Receptive fields as JSON holds them; a layer that is not one is left out. */
export function fieldsOf({ inputSize, layers }: NotedFields): FieldData {
  const read = layers.flatMap((layer) => {
    const { axes, ...field } = layer as ReceptiveField;
    if (typeof field.layer !== 'string' || !Array.isArray(axes)) return [];
    return [{ ...withNumbers(field), axes: axes.map((axis) => withNumbers(axis as ReceptiveFieldAxis)) }];
  });
  return { inputSize, layers: read };
}

function withNumbers<Record extends object>(record: Record): Record {
  const entries = Object.entries(record).map(([key, value]) => [key, value === 'Infinity' ? Infinity : value]);
  return Object.fromEntries(entries) as Record;
}

/**
 * The splits of a history as runs, `<experiment>/train` and `<experiment>/val`.
 *
 * @param fields receptive fields of the network. Default: those that the history holds
 */
export function runsOfHistory(
  history: RunHistory,
  experiment = '',
  fields: FieldData | undefined = history.fields && fieldsOf(history.fields),
): RunData[] {
  return history.splits.map((split) => {
    const last = history.epochs.filter(({ layers }) => layers.some((layer) => layer.split === split)).at(-1);
    const layers = new Map<
      string,
      { points: SpectrumPoint[]; stats: Map<ScalarStat, MutableSeries>; role?: LayerRole; isSketch?: boolean }
    >();
    const scalars = new Map<string, MutableSeries>();
    for (const epoch of history.epochs) {
      for (const { tag, value, split: of } of epoch.scalars) {
        if (of === undefined || of === split) push(seriesIn(scalars, tag), epoch.step, value);
      }
      for (const layer of epoch.layers) {
        if (layer.split !== split) continue;
        let data = layers.get(layer.layer);
        if (data === undefined) layers.set(layer.layer, (data = { points: [], stats: new Map() }));
        if (layer.role !== undefined) data.role = layer.role;
        if (layer.bounds !== undefined) data.isSketch = true;
        for (const [stat, value] of Object.entries(layer.values)) {
          push(seriesIn(data.stats, stat as ScalarStat), epoch.step, value);
        }
        const { spectrum, samples, rejected } = layer;
        if (spectrum === undefined) continue;
        const { eigenvalues, features, trace } = spectrum;
        data.points.push({
          step: epoch.step,
          samples: Number.isNaN(samples) ? undefined : samples,
          effectiveSamples: layer.effectiveSamples,
          rejected,
          eigenvalues,
          features,
          trace,
          isEstimated: false,
        });
      }
    }
    return {
      name: experiment === '' ? split : `${experiment}/${split}`,
      experiment,
      split,
      threshold: last?.threshold ?? 0.99,
      rule: last?.rule ?? 'paper',
      layers: [...layers].map(([name, data]) => ({ name, ...data })),
      scalars,
      fields,
      ...(history.model === undefined ? {} : { model: history.model }),
      ...(history.times === undefined ? {} : { times: history.times }),
    };
  });
}

interface MutableSeries extends StepSeries {
  steps: number[];
  values: number[];
}

function seriesIn<Key>(map: Map<Key, MutableSeries>, key: Key): MutableSeries {
  let series = map.get(key);
  if (series === undefined) map.set(key, (series = { steps: [], values: [] }));
  return series;
}

function push(series: MutableSeries, step: number, value: number): void {
  series.steps.push(step);
  series.values.push(value);
}

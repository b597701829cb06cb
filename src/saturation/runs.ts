import { heatMap } from '../drawing/heat-map.js';
import { scatter } from '../drawing/scatter.js';
import type { Step } from '../event/event.js';
import { readEvents } from '../reader/read-events.js';
import { listRuns } from '../reader/run-files.js';
import type { Spectrum } from '../statistics/spectrum.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import type { EpochStatistics, LayerStatistics, Split } from './epoch.js';
import type { CountingOptions } from './measure-layer.js';
import { RunHistory } from './run-history.js';
import { entriesOf, type ScalarStat, scalarStats } from './stats.js';

function percent(threshold: number): string {
  return `${Number((threshold * 100).toPrecision(6))} %`;
}

function describe(stat: ScalarStat, layer: LayerStatistics, counting: Required<CountingOptions>): string {
  const rests = `Width d = ${layer.features}, first value from n = ${layer.samples} samples.`;
  const { basis, meaning } = scalarStats[stat];
  const rule = basis === 'threshold' ? ` Threshold ${percent(counting.threshold)}, ${counting.rule} rule.` : '';
  return `${meaning}${rule} ${rests}`;
}

/** Writes one layer's statistics: a scalar for each number, and log10 of the eigenvalues as a histogram. */
export function writeLayerStatistics(
  writer: SummaryWriter,
  layer: LayerStatistics,
  step: Step,
  counting: Required<CountingOptions>,
): void {
  for (const [stat, value] of entriesOf(layer.values)) {
    writer.addScalar(`${scalarStats[stat].tagGroup}/${layer.layer}`, value, step, {
      description: describe(stat, layer, counting),
    });
  }
  if (layer.spectrum !== undefined) writeSpectrum(writer, layer.layer, layer.spectrum, step);
  if (layer.embedding !== undefined) writeEmbedding(writer, layer.layer, layer.embedding, step);
}

/** log10 of the eigenvalues above rounding: linear ones would all fall into the first bucket. */
export function writeSpectrum(writer: SummaryWriter, layer: string, spectrum: Spectrum, step: Step): void {
  const logs = spectrum.eigenvalues.subarray(0, spectrum.rank).map((eigenvalue) => Math.log10(eigenvalue));
  writer.addHistogram(`spectrum/${layer}`, logs, step, {
    description: `log10 of the ${spectrum.features} eigenvalues of the covariance; those that are 0 up to rounding are left out.`,
  });
}

/**
 * Writes the saturation by depth as a histogram with one bucket per layer (bucket i is layer i, its count the
 * saturation), so that TensorBoard draws depth x epoch as a ridge.
 *
 * @param saturations by layer, in the order of depth, each in [0, 1]; NaN counts as 0
 */
export function writeProfile(writer: SummaryWriter, saturations: ReadonlyMap<string, number>, step: Step): void {
  const buckets = new Float64Array(saturations.size * 3);
  let at = 0;
  for (const saturation of saturations.values()) {
    buckets.set([at, at + 1, Number.isNaN(saturation) ? 0 : saturation], at * 3);
    at++;
  }
  writer.addHistogramRaw('saturation-profile', buckets, step, {
    description: `Saturation by depth: bucket i is layer i, its height the saturation. ${numbered(saturations.keys())}`,
  });
}

/**
 * Writes saturation over layers (rows, the first on top) and epochs (columns) as an image in viridis, 0 dark to 1 bright.
 *
 * @param history by layer, a value per epoch
 * @param firstEpoch the step of the first column
 */
export function writeHeatMap(
  writer: SummaryWriter,
  history: ReadonlyMap<string, readonly number[]>,
  step: Step,
  firstEpoch = 1,
): void {
  const { pixels, height, width } = heatMap(history, firstEpoch);
  writer.addImage('saturation-heat-map', { data: pixels, shape: [height, width, 3] }, step, {
    description:
      'Saturation: rows are layers by depth, columns epochs; dark 0, bright 1, grey where there was none. The last epoch’s value stands on the right.',
  });
}

/**
 * Writes a layer's samples on its first two principal axes: as a picture, and for the projector, where points can be
 * looked at one by one. The projector shows the last epoch's.
 *
 * @param points n x 2, row-major
 */
export function writeEmbedding(writer: SummaryWriter, layer: string, points: Float64Array, step: Step): void {
  const { pixels, height, width } = scatter(points);
  writer.addImage(`embedding/${layer}`, { data: pixels, shape: [height, width, 3] }, step, {
    description: `${points.length / 2} samples on the first two principal axes of the layer, about their mean.`,
  });
  writer.addEmbedding(`embedding/${layer}`, { data: points, shape: [points.length / 2, 2] }, 0);
}

function numbered(layers: Iterable<string>): string {
  return `Layers: ${[...layers].map((layer, index) => `${index} ${layer}`).join(', ')}.`;
}

/** A table of an epoch in markdown: every saturation beside its n and d. */
export function epochMarkdown(layers: readonly LayerStatistics[], counting: Required<CountingOptions>): string {
  const lines = [
    `Directions needed for ${percent(counting.threshold)} of the variance (${counting.rule} rule).`,
    '',
    '| layer | width d | samples n | n / d | intrinsic dimensionality | saturation |',
    '| :-- | --: | --: | --: | --: | --: |',
  ];
  for (const layer of layers) {
    const { features, samples } = layer;
    const cells = [
      layer.layer.replaceAll('|', '\\|'),
      features,
      layer.rejected > 0 ? `${samples} (+${layer.rejected} not finite)` : samples,
      (samples / features).toPrecision(3),
      layer.intrinsicDimensionality,
      layer.saturation.toFixed(4),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

/** Tags that the tracker writes, by their part in front of the layer's name. */
const groups: Readonly<Record<string, ScalarStat>> = {
  saturation: 'saturation',
  'intrinsic-dimensionality': 'intrinsicDimensionality',
  trace: 'trace',
};

interface Counting {
  threshold: number;
  rule: 'paper' | 'delve';
}

/** What is known of an epoch while its events come in, in any order. */
interface Growing {
  layers: Map<string, LayerStatistics>;
  scalars: EpochStatistics['scalars'];
}

/**
 * Reads back what a tracker wrote below a logdir: saturation and intrinsic dimensionality per layer and epoch from the
 * runs `train` and `val`, and the losses and metrics (`epoch_*`) beside them. Spectra are not in there: TensorBoard's
 * histograms keep 30 buckets of them.
 *
 * @throws Error where `logdir` is not a folder, RangeError where no run below it holds saturation
 */
export async function readHistory(logdir: string): Promise<RunHistory> {
  const steps = new Map<number, Growing>();
  const shapes = new Map<string, { features: number; samples: number }>();
  const counting: Counting = { threshold: 0.99, rule: 'paper' };
  for (const { run, files } of await listRuns(logdir)) {
    const split = splitOf(run);
    if (!split) continue;
    for (const file of files) {
      for await (const event of readEvents(file, { tags: isWanted, onCorrupt: 'stop' })) {
        for (const { tag, value, description } of event.summary ?? []) {
          if (typeof value !== 'number') continue;
          const at = tag.indexOf('/');
          const stat = at > 0 ? groups[tag.slice(0, at)] : undefined;
          const step = growing(steps, Number(event.step));
          if (stat) {
            const layer = tag.slice(at + 1);
            const known = shapeFrom(description, counting);
            if (known) shapes.set(`${split}/${layer}`, known);
            const statistics = statisticsOf(step, split, layer);
            statistics.values[stat] = value;
            if (stat === 'saturation' || stat === 'intrinsicDimensionality') statistics[stat] = value;
          } else {
            step.scalars = step.scalars.filter((scalar) => scalar.tag !== tag || scalar.split !== split);
            step.scalars.push({ tag, value, split });
          }
        }
      }
    }
  }
  const history = new RunHistory();
  for (const [step, { layers, scalars }] of [...steps].sort(([one], [other]) => one - other)) {
    for (const [key, layer] of layers) Object.assign(layer, shapes.get(key) ?? guessedShape(layer));
    history.add({ epoch: step - 1, step, ...counting, layers: [...layers.values()], scalars });
  }
  if (history.last === undefined) {
    throw new RangeError(`readHistory: expected runs with saturation/<layer> below '${logdir}', found none`);
  }
  return history;
}

/** The last part of a run's name says its split: `train`, `fold1/val`. */
function splitOf(run: string): Split | undefined {
  const last = run.split('/').at(-1);
  return last === 'train' || last === 'val' ? last : undefined;
}

function isWanted(tag: string): boolean {
  return tag.startsWith('epoch_') || groups[tag.slice(0, Math.max(0, tag.indexOf('/')))] !== undefined;
}

function growing(steps: Map<number, Growing>, step: number): Growing {
  let found = steps.get(step);
  if (!found) steps.set(step, (found = { layers: new Map(), scalars: [] }));
  return found;
}

function statisticsOf(step: Growing, split: Split, layer: string): LayerStatistics {
  const key = `${split}/${layer}`;
  let found = step.layers.get(key);
  if (!found) {
    const nan = Number.NaN;
    found = {
      split,
      layer,
      samples: nan,
      rejected: 0,
      features: nan,
      saturation: nan,
      intrinsicDimensionality: nan,
      values: {},
    };
    step.layers.set(key, found);
  }
  return found;
}

/** The tracker says width, samples and threshold in a tag's description, on its first event. */
function shapeFrom(
  description: string | undefined,
  counting: Counting,
): { features: number; samples: number } | undefined {
  if (!description) return undefined;
  const counted = /Threshold ([\d.]+) %, (paper|delve) rule/.exec(description);
  if (counted) {
    counting.threshold = Number(counted[1]) / 100;
    counting.rule = counted[2] as Counting['rule'];
  }
  const shape = /d = (\d+).*?n = (\d+)/.exec(description);
  return shape ? { features: Number(shape[1]), samples: Number(shape[2]) } : undefined;
}

/** Width follows from intrinsic dimensionality / saturation. */
function guessedShape({ values }: LayerStatistics): { features: number; samples: number } {
  const features = Math.round((values.intrinsicDimensionality ?? Number.NaN) / (values.saturation ?? Number.NaN));
  return { features: Number.isFinite(features) ? features : Number.NaN, samples: Number.NaN };
}

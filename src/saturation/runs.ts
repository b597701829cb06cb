import { warn } from '#platform';
import { heatMap } from '../drawing/heat-map.js';
import { scatter } from '../drawing/scatter.js';
import { describe, namesOf } from '../errors.js';
import type { Step } from '../event/event.js';
import { sourcePath } from '../reader/places.js';
import { listRuns } from '../reader/run-files.js';
import type { RunFile } from '../reader/scan.js';
import { scanRun } from '../reader/shown-points.js';
import type { IntrinsicDimensionRule, Spectrum } from '../statistics/spectrum.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import { EigenvaluesReader, type ReadEigenvalues } from './eigenvalues.js';
import { type EpochScalar, type LayerStatistics, type Split, shortNames } from './epoch.js';
import type { CountingOptions } from './measure-layer.js';
import {
  decodeNote,
  decodeReceptiveFields,
  fieldsTag,
  isRole,
  type NotedFields,
  type NotedLayer,
  noteTag,
  type SaturationNote,
} from './note.js';
import { RunHistory } from './run-history.js';
import { correctedText, entriesOf, type ScalarStat, scalarStatNames, scalarStats, statOfTagGroup } from './stats.js';
import { type NotedModel, notedModelIn, type TrainingTimes, withTime } from './training-facts.js';

// What a tracker writes into its runs `train` and `val`, and how it is read back: both directions of one format.

function percent(threshold: number): string {
  return `${Number((threshold * 100).toPrecision(6))} %`;
}

/** What a scalar's chart says about it, in words. */
function descriptionOf(stat: ScalarStat, layer: LayerStatistics, counting: Required<CountingOptions>): string {
  const rests = `Width d = ${layer.features}, first value from n = ${layer.samples} samples.`;
  const { basis, meaning } = scalarStats[stat];
  const isCounted = basis === 'threshold' || basis === 'rows';
  const rule = isCounted ? ` Threshold ${percent(counting.threshold)}, ${counting.rule} rule.` : '';
  return `${meaning}${rule} ${rests}`;
}

/** Writes one layer's statistics: a scalar for each number, the eigenvalues as a histogram, the embedding as an image. */
export function writeLayerStatistics(
  writer: SummaryWriter,
  layer: LayerStatistics,
  step: Step,
  counting: Required<CountingOptions>,
): void {
  for (const [stat, value] of entriesOf(layer.values)) {
    writer.addScalar(`${scalarStats[stat].tagGroup}/${layer.layer}`, value, step, {
      description: descriptionOf(stat, layer, counting),
    });
  }
  if (layer.spectrum !== undefined) writeSpectrum(writer, layer.layer, layer.spectrum, step);
  if (layer.embedding !== undefined) writeEmbedding(writer, layer.layer, layer.embedding, step);
}

/** The histogram of a spectrum shows eigenvalues down to this part of the largest, so that layers and splits can be compared. */
const spectrumFloor = 1e-6;

/** Writes log10 of the eigenvalues as a histogram; on a linear scale all would fall into the first bucket. */
function writeSpectrum(writer: SummaryWriter, layer: string, spectrum: Spectrum, step: Step): void {
  const { eigenvalues, features, rank } = spectrum;
  const shown = eigenvalues.subarray(0, rank).filter((eigenvalue) => eigenvalue >= spectrumFloor * eigenvalues[0]);
  writer.addHistogram(`spectrum/${layer}`, shown.map(Math.log10), step, {
    displayName: `${layer}: log10 of eigenvalues`,
    description: `log10 of the ${features} eigenvalues of the covariance, without those below ${spectrumFloor} of the largest.`,
  });
}

/**
 * Writes the saturation by depth as a histogram with one bucket per layer (bucket i is layer i, and its count the
 * saturation), so that TensorBoard draws a ridge of depth by epoch.
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
 * Writes the saturation of layers (rows, the first on top) by epochs (columns) as an image in viridis: 0 dark, 1 bright.
 *
 * @param history the saturations of each layer, one per epoch
 * @param firstEpoch the step of the first column
 */
export function writeHeatMap(
  writer: SummaryWriter,
  history: ReadonlyMap<string, readonly number[]>,
  step: Step,
  firstEpoch = 1,
): void {
  const { short } = shortNames([...history.keys()]);
  const rows = new Map([...history].map(([layer, row]) => [short(layer), row]));
  const texts = { values: 'saturation', columns: 'epoch', firstColumn: firstEpoch };
  const { data, height, width } = heatMap(rows, texts);
  writer.addImage('saturation-heat-map', { data, shape: [height, width, 3] }, step, {
    description: 'Rows are layers by depth; grey where there was none. On the right the last epoch’s value.',
  });
}

/**
 * Writes a layer's samples on its first two principal axes: as an image, and for the projector, which shows single
 * points, but only those of the last epoch.
 *
 * @param points n x 2, row-major
 */
function writeEmbedding(writer: SummaryWriter, layer: string, points: Float64Array, step: Step): void {
  const { data, height, width } = scatter(points);
  writer.addImage(`embedding/${layer}`, { data, shape: [height, width, 3] }, step, {
    description: `${points.length / 2} samples on the first two principal axes of the layer, about their mean.`,
  });
  writer.addEmbedding(`embedding/${layer}`, { data: points, shape: [points.length / 2, 2] }, 0);
}

function numbered(layers: Iterable<string>): string {
  return `Layers: ${[...layers].map((layer, index) => `${index} ${layer}`).join(', ')}.`;
}

/**
 * A table of an epoch in markdown: each layer's saturation beside its samples n and its width d, and where these are few beside
 * the saturation that many would show.
 */
export function epochMarkdown(layers: readonly LayerStatistics[], counting: Required<CountingOptions>): string {
  const isCorrected = layers.some(({ values }) => values.saturationCorrected !== undefined);
  const lines = [
    `Directions needed for ${percent(counting.threshold)} of the variance (${counting.rule} rule).`,
    '',
    `| layer | width d | samples n | n / d | intrinsic dimensionality | saturation |${isCorrected ? ' with many samples |' : ''}`,
    `| :-- | --: | --: | --: | --: | --: |${isCorrected ? ' --: |' : ''}`,
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
      ...(isCorrected ? [correctedText(layer.values)] : []),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

/** What a run says about its values, from its note or from the descriptions of its tags. */
interface RunFacts {
  threshold: number;
  rule: IntrinsicDimensionRule;
  /** The statistic of a tag's part before the layer. */
  stats: ReadonlyMap<string, ScalarStat>;
  layers: Map<string, Omit<NotedLayer, 'name'>>;
  /** Whether they come from a note; if so, a name in a tag that the note lacks is not a layer. */
  isNoted: boolean;
}

/** An epoch while its events are read, in any order. */
interface ReadEpoch {
  threshold: number;
  rule: IntrinsicDimensionRule;
  layers: Map<string, LayerStatistics>;
  /** By split and tag. */
  scalars: Map<string, EpochScalar>;
}

/** Options of `readHistory` and `readHistories`. */
export interface ReadHistoryOptions {
  /**
   * Whether points count that TensorBoard hides, because the training crashed and went on from an earlier step. False by
   * default.
   */
  raw?: boolean;
  /** Is told of each file that is damaged, of which the rest is left out, or that cannot be read. Default: a warning. */
  onDamage?: (message: string) => void;
}

/**
 * Reads back what a tracker wrote below a logdir: every statistic that is a number per layer and epoch from the runs
 * `train` and `val`, and the losses and metrics (`epoch_*`) beside them. TensorBoard keeps them in float32. Spectra are
 * not read: of them TensorBoard's histograms keep 30 buckets.
 *
 * Points that TensorBoard hides do not count: see `ReadHistoryOptions.raw`.
 *
 * @param logdir the folder of one experiment, which holds `train` or `val` or both, or a folder above it
 * @throws Error if `logdir` is not a folder, RangeError if no run below it holds saturation, or those of several experiments
 * do: `readHistories` reads them all
 */
export async function readHistory(logdir: string | URL, options: ReadHistoryOptions = {}): Promise<RunHistory> {
  const folder = historyPath(logdir, 'readHistory');
  const histories = await readHistories(folder, options);
  const [history] = histories.values();
  if (history === undefined) throw await noHistory('readHistory', folder);
  if (histories.size > 1) {
    throw new RangeError(
      `readHistory: expected one experiment below '${folder}', got ${histories.size}: ${namesOf([...histories.keys()])}; pass the folder of one`,
    );
  }
  return history;
}

/** The folder that a user means, here or elsewhere. @throws TypeError if it is a place that cannot be read */
export function historyPath(logdir: string | URL, call: string): string {
  if ((typeof logdir !== 'string' && !(logdir instanceof URL)) || logdir === '') {
    throw new TypeError(`${call}: expected the path of a folder, got ${describe(logdir)}`);
  }
  return sourcePath(logdir, call);
}

/** The error for a folder without an experiment: what to pass instead, or what was found. */
export async function noHistory(call: string, folder: string): Promise<RangeError> {
  const runs = (await listRuns(folder)).map(({ run }) => run);
  const expected = `${call}: expected runs with saturation/<layer> below '${folder}'`;
  const split = /(?:^|[/\\])(train|val)[/\\]*$/.exec(folder)?.[1];
  if (split !== undefined && runs.includes('.')) {
    return new RangeError(
      `${expected}, got a run '${split}': pass the folder of its experiment, which holds '${split}'`,
    );
  }
  if (runs.length === 0) return new RangeError(`${expected}, found none`);
  return new RangeError(`${expected}, found none among the runs ${namesOf(runs)}`);
}

/**
 * Reads back what trackers wrote below a logdir, as `readHistory` does, for any number of experiments: each folder that
 * holds a run `train` or `val` with saturation is one.
 *
 * @returns the histories by the path of the experiment's folder below the logdir, '.' for the logdir itself, sorted
 * @throws Error if `logdir` is not a folder
 */
export async function readHistories(
  logdir: string | URL,
  { raw = false, onDamage = (message) => warn(`readHistory: ${message}`) }: ReadHistoryOptions = {},
): Promise<Map<string, RunHistory>> {
  const experiments = new Map<string, Map<Split, readonly string[]>>();
  for (const { run, files } of await listRuns(historyPath(logdir, 'readHistories'))) {
    const slash = run.lastIndexOf('/');
    const split = run.slice(slash + 1);
    if (split !== 'train' && split !== 'val') continue;
    const experiment = slash < 0 ? '.' : run.slice(0, slash);
    const runs = experiments.get(experiment) ?? new Map<Split, readonly string[]>();
    experiments.set(experiment, runs.set(split, files));
  }
  const histories = new Map<string, RunHistory>();
  for (const [experiment, runs] of [...experiments].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const history = await historyOf(runs, { raw, onDamage });
    if (history.last !== undefined) histories.set(experiment, history);
  }
  return histories;
}

/** The history of one experiment, from the files of its splits. It has no epoch if they hold no saturation. */
export async function historyOf(
  runs: ReadonlyMap<Split, readonly RunFile[]>,
  { raw, onDamage }: Required<ReadHistoryOptions>,
): Promise<RunHistory> {
  const epochs = new Map<number, ReadEpoch>();
  const history = new RunHistory();
  for (const [split, files] of runs) {
    const { fields, model, times } = await readRun(split, files, epochs, raw, onDamage);
    history.fields ??= fields;
    history.model ??= model;
    for (const time of times) history.times = withTime(history.times, time);
  }
  for (const [step, { layers, scalars, ...epoch }] of [...epochs].sort(([one], [other]) => one - other)) {
    for (const layer of layers.values()) if (Number.isNaN(layer.features)) layer.features = widthOf(layer);
    const values = { layers: [...layers.values()], scalars: [...scalars.values()] };
    history.add({ epoch: step - 1, step, ...epoch, ...values });
  }
  return history;
}

/**
 * Adds what the files of one run hold to the epochs, by step; what comes later replaces what was there.
 *
 * @returns what the run says of the network, and the wall times of its first and last event; none if it holds no values
 */
async function readRun(
  split: Split,
  files: readonly RunFile[],
  epochs: Map<number, ReadEpoch>,
  raw: boolean,
  complain: (message: string) => void,
): Promise<{ fields?: NotedFields; model?: NotedModel; times: readonly number[] }> {
  let facts = factsWithoutNote();
  let fields: NotedFields | undefined;
  let model: NotedModel | undefined;
  let times: TrainingTimes | undefined;
  let begun: TrainingTimes | undefined;
  const spectra = new EigenvaluesReader();
  await scanRun(files, { tags: isWanted, raw, complain }, (event, isShown) => {
    if (event.fileVersion !== undefined) begun = withTime(begun, event.wallTime);
    else times = withTime(times, event.wallTime);
    for (const [index, summary] of (event.summary ?? []).entries()) {
      const { description, tag, value } = summary;
      if (tag === noteTag) {
        const note = decodeNote(value);
        facts = factsOf(note) ?? facts;
        model = notedModelIn(note?.model) ?? model;
      } else if (tag === fieldsTag) {
        fields = decodeReceptiveFields(value) ?? fields;
      } else if (EigenvaluesReader.isTag(tag)) {
        // A hidden value may be the one that holds what the tag says about itself.
        const read = spectra.read(summary);
        if (read !== undefined && isShown(index)) {
          addSpectrum(epochAt(epochs, Number(event.step)), split, read, facts);
        }
      } else if (typeof value === 'number') {
        const slash = tag.indexOf('/');
        // A hidden point may be the one that holds the tag's description.
        if (!facts.isNoted && !tag.startsWith('epoch_')) addDescribedFacts(facts, tag.slice(slash + 1), description);
        if (isShown(index)) addValue(epochAt(epochs, Number(event.step)), split, tag, value, facts);
      }
    }
  });
  // A file's first event holds no values; in a copy it is later than these.
  const known = times === undefined ? [] : [times.first, times.last, Math.min(begun?.first ?? Infinity, times.first)];
  return { fields, model, times: known };
}

function isWanted(tag: string): boolean {
  if (tag.startsWith('epoch_') || tag === noteTag || tag === fieldsTag || EigenvaluesReader.isTag(tag)) return true;
  return statOfTagGroup.has(tag.slice(0, Math.max(0, tag.indexOf('/'))));
}

function epochAt(epochs: Map<number, ReadEpoch>, step: number): ReadEpoch {
  let found = epochs.get(step);
  if (!found) epochs.set(step, (found = { threshold: 0.99, rule: 'paper', layers: new Map(), scalars: new Map() }));
  return found;
}

/** Adds a number to its epoch: a layer's statistic, or a loss or metric. */
function addValue(epoch: ReadEpoch, split: Split, tag: string, value: number, facts: RunFacts): void {
  if (tag.startsWith('epoch_')) {
    epoch.scalars.set(`${split}/${tag}`, { tag, value, split });
    return;
  }
  const slash = tag.indexOf('/');
  const stat = facts.stats.get(tag.slice(0, slash));
  const name = tag.slice(slash + 1);
  if (stat === undefined) return;
  const noted = facts.layers.get(name);
  if (noted === undefined) return;
  const key = `${split}/${name}`;
  const layer = epoch.layers.get(key) ?? { split, layer: name, ...noted, ...unmeasured(), values: {} };
  epoch.layers.set(key, layer);
  Object.assign(layer, noted);
  layer.values[stat] = value;
  if (stat === 'saturation' || stat === 'intrinsicDimensionality') layer[stat] = value;
  epoch.threshold = facts.threshold;
  epoch.rule = facts.rule;
}

/** Adds a layer's spectrum to its epoch. */
function addSpectrum(epoch: ReadEpoch, split: Split, read: ReadEigenvalues, facts: RunFacts): void {
  const { layer: name, spectrum, rejected } = read;
  const key = `${split}/${name}`;
  const measured = {
    features: spectrum.features,
    samples: spectrum.samples ?? Number.NaN,
    rejected,
  };
  const layer = epoch.layers.get(key) ?? { split, layer: name, ...measured, ...unmeasured(), values: {} };
  epoch.layers.set(key, layer);
  Object.assign(layer, { spectrum, ...measured }, facts.layers.get(name));
}

function unmeasured() {
  return { saturation: Number.NaN, intrinsicDimensionality: Number.NaN };
}

function factsOf(note: SaturationNote | undefined): RunFacts | undefined {
  if (note === undefined) return undefined;
  const { threshold, rule, tags, layers } = note;
  return {
    threshold,
    rule,
    stats: new Map(scalarStatNames.flatMap((stat) => (tags[stat] === undefined ? [] : [[tags[stat], stat]]))),
    layers: new Map(
      layers.map(({ name, features, samples, effectiveSamples, rejected, strategy, role, bounds }) => [
        name,
        {
          features: features ?? Number.NaN,
          samples: samples ?? Number.NaN,
          effectiveSamples: effectiveSamples ?? samples ?? Number.NaN,
          rejected: rejected ?? 0,
          strategy,
          ...(isRole(role) ? { role } : {}),
          ...(bounds === undefined ? {} : { bounds: { low: Number(bounds.low), high: Number(bounds.high) } }),
        },
      ]),
    ),
    isNoted: true,
  };
}

function factsWithoutNote(): RunFacts {
  return { threshold: 0.99, rule: 'paper', stats: statOfTagGroup, layers: new Map(), isNoted: false };
}

/** What `descriptionOf` writes is shorter; to search in a longer text may take the square of its length. */
const maxDescription = 2000;

/**
 * Fills in the facts of a run that has no note, which version 0.1.0 and SaturationWriter write: from the sentence that
 * describes a tag on its first event (see `descriptionOf`).
 */
function addDescribedFacts(facts: RunFacts, layer: string, written = ''): void {
  const description = written.slice(0, maxDescription);
  const counted = /Threshold ([\d.]+) %, (paper|delve) rule/.exec(description);
  if (counted) {
    facts.threshold = Number(counted[1]) / 100;
    facts.rule = counted[2] as IntrinsicDimensionRule;
  }
  const shape = /d = (\d+).*?n = (\d+)/.exec(description);
  if (!shape && facts.layers.has(layer)) return;
  const [features, samples] = shape ? [Number(shape[1]), Number(shape[2])] : [Number.NaN, Number.NaN];
  facts.layers.set(layer, { features, samples, rejected: 0 });
}

/** A layer's width follows from intrinsic dimensionality / saturation, if both were written and are not 0. */
function widthOf({ intrinsicDimensionality, saturation }: LayerStatistics): number {
  const features = Math.round(intrinsicDimensionality / saturation);
  return Number.isFinite(features) ? features : Number.NaN;
}

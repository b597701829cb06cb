import { encodeMessage } from '../encoding/message-codec.js';
import type { Step, SummaryValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import type { IntrinsicDimensionRule, SaturationBounds } from '../statistics/spectrum.js';
import { DataClass } from '../summaries/plugin-summary.js';
import { stringTensor } from '../summaries/tensor.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import { type LayerRole, type LayerStatistics, layerRoleNames, type Split } from './epoch.js';
import type { CountingOptions } from './measure-layer.js';
import { type ScalarStat, scalarStats } from './stats.js';
import type { NotedModel } from './training-facts.js';

// What a tracker writes for programs to read, in both directions: the note on a run's values, and a network's receptive fields.

/**
 * What a tracker writes about itself into each of its runs: which layers it measured and how. Programs read this instead of
 * the sentences that describe the tags. The format, version 1:
 *
 * A note is one summary of the tag `saturation-note` whose metadata names the plugin `saturation`, with the content
 * `{"version":1,"kind":"note"}` and the data class TENSOR (TensorBoard keeps such a tag for a plugin of that name, and
 * shows nothing of it without one). Its value is a string tensor of rank 0: this object as JSON, in UTF-8; a number that
 * is not known is null.
 *
 * A run has a note at the step of its first epoch, before the epoch's values, and another one at each later epoch whose
 * note differs. The last note at or before a value says what the value means. Readers ignore members that they do not
 * know; the version grows only if readers of an earlier version would misunderstand a note.
 */
export interface SaturationNote {
  /** Version of this format. */
  version: 1;
  /** The package that wrote the note, and its version: `delve-tensorboard 0.1.0`. */
  writer: string;
  /** The split that the run holds. */
  split: Split;
  /** Fraction of the variance that the counted directions explain, in (0, 1]. */
  threshold: number;
  /** How the threshold was applied. */
  rule: IntrinsicDimensionRule;
  /** Which rows counted. */
  sampling: SamplingRule;
  /** For each statistic that was asked for, the part of its tags before the layer: `{"trace":"trace"}` for `trace/fc1`. */
  tags: Partial<Record<ScalarStat, string>>;
  /** The layers measured in this epoch, in order of depth. */
  layers: NotedLayer[];
  /** The network; absent where the writer did not know it, and in notes from before it was told. */
  model?: NotedModel;
}

/** One layer in a {@link SaturationNote}. */
export interface NotedLayer {
  /** Name of the layer: the part of its tags after the statistic. */
  name: string;
  /** Width of the layer. */
  features: number;
  /** Rows that the epoch's values rest on. */
  samples: number;
  /** How many independent rows these are worth; absent if all are independent, and in notes from before it was counted. */
  effectiveSamples?: number;
  /** Rows left out because they held a NaN or Infinity. */
  rejected: number;
  /** Where and in which precision its samples were summed, in words; absent if that is not known. */
  strategy?: string;
  /**
   * What the layer is for: 'output', 'projection' (linear), 'depthwise' or 'squeeze' (a 1 x 1 convolution to fewer channels);
   * absent if it is none of these, in notes from before it was told, and where the writer did not know the network.
   */
  role?: LayerRole;
  /** Between which numbers the saturation lies for certain, if only a sketch of the layer was kept: its values are estimates then. */
  bounds?: SaturationBounds;
}

/** The tag of a note. */
export const noteTag = 'saturation-note';
const notePlugin = 'saturation';
const noteVersion = 1;
/** As package.json has it; a test compares them. */
export const packageVersion = '0.1.0';

/** Which rows count: every one ('all'), or as many as the saturation needs ('auto'), or the corrected one ('corrected'). */
export type SamplingRule = 'all' | 'auto' | 'corrected';

/** The values of the option `sampling`. */
export const samplings: readonly SamplingRule[] = ['all', 'auto', 'corrected'];

/** How a tracker measures: what a note says beside the layers. */
export interface NoteOptions extends Required<CountingOptions> {
  /** The statistics asked for. */
  scalars: readonly ScalarStat[];
  /** Which rows count. */
  sampling: SamplingRule;
}

/** The note of one run's epoch, as JSON. @param layers those of the run's split */
export function noteOf(
  split: Split,
  layers: readonly LayerStatistics[],
  options: NoteOptions,
  model: NotedModel | undefined,
): string {
  const { threshold, rule, sampling, scalars } = options;
  const note: SaturationNote = {
    version: noteVersion,
    writer: `delve-tensorboard ${packageVersion}`,
    split,
    threshold,
    rule,
    sampling,
    tags: Object.fromEntries(scalars.map((stat) => [stat, scalarStats[stat].tagGroup])),
    layers: layers.map(({ layer, features, samples, effectiveSamples, rejected, strategy, role, bounds }) => ({
      name: layer,
      features,
      samples,
      effectiveSamples: effectiveSamples === samples ? undefined : effectiveSamples,
      rejected,
      strategy,
      role,
      bounds,
    })),
    model,
  };
  return JSON.stringify(note);
}

/** Writes what `noteOf` gave into a run. */
export function writeNote(run: SummaryWriter, json: string, step: Step): void {
  writeJson(run, noteTag, 'note', json, step);
}

/**
 * Writes the receptive fields of a network for the Saturation tab, once per run: the tag `receptive-fields`, in the form of a
 * note, with the content `{"version":1,"kind":"receptive-fields"}`.
 *
 * @param fields the layers as `receptiveFields` returns them
 * @param inputSize side of the network's inputs; undefined if it is not fixed
 */
export function writeReceptiveFields(
  run: SummaryWriter,
  fields: readonly object[],
  inputSize: number | undefined,
  step: Step,
): void {
  // JSON has no Infinity.
  const json = JSON.stringify({ version: noteVersion, inputSize, layers: fields }, (_, value) =>
    value === Number.POSITIVE_INFINITY ? 'Infinity' : value,
  );
  writeJson(run, fieldsTag, 'receptive-fields', json, step);
}

/** The tag of a network's receptive fields. */
export const fieldsTag = 'receptive-fields';

/** The receptive fields of a network as a run holds them. */
export interface NotedFields {
  /** Side of the network's inputs in pixels or samples; undefined if it takes any. */
  readonly inputSize: number | undefined;
  /** In order of depth, as JSON has them: 'Infinity' is text. */
  readonly layers: readonly object[];
}

/** What `writeReceptiveFields` wrote; undefined if it cannot be read. */
export function decodeReceptiveFields(value: SummaryValue): NotedFields | undefined {
  const fields = jsonIn(value) as { version?: unknown; inputSize?: unknown; layers?: unknown } | null | undefined;
  if (fields?.version !== noteVersion || !Array.isArray(fields.layers)) return undefined;
  const layers = fields.layers.filter((layer) => typeof layer === 'object' && layer !== null);
  return { inputSize: typeof fields.inputSize === 'number' ? fields.inputSize : undefined, layers };
}

/** The JSON in a string tensor; undefined if there is none. */
function jsonIn(value: SummaryValue): unknown {
  if (typeof value !== 'object' || !('data' in value) || !(value.data[0] instanceof Uint8Array)) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(value.data[0]));
  } catch {
    return undefined;
  }
}

/** Writes JSON for the plugin as a string tensor of rank 0. */
function writeJson(run: SummaryWriter, tag: string, kind: string, json: string, step: Step): void {
  const utf8 = new TextEncoder();
  const metadata = {
    pluginData: { pluginName: notePlugin, content: utf8.encode(JSON.stringify({ version: noteVersion, kind })) },
    dataClass: DataClass.tensor,
  };
  const raw = encodeMessage(tensorboard.Summary.Value, { tag, tensor: stringTensor([json], []), metadata });
  const value = { dtype: 'string', shape: [], data: [utf8.encode(json)] };
  run.addEvent({ wallTime: Date.now() / 1000, step, summary: [{ tag, plugin: notePlugin, value, raw }] });
}

/** The note in a summary of the tag `saturation-note`; undefined if there is none that this version can read. */
export function decodeNote(value: SummaryValue): SaturationNote | undefined {
  const note = jsonIn(value);
  return isNote(note) ? note : undefined;
}

function isNote(value: unknown): value is SaturationNote {
  const note = value as Partial<SaturationNote> | null;
  return (
    note?.version === noteVersion &&
    typeof note.threshold === 'number' &&
    (note.rule === 'paper' || note.rule === 'delve') &&
    typeof note.tags === 'object' &&
    note.tags !== null &&
    Array.isArray(note.layers) &&
    note.layers.every(isNotedLayer)
  );
}

function isNotedLayer(value: unknown): value is NotedLayer {
  const layer = value as Partial<NotedLayer> | null;
  const numbers = [layer?.features, layer?.samples, layer?.effectiveSamples, layer?.rejected];
  return typeof layer?.name === 'string' && numbers.every((number) => typeof (number ?? 0) === 'number');
}

/** Whether this version knows the role of a noted layer: a later one may know others. */
export function isRole(role: LayerRole | undefined): role is LayerRole {
  return role !== undefined && layerRoleNames.includes(role);
}

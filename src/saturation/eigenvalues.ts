import { decodeMessage } from '../encoding/message-codec.js';
import type { DecodedSummary, Step } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { type IntrinsicDimensionRule, Spectrum } from '../statistics/spectrum.js';
import type { SummaryWriter } from '../writer/summary-writer.js';
import type { LayerStatistics, Split } from './epoch.js';
import type { CountingOptions } from './measure-layer.js';

// The tags `eigenvalues/<layer>`: whole spectra in a run, in both directions.

/**
 * What a tag `eigenvalues/<layer>` says about itself, as JSON in its metadata (plugin `saturation`, data class TENSOR). The
 * format, version 1:
 *
 * Each value of the tag is a float32 tensor of rank 1: the rows n that the spectrum rests on, the rows that were rejected, and
 * the eigenvalues of the layer's covariance in descending order: all `width` of them, or the `stored` largest ones and then
 * the sum of the others. Its step is that of the layer's scalars. Readers ignore members that they do not know.
 */
export interface EigenvaluesContent {
  /** Version of this format. */
  version: 1;
  /** What the tag holds. */
  kind: 'eigenvalues';
  /** Name of the layer. */
  layer: string;
  /** Place of the layer in order of depth, from 0. */
  index: number;
  /** Width of the layer: its number of eigenvalues. */
  width: number;
  /** How many eigenvalues are stored. */
  stored: number;
  /** Fraction of the variance that the writer counted up to, in (0, 1]. */
  threshold: number;
  /** How the threshold was applied. */
  rule: IntrinsicDimensionRule;
  /** The split that the run holds. */
  split: Split;
}

const prefix = 'eigenvalues/';
const eigenvaluesPlugin = 'saturation';

/** Most eigenvalues that are stored of a layer by default: a wider layer stores these and the sum of the others. */
export const DEFAULT_STORED_EIGENVALUES = 4096;

/**
 * Writes a layer's eigenvalues, from which a reader counts directions at any threshold. TensorBoard's histograms keep 30
 * buckets of them, which is off by up to 0.1 in saturation.
 *
 * @param index the layer's place in order of depth
 * @param most how many eigenvalues are stored at most; 0 writes nothing
 */
export function writeEigenvalues(
  writer: SummaryWriter,
  layer: LayerStatistics,
  index: number,
  step: Step,
  counting: Required<CountingOptions>,
  most = DEFAULT_STORED_EIGENVALUES,
): void {
  if (layer.spectrum === undefined || most === 0) return;
  const { eigenvalues, features } = layer.spectrum;
  const stored = Math.min(features, most);
  const isWhole = stored === features;
  const values = new Float32Array(2 + stored + (isWhole ? 0 : 1));
  values.set([layer.samples, layer.rejected]);
  values.set(eigenvalues.subarray(0, stored), 2);
  if (!isWhole) values[2 + stored] = eigenvalues.subarray(stored).reduce((sum, eigenvalue) => sum + eigenvalue, 0);
  const { threshold, rule } = counting;
  const content: EigenvaluesContent = {
    version: 1,
    kind: 'eigenvalues',
    layer: layer.layer,
    index,
    width: features,
    stored,
    threshold,
    rule,
    split: layer.split,
  };
  writer.addTensor(`${prefix}${layer.layer}`, values, step, {
    plugin: eigenvaluesPlugin,
    content: JSON.stringify(content),
  });
}

/** A layer's spectrum as it was read. */
export interface ReadEigenvalues {
  layer: string;
  spectrum: Spectrum;
  /** Rows left out because they held a NaN or Infinity. */
  rejected: number;
}

/** Reads the values of the tags `eigenvalues/<layer>` of one run. */
export class EigenvaluesReader {
  /** What each tag has said about itself. */
  readonly #contents = new Map<string, Partial<EigenvaluesContent>>();

  /** Whether a tag holds eigenvalues. */
  static isTag(tag: string): boolean {
    return tag.startsWith(prefix);
  }

  /**
   * The spectrum in a summary. Returns undefined if it is none that this version can read, or only a part of the eigenvalues
   * is stored.
   */
  read({ tag, value, raw }: DecodedSummary): ReadEigenvalues | undefined {
    if (!this.#contents.has(tag)) this.#contents.set(tag, contentOf(raw));
    const { layer = tag.slice(prefix.length), width, version = 1 } = this.#contents.get(tag) ?? {};
    if (version !== 1 || typeof layer !== 'string') return undefined;
    if (typeof value !== 'object' || !('data' in value) || !(value.data instanceof Float32Array)) return undefined;
    const [samples, rejected] = value.data;
    const eigenvalues = value.data.subarray(2);
    const isWhole = width === undefined || eigenvalues.length === width;
    if (!isWhole || eigenvalues.length === 0 || !eigenvalues.every((one: number) => one >= 0 && one < Infinity))
      return undefined;
    const spectrum = Spectrum.fromEigenvalues(eigenvalues, { samples: samples >= 0 ? samples : undefined });
    return { layer, spectrum, rejected: Math.max(0, rejected || 0) };
  }
}

/** What a tag's metadata says; nothing if the event holds no metadata, or none that this version can read. */
function contentOf(raw: Uint8Array): Partial<EigenvaluesContent> {
  try {
    const { metadata } = decodeMessage(tensorboard.Summary.Value, raw);
    const content: unknown = JSON.parse(new TextDecoder().decode(metadata?.pluginData?.content ?? new Uint8Array()));
    return typeof content === 'object' && content !== null ? content : {};
  } catch {
    return {};
  }
}

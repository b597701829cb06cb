/**
 * The table of TensorBoard's plugins: one row per plugin name. Readers look up here how a summary's value is decoded; what is
 * asked of summaries that `addEvent` writes stands in `check-summaries.ts`, so that readers do not load it. Both directions of a
 * plugin's format are in the plugin's own file; a plugin without a row is read as a tensor.
 */
import type { SummaryValue, TensorValue } from '../event/event.js';
import { decodeAudio, decodeAudioProto } from './audio.js';
import { decodeCustomScalars } from './custom-scalars.js';
import { decodeHistogram, decodeHistogramProto } from './histogram.js';
import { decodeHparams } from './hparams.js';
import { decodeImageProto, decodeImages } from './image-file.js';
import { decodeMesh } from './mesh.js';
import { DataClass } from './plugin-summary.js';
import { decodeScalar } from './scalar.js';
import { decodeTensor, isUnfilled, nullTensor } from './tensor.js';
import { decodeText } from './text.js';

/** How one plugin's summaries are decoded. */
interface Plugin {
  /** The data class of the plugin's tags. TensorBoard sets it if a tag's metadata names the plugin alone. */
  readonly dataClass: (typeof DataClass)[keyof typeof DataClass];
  /** Decodes the tensor of a v2 summary; returns undefined if it does not have the plugin's form. */
  readonly decode?: (tensor: TensorValue, content: Uint8Array) => SummaryValue | undefined;
  /** Number of the plugin's own field in Summary.Value, which v1 summaries use. */
  readonly field?: number;
  /** Decodes the message in that field. */
  readonly decodeField?: (bytes: Uint8Array) => SummaryValue;
}

const { blobSequence, scalar, tensor } = DataClass;
/** The plugins of graphs, of which this package decodes tensors only. */
const graph: Plugin = { dataClass: blobSequence };

/** The table. */
export const plugins: ReadonlyMap<string, Plugin> = new Map<string, Plugin>([
  // EventDecoder reads the field of a scalar itself: it is a number and no message.
  ['scalars', { dataClass: scalar, decode: decodeScalar, field: 2 }],
  ['images', { dataClass: blobSequence, decode: decodeImages, field: 4, decodeField: decodeImageProto }],
  ['histograms', { dataClass: tensor, decode: decodeHistogram, field: 5, decodeField: decodeHistogramProto }],
  ['audio', { dataClass: blobSequence, decode: decodeAudio, field: 6, decodeField: decodeAudioProto }],
  ['text', { dataClass: tensor, decode: decodeText }],
  ['pr_curves', { dataClass: tensor }],
  ['mesh', { dataClass: tensor, decode: decodeMesh }],
  ['hparams', { dataClass: tensor, decode: decodeHparams }],
  ['custom_scalars', { dataClass: tensor, decode: decodeCustomScalars }],
  ['graph_run_metadata', graph],
  ['graph_run_metadata_graph', graph],
  ['graph_keras_model', graph],
]);

/** The plugin that draws a v1 value (one with its own field in Summary.Value) unless the metadata names another one. */
export const pluginByField: Readonly<Record<number, string>> = Object.fromEntries(
  [...plugins].flatMap(([name, { field }]) => (field === undefined ? [] : [[field, name]])),
);

/** What a tag's metadata says about all its values. */
export interface PluginMetadata {
  /** plugin_data.plugin_name; '' if nothing names one. */
  plugin: string;
  /** plugin_data.content. */
  content: Uint8Array;
}

/** The member of Summary.Value's oneof that a record holds, undecoded. */
interface StoredValue {
  /** Field number: 3 old-style histogram, 4 image, 5 histogram, 6 audio, 8 tensor; 0 if there is none. */
  field: number;
  /** The field's message. */
  bytes: Uint8Array;
}

const tensorField = 8;
/** `obsolete_old_style_histogram` in summary.proto: bytes of an unpublished form, returned as they are. */
const oldHistogramField = 3;

/**
 * Decodes one summary value of any writer and of either format (v1: a field per kind; v2: a tensor and the plugin's name)
 * into the shape its plugin has. Scalars stored as v1 `simple_value` are read before this is called.
 *
 * A tensor that does not have its plugin's form is returned as it is, and so is one of many equal elements, which are made
 * when they are asked for. Blobs are views of the value's bytes.
 *
 * @throws Error if the bytes are not the message they should be, or contradict themselves
 */
export function decodeSummaryValue({ plugin, content }: PluginMetadata, { field, bytes }: StoredValue): SummaryValue {
  if (field === oldHistogramField) return { dtype: 'uint8', shape: [bytes.length], data: bytes };
  const decodeField = plugins.get(pluginByField[field])?.decodeField;
  if (decodeField !== undefined) return decodeField(bytes);
  const tensor = field === tensorField ? decodeTensor(bytes) : nullTensor();
  if (isUnfilled(tensor)) return tensor;
  return plugins.get(plugin)?.decode?.(tensor, content) ?? tensor;
}

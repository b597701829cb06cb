/**
 * The table of TensorBoard's plugins: one row per plugin name. Readers look up here how a summary's value is decoded, and
 * `addEvent` how the content that a plugin keeps in a summary's metadata is checked. Both directions of a plugin's format
 * are in the plugin's own file; a plugin without a row is read as a tensor.
 */
import { decodeMessage, type MessageType } from '../encoding/protobuf.js';
import type { SummaryValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { decodeAudio, decodeAudioProto } from './audio.js';
import { decodeCustomScalars } from './custom-scalars.js';
import { decodeHistogram, decodeHistogramProto } from './histogram.js';
import { decodeHparams } from './hparams.js';
import { decodeImageProto, decodeImages } from './image.js';
import { decodeMesh } from './mesh.js';
import { decodeScalar } from './scalar.js';
import { decodeTensor, nullTensor } from './tensor.js';
import { decodeText } from './text.js';

/** How one plugin's summaries are checked and decoded. */
interface Plugin {
  /** The message in `plugin_data.content` that the plugin's dashboard decodes, if it decodes one. */
  readonly content?: MessageType<unknown>;
  /** Decodes the tensor of a v2 summary; returns undefined if it does not have the plugin's form. */
  readonly decode?: (tensor: TensorValue, content: Uint8Array) => SummaryValue | undefined;
  /** Number of the plugin's own field in Summary.Value, which v1 summaries use. */
  readonly field?: number;
  /** Decodes the message in that field. */
  readonly decodeField?: (bytes: Uint8Array) => SummaryValue;
}

const {
  AudioPluginData,
  HistogramPluginData,
  HParamsPluginData,
  ImagePluginData,
  MeshPluginData,
  PrCurvePluginData,
  ScalarPluginData,
  TextPluginData,
} = tensorboard;

const plugins: ReadonlyMap<string, Plugin> = new Map<string, Plugin>([
  // EventDecoder reads field 2 (simple_value) itself: it is a number and no message.
  ['scalars', { content: ScalarPluginData, decode: decodeScalar, field: 2 }],
  ['images', { content: ImagePluginData, decode: decodeImages, field: 4, decodeField: decodeImageProto }],
  [
    'histograms',
    { content: HistogramPluginData, decode: decodeHistogram, field: 5, decodeField: decodeHistogramProto },
  ],
  ['audio', { content: AudioPluginData, decode: decodeAudio, field: 6, decodeField: decodeAudioProto }],
  ['text', { content: TextPluginData, decode: decodeText }],
  ['pr_curves', { content: PrCurvePluginData }],
  ['mesh', { content: MeshPluginData, decode: decodeMesh }],
  ['hparams', { content: HParamsPluginData, decode: decodeHparams }],
  ['custom_scalars', { decode: decodeCustomScalars }],
]);

/** The plugin that draws a v1 value (one with its own field in Summary.Value) unless the metadata names another one. */
export const pluginByField: Readonly<Record<number, string>> = Object.fromEntries(
  [...plugins].flatMap(([name, { field }]) => (field === undefined ? [] : [[field, name]])),
);

/**
 * Checks what a summary's metadata holds for its plugin. If a dashboard cannot decode the content of one summary, it fails
 * for the whole logdir.
 *
 * @param plugin plugin_data.plugin_name; the content of an unknown plugin is accepted
 * @throws Error if the plugin's dashboard could not decode the content
 */
export function checkPluginContent(plugin: string, content: Uint8Array): void {
  const type = plugins.get(plugin)?.content;
  if (type !== undefined) decodeMessage(type, content);
}

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
 * A tensor that does not have its plugin's form is returned as it is. Blobs are views of the value's bytes.
 *
 * @throws Error if the bytes are not the message they should be, or contradict themselves
 */
export function decodeSummaryValue({ plugin, content }: PluginMetadata, { field, bytes }: StoredValue): SummaryValue {
  if (field === oldHistogramField) return { dtype: 'uint8', shape: [bytes.length], data: bytes };
  const decodeField = plugins.get(pluginByField[field])?.decodeField;
  if (decodeField !== undefined) return decodeField(bytes);
  const tensor = field === tensorField ? decodeTensor(bytes) : nullTensor();
  return plugins.get(plugin)?.decode?.(tensor, content) ?? tensor;
}

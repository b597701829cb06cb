import { decodeMessage, tryDecodeMessage } from '../encoding/protobuf.js';
import type { CustomScalarsValue, HparamsValue, MeshValue, SummaryValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { decodeTensor, nullTensor } from './tensor.js';

const { AudioPluginData, Summary } = tensorboard;

/** What a tag's metadata says about all its values. */
export interface PluginMetadata {
  /** plugin_data.plugin_name; '' where nothing names one. */
  plugin: string;
  /** plugin_data.content. */
  content: Uint8Array;
}

/** The member of Summary.Value's oneof that a record holds, undecoded. */
export interface StoredValue {
  /** Field number: 3 ancient histogram, 4 image, 5 histogram, 6 audio, 8 tensor; 0 when there is none. */
  field: number;
  bytes: Uint8Array;
}

/** The plugin that draws a v1 value (one with its own field in Summary.Value) unless metadata names another. */
export const pluginByField: Readonly<Record<number, string>> = {
  2: 'scalars',
  4: 'images',
  5: 'histograms',
  6: 'audio',
};

/**
 * Reads one summary value of any writer and of either format (v1: a field per kind; v2: a tensor and the plugin's name)
 * into the shape its plugin has. Scalars stored as v1 `simple_value` are read before this is called.
 *
 * A tensor that does not have its plugin's form is returned as it is. Blobs are views of `stored.bytes`.
 *
 * @throws Error when the bytes are not the message they should be or contradict themselves
 */
export function decodeSummaryValue(metadata: PluginMetadata, stored: StoredValue): SummaryValue {
  switch (stored.field) {
    case 4:
      return decodeImage(stored.bytes);
    case 5:
      return decodeHistogram(stored.bytes);
    case 6:
      return decodeAudio(stored.bytes);
    case 8:
      return shapeByPlugin(metadata, decodeTensor(stored.bytes));
    case 3:
      return { dtype: 'uint8', shape: [stored.bytes.length], data: stored.bytes };
    default:
      return shapeByPlugin(metadata, nullTensor());
  }
}

function shapeByPlugin(metadata: PluginMetadata, tensor: TensorValue): SummaryValue {
  switch (metadata.plugin) {
    case 'scalars':
      return asScalar(tensor) ?? tensor;
    case 'histograms':
      return asHistogram(tensor) ?? tensor;
    case 'images':
      return asImages(tensor) ?? tensor;
    case 'audio':
      return asAudio(tensor, metadata.content) ?? tensor;
    case 'text':
      return asText(tensor) ?? tensor;
    case 'mesh':
      return asMesh(tensor, metadata.content) ?? tensor;
    case 'hparams':
      return asHparams(tensor, metadata.content) ?? tensor;
    case 'custom_scalars':
      return asCustomScalars(tensor) ?? tensor;
    default:
      return tensor;
  }
}

/** Any single number will do: writers differ in type and rank. */
function asScalar({ data, dtype }: TensorValue): number | undefined {
  return data.length === 1 && isNumeric(dtype) ? Number(data[0]) : undefined;
}

function asHistogram({ data, dtype, shape }: TensorValue): { buckets: Float64Array } | undefined {
  if (shape.length !== 2 || shape[1] !== 3 || !isNumeric(dtype)) return undefined;
  return { buckets: data instanceof Float64Array ? data : Float64Array.from(data as ArrayLike<number>, Number) };
}

/** Width and height as decimal text, then the images. */
function asImages({ data, dtype, shape }: TensorValue): SummaryValue | undefined {
  if (dtype !== 'string' || shape.length !== 1 || data.length < 2) return undefined;
  const [width, height, ...encoded] = data as Uint8Array[];
  const size = [width, height].map(readDecimal);
  if (size.some(Number.isNaN)) return undefined;
  return { width: size[0], height: size[1], encoded };
}

/** TF2 stores [clips, 2], a label beside each clip; TensorBoard's loaders agree on [clips]. */
function asAudio({ data, dtype, shape }: TensorValue, content: Uint8Array): SummaryValue | undefined {
  const labelled = shape.length === 2 && shape[1] === 2;
  if (dtype !== 'string' || !(labelled || shape.length === 1)) return undefined;
  const strings = data as Uint8Array[];
  const contentType = isWav(content) ? { contentType: 'audio/wav' } : {};
  if (!labelled) return { encoded: strings, ...contentType };
  return {
    encoded: strings.filter((_, index) => index % 2 === 0),
    labels: strings.filter((_, index) => index % 2 === 1).map(readText),
    ...contentType,
  };
}

function asText({ data, dtype, shape }: TensorValue): SummaryValue | undefined {
  return dtype === 'string' ? { shape, strings: (data as Uint8Array[]).map(readText) } : undefined;
}

function isNumeric(dtype: string): boolean {
  return /^(u?int|b?float|bool)/.test(dtype);
}

function isWav(content: Uint8Array): boolean {
  return tryDecodeMessage(AudioPluginData, content)?.encoding === AudioPluginData.Encoding.WAV;
}

const utf8 = new TextDecoder();

function readText(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

/** NaN unless the bytes are ASCII digits. */
function readDecimal(bytes: Uint8Array): number {
  const text = bytes.length > 0 && bytes.length <= 10 ? readText(bytes) : '';
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

function decodeImage(bytes: Uint8Array): SummaryValue {
  const image = decodeMessage(Summary.Image, bytes);
  return {
    width: image.width ?? 0,
    height: image.height ?? 0,
    encoded: [image.encodedImageString ?? new Uint8Array(0)],
  };
}

function decodeAudio(bytes: Uint8Array): SummaryValue {
  const { contentType, encodedAudioString } = decodeMessage(Summary.Audio, bytes);
  return { encoded: [encodedAudioString ?? new Uint8Array(0)], ...(contentType ? { contentType } : {}) };
}

/**
 * A HistogramProto stores every bucket's right edge and count. As in TensorBoard's own migration, empty buckets at both
 * ends are dropped, and min and max close the outermost of the others, whose stored edges are ±1e12 or more.
 * Source: https://github.com/tensorflow/tensorboard/blob/master/tensorboard/data_compat.py (_migrate_histogram_value);
 * unlike there, the numbers stay float64.
 */
function decodeHistogram(bytes: Uint8Array): SummaryValue {
  const histogram = decodeMessage(tensorboard.HistogramProto, bytes);
  const limits = histogram.bucketLimit ?? [];
  const counts = histogram.bucket ?? [];
  if (limits.length !== counts.length) {
    throw new RangeError(`a histogram of ${limits.length} bucket limits and ${counts.length} counts`);
  }
  const first = counts.findIndex((count) => count > 0);
  let last = counts.length - 1;
  while (last >= 0 && !(counts[last] > 0)) last--;
  const rows = first < 0 ? 0 : last - first + 1;
  const buckets = new Float64Array(rows * 3);
  for (let row = 0; row < rows; row++) {
    const index = first + row;
    buckets[row * 3] = row === 0 ? (histogram.min ?? 0) : limits[index - 1];
    buckets[row * 3 + 1] = index === last ? (histogram.max ?? 0) : limits[index];
    buckets[row * 3 + 2] = counts[index];
  }
  return { buckets };
}

const { HparamDataType, HParamsPluginData, HparamsStatus, Layout, MeshPluginData } = tensorboard;
const { ContentType } = MeshPluginData;

type Hparam = string | number | boolean;

/** A mesh's tensor with what its metadata says of it; undefined where that is not a mesh's. */
export function asMesh(tensor: TensorValue, content: Uint8Array): MeshValue | undefined {
  const mesh = tryDecodeMessage(MeshPluginData, content);
  const kind = mesh && contentTypes.get(mesh.contentType ?? ContentType.UNDEFINED);
  if (!mesh || !kind) return undefined;
  return {
    ...tensor,
    mesh: mesh.name ?? '',
    content: kind,
    ...(mesh.jsonConfig ? { config: mesh.jsonConfig } : undefined),
  };
}

const contentTypes = new Map<number, MeshValue['content']>([
  [ContentType.VERTEX, 'vertex'],
  [ContentType.FACE, 'face'],
  [ContentType.COLOR, 'color'],
]);

/** What an hparams summary holds: all of it is in its metadata. */
export function asHparams(tensor: TensorValue, content: Uint8Array): HparamsValue | undefined {
  const stored = tryDecodeMessage(HParamsPluginData, content);
  if (!stored) return undefined;
  const { experiment, sessionEndInfo: end, sessionStartInfo: start } = stored;
  const value: HparamsValue = { ...tensor };
  if (start) {
    const hparams = Object.entries(start.hparams ?? {}).map(([name, hparam]) => [name, readHparam(hparam)]);
    value.sessionStart = {
      hparams: Object.fromEntries(hparams.filter(([, hparam]) => hparam !== undefined)),
      ...(start.groupName ? { name: start.groupName } : undefined),
      ...(start.startTimeSecs ? { startTime: start.startTimeSecs } : undefined),
    };
  }
  if (end) {
    value.sessionEnd = {
      status: statuses.get(end.status ?? 0) ?? 'unknown',
      ...(end.endTimeSecs ? { endTime: end.endTimeSecs } : undefined),
    };
  }
  if (experiment) {
    value.experiment = {
      hparams: (experiment.hparamInfos ?? []).map(readHparamInfo),
      metrics: (experiment.metricInfos ?? []).map((metric) => metric.name?.tag ?? ''),
    };
  }
  return value;
}

const statuses = new Map<number, 'success' | 'failure' | 'running'>([
  [HparamsStatus.STATUS_SUCCESS, 'success'],
  [HparamsStatus.STATUS_FAILURE, 'failure'],
  [HparamsStatus.STATUS_RUNNING, 'running'],
]);

const types = new Map<number, 'string' | 'boolean' | 'number'>([
  [HparamDataType.DATA_TYPE_STRING, 'string'],
  [HparamDataType.DATA_TYPE_BOOL, 'boolean'],
  [HparamDataType.DATA_TYPE_FLOAT64, 'number'],
]);

function readHparamInfo(info: tensorboard.IHparamInfo): NonNullable<HparamsValue['experiment']>['hparams'][number] {
  const { domainDiscrete: list, domainInterval: interval, name, type } = info;
  const range = interval && { min: interval.minValue ?? 0, max: interval.maxValue ?? 0 };
  const values = list && (list.values ?? []).map(readHparam).filter((value) => value !== undefined);
  const domain = values ?? range;
  return { name: name ?? '', type: types.get(type ?? 0) ?? 'unset', ...(domain ? { domain } : undefined) };
}

/** undefined for null and lists, which no hyperparameter is. */
function readHparam({ boolValue, numberValue, stringValue }: tensorboard.IHparamValue): Hparam | undefined {
  return stringValue ?? boolValue ?? numberValue ?? undefined;
}

/** The layout of the custom scalars dashboard; undefined where the tensor is not one. */
export function asCustomScalars(tensor: TensorValue): CustomScalarsValue | undefined {
  if (tensor.dtype !== 'string' || tensor.data.length !== 1) return undefined;
  const layout = tryDecodeMessage(Layout, tensor.data[0] as Uint8Array);
  if (!layout) return undefined;
  const categories = (layout.category ?? []).map(({ chart, closed, title }) => ({
    title: title ?? '',
    ...(closed ? { closed } : undefined),
    charts: (chart ?? []).map(readChart),
  }));
  return { ...tensor, layout: { categories } };
}

function readChart(chart: tensorboard.IChart): CustomScalarsValue['layout']['categories'][number]['charts'][number] {
  const title = chart.title ?? '';
  if (!chart.margin) return { title, multiline: chart.multiline?.tag ?? [] };
  const margin = (chart.margin.series ?? []).map(({ lower, upper, value }) => ({
    value: value ?? '',
    lower: lower ?? '',
    upper: upper ?? '',
  }));
  return { title, margin };
}

/**
 * What TensorBoard's dashboards decode of their plugins' content. Where they cannot, the dashboard fails for the whole
 * logdir.
 */
const contentByPlugin = new Map<string, { decode(bytes: Uint8Array): unknown }>([
  ['scalars', tensorboard.ScalarPluginData],
  ['histograms', tensorboard.HistogramPluginData],
  ['images', tensorboard.ImagePluginData],
  ['audio', tensorboard.AudioPluginData],
  ['text', tensorboard.TextPluginData],
  ['pr_curves', tensorboard.PrCurvePluginData],
  ['mesh', tensorboard.MeshPluginData],
  ['hparams', tensorboard.HParamsPluginData],
]);

/**
 * Checks the content that a tag's metadata holds for a plugin.
 *
 * @throws Error if TensorBoard's dashboard of the plugin could not decode it
 */
export function checkPluginContent(plugin: string, content: Uint8Array): void {
  contentByPlugin.get(plugin)?.decode(content);
}

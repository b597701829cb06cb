import { decodeContent } from '../encoding/decode-message.js';
import type { CustomScalarsValue, HparamsValue, MeshValue, TensorValue } from '../event/summary-value.js';
import { tensorboard } from '../proto/tensorboard.js';

const { HparamDataType, HParamsPluginData, HparamsStatus, Layout, MeshPluginData } = tensorboard;
const { ContentType } = MeshPluginData;

type Hparam = string | number | boolean;

/** A mesh's tensor with what its metadata says of it; undefined where that is not a mesh's. */
export function asMesh(tensor: TensorValue, content: Uint8Array): MeshValue | undefined {
  const mesh = decodeContent(MeshPluginData, content);
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
  const stored = decodeContent(HParamsPluginData, content);
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
  const layout = decodeContent(Layout, tensor.data[0] as Uint8Array);
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

/**
 * Hyperparameters: a session's values and end, and optionally the experiment all sessions belong to. All of it is in the
 * summaries' metadata; their tensors are empty.
 */
import { decodeMessage, encodeMessage, tryDecodeMessage, wellFormed } from '../encoding/protobuf.js';
import { describe } from '../errors.js';
import type { HparamsValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { floatTensor } from './tensor.js';

/** A hyperparameter's value. */
export type Hparam = string | number | boolean;

/** The values a hyperparameter may take in an experiment: a list of values of one type, or a range of numbers. */
export type HparamDomain =
  | readonly Hparam[]
  | {
      /** The smallest possible value. */
      readonly min: number;
      /** The largest possible value. */
      readonly max: number;
    };

/** How a session, which is a run, ended; 'running' if it has not ended. */
export type HparamsStatus = 'success' | 'failure' | 'running';

/** Options of addHparams. */
export interface HparamsOptions {
  /** Sessions of the same name are shown as repetitions of one set of hyperparameters. Default: the run's own name. */
  name?: string;
  /** How the session ended. Default: 'success'. */
  status?: HparamsStatus;
  /**
   * The hyperparameters of the whole experiment and their possible values. If one run has this list, TensorBoard uses it for
   * all runs. Hyperparameters of the run that are not listed are added without a domain. Default: no list; TensorBoard's
   * columns are the hyperparameters that the runs have.
   */
  domains?: Readonly<Record<string, HparamDomain>>;
  /** When the session started, in seconds since 1970. Default: now. */
  startTime?: number;
  /** When the session ended, in seconds since 1970; not used if the status is 'running'. Default: now. */
  endTime?: number;
}

const { HparamDataType, HParamsPluginData } = tensorboard;

/** Every tag that the hparams plugin reads begins with this; its summaries carry the rest as suffix. */
export const hparamsTag = '_hparams_/';

const statuses: Record<HparamsStatus, tensorboard.HparamsStatus> = {
  success: tensorboard.HparamsStatus.STATUS_SUCCESS,
  failure: tensorboard.HparamsStatus.STATUS_FAILURE,
  running: tensorboard.HparamsStatus.STATUS_RUNNING,
};

/** Types of hyperparameters, by what `typeof` calls their values. */
const dataTypes: Record<'string' | 'boolean' | 'number', tensorboard.HparamDataType> = {
  string: HparamDataType.DATA_TYPE_STRING,
  boolean: HparamDataType.DATA_TYPE_BOOL,
  number: HparamDataType.DATA_TYPE_FLOAT64,
};

/**
 * Hyperparameters for TensorBoard's hparams dashboard, to be written into the run that they belong to. All scalars of the run
 * are its metrics.
 *
 * @param metrics names of the scalar tags that `domains` lists as metrics
 * @throws TypeError if a value is not a string, number or boolean; RangeError if it is NaN, infinite or outside its domain
 */
export function hparamsSummaries(
  hparams: Readonly<Record<string, Hparam>>,
  metrics: readonly string[] = [],
  options: HparamsOptions = {},
  call = 'hparams',
): PluginSummary[] {
  const { name = '', status = 'success', domains } = options;
  if (!Object.hasOwn(statuses, status)) {
    throw new TypeError(`${call}: expected status 'success', 'failure' or 'running', got ${describe(status)}`);
  }
  if (typeof hparams !== 'object' || hparams === null) {
    throw new TypeError(`${call}: expected an object of hyperparameters, got ${describe(hparams)}`);
  }
  const startTimeSecs = options.startTime ?? Date.now() / 1000;
  const values = Object.fromEntries(
    Object.entries(hparams).map(([key, value]) => [wellFormed(key), hparamValue(value, `${call}: ${key}`)]),
  );
  if (Object.keys(values).length < Object.keys(hparams).length) {
    throw new RangeError(
      `${call}: expected names that differ in more than halves of characters, got ${describe(hparams)}`,
    );
  }
  const summaries: PluginSummary[] = [];
  if (domains !== undefined) {
    checkDomains(hparams, domains, call);
    const experiment = {
      timeCreatedSecs: startTimeSecs,
      hparamInfos: hparamInfos(hparams, domains, call),
      metricInfos: metricInfos(metrics),
    };
    summaries.push(tagged('experiment', { experiment }));
  }
  summaries.push(
    tagged('session_start_info', { sessionStartInfo: { hparams: values, groupName: name, startTimeSecs } }),
  );
  if (status !== 'running') {
    const endTimeSecs = options.endTime ?? Date.now() / 1000;
    summaries.push(tagged('session_end_info', { sessionEndInfo: { status: statuses[status], endTimeSecs } }));
  }
  return summaries;
}

/** The plugin reads the metadata and no value, so the tensor is empty, as TF2 writes it. */
function tagged(tagSuffix: string, content: tensorboard.IHParamsPluginData): PluginSummary {
  return {
    plugin: 'hparams',
    content: encodeMessage(HParamsPluginData, content),
    dataClass: DataClass.tensor,
    tensor: floatTensor([], [0]),
    tagSuffix,
  };
}

function hparamValue(value: unknown, call: string): tensorboard.IHparamValue {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value !== 'number') {
    throw new TypeError(`${call}: expected a string, number or boolean, got ${describe(value)}`);
  }
  // TensorBoard sends its page JSON, which has neither NaN nor Infinity.
  if (!Number.isFinite(value)) throw new RangeError(`${call}: expected a finite number, got ${value}`);
  return { numberValue: value };
}

function hparamInfos(
  hparams: Readonly<Record<string, Hparam>>,
  domains: Readonly<Record<string, HparamDomain>>,
  call: string,
): tensorboard.IHparamInfo[] {
  const names = new Set([...Object.keys(domains), ...Object.keys(hparams)]);
  return [...names].map((name): tensorboard.IHparamInfo => {
    const domain = domains[name];
    if (domain === undefined) return { name, type: hparamTypeOf(hparams[name]) };
    if (!isList(domain)) {
      return { name, type: dataTypes.number, domainInterval: { minValue: domain.min, maxValue: domain.max } };
    }
    const values = domain.map((value) => hparamValue(value, `${call}: domain of ${name}`));
    return { name, type: hparamTypeOf(domain[0]), domainDiscrete: { values } };
  });
}

function metricInfos(metrics: readonly string[]): tensorboard.IMetricInfo[] {
  return metrics.map((tag) => ({ name: { tag } }));
}

function hparamTypeOf(value: Hparam): tensorboard.HparamDataType {
  return dataTypes[typeof value as keyof typeof dataTypes] ?? dataTypes.number;
}

function isList(domain: HparamDomain): domain is readonly Hparam[] {
  return Array.isArray(domain);
}

function checkDomains(
  hparams: Readonly<Record<string, Hparam>>,
  domains: Readonly<Record<string, HparamDomain>>,
  call: string,
): void {
  for (const [name, domain] of Object.entries(domains)) {
    const path = `${call}: domain of ${name}`;
    const value = hparams[name];
    if (isList(domain)) {
      if (domain.length === 0) throw new RangeError(`${path}: expected at least one value, got none`);
      const other = domain.find((each) => typeof each !== typeof domain[0]);
      if (other !== undefined)
        throw new TypeError(`${path}: expected values of one type, got ${describe(domain[0])} and ${describe(other)}`);
      if (value !== undefined && !domain.includes(value))
        throw new RangeError(`${call}: ${name}: expected one of ${domain.join(', ')}, got ${value}`);
    } else {
      const { min, max } = domain ?? {};
      if (!(Number.isFinite(min) && Number.isFinite(max) && min <= max)) {
        throw new RangeError(`${path}: expected values or { min, max } with min <= max, got ${describe(domain)}`);
      }
      if (value !== undefined && !(typeof value === 'number' && value >= min && value <= max)) {
        throw new RangeError(`${call}: ${name}: expected a number from ${min} to ${max}, got ${describe(value)}`);
      }
    }
  }
}

/** What the content of each of the plugin's tags holds. */
const contents = new Map<string, 'experiment' | 'sessionStartInfo' | 'sessionEndInfo'>([
  [`${hparamsTag}experiment`, 'experiment'],
  [`${hparamsTag}session_start_info`, 'sessionStartInfo'],
  [`${hparamsTag}session_end_info`, 'sessionEndInfo'],
]);

/**
 * Checks what an hparams summary's metadata holds. The dashboard reads it from all runs at once, and shows nothing if it
 * cannot read one.
 *
 * @throws RangeError if it is of another version, is not what the tag says, or holds a number that JSON does not have. (A
 * hyperparameter that is itself NaN is left out by TensorBoard.)
 */
export function checkHparams(content: Uint8Array, tag: string): void {
  const member = contents.get(tag);
  if (member === undefined) return;
  const stored = decodeMessage(HParamsPluginData, content);
  if (stored.version)
    throw new RangeError(`hyperparameters of version ${stored.version}, which TensorBoard does not know`);
  if (!stored[member]) throw new RangeError(`hyperparameters without ${member}`);
  const infos = stored.experiment?.hparamInfos ?? [];
  for (const { domainDiscrete } of infos) domainDiscrete?.values?.forEach(checkJson);
  for (const { listValue, structValue } of Object.values(stored.sessionStartInfo?.hparams ?? {})) {
    checkJson({ listValue, structValue });
  }
}

function checkJson({ listValue, numberValue, structValue }: tensorboard.IHparamValue): void {
  if (!Number.isFinite(numberValue ?? 0)) throw new RangeError(`the number ${numberValue} among hyperparameters`);
  listValue?.values?.forEach(checkJson);
  Object.values(structValue?.fields ?? {}).forEach(checkJson);
}

/** What an hparams summary's metadata holds. */
export function decodeHparams(tensor: TensorValue, content: Uint8Array): HparamsValue | undefined {
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
      status: keyOf(statuses, end.status) ?? 'unknown',
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

function readHparamInfo(info: tensorboard.IHparamInfo): NonNullable<HparamsValue['experiment']>['hparams'][number] {
  const { domainDiscrete: list, domainInterval: interval, name, type } = info;
  const range = interval && { min: interval.minValue ?? 0, max: interval.maxValue ?? 0 };
  const values = list && (list.values ?? []).map(readHparam).filter((value) => value !== undefined);
  const domain = values ?? range;
  return { name: name ?? '', type: keyOf(dataTypes, type) ?? 'unset', ...(domain ? { domain } : undefined) };
}

/** Returns undefined for null and lists, which no hyperparameter is. */
function readHparam({ boolValue, numberValue, stringValue }: tensorboard.IHparamValue): Hparam | undefined {
  return stringValue ?? boolValue ?? numberValue ?? undefined;
}

/** The key of a table under which it holds a number. */
function keyOf<K extends string>(table: Record<K, number>, value: number | null | undefined): K | undefined {
  return (Object.keys(table) as K[]).find((key) => table[key] === value);
}

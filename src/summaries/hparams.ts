/**
 * Hyperparameters: a session's values and end, and optionally the experiment all sessions belong to. All of it is in the
 * summaries' metadata; their tensors are empty.
 */
import { decodeMessage, encodeMessage, tryDecodeMessage } from '../encoding/message-codec.js';
import { wellFormed } from '../encoding/protobuf.js';
import { describe } from '../errors.js';
import { checkText, secondsOf } from '../event/check-arguments.js';
import type { HparamsValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { floatTensor } from './tensor.js';

/** A hyperparameter's value. */
export type Hparam = string | number | boolean;

/** What TensorBoard shows of a hyperparameter or metric, beside its values. */
export interface HparamText {
  /** Shown instead of the name. Default: the name. */
  readonly displayName?: string;
  /** What it means, as markdown. Default: none. */
  readonly description?: string;
}

/**
 * The values a hyperparameter may take in an experiment: a list of values of one type; or an object with such a list or a
 * range of numbers, and what to show instead of the name.
 */
export type HparamDomain =
  | readonly Hparam[]
  | (HparamText & {
      /** The possible values, of one type. */
      readonly values?: readonly Hparam[];
      /** The smallest possible value. */
      readonly min?: number;
      /** The largest possible value. */
      readonly max?: number;
    });

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
  /** What to show instead of the tags of metrics. It is part of the experiment, which is written if there is `domains` or this. */
  metricTexts?: Readonly<Record<string, HparamText>>;
  /** When the session started: a Date, or seconds since 1970. Default: now. */
  startTime?: number | Date;
  /** When the session ended: a Date, or seconds since 1970; not used if the status is 'running'. Default: now. */
  endTime?: number | Date;
}

/**
 * Hyperparameters by name. Those that are null or undefined are left out, as torch leaves out None: TensorBoard shows a
 * blank for them.
 */
export type Hparams = Readonly<Record<string, Hparam | null | undefined>>;

const HparamDataType = tensorboard.HparamDataType;
const HParamsPluginData = tensorboard.HParamsPluginData;

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
 * @throws TypeError if a value is not a string, number or boolean; RangeError if it is NaN, infinite or outside its domain,
 * or a time is not in seconds
 */
export function hparamsSummaries(
  hparams: Hparams,
  metrics: readonly string[] = [],
  options: HparamsOptions = {},
  call = 'hparams',
): PluginSummary[] {
  const { name = '', status = 'success', domains, metricTexts } = options;
  if (typeof name !== 'string') throw new TypeError(`${call}: expected name to be a string, got ${describe(name)}`);
  if (!Object.hasOwn(statuses, status)) {
    throw new TypeError(`${call}: expected status 'success', 'failure' or 'running', got ${describe(status)}`);
  }
  if (typeof hparams !== 'object' || hparams === null || Symbol.iterator in hparams) {
    throw new TypeError(`${call}: expected an object of hyperparameters, got ${describe(hparams)}`);
  }
  const startTimeSecs = secondsOf(options.startTime ?? new Date(), 'startTime', call);
  const endTimeSecs = secondsOf(options.endTime ?? new Date(), 'endTime', call);
  const given = givenHparams(hparams);
  const values = Object.fromEntries(
    Array.from(given, ([key, value]) => [wellFormed(key), hparamValue(value, `${call}: ${key}`)]),
  );
  if (Object.keys(values).length < given.size) {
    throw new RangeError(
      `${call}: expected names that differ in more than halves of characters, got ${describe(hparams)}`,
    );
  }
  const summaries: PluginSummary[] = [];
  if (domains !== undefined || metricTexts !== undefined) {
    const experiment = {
      timeCreatedSecs: startTimeSecs,
      hparamInfos: hparamInfos(given, readDomains(domains ?? {}, given, call), call),
      metricInfos: metricInfos(metrics, metricTexts ?? {}, call),
    };
    summaries.push(tagged('experiment', { experiment }));
  }
  summaries.push(
    tagged('session_start_info', { sessionStartInfo: { hparams: values, groupName: name, startTimeSecs } }),
  );
  if (status !== 'running') {
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

/** The hyperparameters that have a value. */
export function givenHparams(hparams: Hparams): Map<string, Hparam> {
  return new Map(
    Object.entries(hparams).filter((entry): entry is [string, Hparam] => entry[1] !== null && entry[1] !== undefined),
  );
}

function hparamValue(value: unknown, call: string): tensorboard.IHparamValue {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value !== 'number') {
    const advice =
      typeof value === 'object' ? ': give each of its values a name of its own, or join them to a text' : '';
    throw new TypeError(`${call}: expected a string, number or boolean, got ${describe(value)}${advice}`);
  }
  // TensorBoard sends its page JSON, which has neither NaN nor Infinity.
  if (!Number.isFinite(value)) throw new RangeError(`${call}: expected a finite number, got ${value}`);
  return { numberValue: value };
}

function hparamInfos(
  hparams: ReadonlyMap<string, Hparam>,
  domains: ReadonlyMap<string, Domain>,
  call: string,
): tensorboard.IHparamInfo[] {
  const names = new Set([...domains.keys(), ...hparams.keys()]);
  return Array.from(names, (name): tensorboard.IHparamInfo => {
    const { values, min: minValue, max: maxValue, text } = domains.get(name) ?? {};
    const example = values?.[0] ?? minValue ?? hparams.get(name);
    const info = { name, ...text, ...(example === undefined ? undefined : { type: hparamTypeOf(example) }) };
    if (values !== undefined) {
      const protos = values.map((value) => hparamValue(value, `${call}: domain of ${name}`));
      return { ...info, domainDiscrete: { values: protos } };
    }
    return minValue === undefined ? info : { ...info, domainInterval: { minValue, maxValue } };
  });
}

function metricInfos(
  metrics: readonly string[],
  texts: Readonly<Record<string, HparamText>>,
  call: string,
): tensorboard.IMetricInfo[] {
  const textOf = new Map(
    Object.entries(texts).map(([tag, text]) => [tag, readText(text, `${call}: metricTexts of ${tag}`)]),
  );
  return Array.from(new Set([...metrics, ...textOf.keys()]), (tag) => ({ name: { tag }, ...textOf.get(tag) }));
}

/** Checks what is shown instead of a name. */
function readText(text: HparamText, call: string): Text {
  if (typeof text !== 'object' || text === null) {
    throw new TypeError(`${call}: expected { displayName, description }, got ${describe(text)}`);
  }
  checkText(text.displayName, 'displayName', call);
  checkText(text.description, 'description', call);
  return storedText(text);
}

function hparamTypeOf(value: Hparam): tensorboard.HparamDataType {
  return dataTypes[typeof value as keyof typeof dataTypes] ?? dataTypes.number;
}

/** A text of a hyperparameter or metric that has been checked. */
type Text = { displayName?: string; description?: string };

/** A domain that has been checked: a list of values, a range or neither. */
interface Domain {
  readonly values?: readonly Hparam[];
  readonly min?: number;
  readonly max?: number;
  readonly text?: Text;
}

function readDomains(
  domains: Readonly<Record<string, HparamDomain>>,
  hparams: ReadonlyMap<string, Hparam>,
  call: string,
): Map<string, Domain> {
  return new Map(
    Object.entries(domains).map(([name, domain]) => [name, readDomain(name, domain, hparams.get(name), call)]),
  );
}

/** Checks a domain, and that it holds the run's own value. */
function readDomain(name: string, domain: HparamDomain, value: Hparam | undefined, call: string): Domain {
  const path = `${call}: domain of ${name}`;
  if (typeof domain !== 'object' || domain === null) {
    throw new RangeError(`${path}: expected values or { min, max } with min <= max, got ${describe(domain)}`);
  }
  const { values, min, max, ...text } = isList(domain) ? { values: domain } : { min: undefined, ...domain };
  const texts = { text: readText(text as HparamText, path) };
  if (values !== undefined) {
    if (!Array.isArray(values)) throw new TypeError(`${path}: expected an array of values, got ${describe(values)}`);
    if (values.length === 0) throw new RangeError(`${path}: expected at least one value, got none`);
    const other = values.find((each) => typeof each !== typeof values[0]);
    if (other !== undefined)
      throw new TypeError(`${path}: expected values of one type, got ${describe(values[0])} and ${describe(other)}`);
    if (value !== undefined && !values.includes(value))
      throw new RangeError(`${call}: ${name}: expected one of ${values.join(', ')}, got ${value}`);
    return { values, ...texts };
  }
  if (min === undefined && max === undefined && Object.keys(texts.text).length > 0) return texts;
  if (!(Number.isFinite(min) && Number.isFinite(max) && min! <= max!)) {
    throw new RangeError(`${path}: expected values or { min, max } with min <= max, got ${describe(domain)}`);
  }
  if (value !== undefined && !(typeof value === 'number' && value >= min! && value <= max!)) {
    throw new RangeError(`${call}: ${name}: expected a number from ${min} to ${max}, got ${describe(value)}`);
  }
  return { min: min!, max: max!, ...texts };
}

function isList(domain: HparamDomain): domain is readonly Hparam[] {
  return Array.isArray(domain);
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
      ...metricsOf(experiment.metricInfos ?? []),
    };
  }
  return value;
}

/** The metrics of an experiment: tags, groups, and the texts of those that have some. */
function metricsOf(
  infos: readonly tensorboard.IMetricInfo[],
): Pick<NonNullable<HparamsValue['experiment']>, 'metrics' | 'metricGroups' | 'metricTexts'> {
  const metrics = infos.map(({ name }) => name?.tag ?? '');
  const groups = infos.map(({ name }) => name?.group ?? '');
  const texts = infos.flatMap((info, i): [string, Text][] => {
    const name = groups[i] ? `${groups[i]}/${metrics[i]}` : metrics[i];
    return info.displayName || info.description ? [[name, storedText(info)]] : [];
  });
  return {
    metrics,
    ...(groups.some(Boolean) && { metricGroups: groups }),
    ...(texts.length > 0 && { metricTexts: Object.fromEntries(texts) }),
  };
}

function storedText({ displayName, description }: { displayName?: string | null; description?: string | null }): Text {
  return { ...(displayName ? { displayName } : undefined), ...(description ? { description } : undefined) };
}

function readHparamInfo(info: tensorboard.IHparamInfo): NonNullable<HparamsValue['experiment']>['hparams'][number] {
  const { domainDiscrete: list, domainInterval: interval, name, type } = info;
  const range = interval && { min: interval.minValue ?? 0, max: interval.maxValue ?? 0 };
  const values = list && (list.values ?? []).map(readHparam).filter((value) => value !== undefined);
  const domain = values ?? range;
  return {
    name: name ?? '',
    type: keyOf(dataTypes, type) ?? 'unset',
    ...storedText(info),
    ...(domain ? { domain } : undefined),
  };
}

/** Returns undefined for null and lists, which no hyperparameter is. */
function readHparam({ boolValue, numberValue, stringValue }: tensorboard.IHparamValue): Hparam | undefined {
  return stringValue ?? boolValue ?? numberValue ?? undefined;
}

/** The key of a table under which it holds a number. */
function keyOf<K extends string>(table: Record<K, number>, value: number | null | undefined): K | undefined {
  return (Object.keys(table) as K[]).find((key) => table[key] === value);
}

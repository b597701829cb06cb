/**
 * What `addEvent` lets through. An event of a caller's own is written as it is, so it is checked against everything that
 * TensorBoard's loaders would stumble over: text that is not UTF-8, fields of another type, nesting without end.
 */
import protobuf from 'protobufjs/minimal.js';
import { describe, messageOf } from '../errors.js';
import { tensorboard } from '../proto/tensorboard.js';
import { checkStep, checkWallTime, wellFormed } from './check-arguments.js';
import { sessionStatuses } from './encode-event.js';
import type { TensorBoardEvent } from './event.js';

/** The members of an event's oneof: an event holds one of these, or none. */
const members = ['fileVersion', 'graph', 'metaGraph', 'runMetadata', 'logMessage', 'sessionLog', 'summary'] as const;

/**
 * Throws if the dashboard of a plugin could not decode the content that a summary's metadata holds for it: the dashboard
 * would then fail for the whole logdir.
 */
type ContentCheck = (plugin: string, content: Uint8Array) => void;

/**
 * The event in a form that no loader stumbles over: text is repaired, and everything else that would stop a loader is
 * refused.
 *
 * @param checkContent checks what summaries hold for their plugins, which this room knows nothing of
 * @throws TypeError or RangeError that names the field
 */
export function checkEvent(event: TensorBoardEvent, checkContent: ContentCheck): TensorBoardEvent {
  if (typeof event !== 'object' || event === null) {
    throw new TypeError(`addEvent: expected an event as readEvents yields it, got ${describe(event)}`);
  }
  checkWallTime(event.wallTime, 'addEvent');
  checkStep(event.step, 'addEvent');
  const given = members.filter((member) => event[member] !== undefined);
  if (given.length > 1) {
    throw new TypeError(`addEvent: expected an event that holds one thing, got ${given.join(' and ')}`);
  }
  const { sessionLog, logMessage, runMetadata, summary } = event;
  for (const [name, bytes] of [
    ['graph', event.graph],
    ['metaGraph', event.metaGraph],
    ['runMetadata.bytes', runMetadata?.bytes],
  ] as const) {
    if (bytes !== undefined && !(bytes instanceof Uint8Array)) {
      throw new TypeError(`addEvent: expected ${name} to be a Uint8Array, got ${describe(bytes)}`);
    }
  }
  if (sessionLog !== undefined && !sessionStatuses.includes(sessionLog.status)) {
    const expected = `addEvent: expected sessionLog.status to be one of ${sessionStatuses.join(', ')}`;
    throw new TypeError(`${expected}, got ${describe(sessionLog.status)}`);
  }
  if (logMessage !== undefined && !Number.isInteger(logMessage.level)) {
    throw new TypeError(`addEvent: expected logMessage.level to be an integer, got ${describe(logMessage.level)}`);
  }
  for (const { tag, raw } of summary ?? []) checkSummary(tag, raw, checkContent);
  return {
    ...event,
    ...text(event, 'fileVersion'),
    ...text(event, 'sourceWriter'),
    ...(sessionLog && {
      sessionLog: { ...sessionLog, ...text(sessionLog, 'checkpointPath'), ...text(sessionLog, 'message') },
    }),
    ...(logMessage && { logMessage: { ...logMessage, ...text(logMessage, 'message') } }),
    ...(runMetadata && { runMetadata: { ...runMetadata, ...text(runMetadata, 'tag') } }),
  };
}

function checkSummary(tag: string, raw: Uint8Array, checkContent: ContentCheck): void {
  const call = `addEvent ${JSON.stringify(tag)}`;
  if (!(raw instanceof Uint8Array)) {
    throw new TypeError(`${call}: expected raw to be the bytes of a Summary.Value, got ${describe(raw)}`);
  }
  try {
    checkMessage(protobuf.Reader.create(raw), raw.length, summaryValue, 0);
    const pluginData = tensorboard.Summary.Value.decode(raw).metadata?.pluginData;
    if (pluginData?.content) checkContent(pluginData.pluginName ?? '', pluginData.content);
  } catch (cause) {
    throw new TypeError(`${call}: TensorBoard could not decode raw as a Summary.Value: ${messageOf(cause)}`, { cause });
  }
}

/** The text under `key`, repaired. Returns undefined if there is none. */
function text<K extends string>(holder: { [key in K]?: string }, key: K): { [key in K]?: string } | undefined {
  const value = holder[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'string')
    throw new TypeError(`addEvent: expected ${key} to be a string, got ${describe(value)}`);
  return { [key]: wellFormed(value) } as { [k in K]?: string };
}

/** How a field is stored, or the message it holds. Packed numbers may also be stored one by one, as their own wire type. */
type Field = 'varint' | 'fixed64' | 'fixed32' | 'bytes' | 'text' | Packed | Message;
interface Packed {
  packed: 'varint' | 'fixed64' | 'fixed32';
}
interface Message {
  fields: Record<number, Field>;
}

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, text: 2, fixed32: 5 } as const;
/** Rust's decoder takes messages nested up to 100 deep. */
const maxDepth = 64;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

const packedVarint: Packed = { packed: 'varint' };
const packedFloat: Packed = { packed: 'fixed32' };
const packedDouble: Packed = { packed: 'fixed64' };
const shape: Message = {
  fields: { 2: { fields: { 1: 'varint', 2: 'text' } }, 3: 'varint' },
};
const tensor: Message = {
  fields: {
    1: 'varint',
    2: shape,
    3: 'varint',
    4: 'bytes',
    5: packedFloat,
    6: packedDouble,
    7: packedVarint,
    8: 'bytes',
    9: packedFloat,
    10: packedVarint,
    11: packedVarint,
    12: packedDouble,
    13: packedVarint,
    14: {
      fields: { 1: 'text', 2: 'text', 3: 'text', 4: 'varint', 5: 'text', 6: { fields: { 1: 'varint', 2: shape } } },
    },
    16: packedVarint,
    17: packedVarint,
    18: 'bytes',
  },
};
tensor.fields[15] = { fields: { 1: 'text', 2: 'bytes', 3: tensor } };

/**
 * Summary.Value with everything that TensorBoard itself decodes of it.
 * Source: tensorboard/compat/proto/{summary,histogram,tensor,tensor_shape,resource_handle}.proto
 */
const summaryValue: Message = {
  fields: {
    1: 'text',
    2: 'fixed32',
    3: 'bytes',
    4: { fields: { 1: 'varint', 2: 'varint', 3: 'varint', 4: 'bytes' } },
    5: {
      fields: {
        1: 'fixed64',
        2: 'fixed64',
        3: 'fixed64',
        4: 'fixed64',
        5: 'fixed64',
        6: packedDouble,
        7: packedDouble,
      },
    },
    6: { fields: { 1: 'fixed32', 2: 'varint', 3: 'varint', 4: 'bytes', 5: 'text' } },
    7: 'text',
    8: tensor,
    9: { fields: { 1: { fields: { 1: 'text', 2: 'bytes' } }, 2: 'text', 3: 'text', 4: 'varint' } },
  },
};

/**
 * Checks one message up to `end`. protobufjs forgives what stops TensorBoard's loaders: text that is not UTF-8, and known
 * fields that are stored as another type.
 *
 * @throws Error that says what is wrong
 */
function checkMessage(reader: protobuf.Reader, end: number, message: Message, depth: number): void {
  if (depth > maxDepth) throw new Error(`messages are nested more than ${maxDepth} deep`);
  while (reader.pos < end) {
    const key = reader.tag();
    const number = key >>> 3;
    const wireType = key & 7;
    const field = message.fields[number];
    if (field === undefined) reader.skipType(wireType, depth, number);
    else checkField(reader, number, wireType, field, depth);
  }
  if (reader.pos !== end) throw new Error('a field runs past the end of its message');
}

function checkField(reader: protobuf.Reader, number: number, wireType: number, field: Field, depth: number): void {
  if (typeof field === 'string') {
    if (wireType !== wireTypes[field]) throw new Error(`field ${number} is not stored as ${field}`);
    if (field === 'text') strictUtf8.decode(reader.bytes());
    else reader.skipType(wireType);
    return;
  }
  if ('packed' in field && wireType === wireTypes[field.packed]) {
    reader.skipType(wireType);
    return;
  }
  if (wireType !== 2) throw new Error(`field ${number} is stored as another type`);
  const size = reader.size();
  const end = reader.pos + size;
  if (end > reader.len) throw new Error(`field ${number} runs past the end`);
  if ('fields' in field) {
    checkMessage(reader, end, field, depth + 1);
    return;
  }
  while (reader.pos < end) reader.skipType(wireTypes[field.packed]);
  if (reader.pos !== end) throw new Error(`field ${number} ends within a number`);
}

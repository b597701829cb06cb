/**
 * What `addEvent` lets through. An event of a caller's own is written as it is, so it is checked against everything that
 * would stop one of TensorBoard's loaders, or keep a dashboard from showing other events.
 */
import { lazy } from '../encoding/bytes.js';
import { decodeMessage, encodeMessage } from '../encoding/message-codec.js';
import { WireReader, WireType, wellFormed } from '../encoding/protobuf.js';
import { checkAttached, describe, messageOf } from '../errors.js';
import { tensorboard } from '../proto/tensorboard.js';
import { checkEventBytes, checkStep, checkTag, checkWallTime, maxTextLength } from './check-arguments.js';
import { sessionStatuses } from './encode-event.js';
import type { TensorBoardEvent } from './event.js';
import { checkMessage, type MessageName } from './messages.js';

/** The members of an event's oneof: an event holds one of these, or none. */
const members = ['fileVersion', 'graph', 'metaGraph', 'runMetadata', 'logMessage', 'sessionLog', 'summary'] as const;

/** The members of a Summary.Value's oneof, by number. */
const valueMembers = [2, 3, 4, 5, 6, 8];

/** A summary as it is stored, for checks that need to know its plugin. */
export interface StoredSummary {
  /** The tag. */
  readonly tag: string;
  /** What the summary says of its tag; undefined if it says nothing, as all summaries of a tag but the first. */
  readonly metadata: tensorboard.SummaryMetadata | undefined;
  /** Number of the field that holds the value: 2 simple_value, 3 old histogram, 4 image, 5 histo, 6 audio, 8 tensor; 0 if there is none. */
  readonly field: number;
  /** What the field holds, if it is a message or bytes. */
  readonly bytes: Uint8Array;
}

/**
 * The event in a form that no loader stumbles over: text is repaired, and everything else that would stop a loader or a
 * dashboard is refused.
 *
 * @param checkSummaries checks what only plugins know of the summaries; throws if one of them would do harm
 * @throws TypeError or RangeError that names the field
 */
export function checkEvent(
  event: TensorBoardEvent,
  checkSummaries: (summaries: readonly StoredSummary[]) => void,
): TensorBoardEvent {
  if (typeof event !== 'object' || event === null) {
    throw new TypeError(`addEvent: expected an event as readEvents yields it, got ${describe(event)}`);
  }
  checkWallTime(event.wallTime, 'addEvent');
  checkStep(event.step, 'addEvent');
  const given = members.filter((member) => event[member] !== undefined);
  if (given.length > 1) {
    throw new TypeError(`addEvent: expected an event that holds one thing, got ${given.join(' and ')}`);
  }
  if (event.summary !== undefined && !Array.isArray(event.summary)) {
    throw new TypeError(`addEvent: expected summary to be an array, got ${describe(event.summary)}`);
  }
  const { sessionLog, logMessage, runMetadata, summary } = event;
  checkEventBytes(bytesOf(event), 'addEvent');
  if (event.graph !== undefined) {
    checkBytes(event.graph, 'graph', 'GraphDef');
    checkSummaries([blobSummary('__run_graph__', 'graphs')]);
  }
  if (event.metaGraph !== undefined) checkBytes(event.metaGraph, 'metaGraph', 'MetaGraphDef');
  if (runMetadata !== undefined) {
    checkTag(runMetadata.tag, 'addEvent runMetadata');
    checkBytes(runMetadata.bytes, 'runMetadata.bytes', 'RunMetadata');
    checkSummaries([blobSummary(runMetadata.tag, 'graph_tagged_run_metadata')]);
  }
  if (sessionLog !== undefined && !sessionStatuses.includes(sessionLog.status)) {
    const expected = `addEvent: expected sessionLog.status to be one of ${sessionStatuses.join(', ')}`;
    throw new TypeError(`${expected}, got ${describe(sessionLog.status)}`);
  }
  if (logMessage !== undefined && !Number.isInteger(logMessage.level)) {
    throw new TypeError(`addEvent: expected logMessage.level to be an integer, got ${describe(logMessage.level)}`);
  }
  if (summary !== undefined) checkSummaries(summary.map(storedSummary));
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

/** About how many bytes the event takes. */
function bytesOf({ graph, metaGraph, runMetadata, summary }: TensorBoardEvent): number {
  const parts = [graph, metaGraph, runMetadata?.bytes, ...(summary ?? []).map(({ raw }) => raw)];
  return parts.reduce((bytes, part) => bytes + (part?.length ?? 0), 0);
}

function checkBytes(bytes: unknown, option: string, name: MessageName): void {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`addEvent: expected ${option} to be a Uint8Array, got ${describe(bytes)}`);
  }
  checkAttached(bytes, `addEvent, ${option}`);
  try {
    checkMessage(name, bytes);
  } catch (cause) {
    throw new TypeError(
      `addEvent: expected ${option} to be a ${name} that TensorBoard can decode, got ${bytes.length} bytes: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** What the loaders make of an event that is no summary: a summary of one string, of which the content does not matter here. */
function blobSummary(tag: string, pluginName: string): StoredSummary {
  const metadata = new tensorboard.SummaryMetadata({ pluginData: { pluginName }, dataClass: 3 });
  const tensor = { dtype: 7, tensorShape: { dim: [{ size: 1 }] }, stringVal: [empty] };
  return { tag, metadata, field: 8, bytes: encodeMessage(tensorboard.TensorProto, tensor) };
}

/** The error for a summary that would stop a loader or a dashboard. */
export function harmful(tag: string, cause: unknown): TypeError {
  const expected = `addEvent ${JSON.stringify(tag)}: expected a summary that TensorBoard can decode`;
  return new TypeError(`${expected}, got one that it cannot: ${messageOf(cause)}. Leave the event out`, { cause });
}

/** Takes a summary apart, after a check that TensorBoard's parsers would read it in the same way. */
function storedSummary({ tag: name, raw }: { tag: string; raw: Uint8Array }): StoredSummary {
  if (!(raw instanceof Uint8Array)) {
    throw new TypeError(
      `addEvent ${JSON.stringify(name)}: expected raw to be the bytes of a Summary.Value, got ${describe(raw)}`,
    );
  }
  checkAttached(raw, `addEvent ${JSON.stringify(name)}, raw`);
  let tag = '';
  let metadata: tensorboard.SummaryMetadata | undefined;
  let field = 0;
  let bytes = empty;
  try {
    checkMessage('Summary.Value', raw);
    const wire = new WireReader();
    wire.open(raw, 0, raw.length);
    while (wire.field()) {
      const { number, wireType } = wire;
      wire.skip();
      const contents = wireType === WireType.bytes ? raw.subarray(wire.rangeStart, wire.rangeEnd) : empty;
      if (number === 1) tag = utf8().decode(contents);
      else if (number === 9) metadata = decodeMetadata(contents);
      else if (valueMembers.includes(number)) {
        if (field !== 0) throw new RangeError(`it holds two values, in the fields ${field} and ${number}`);
        field = number;
        bytes = contents;
      }
    }
    if (tag === '') throw new RangeError('it has no tag');
  } catch (cause) {
    throw harmful(name, cause);
  }
  return { tag, metadata, field, bytes };
}

function decodeMetadata(bytes: Uint8Array): tensorboard.SummaryMetadata {
  if (bytes.length > maxTextLength) throw new RangeError(`it has ${bytes.length} bytes of metadata`);
  return decodeMessage(tensorboard.SummaryMetadata, bytes);
}

const utf8 = /* @__PURE__ */ lazy(() => new TextDecoder('utf-8', { ignoreBOM: true }));
const empty: Uint8Array = new Uint8Array(0);

/** The text under `key`, repaired. Returns undefined if there is none. */
function text<K extends string>(holder: { [key in K]?: string }, key: K): { [key in K]?: string } | undefined {
  const value = holder[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'string')
    throw new TypeError(`addEvent: expected ${key} to be a string, got ${describe(value)}`);
  return { [key]: wellFormed(value) } as { [k in K]?: string };
}

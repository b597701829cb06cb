import { equalBytes } from '../encoding/bytes.js';
import { decodeMessage, readUtf8, WireReader, WireType } from '../encoding/protobuf.js';
import { messageOf } from '../errors.js';
import { readStep } from '../event/encode-event.js';
import type { DecodedSummary, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { decodeSummaryValue, pluginByField } from '../summaries/plugins.js';
import { type KnownTag, TagTable } from './read-tags.js';

const { LogMessage, SessionLog, SourceMetadata, SummaryMetadata, TaggedRunMetadata } = tensorboard;

/** More summaries in one event are refused: two bytes of a file are enough for one that takes hundreds in memory. */
const maxSummaries = 2 ** 20;
const sessionStatuses = ['unspecified', 'start', 'stop', 'checkpoint'] as const;
const absent: Uint8Array = new Uint8Array(0);

/**
 * Turns the records of one run into events. It remembers which plugin draws which tag, so a run's files go through one
 * decoder, in order.
 *
 * The records of scalars, of which a file may hold millions, are read field by field here; everything else is left to
 * protobufjs and `src/summaries`.
 */
export class EventDecoder {
  readonly #tags: TagTable;
  /** One cursor per level of nesting. */
  readonly #event = new WireReader();
  readonly #summary = new WireReader();
  readonly #value = new WireReader();
  readonly #tensor = new WireReader();

  /** @param wanted tells which tags to decode; the others are passed over */
  constructor(wanted: (tag: string) => boolean = () => true) {
    this.#tags = new TagTable(wanted);
  }

  /**
   * The event in `stored[start, end)`; undefined when it holds nothing but summaries of tags that are not wanted.
   * What it returns shares no memory with `stored`.
   *
   * @throws Error when the bytes are not an event, or one of its summaries contradicts itself (then its tag is named)
   */
  decode(stored: Uint8Array, start: number, end: number): TensorBoardEvent | undefined {
    // The slices of a Node Buffer are views, and nothing of an event may be.
    const bytes =
      stored.constructor === Uint8Array ? stored : new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    const wire = this.#event;
    const event: TensorBoardEvent = { wallTime: 0, step: 0 };
    /** Field number of the oneof's member that came last: it is the one that counts. */
    let what = 0;
    let found = 0;
    wire.open(bytes, start, end);
    while (wire.field()) {
      const { number, wireType } = wire;
      if (wireType === WireType.bytes && number >= 3 && number <= 10) {
        wire.range();
        if (number !== what && number !== 10) {
          if (what !== 0) clearMember(event);
          what = number;
        }
        if (number === 5) found += this.#readSummary(event, bytes, wire.rangeStart, wire.rangeEnd);
        else readMember(event, number, bytes.slice(wire.rangeStart, wire.rangeEnd));
      } else if (number === 1 && wireType === WireType.fixed64) {
        event.wallTime = wire.double();
      } else if (number === 2 && wireType === WireType.varint) {
        wire.varint();
        event.step = readStep(wire.low, wire.high);
      } else {
        wire.skip();
      }
    }
    return what === 5 && found > 0 && event.summary?.length === 0 ? undefined : event;
  }

  /** Appends the wanted values of a Summary; returns how many values it holds. */
  #readSummary(event: TensorBoardEvent, bytes: Uint8Array, start: number, end: number): number {
    const wire = this.#summary;
    const summary = (event.summary ??= []);
    let found = 0;
    wire.open(bytes, start, end);
    while (wire.field()) {
      if (wire.number !== 1 || wire.wireType !== WireType.bytes) {
        wire.skip();
        continue;
      }
      wire.range();
      found++;
      const decoded = this.#readValue(bytes, wire.rangeStart, wire.rangeEnd);
      if (decoded === undefined) continue;
      if (summary.length === maxSummaries) throw new RangeError(`an event of more than ${maxSummaries} summaries`);
      summary.push(decoded);
    }
    return found;
  }

  #readValue(bytes: Uint8Array, start: number, end: number): DecodedSummary | undefined {
    const wire = this.#value;
    let tagStart = start;
    let tagEnd = start;
    let metadataStart = -1;
    let metadataEnd = -1;
    let field = 0;
    let valueStart = start;
    let valueEnd = start;
    let simpleValue = 0;
    wire.open(bytes, start, end);
    while (wire.field()) {
      const { number, wireType } = wire;
      if (number === 2 && wireType === WireType.fixed32) {
        simpleValue = wire.float();
        field = 2;
        continue;
      }
      wire.skip();
      if (wireType !== WireType.bytes) continue;
      if (number === 1) {
        tagStart = wire.rangeStart;
        tagEnd = wire.rangeEnd;
      } else if (number === 9) {
        metadataStart = wire.rangeStart;
        metadataEnd = wire.rangeEnd;
      } else if (number === 8 || (number >= 3 && number <= 6)) {
        field = number;
        valueStart = wire.rangeStart;
        valueEnd = wire.rangeEnd;
      }
    }
    const known = this.#tags.find(bytes, tagStart, tagEnd);
    if (!known.wanted) return undefined;
    try {
      if (metadataStart >= 0) this.#readMetadata(known, bytes, metadataStart, metadataEnd);
      const raw = bytes.slice(start, end);
      const plugin = known.plugin || pluginByField[field] || '';
      let value: SummaryValue | undefined;
      if (field === 2) value = simpleValue;
      else if (field === 8 && plugin === 'scalars') value = this.#readFloat(bytes, valueStart, valueEnd);
      value ??= decodeSummaryValue(
        { plugin, content: known.content },
        { field, bytes: raw.subarray(valueStart - start, valueEnd - start) },
      );
      if (metadataStart < 0) return { tag: known.tag, plugin, value, raw };
      const { displayName, description } = known;
      return {
        tag: known.tag,
        plugin,
        ...(displayName ? { displayName } : undefined),
        ...(description ? { description } : undefined),
        value,
        raw,
      };
    } catch (cause) {
      throw new RangeError(`summary "${shorten(known.tag)}": ${messageOf(cause)}`, { cause });
    }
  }

  /** The first plugin named is the tag's; the texts are those of the record at hand. TF2 repeats all of it every time. */
  #readMetadata(known: KnownTag, bytes: Uint8Array, start: number, end: number): void {
    if (equalBytes(known.metadata, bytes, start, end)) return;
    const stored = bytes.slice(start, end);
    const { pluginData, displayName, summaryDescription } = decodeMessage(SummaryMetadata, stored);
    known.metadata = stored;
    known.displayName = displayName ?? '';
    known.description = summaryDescription ?? '';
    if (known.plugin === '' && pluginData?.pluginName) {
      this.#tags.keep(known);
      known.plugin = pluginData.pluginName;
      known.content = pluginData.content ?? absent;
    }
  }

  /** The number in a float32 tensor of rank 0, as scalars have it; undefined for every other tensor. */
  #readFloat(bytes: Uint8Array, start: number, end: number): number | undefined {
    const wire = this.#tensor;
    let isFloat = false;
    let value: number | undefined;
    wire.open(bytes, start, end);
    while (wire.field()) {
      const { number, wireType } = wire;
      if (number === 1 && wireType === WireType.varint) {
        wire.varint();
        isFloat = wire.low === tensorboard.DataType.DT_FLOAT;
      } else if (number === 2 && wireType === WireType.bytes) {
        wire.range();
        if (wire.rangeEnd !== wire.rangeStart) return undefined;
      } else if ((number === 4 || number === 5) && wireType === WireType.bytes && value === undefined) {
        // tensor_content, or float_val packed: the same four bytes.
        wire.range();
        if (wire.rangeEnd - wire.rangeStart !== 4) return undefined;
        wire.position = wire.rangeStart;
        value = wire.float();
      } else {
        return undefined;
      }
    }
    return isFloat ? value : undefined;
  }
}

/** A later member of the oneof replaces an earlier one. */
function clearMember(event: TensorBoardEvent): void {
  const { wallTime, step, sourceWriter } = event;
  for (const key of Object.keys(event)) delete event[key as keyof TensorBoardEvent];
  Object.assign(event, { wallTime, step }, sourceWriter === undefined ? undefined : { sourceWriter });
}

function readMember(event: TensorBoardEvent, number: number, bytes: Uint8Array): void {
  switch (number) {
    case 3:
      event.fileVersion = readUtf8(bytes, 0, bytes.length);
      break;
    case 4:
      event.graph = bytes;
      break;
    case 6: {
      const { level, message } = decodeMessage(LogMessage, bytes);
      event.logMessage = { level: level ?? 0, message: message ?? '' };
      break;
    }
    case 7: {
      const { status, checkpointPath, msg } = decodeMessage(SessionLog, bytes);
      event.sessionLog = {
        status: sessionStatuses[status ?? 0] ?? 'unspecified',
        ...(checkpointPath ? { checkpointPath } : undefined),
        ...(msg ? { message: msg } : undefined),
      };
      break;
    }
    case 8: {
      const { tag, runMetadata } = decodeMessage(TaggedRunMetadata, bytes);
      event.runMetadata = { tag: tag ?? '', bytes: runMetadata ?? absent };
      break;
    }
    case 9:
      event.metaGraph = bytes;
      break;
    case 10:
      event.sourceWriter = decodeMessage(SourceMetadata, bytes).writer ?? '';
      break;
  }
}

function shorten(tag: string): string {
  return tag.length > 80 ? `${tag.slice(0, 77)}...` : tag;
}

/**
 * From the payload of a record to a TensorBoardEvent. A scalar's event, of which a file may hold millions, is read field by
 * field here; a tensor of another plugin goes to `summaries/plugins.ts` and everything else to `encoding/message-codec.ts`.
 */
import { equalBytes, fromLittleEndian } from '../encoding/bytes.js';
import { decodeMessage } from '../encoding/message-codec.js';
import { MalformedMessageError, readUtf8, WireReader, WireType } from '../encoding/protobuf.js';
import { messageOf } from '../errors.js';
import { readStep, sessionStatuses } from '../event/encode-event.js';
import type { DecodedSummary, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { decodeSummaryValue, pluginByField } from '../summaries/plugins.js';
import { textOf } from '../summaries/tensor.js';
import { ReadTags } from './read-tags.js';

const DataType = tensorboard.DataType;
const LogMessage = tensorboard.LogMessage;
const SessionLog = tensorboard.SessionLog;
const SourceMetadata = tensorboard.SourceMetadata;
const TaggedRunMetadata = tensorboard.TaggedRunMetadata;

/** More summaries of one event are left out: two bytes of a file can stand for a summary of hundreds of bytes in memory. */
const maxSummaries = 2 ** 17;
const absent: Uint8Array<ArrayBuffer> = new Uint8Array(0);
/** Histograms without their bytes share memory of so many bytes: to make and drop an array of its own takes longer than all else. */
const sharedBytes = 2 ** 13;
/** Longer ones have memory of their own. */
const mostShared = 2 ** 11;
/** The shape of a histogram, [k, 3]; the k, at 3, is put in. */
const histogramShape: Uint8Array = Uint8Array.of(0x12, 2, 8, 0, 0x12, 2, 8, 3);

/**
 * Turns the records of one run into events. It remembers which plugin draws which tag, so all files of a run go through
 * one decoder, in order.
 */
export class EventDecoder {
  readonly #tags: ReadTags;
  readonly #keepsRaw: boolean;
  /** One cursor per level of nesting. */
  readonly #event = new WireReader();
  readonly #summary = new WireReader();
  readonly #value = new WireReader();
  readonly #tensor = new WireReader();
  /** What histograms share, and how much of it is taken. */
  #shared: Uint8Array<ArrayBuffer> = absent;
  #taken = 0;
  /** How many summaries of the current event are left out. */
  #leftOut = 0;

  /**
   * @param wanted whether a tag's summaries are decoded; those of other tags are left out
   * @param keepsRaw whether summaries keep their bytes; if not, `raw` is empty, and histograms share memory with those around them
   */
  constructor(wanted: (tag: string) => boolean = () => true, keepsRaw = true) {
    this.#tags = new ReadTags(wanted);
    this.#keepsRaw = keepsRaw;
  }

  /**
   * Decodes the event in `stored[start, end)`. Returns undefined if the event holds nothing but summaries of tags that
   * are not wanted. The event shares no memory with `stored`, nor with other events if summaries keep their bytes.
   *
   * A summary whose value cannot be decoded has an UndecodedValue, and so has one without a tag that stands behind the
   * others for those that are too many for one event.
   *
   * @throws MalformedMessageError if the bytes are not an event (the message names the tag of the summary that is malformed)
   */
  decode(stored: Uint8Array, start: number, end: number): TensorBoardEvent | undefined {
    // The slices of a Node Buffer are views, and nothing of an event may be.
    const bytes =
      stored.constructor === Uint8Array ? stored : new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    const wire = this.#event;
    let event: TensorBoardEvent = { wallTime: 0, step: 0 };
    /** Field number of the member of the oneof that came last: it is the one that counts. */
    let member = 0;
    let found = 0;
    this.#leftOut = 0;
    wire.open(bytes, start, end);
    while (wire.field()) {
      const { number, wireType } = wire;
      if (wireType === WireType.bytes && number >= 3 && number <= 10) {
        wire.range();
        if (number !== member && number !== 10) {
          if (member !== 0) event = withoutMember(event);
          member = number;
          this.#leftOut = 0;
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
    if (this.#leftOut > 0) {
      const undecoded = `${this.#leftOut} summaries are left out of an event of more than ${maxSummaries}`;
      event.summary?.push({ tag: '', plugin: '', value: { undecoded }, raw: absent });
    }
    return member === 5 && found > 0 && event.summary?.length === 0 ? undefined : event;
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
      if (summary.length < maxSummaries) summary.push(decoded);
      else this.#leftOut++;
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
      const v1 = pluginByField[field];
      if (metadataStart >= 0) this.#tags.addMetadata(known, bytes, metadataStart, metadataEnd, v1);
      const raw = this.#keepsRaw ? bytes.slice(start, end) : absent;
      const plugin = known.plugin || v1 || '';
      let value: SummaryValue | undefined;
      if (field === 2) value = simpleValue;
      else if (field === 8) value = this.#readTensor(plugin, bytes, valueStart, valueEnd);
      value ??= decodeOrExplain(
        { plugin, content: known.content },
        {
          field,
          bytes: this.#keepsRaw
            ? raw.subarray(valueStart - start, valueEnd - start)
            : bytes.slice(valueStart, valueEnd),
        },
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
      throw new MalformedMessageError(`summary "${shorten(known.tag)}": ${messageOf(cause)}`, { cause });
    }
  }

  /**
   * The value in `bytes[start, end)`, a tensor in the form that nearly all tensors of its plugin have: one number, one text, or the
   * buckets of a histogram. Returns undefined for every other tensor.
   */
  #readTensor(plugin: string, bytes: Uint8Array, start: number, end: number): SummaryValue | undefined {
    const wire = this.#tensor;
    let dtype = 0;
    let shape = 0;
    let shapeEnd = 0;
    let field = 0;
    let from = 0;
    let to = 0;
    wire.open(bytes, start, end);
    while (wire.field()) {
      const { number, wireType } = wire;
      wire.skip();
      if (wireType === WireType.bytes && number === 2 && shape === 0) {
        shape = wire.rangeStart;
        shapeEnd = wire.rangeEnd;
      } else if (wireType === WireType.bytes && field === 0) {
        field = number;
        from = wire.rangeStart;
        to = wire.rangeEnd;
      } else if (wireType === WireType.varint && number === 1) {
        dtype = wire.low;
      } else {
        return undefined;
      }
    }
    const length = to - from;
    if (shape === shapeEnd) {
      // tensor_content, or float_val packed: the same four bytes.
      if (plugin === 'scalars' && dtype === DataType.DT_FLOAT && (field | 1) === 5 && length === 4) {
        wire.position = from;
        return wire.float();
      }
      return plugin === 'text' && dtype === DataType.DT_STRING && field === 8
        ? { shape: [], strings: [textOf(bytes.subarray(from, to))] }
        : undefined;
    }
    const rows = bytes[shape + 3];
    histogramShape[3] = rows;
    return plugin === 'histograms' &&
      dtype === DataType.DT_DOUBLE &&
      field === 4 &&
      rows < 0x80 &&
      length === 24 * rows &&
      equalBytes(histogramShape, bytes, shape, shapeEnd)
      ? { buckets: this.#bucketsOf(bytes.subarray(from, to)) }
      : undefined;
  }

  #bucketsOf(stored: Uint8Array): Float64Array {
    const { length } = stored;
    if (this.#keepsRaw || length > mostShared) return new Float64Array(fromLittleEndian(stored, 8));
    if (this.#taken + length > this.#shared.length) {
      this.#shared = new Uint8Array(sharedBytes);
      this.#taken = 0;
    }
    const first = this.#taken;
    this.#taken += length;
    return new Float64Array(fromLittleEndian(stored, 8, this.#shared, first), first, length / 8);
  }
}

/**
 * The value of a summary, or why it has none. The record is sound either way, so the reader goes on behind it.
 *
 * @throws MalformedMessageError if the bytes are not the message they should be
 */
function decodeOrExplain(...stored: Parameters<typeof decodeSummaryValue>): SummaryValue {
  try {
    return decodeSummaryValue(...stored);
  } catch (cause) {
    if (cause instanceof MalformedMessageError) throw cause;
    return { undecoded: messageOf(cause) };
  }
}

/** The event without what an earlier member of the oneof has set: a later member replaces it. */
function withoutMember({ wallTime, step, sourceWriter }: TensorBoardEvent): TensorBoardEvent {
  return sourceWriter === undefined ? { wallTime, step } : { wallTime, step, sourceWriter };
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

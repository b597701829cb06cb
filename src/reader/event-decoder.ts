/**
 * From the payload of a record to a TensorBoardEvent. What a file may hold millions of is found by `record-forms.ts`; every
 * other event is read field by field here, its values by `summaries/plugins.ts` and everything else by `encoding/message-codec.ts`.
 */
import { decodeMessage } from '../encoding/message-codec.js';
import { MalformedMessageError, readUtf8, WireReader, WireType } from '../encoding/protobuf.js';
import { messageOf } from '../errors.js';
import { readStep, sessionStatuses } from '../event/encode-event.js';
import type { DecodedSummary, Step, SummaryValue, TensorBoardEvent } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { decodeSummaryValue, pluginByField } from '../summaries/plugins.js';
import { ReadTags } from './read-tags.js';
import type { RecordForms } from './record-forms.js';

const LogMessage = tensorboard.LogMessage;
const SessionLog = tensorboard.SessionLog;
const SourceMetadata = tensorboard.SourceMetadata;
const TaggedRunMetadata = tensorboard.TaggedRunMetadata;

/** More summaries of one event are left out: two bytes of a file can stand for a summary of hundreds of bytes in memory. */
const maxSummaries = 2 ** 17;
const absent: Uint8Array<ArrayBuffer> = new Uint8Array(0);
/**
 * Turns the records of one run into events. It remembers which plugin draws which tag, so all files of a run go through
 * one decoder, in order.
 */
export class EventDecoder {
  readonly #tags: ReadTags;
  #forms: RecordForms | undefined;
  readonly #keepsRaw: boolean;
  /** One cursor per level of nesting. */
  readonly #event = new WireReader();
  readonly #summary = new WireReader();
  readonly #value = new WireReader();
  /** How many summaries the current event has, wanted or not. */
  #found = 0;
  /** How many of them are left out because they are too many. */
  #leftOut = 0;

  /**
   * @param wanted whether a tag's summaries are decoded; those of other tags are left out
   * @param keepsRaw whether summaries keep their bytes; if not, `raw` is empty, and histograms share memory with those around them
   */
  constructor(wanted: (tag: string) => boolean = () => true, keepsRaw = true) {
    this.#tags = new ReadTags(wanted);
    this.#keepsRaw = keepsRaw;
  }

  /** Has records that differ from those before them in wall time, step and value alone read in a third of the time. */
  useForms(Forms: typeof RecordForms): RecordForms {
    return (this.#forms = new Forms(this.#tags, this.#keepsRaw));
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
    const similar = this.#forms?.read(bytes, start, end);
    if (similar !== undefined) return similar;
    const wire = this.#event;
    let wallTime = 0;
    let step: Step = 0;
    let summary: DecodedSummary[] | undefined;
    let others: OtherMembers | undefined;
    /** Field number of the member of the oneof that came last: it is the one that counts. */
    let member = 0;
    this.#found = 0;
    this.#leftOut = 0;
    wire.open(bytes, start, end);
    while (wire.field()) {
      const { number, wireType } = wire;
      if (wireType === WireType.bytes && number >= 3 && number <= 10) {
        wire.range();
        if (number !== member && number !== 10) {
          summary = undefined;
          if (others !== undefined) others = sourceWriterOf(others);
          member = number;
          this.#leftOut = 0;
        }
        if (number === 5) summary = this.#readSummary(summary, bytes, wire.rangeStart, wire.rangeEnd);
        else readMember((others ??= {}), number, bytes.slice(wire.rangeStart, wire.rangeEnd));
      } else if (number === 1 && wireType === WireType.fixed64) {
        wallTime = wire.double();
      } else if (number === 2 && wireType === WireType.varint) {
        wire.varint();
        step = readStep(wire.low, wire.high);
      } else {
        wire.skip();
      }
    }
    if (this.#leftOut > 0) {
      const undecoded = `${this.#leftOut} summaries are left out of an event of more than ${maxSummaries}`;
      summary?.push({ tag: '', plugin: '', value: { undecoded }, raw: absent });
    }
    if (summary === undefined) return { wallTime, step, ...others };
    if (this.#found > 0 && summary.length === 0) return undefined;
    if (summary.length === 1) this.#forms?.learn(bytes, end, summary[0]);
    // Made in one piece, which takes half of the memory of one to which the members are added.
    return others === undefined ? { wallTime, step, summary } : { wallTime, step, ...others, summary };
  }

  /** Adds the wanted values of a Summary to those of an earlier one. */
  #readSummary(summary: DecodedSummary[] | undefined, bytes: Uint8Array, start: number, end: number): DecodedSummary[] {
    const wire = this.#summary;
    wire.open(bytes, start, end);
    while (wire.field()) {
      if (wire.number !== 1 || wire.wireType !== WireType.bytes) {
        wire.skip();
        continue;
      }
      wire.range();
      this.#found++;
      const decoded = this.#readValue(bytes, wire.rangeStart, wire.rangeEnd);
      if (decoded === undefined) continue;
      // Most events have one: an array that it is pushed to has room for 17.
      if (summary === undefined) summary = [decoded];
      else if (summary.length < maxSummaries) summary.push(decoded);
      else this.#leftOut++;
    }
    return summary ?? [];
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
    const forms = this.#forms;
    const known =
      forms?.tag !== undefined && forms.tagStart === tagStart ? forms.tag : this.#tags.find(bytes, tagStart, tagEnd);
    if (!known.wanted) return undefined;
    try {
      const v1 = pluginByField[field];
      if (metadataStart >= 0) this.#tags.addMetadata(known, bytes, metadataStart, metadataEnd, v1);
      const raw = this.#keepsRaw ? bytes.slice(start, end) : absent;
      const plugin = this.#tags.pluginOf(known, v1);
      let value: SummaryValue | undefined;
      if (field === 2) value = simpleValue;
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

/** What an event may hold in the place of summaries, and its writer. */
type OtherMembers = Omit<TensorBoardEvent, 'wallTime' | 'step' | 'summary'>;

/** What remains when a later member of the oneof replaces an earlier one. */
function sourceWriterOf({ sourceWriter }: OtherMembers): OtherMembers | undefined {
  return sourceWriter === undefined ? undefined : { sourceWriter };
}

function readMember(event: OtherMembers, number: number, bytes: Uint8Array): void {
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

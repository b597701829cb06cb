/**
 * Scalars, of which a file may hold millions, decoded without an event for each. The records of a tag differ in wall time, step and
 * value alone: each is compared byte by byte with what one before it had besides, and one that differs is decoded as any other event.
 */
import { equalBytes, fnv1a } from '../encoding/bytes.js';
import { WireReader, WireType } from '../encoding/protobuf.js';
import type { Step, TensorBoardEvent } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import type { EventDecoder } from './event-decoder.js';

const DataType = tensorboard.DataType;

/** A scalar that was read, valid until the next one is. */
export interface Scalar {
  readonly tag: string;
  readonly step: Step;
  readonly value: number;
  /** Seconds since 1970. */
  readonly wallTime: number;
}

/** A record of a tag: wall time, step, `before`, value, `behind`. */
interface ScalarForm {
  readonly tag: string;
  readonly before: Uint8Array;
  readonly behind: Uint8Array;
  /** That of the scalar that came after the last one of this form. */
  next?: ScalarForm;
}

/** The key of a wall time and its 8 bytes, with which most records begin. */
const wallTimeBytes = 9;
const valueBytes = 4;
/** Longer records are not remembered, and not more forms than this: a file may hold many that never come again. */
const mostRecordBytes = 1024;
const mostForms = 2 ** 16;
/** Where hashes begin: nobody can choose tags that all have one. */
const seed = Math.floor(Math.random() * 2 ** 32);

/** Decodes events as an EventDecoder does, but is itself what most scalars are decoded to. */
export class ScalarDecoder implements Scalar {
  tag = '';
  step: Step = 0;
  // No integers from the beginning: the engine keeps such numbers in place.
  value: number = Number.NaN;
  wallTime: number = Number.NaN;

  readonly #events: EventDecoder;
  /** By the hash of their tags. Of forms with one hash the latest stays. */
  readonly #forms = new Map<number, ScalarForm>();
  /** The form of the last scalar. */
  #last: ScalarForm | undefined;
  readonly #wire = new WireReader();
  #viewed: Uint8Array | undefined;
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** @param events decodes the first records of each tag, and all that are no scalars */
  constructor(events: EventDecoder) {
    this.#events = events;
  }

  /**
   * Decodes the event in `bytes[start, end)`. Returns itself if it is a single scalar of the form that its tag had before.
   *
   * @throws MalformedMessageError as `EventDecoder.decode` does
   */
  decode(bytes: Uint8Array, start: number, end: number): TensorBoardEvent | this | undefined {
    let at = start + wallTimeBytes;
    if (bytes[start] !== 0x09 || at >= end) return this.#events.decode(bytes, start, end);
    let step = 0;
    if (bytes[at] === 0x10) {
      let byte = bytes[++at];
      step = byte & 0x7f;
      for (let scale = 2 ** 7; byte >= 0x80 && scale < 2 ** 35; scale *= 2 ** 7) {
        byte = bytes[++at];
        step += (byte & 0x7f) * scale;
      }
      at++;
      if (byte >= 0x80 || at >= end) return this.#events.decode(bytes, start, end);
    }
    let form = this.#last?.next;
    if (form === undefined || !hasForm(form, bytes, at, end)) {
      form = this.#forms.get(tagHash(bytes, at));
      if (form === undefined || !hasForm(form, bytes, at, end)) return this.#learn(bytes, start, at, end);
      this.#follow(form);
    }
    this.#last = form;
    if (bytes !== this.#viewed) {
      this.#viewed = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.tag = form.tag;
    this.step = step;
    this.value = this.#view.getFloat32(at + form.before.length, true);
    this.wallTime = this.#view.getFloat64(start + 1, true);
    return this;
  }

  /** Decodes any event, and remembers its form if it is a single scalar. @param rest where the bytes behind its step begin */
  #learn(bytes: Uint8Array, start: number, rest: number, end: number): TensorBoardEvent | undefined {
    const event = this.#events.decode(bytes, start, end);
    if (end - start > mostRecordBytes || event?.summary?.length !== 1) return event;
    const [{ tag, value }] = event.summary;
    const at = typeof value === 'number' ? valueIn(this.#wire, bytes, rest, end) : undefined;
    if (at === undefined) return event;
    if (this.#forms.size >= mostForms) {
      this.#forms.clear();
      this.#last = undefined;
    }
    // Slices of a Node Buffer would be views.
    const copy = (from: number, to: number) => new Uint8Array(bytes.subarray(from, to));
    const form = { tag, before: copy(rest, at), behind: copy(at + valueBytes, end) };
    this.#forms.set(tagHash(bytes, rest), form);
    this.#follow(form);
    this.#last = form;
    return event;
  }

  #follow(form: ScalarForm): void {
    if (this.#last !== undefined) this.#last.next = form;
  }
}

/** Whether `bytes[start, end)` is what a record of this form has behind its step. */
function hasForm({ before, behind }: ScalarForm, bytes: Uint8Array, start: number, end: number): boolean {
  const value = start + before.length;
  return equalBytes(before, bytes, start, value) && equalBytes(behind, bytes, value + valueBytes, end);
}

/** The hash of a summary's first tag, if the bytes from `at` on are a summary of one value that begins with it. */
function tagHash(bytes: Uint8Array, at: number): number {
  // The keys and lengths of summary and value, and the key of the tag.
  for (let level = 0; level < 2; level++) {
    at++;
    while (bytes[at] >= 0x80) at++;
    at++;
  }
  const first = bytes[++at];
  const length = first < 0x80 ? first : (first & 0x7f) | (bytes[++at] << 7);
  return fnv1a(bytes, at + 1, Math.min(at + 1 + length, bytes.length), seed);
}

/**
 * Where the four bytes of the value are in `bytes[start, end)`, if these are a summary of one scalar of 32 bits and nothing else;
 * undefined if they are not, or if something besides the value may decide what counts.
 */
function valueIn(wire: WireReader, bytes: Uint8Array, start: number, end: number): number | undefined {
  const summary = only(fieldsIn(wire, bytes, start, end), 5);
  const value = summary && only(fieldsIn(wire, bytes, summary.start, summary.end), 1);
  if (value === undefined) return undefined;
  const { 1: tag, 2: simple, 8: tensor, 9: metadata, ...others } = fieldsIn(wire, bytes, value.start, value.end) ?? {};
  if (tag?.wireType !== WireType.bytes || Object.keys(others).length > 0) return undefined;
  if (tensor === undefined) return simple?.wireType === WireType.fixed32 ? simple.start : undefined;
  if (simple !== undefined || tensor.wireType !== WireType.bytes) return undefined;
  const { 1: type, 2: shape, ...contents } = fieldsIn(wire, bytes, tensor.start, tensor.end) ?? {};
  // tensor_content, or float_val packed: the same four bytes.
  const floats = only(contents, 4) ?? only(contents, 5);
  const isFloat = type?.wireType === WireType.varint && bytes[type.start] === DataType.DT_FLOAT;
  return isFloat && floats !== undefined && floats.end - floats.start === valueBytes ? floats.start : undefined;
}

/** A field of a message: where its contents are. */
interface Field {
  readonly wireType: number;
  readonly start: number;
  readonly end: number;
}

type Fields = Readonly<Record<number, Field | undefined>>;

/** The field of bytes with this number, if there is no other. */
function only(fields: Fields | undefined, number: number): Field | undefined {
  const field = fields?.[number];
  return field?.wireType === WireType.bytes && Object.keys(fields!).length === 1 ? field : undefined;
}

/** The fields of the message in `bytes[start, end)`, by number; undefined if one is there twice. */
function fieldsIn(wire: WireReader, bytes: Uint8Array, start: number, end: number): Fields | undefined {
  const fields: Record<number, Field> = {};
  wire.open(bytes, start, end);
  while (wire.field()) {
    const { number, position, wireType } = wire;
    if (fields[number] !== undefined) return undefined;
    wire.skip();
    fields[number] = { wireType, start: wireType === WireType.bytes ? wire.rangeStart : position, end: wire.position };
  }
  return fields;
}

/**
 * Files hold millions of records that differ from one before them in wall time, step and value alone: scalars, histograms, texts.
 * What else a tag's last record had is remembered as bytes, its form, and compared with the next one's: a value is found in a third
 * of the time that walking the fields takes, and by so little code that it is compiled soon. Every other record is decoded by
 * `event-decoder.ts`.
 */
import { equalBytes } from '../encoding/bytes.js';
import { WireReader, WireType } from '../encoding/protobuf.js';
import type { DecodedSummary, HistogramValue, TensorBoardEvent, TextValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { textOf } from '../summaries/tensor.js';
import { FormKind, type ReadTag, type ReadTags, type RecordForm } from './read-tags.js';

const { DT_DOUBLE, DT_FLOAT, DT_STRING } = tensorboard.DataType;

/** Histograms without their bytes share memory of so many numbers: to make and drop an array of its own takes longer than all else. */
const sharedNumbers = 2 ** 10;
/** Longer ones have memory of their own. */
const mostShared = 2 ** 8;

const noBytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
/** Longer forms are not remembered. */
const mostBytes = 1024;

/** Finds the parts of a record of one summary if it has the form of its tag's record before it. */
export class RecordForms {
  /** Of the last record: its step, tag and bytes. The value is in `[from, to)`, what the summary keeps begins at `start`. */
  step = 0;
  /** Undefined if it is not known. */
  tag: ReadTag | undefined;
  /** -1 unless the last record is one summary, whose first field is a tag. */
  tagStart = -1;
  start = 0;
  from = 0;
  to = 0;

  readonly #tags: ReadTags;
  readonly #keepsRaw: boolean;
  /** The bytes that `#view` shows. */
  #viewed: Uint8Array = noBytes;
  #view: DataView = new DataView(noBytes.buffer);
  /** What histograms share, and how much of it is taken. */
  #shared = new Float64Array(0);
  #taken = 0;
  readonly #wire = new WireReader();
  #tagEnd = 0;
  /** Where the last length ends. */
  #at = 0;

  /** @param keepsRaw whether summaries keep their bytes; if not, histograms share memory with those around them */
  constructor(tags: ReadTags, keepsRaw: boolean) {
    this.#tags = tags;
    this.#keepsRaw = keepsRaw;
  }

  /**
   * Finds the parts of the event in `bytes[start, end)`. Returns undefined if it has not the form of its tag, or is no event.
   */
  match(bytes: Uint8Array, start: number, end: number): RecordForm | undefined {
    this.tag = undefined;
    this.tagStart = -1;
    // The key of a wall time and its 8 bytes, with which most records begin.
    if (bytes[start] !== 0x09) return undefined;
    let at = start + 9;
    let step = 0;
    if (bytes[at] === 0x10) {
      let byte = bytes[++at];
      step = byte & 0x7f;
      for (let scale = 2 ** 7; byte >= 0x80 && scale < 2 ** 35; scale *= 2 ** 7) {
        byte = bytes[++at];
        step += (byte & 0x7f) * scale;
      }
      at++;
      if (byte >= 0x80) return undefined;
    }
    this.step = step;
    if (bytes[at] !== 0x2a || this.#endOf(bytes, at + 1) !== end) return undefined;
    at = this.#at;
    if (bytes[at] !== 0x0a || this.#endOf(bytes, at + 1) !== end) return undefined;
    this.start = at = this.#at;
    if (bytes[at] !== 0x0a) return undefined;
    const tagEnd = this.#endOf(bytes, at + 1);
    if (tagEnd < 0 || tagEnd > end) return undefined;
    this.tagStart = this.#at;
    this.#tagEnd = tagEnd;
    this.tag = this.#tags.known(bytes, this.tagStart, tagEnd);
    const form = this.tag?.form;
    if (form === undefined) return undefined;
    const { head, isTensor, length, tail } = form;
    const to = end - tail.length;
    at = tagEnd;
    if (isTensor) {
      if (bytes[at] !== 0x42 || this.#endOf(bytes, at + 1) !== to) return undefined;
      at = this.#at;
    }
    let from = at + head.length;
    if (!equalBytes(head, bytes, at, from)) return undefined;
    if (isTensor) {
      if (this.#endOf(bytes, from) !== to) return undefined;
      from = this.#at;
    }
    if ((length >= 0 && length !== to - from) || !equalBytes(tail, bytes, to, end)) return undefined;
    this.from = from;
    this.to = to;
    return form;
  }

  /** The event in `bytes[start, end)`; undefined as from `match`. */
  read(bytes: Uint8Array, start: number, end: number): TensorBoardEvent | undefined {
    const form = this.match(bytes, start, end);
    return form && this.#readForm(form, bytes, start, end);
  }

  /** The event in `bytes[start, end)`, which has this form. */
  #readForm(form: RecordForm, bytes: Uint8Array, start: number, end: number): TensorBoardEvent {
    const { from, step, tag: known, to } = this;
    const { tag } = known as ReadTag;
    const view = this.viewOf(bytes);
    const value =
      form.kind === FormKind.scalar
        ? view.getFloat32(from, true)
        : form.kind === FormKind.histogram
          ? { buckets: this.#bucketsIn(view, from, form.length / 8) }
          : { shape: [], strings: [textOf(bytes.subarray(from, to))] };
    const raw = this.#keepsRaw ? bytes.slice(this.start, end) : noBytes;
    const plugin = this.#tags.pluginOf(known as ReadTag, form.isTensor ? undefined : 'scalars');
    const summary =
      form.described === undefined ? { tag, plugin, value, raw } : { tag, plugin, ...form.described, value, raw };
    return { wallTime: view.getFloat64(start + 1, true), step, summary: [summary] };
  }

  /** Shows numbers in bytes; one view for all that lie in the same ones. */
  viewOf(bytes: Uint8Array): DataView {
    if (bytes !== this.#viewed) {
      this.#viewed = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    return this.#view;
  }

  #bucketsIn(view: DataView, from: number, count: number): Float64Array {
    let target: Float64Array;
    if (this.#keepsRaw || count > mostShared) {
      target = new Float64Array(count);
    } else {
      if (this.#taken + count > this.#shared.length) {
        this.#shared = new Float64Array(sharedNumbers);
        this.#taken = 0;
      }
      target = this.#shared.subarray(this.#taken, (this.#taken += count));
    }
    for (let at = 0; at < count; at++) target[at] = view.getFloat64(from + 8 * at, true);
    return target;
  }

  /** Remembers the form of the last record, which ends at `end`, if what was decoded of it is a value that forms can have. */
  learn(bytes: Uint8Array, end: number, { value, displayName, description }: DecodedSummary): void {
    if (this.tagStart < 0) return;
    const wire = this.#wire;
    wire.open(bytes, this.#tagEnd, end);
    if (!wire.field()) return;
    const isTensor = wire.number === 8 && wire.wireType === WireType.bytes;
    if (!isTensor && (wire.number !== 2 || wire.wireType !== WireType.fixed32)) return;
    let headStart = this.#tagEnd;
    let headEnd = wire.position;
    wire.skip();
    const { position: to, rangeStart } = wire;
    // Behind the value nothing but metadata, once: whatever else there is may decide what counts.
    const hasTail = wire.field();
    if (hasTail) {
      if (wire.number !== 9) return;
      wire.skip();
      if (wire.position !== end) return;
    }
    let length = 4;
    let kind: RecordForm['kind'] = FormKind.scalar;
    if (isTensor) {
      let dtype = 0;
      let last = 0;
      headStart = rangeStart;
      wire.open(bytes, headStart, to);
      while (wire.field()) {
        const { number, position, wireType } = wire;
        // In their order, each once: type, shape, elements.
        if (number <= last || last > 2 || wireType !== (number === 1 ? WireType.varint : WireType.bytes)) return;
        last = number;
        headEnd = position;
        wire.skip();
        if (number === 1) dtype = wire.low;
      }
      length = to - wire.rangeStart;
      if (typeof value === 'number') {
        // tensor_content, or float_val packed: the same four bytes.
        if (dtype !== DT_FLOAT || (last | 1) !== 5 || length !== 4) return;
      } else if (last === 4 && dtype === DT_DOUBLE) {
        kind = FormKind.histogram;
        if (length === 0 || (value as Partial<HistogramValue>).buckets?.byteLength !== length) return;
      } else {
        const { shape, strings } = value as Partial<TextValue>;
        if (last !== 8 || dtype !== DT_STRING || shape?.length !== 0 || strings?.length !== 1) return;
        kind = FormKind.text;
        length = -1;
      }
    }
    if (headEnd - headStart + end - to > mostBytes) return;
    // Slices of a Node Buffer would be views.
    const copy = (from: number, end: number) => new Uint8Array(bytes.subarray(from, end));
    const described = hasTail
      ? { ...(displayName ? { displayName } : undefined), ...(description ? { description } : undefined) }
      : undefined;
    const tag = this.tag ?? this.#tags.find(bytes, this.tagStart, this.#tagEnd);
    tag.form = { kind, isTensor, head: copy(headStart, headEnd), tail: copy(to, end), length, described };
  }

  /** Where the bytes end whose length is the varint at `at`; -1 if that is none of a record's. `#at` is where they begin. */
  #endOf(bytes: Uint8Array, at: number): number {
    let byte = bytes[at++];
    let length = byte & 0x7f;
    for (let shift = 7; byte >= 0x80 && shift < 28; shift += 7) {
      byte = bytes[at++];
      length |= (byte & 0x7f) << shift;
    }
    this.#at = at;
    return byte < 0x80 ? at + length : -1;
  }
}

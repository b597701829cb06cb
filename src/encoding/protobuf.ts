/**
 * Protocol-buffer messages, read field by field through a cursor that allocates nothing (`WireReader`): for the few messages that a
 * file holds millions of, or whose claims are checked before anything is allocated. Whole messages of `src/proto` are written and
 * read by `message-codec.ts`.
 */
import { lazy } from './bytes.js';

/**
 * Bytes are not a protocol-buffer message, so that every parser refuses the record that holds them. Any other error of a
 * decoder means that a message is well-formed, and that what it says cannot be.
 */
export class MalformedMessageError extends RangeError {}

/**
 * Text with every lone surrogate replaced by U+FFFD. A lone surrogate has no UTF-8, and text that is not UTF-8 makes
 * TensorBoard's Rust loader give up the file, and its dashboards fail for all runs.
 */
export function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? new TextDecoder().decode(new TextEncoder().encode(text)) : text;
}

const utf8 = /* @__PURE__ */ lazy(() => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }));

/**
 * The text of a proto3 string field, `bytes[start, end)`.
 *
 * @throws MalformedMessageError if it is not UTF-8, which no protobuf parser accepts
 */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string {
  try {
    return utf8().decode(bytes.subarray(start, end));
  } catch (cause) {
    throw new MalformedMessageError('a text that is not UTF-8', { cause });
  }
}

/** How the contents of a field are stored: the lower three bits of the number in front of it. */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

const noBytes: Uint8Array = new Uint8Array(0);

/** Groups nested deeper than this are refused, as protobuf's own parsers do. */
const maxGroupDepth = 100;

/**
 * A cursor over one protocol-buffer message that allocates nothing per field. It refuses what protobuf's own parsers
 * refuse.
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * Every method throws MalformedMessageError if the message ends too early or is not well-formed.
 */
export class WireReader {
  /** Holds the message. */
  bytes: Uint8Array = noBytes;
  /** Position in `bytes` of the next byte to be read. */
  position = 0;
  /** Nothing at or after this position is read. */
  end = 0;
  /** Field number of the last `field()`. */
  number = 0;
  /** Wire type of the last `field()`. */
  wireType = 0;
  /** Low 32 bits of the last varint, unsigned. */
  low = 0;
  /** High 32 bits of the last varint, unsigned. */
  high = 0;
  /** Where the contents of the last `range()` begin. */
  rangeStart = 0;
  /** Where the contents of the last `range()` end. */
  rangeEnd = 0;
  /** Of `bytes`; most messages hold no number for which it is needed. */
  #view: DataView | undefined;

  /** Starts on the message in `bytes[start, end)`. */
  open(bytes: Uint8Array, start: number, end: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.#view = undefined;
    }
    this.position = start;
    this.end = end;
  }

  /** Reads the next field's number and wire type; returns false at the end of the message. */
  field(): boolean {
    if (this.position >= this.end) return false;
    const first = this.bytes[this.position];
    if (first < 0x80) {
      this.position++;
      this.number = first >>> 3;
      this.wireType = first & 7;
    } else {
      this.varint();
      if (this.high !== 0) throw new MalformedMessageError('a field number beyond 32 bits');
      this.number = this.low >>> 3;
      this.wireType = this.low & 7;
    }
    if (this.number === 0) throw new MalformedMessageError('a field with the number 0');
    return true;
  }

  /** Reads a varint into `low` and `high`. */
  varint(): void {
    const { bytes, end } = this;
    let { position } = this;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (position >= end) throw new MalformedMessageError('a number that is cut off');
      const byte = bytes[position++];
      if (shift < 28) {
        low |= (byte & 0x7f) << shift;
      } else if (shift === 28) {
        low |= (byte & 0x7f) << 28;
        high = (byte & 0x7f) >>> 4;
      } else {
        high |= (byte & 0x7f) << (shift - 32);
      }
      if (byte < 0x80) {
        this.position = position;
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new MalformedMessageError('a number of more than 10 bytes');
  }

  /** Reads a float64. */
  double(): number {
    const start = this.#advance(8);
    return this.#viewOfBytes().getFloat64(start, true);
  }

  /** Reads a float32. */
  float(): number {
    const start = this.#advance(4);
    return this.#viewOfBytes().getFloat32(start, true);
  }

  /** Steps over the contents of a string, bytes or message field; `rangeStart` and `rangeEnd` say where they are. */
  range(): void {
    let length: number;
    const first = this.position < this.end ? this.bytes[this.position] : 0x80;
    if (first < 0x80) {
      this.position++;
      length = first;
    } else {
      this.varint();
      length = this.low + this.high * 2 ** 32;
    }
    this.rangeStart = this.#advance(length);
    this.rangeEnd = this.position;
  }

  /** Steps over the contents of the last field. */
  skip(): void {
    this.#skip(this.wireType, this.number, 0);
  }

  #skip(wireType: number, number: number, depth: number): void {
    switch (wireType) {
      case WireType.varint:
        this.varint();
        return;
      case WireType.fixed64:
        this.#advance(8);
        return;
      case WireType.bytes:
        this.range();
        return;
      case WireType.fixed32:
        this.#advance(4);
        return;
      case WireType.startGroup:
        if (depth === maxGroupDepth) throw new MalformedMessageError(`groups nested deeper than ${maxGroupDepth}`);
        while (this.field()) {
          if (this.wireType !== WireType.endGroup) {
            this.#skip(this.wireType, this.number, depth + 1);
          } else if (this.number === number) {
            return;
          } else {
            throw new MalformedMessageError(`group ${number} ends as ${this.number}`);
          }
        }
        throw new MalformedMessageError(`group ${number} does not end`);
      default:
        throw new MalformedMessageError(`field ${number} has the wire type ${wireType}`);
    }
  }

  #viewOfBytes(): DataView {
    if (this.#view !== undefined) return this.#view;
    const { buffer, byteOffset, byteLength } = this.bytes;
    return (this.#view = new DataView(buffer, byteOffset, byteLength));
  }

  /** Steps over `length` bytes; returns where they begin. */
  #advance(length: number): number {
    const start = this.position;
    if (length > this.end - start)
      throw new MalformedMessageError(`a field of ${length} bytes where ${this.end - start} are left`);
    this.position = start + length;
    return start;
  }
}

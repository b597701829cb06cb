import { CorruptRecordError } from '../errors.js';
import { maskedCrc32c } from './crc32c.js';

/** Length (8 bytes, little-endian) and its masked CRC-32C (4 bytes) stand before a record's payload. */
const headerBytes = 12;
/** The payload's masked CRC-32C stands after it. */
const footerBytes = 4;
/** What is left over of one chunk is kept in a buffer that is let go when it is empty and larger than this. */
const keptCapacity = 1 << 20;

const empty = new Uint8Array(0);
/** The checksums of the lengths that most records have, once they have been computed. */
const lengthCrcs = new Float64Array(4096).fill(-1);

/**
 * The longest payload a reader accepts unless told otherwise: 1 GiB. Protocol buffers themselves end at 2 GiB, and a
 * length beyond the cap is far more often damage than an event.
 */
export const defaultMaxRecordBytes = 2 ** 30;

/**
 * Cuts a stream of bytes into TFRecord payloads, verifying both checksums of each:
 * `uint64 length | uint32 maskedCrc(length) | payload | uint32 maskedCrc(payload)`, all little-endian.
 * Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h
 *
 * It is a cursor: after `push(chunk)`, each `next()` that returns true has put the next payload at
 * `bytes[start, end)`, valid until the following `next()`. When it returns false the chunk is used up (what belongs to
 * an unfinished record has been copied, so the chunk may be overwritten) and another one is needed; `pendingBytes` then
 * tells whether the source would end inside a record. Nothing is allocated for a length that a record merely claims:
 * memory follows the bytes that have come.
 */
export class RecordReader {
  /** Holds the current payload. */
  bytes: Uint8Array = empty;
  /** Where the current payload begins in `bytes`. */
  start = 0;
  /** Where the current payload ends in `bytes`. */
  end = 0;
  /** Position in the source of the current record's first byte. */
  recordOffset: number;

  readonly #maxRecordBytes: number;
  readonly #file: string | undefined;
  /** Position in `bytes` of the next record's first byte. */
  #position = 0;
  /** Where what has come ends in `bytes`. */
  #filled = 0;
  /** Payload length of the next record once its header has been verified, else -1. */
  #payloadBytes = -1;
  #nextOffset: number;
  /** A buffer of ours for what is left over of a chunk; `bytes` is this one or the chunk. */
  #kept: Uint8Array = empty;

  /** @param options `offset`: position in the source of the first byte that will be pushed. `file` is named in errors. */
  constructor(options: { maxRecordBytes?: number; offset?: number; file?: string } = {}) {
    this.#maxRecordBytes = options.maxRecordBytes ?? defaultMaxRecordBytes;
    this.#nextOffset = options.offset ?? 0;
    this.recordOffset = this.#nextOffset;
    this.#file = options.file;
  }

  /** Position in the source of the first byte that no record has been made of yet. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Bytes that have come of a record that is not whole yet. */
  get pendingBytes(): number {
    return this.#filled - this.#position;
  }

  /** Takes the bytes that follow those pushed before. To be called only when `next()` has returned false. */
  push(chunk: Uint8Array): void {
    const pending = this.pendingBytes;
    if (pending === 0) {
      // Nothing is left over, so the chunk itself is read in place.
      this.bytes = chunk;
      this.#position = 0;
      this.#filled = chunk.length;
      if (this.#kept.length > keptCapacity) this.#kept = empty;
      return;
    }
    this.#keep(pending + chunk.length);
    this.bytes.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  /**
   * Moves to the next record; false when more bytes are needed.
   * @throws CorruptRecordError when a checksum does not match or the length is above the cap.
   */
  next(): boolean {
    const position = this.#position;
    const available = this.#filled - position;
    if (this.#payloadBytes < 0) {
      if (available < headerBytes) return this.#wait();
      this.#payloadBytes = this.#readHeader();
    }
    const payloadBytes = this.#payloadBytes;
    if (available < headerBytes + payloadBytes + footerBytes) return this.#wait();
    const start = position + headerBytes;
    const end = start + payloadBytes;
    const stored = readUint32(this.bytes, end);
    const computed = maskedCrc32c(this.bytes, start, end);
    if (stored !== computed) {
      throw this.#damage(
        `its ${payloadBytes} bytes of content have the checksum ${hex(computed)}, and ${hex(stored)} is stored`,
      );
    }
    this.start = start;
    this.end = end;
    this.recordOffset = this.#nextOffset;
    this.#position = end + footerBytes;
    this.#nextOffset += headerBytes + payloadBytes + footerBytes;
    this.#payloadBytes = -1;
    return true;
  }

  #damage(reason: string): CorruptRecordError {
    return new CorruptRecordError(reason, this.#nextOffset, this.#file);
  }

  #readHeader(): number {
    const { bytes } = this;
    const position = this.#position;
    const stored = readUint32(bytes, position + 8);
    const length = readUint32(bytes, position) + readUint32(bytes, position + 4) * 2 ** 32;
    if (length >= lengthCrcs.length || lengthCrcs[length] !== stored) {
      const computed = maskedCrc32c(bytes, position, position + 8);
      if (stored !== computed) {
        throw this.#damage(`its length has the checksum ${hex(computed)}, and ${hex(stored)} is stored`);
      }
      if (length < lengthCrcs.length) lengthCrcs[length] = stored;
    }
    if (length > this.#maxRecordBytes) {
      throw this.#damage(`it claims ${length} bytes, more than the ${this.#maxRecordBytes} that are accepted`);
    }
    return length;
  }

  #wait(): false {
    if (this.bytes !== this.#kept && this.pendingBytes > 0) this.#keep(this.pendingBytes);
    return false;
  }

  /** Moves the pending bytes to the front of a buffer of our own that has room for `total`. */
  #keep(total: number): void {
    const { bytes } = this;
    const pending = this.pendingBytes;
    const tooLarge = this.#kept.length > keptCapacity && total <= keptCapacity;
    if (this.#kept.length < total || tooLarge) {
      // Growing by half keeps the copying linear for a record that comes in many chunks.
      const growing = bytes === this.#kept && !tooLarge;
      this.#kept = new Uint8Array(growing ? Math.max(total, Math.ceil(bytes.length * 1.5)) : total);
    }
    if (bytes === this.#kept) bytes.copyWithin(0, this.#position, this.#filled);
    else this.#kept.set(bytes.subarray(this.#position, this.#filled));
    this.bytes = this.#kept;
    this.#position = 0;
    this.#filled = pending;
  }
}

function readUint32(bytes: Uint8Array, position: number): number {
  return (
    (bytes[position] | (bytes[position + 1] << 8) | (bytes[position + 2] << 16) | (bytes[position + 3] << 24)) >>> 0
  );
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

/** Length (8 bytes, little-endian) and its masked CRC-32C (4 bytes) stand before a record's payload. */
export const recordHeaderBytes = 12;
/** What a record takes beside its payload: the header, and the payload's masked CRC-32C after it. */
export const recordOverheadBytes = 16;

/** Masked CRCs of the lengths that most records have, 0 where not computed yet. */
const sealedLengthCrcs = new Uint32Array(4096);

/**
 * Completes a record whose payload already lies at `start + recordHeaderBytes`: writes the length and both checksums
 * around it, all little-endian: `uint64 length | uint32 maskedCrc(length) | payload | uint32 maskedCrc(payload)`.
 * Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h
 *
 * @returns where the record ends
 */
export function sealRecord(bytes: Uint8Array, view: DataView, start: number, payloadBytes: number): number {
  view.setUint32(start, payloadBytes, true);
  view.setUint32(start + 4, Math.floor(payloadBytes / 2 ** 32), true);
  let lengthCrc = sealedLengthCrcs[payloadBytes];
  if (!lengthCrc) {
    lengthCrc = maskedCrc32c(bytes, start, start + 8);
    sealedLengthCrcs[payloadBytes] = lengthCrc;
  }
  view.setUint32(start + 8, lengthCrc, true);
  const payload = start + recordHeaderBytes;
  const end = payload + payloadBytes;
  view.setUint32(end, maskedCrc32c(bytes, payload, end), true);
  return end + 4;
}

/** A record of its own around a payload. */
export function frameRecord(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(payload.length + recordOverheadBytes);
  bytes.set(payload, recordHeaderBytes);
  sealRecord(bytes, new DataView(bytes.buffer), 0, payload.length);
  return bytes;
}

/** The payloads of whole, intact records; views of the same memory. */
export function* payloadsOf(records: Uint8Array): Iterable<Uint8Array> {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  let length: number;
  for (let at = 0; at < records.length; at += length + recordOverheadBytes) {
    length = view.getUint32(at, true);
    yield records.subarray(at + recordHeaderBytes, at + recordHeaderBytes + length);
  }
}

/** Some bytes after one another. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * TFRecord framing, in both directions. An event file is a sequence of records:
 * `uint64 length | uint32 maskedCrc(length) | payload | uint32 maskedCrc(payload)`, all little-endian.
 * Writers complete a payload into a record (`sealRecord`, `frameRecord`); `RecordReader` verifies records and takes the
 * payloads out again.
 * Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h
 */
import { CorruptRecordError, messageOf } from '../errors.js';
import { readUint32 } from './bytes.js';
import { containerOf } from './containers.js';
import { maskedCrc32c } from './crc32c.js';

/** Length (8 bytes) and its masked CRC-32C (4 bytes) precede a record's payload. */
export const recordHeaderBytes = 12;
/** The payload's masked CRC-32C follows it. */
const recordFooterBytes = 4;
/** What a record takes in addition to its payload. */
export const recordOverheadBytes = recordHeaderBytes + recordFooterBytes;

/**
 * The longest payload that is written, and that a reader accepts by default: 1 GiB. Protocol buffers themselves end at
 * 2 GiB, where TensorBoard's Python loader dies, and a length beyond this limit is far more often damage than an event.
 */
export const maxPayloadBytes: number = 2 ** 30;

/** Masked CRCs of the lengths that most records have; 0 until computed. Reading and writing share them. */
const lengthCrcs = new Uint32Array(4096);

/** The masked CRC of a record's length, which also stands in `bytes[start, start + 8)`. */
function lengthCrc(bytes: Uint8Array, start: number, length: number): number {
  if (length >= lengthCrcs.length) return maskedCrc32c(bytes, start, start + 8);
  return lengthCrcs[length] || (lengthCrcs[length] = maskedCrc32c(bytes, start, start + 8));
}

/**
 * Completes a record whose payload already lies at `start + recordHeaderBytes`: writes the length and both checksums
 * around it.
 *
 * @returns where the record ends
 */
export function sealRecord(bytes: Uint8Array, view: DataView, start: number, payloadBytes: number): number {
  view.setUint32(start, payloadBytes, true);
  view.setUint32(start + 4, Math.floor(payloadBytes / 2 ** 32), true);
  view.setUint32(start + 8, lengthCrc(bytes, start, payloadBytes), true);
  const payload = start + recordHeaderBytes;
  const end = payload + payloadBytes;
  view.setUint32(end, maskedCrc32c(bytes, payload, end), true);
  return end + recordFooterBytes;
}

/** Copies a payload into a record of its own. */
export function frameRecord(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(payload.length + recordOverheadBytes);
  bytes.set(payload, recordHeaderBytes);
  sealRecord(bytes, new DataView(bytes.buffer), 0, payload.length);
  return bytes;
}

/** The payloads of records that are known to be whole and intact, as views of the same memory. */
export function* payloadsOf(records: Uint8Array): Iterable<Uint8Array> {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  let length: number;
  for (let at = 0; at < records.length; at += length + recordOverheadBytes) {
    length = view.getUint32(at, true);
    yield records.subarray(at + recordHeaderBytes, at + recordHeaderBytes + length);
  }
}

/** The unread rest of a chunk is copied into a buffer, which is released when it is empty and larger than this. */
const maxIdleBytes = 1 << 20;
const empty = new Uint8Array(0);

/** What unpacks a stream, as `Inflater` does. */
interface Unpacker {
  readonly pendingBytes: number;
  push(chunk: Uint8Array): void;
  next(): Uint8Array | undefined;
}

/**
 * A stream is packed, and its reader has nothing to unpack it with. Nothing was read of it: give the reader what unpacks it
 * (`unpackWith`), and go on.
 */
export class PackedStream extends Error {
  readonly container: 'gzip' | 'zlib';

  /** @param container what it is packed in */
  constructor(container: 'gzip' | 'zlib') {
    super(`a ${container} stream`);
    this.container = container;
  }
}

/**
 * Splits a stream of bytes into the payloads of its records and verifies both checksums of each. A stream that is a gzip
 * file or a zlib stream is unpacked; positions are then those of what is unpacked.
 *
 * It is a cursor: after `push(chunk)`, each `next()` that returns true has put the next payload at `bytes[start, end)`,
 * valid until the following `next()`. When it returns false the chunk is used up (what belongs to an unfinished record
 * has been copied, so the chunk may be overwritten) and another one is needed; `pendingBytes` then tells whether the
 * source would end inside a record. Nothing is allocated for a length that a record merely claims: memory grows with the
 * bytes that have arrived.
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
  readonly #unpacks: boolean;
  readonly #unpacker: ((container: 'gzip' | 'zlib') => Unpacker) | undefined;
  /** Unpacks what is pushed, if it is packed. */
  #inflater: Unpacker | undefined;
  /** Position in `bytes` of the next record's first byte. */
  #position = 0;
  /** Where the bytes that have arrived end in `bytes`. */
  #filled = 0;
  /** Payload length of the next record once its header has been verified, else -1. */
  #payloadBytes = -1;
  #nextOffset: number;
  /** The reader's own memory, for the unread rest of a chunk; `bytes` is either this or the chunk. */
  #buffer: Uint8Array = empty;

  /**
   * @param options `maxRecordBytes`: the longest payload accepted, 1 GiB by default. `offset`: position in the source of
   * the first byte that will be pushed, 0 by default. `file`: the source's name in errors. `unpacks`: whether packed
   * streams are unpacked, true by default; otherwise they are damage. `unpacker` makes what unpacks them.
   */
  constructor(
    options: {
      maxRecordBytes?: number;
      offset?: number;
      file?: string;
      unpacks?: boolean;
      unpacker?: (container: 'gzip' | 'zlib') => Unpacker;
    } = {},
  ) {
    this.#maxRecordBytes = options.maxRecordBytes ?? maxPayloadBytes;
    this.#nextOffset = options.offset ?? 0;
    this.recordOffset = this.#nextOffset;
    this.#file = options.file;
    this.#unpacks = options.unpacks ?? true;
    this.#unpacker = options.unpacker;
  }

  /** Position in the source of the first byte after the last whole record. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** How many bytes have arrived of what is cut off if nothing follows: a record, or the stream that it is packed in. */
  get pendingBytes(): number {
    return this.#pending + (this.#inflater?.pendingBytes ?? 0);
  }

  /** How many bytes of an unfinished record have arrived. */
  get #pending(): number {
    return this.#filled - this.#position;
  }

  /** Appends the bytes that follow those pushed before. Call it only when `next()` has returned false. */
  push(chunk: Uint8Array): void {
    if (this.#inflater) this.#inflater.push(chunk);
    else this.#append(chunk);
  }

  #append(chunk: Uint8Array): void {
    const pending = this.#pending;
    if (pending === 0) {
      // Nothing is left over, so the chunk itself is read in place.
      this.bytes = chunk;
      this.#position = 0;
      this.#filled = chunk.length;
      if (this.#buffer.length > maxIdleBytes) this.#buffer = empty;
      return;
    }
    this.#moveToBuffer(pending + chunk.length);
    this.bytes.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  /**
   * Moves to the next record; returns false when more bytes are needed.
   *
   * @throws CorruptRecordError if a checksum does not match or the length is above the limit; PackedStream
   */
  next(): boolean {
    let position = this.#position;
    let available = this.#filled - position;
    while (this.#payloadBytes < 0 || available < this.#payloadBytes + recordOverheadBytes) {
      if (this.#payloadBytes < 0 && available >= recordHeaderBytes) this.#readHeader();
      else if (!this.#unpackMore()) return false;
      position = this.#position;
      available = this.#filled - position;
    }
    const payloadBytes = this.#payloadBytes;
    const start = position + recordHeaderBytes;
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
    this.#position = end + recordFooterBytes;
    this.#nextOffset += payloadBytes + recordOverheadBytes;
    this.#payloadBytes = -1;
    return true;
  }

  #damage(reason: string): CorruptRecordError {
    return new CorruptRecordError(reason, this.#nextOffset, this.#file);
  }

  /** Verifies the next record's header; or finds that there is none because the stream is packed, and unpacks it. */
  #readHeader(): void {
    const { bytes } = this;
    const position = this.#position;
    const length = readUint32(bytes, position) + readUint32(bytes, position + 4) * 2 ** 32;
    const stored = readUint32(bytes, position + 8);
    const computed = lengthCrc(bytes, position, length);
    if (stored !== computed) {
      if (this.#nextOffset === 0) {
        if (this.#enterContainer()) return;
        // A page or JSON: in an event file these are a length, whose upper bytes are 0, and its checksum.
        const text = String.fromCharCode(...bytes.subarray(position, position + 12));
        if (/^[\s -~]+$/.test(text)) throw this.#damage(`this is a text file: ${JSON.stringify(text)}`);
      }
      throw this.#damage(`its length has the checksum ${hex(computed)}, and ${hex(stored)} is stored`);
    }
    if (length > this.#maxRecordBytes) {
      throw this.#damage(`it claims ${length} bytes, more than ${this.#maxRecordBytes}`);
    }
    // An integer, not a sum of floats: positions are computed from it, and checksums would step through bytes with floats.
    this.#payloadBytes = length < 2 ** 31 ? length | 0 : length;
  }

  /**
   * Begins to unpack the stream if it is packed; returns false if it is not.
   *
   * @throws CorruptRecordError if it is packed in a way that cannot be unpacked here; PackedStream
   */
  #enterContainer(): boolean {
    const container = containerOf(this.bytes, this.#position, this.#filled);
    if (!container) return false;
    const { name, command } = container;
    if (command) throw this.#damage(`this is a ${name} file: unpack it first (${command})`);
    if (this.#inflater) throw this.#damage(`this is a ${name} file in a packed file: unpack it first`);
    if (!this.#unpacks) throw this.#damage(`this is a ${name} file: read it without follow`);
    const packed = name as 'gzip' | 'zlib';
    if (this.#unpacker === undefined) throw new PackedStream(packed);
    this.unpackWith(this.#unpacker(packed));
    return true;
  }

  /** Unpacks the stream, of which `next()` has just said that it is packed. */
  unpackWith(unpacker: Unpacker): void {
    this.#inflater = unpacker;
    this.#inflater.push(this.bytes.subarray(this.#position, this.#filled));
    this.bytes = empty;
    this.#buffer = empty;
    this.#position = 0;
    this.#filled = 0;
  }

  /** Unpacks more bytes; returns false if the stream is not packed, or all that has been pushed of it is unpacked. */
  #unpackMore(): boolean {
    if (this.bytes !== this.#buffer && this.#pending > 0) this.#moveToBuffer(this.#pending);
    if (!this.#inflater) return false;
    try {
      const piece = this.#inflater.next();
      if (piece) this.#append(piece);
      return piece !== undefined;
    } catch (error) {
      throw this.#damage(`what it is packed in is damaged: ${messageOf(error)}`);
    }
  }

  /** Moves the pending bytes to the front of the reader's own memory, with room for `total` bytes. */
  #moveToBuffer(total: number): void {
    const { bytes } = this;
    const pending = this.#pending;
    const tooLarge = this.#buffer.length > maxIdleBytes && total <= maxIdleBytes;
    if (this.#buffer.length < total || tooLarge) {
      // Growing by half keeps the copying linear for a record that arrives in many chunks, and none needs more than its length.
      const growing = bytes === this.#buffer && !tooLarge;
      const record = this.#payloadBytes < 0 ? Infinity : this.#payloadBytes + recordOverheadBytes;
      this.#buffer = new Uint8Array(growing ? Math.max(total, Math.min(Math.ceil(bytes.length * 1.5), record)) : total);
    }
    if (bytes === this.#buffer) bytes.copyWithin(0, this.#position, this.#filled);
    else this.#buffer.set(bytes.subarray(this.#position, this.#filled));
    this.bytes = this.#buffer;
    this.#position = 0;
    this.#filled = pending;
  }
}

/** The damage of a record that has sound checksums and cannot be decoded. */
export function undecodable(cause: unknown, records: RecordReader, file: string | undefined): CorruptRecordError {
  const reason = `it is not an event: ${messageOf(cause)}`;
  return new CorruptRecordError(reason, records.recordOffset, file, { cause });
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

import { maskedCrc32c } from './crc32c.js';

/** Length (8 bytes, little-endian) and its masked CRC-32C (4 bytes) stand before a record's payload. */
export const recordHeaderBytes = 12;
/** What a record takes beside its payload: the header, and the payload's masked CRC-32C after it. */
export const recordOverheadBytes = 16;

/** Masked CRCs of the lengths that most records have, 0 where not computed yet. */
const lengthCrcs = new Uint32Array(4096);

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
  let lengthCrc = lengthCrcs[payloadBytes];
  if (!lengthCrc) {
    lengthCrc = maskedCrc32c(bytes, start, start + 8);
    lengthCrcs[payloadBytes] = lengthCrc;
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

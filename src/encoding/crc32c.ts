/**
 * The checksum of TFRecord: CRC-32C, masked because records may hold checksums themselves.
 */
import crc32cLibrary from 'crc-32/crc32c.js';

/**
 * Added to a rotated CRC to mask it.
 * Source: https://github.com/google/leveldb/blob/main/util/crc32c.h (kMaskDelta), from which TFRecord has it.
 */
const maskDelta = 0xa282ead8;

/** Of fewer bytes, as in a scalar's record, making the view that the library needs takes longer than the checksum. */
const viewBytes = 128;

/**
 * What a byte does to the checksum from 0, 1, 2 or 3 bytes further on, 256 entries each: "slicing by 4".
 * Source: M. E. Kounavis, F. L. Berry 2008, "Novel table lookup-based algorithms for high-performance CRC generation", IEEE
 * Transactions on Computers 57(11).
 */
const tables = Int32Array.from({ length: 1024 }, (_, i) => ~crc32cLibrary.buf([i, 0, 0, 0].slice(0, (i >> 8) + 1), -1));

/**
 * CRC-32C (Castagnoli) of `bytes[start, end)` as an unsigned 32-bit number.
 * Source: RFC 3720, appendix B.4 (polynomial 0x1edc6f41, reflected; initial value and final xor all ones).
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  if (end - start >= viewBytes) return crc32cLibrary.buf(bytes.subarray(start, end)) >>> 0;
  let crc = -1;
  let at = start;
  for (; at < end - 3; at += 4) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    crc =
      tables[768 + (crc & 255)] ^
      tables[512 + ((crc >>> 8) & 255)] ^
      tables[256 + ((crc >>> 16) & 255)] ^
      tables[crc >>> 24];
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[at]) & 255];
  return ~crc >>> 0;
}

/**
 * Masks a CRC, as TFRecord stores it: the CRC of bytes that include their own CRC would be weak.
 * Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/hash/crc32c.h (Mask).
 */
export function mask(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + maskDelta) >>> 0;
}

/** The masked CRC-32C of `bytes[start, end)`: what a record stores of its length and of its payload. */
export function maskedCrc32c(bytes: Uint8Array, start?: number, end?: number): number {
  return mask(crc32c(bytes, start, end));
}

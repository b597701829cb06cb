/**
 * The checksum of TFRecord: CRC-32C, masked because records may hold checksums themselves.
 */
import crc32cLibrary from 'crc-32/crc32c.js';

/**
 * Added to a rotated CRC to mask it.
 * Source: https://github.com/google/leveldb/blob/main/util/crc32c.h (kMaskDelta), from which TFRecord has it.
 */
const maskDelta = 0xa282ead8;

/**
 * CRC-32C (Castagnoli) of `bytes[start, end)` as an unsigned 32-bit number.
 * Source: RFC 3720, appendix B.4 (polynomial 0x1edc6f41, reflected; initial value and final xor all ones).
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const range = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  return crc32cLibrary.buf(range) >>> 0;
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

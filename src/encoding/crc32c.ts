/**
 * The checksum of TFRecord: CRC-32C, masked because records may hold checksums themselves.
 */

/**
 * Added to a rotated CRC to mask it.
 * Source: https://github.com/google/leveldb/blob/main/util/crc32c.h (kMaskDelta), from which TFRecord has it.
 */
const maskDelta = 0xa282ead8;

/** The polynomial of CRC-32C, reflected. */
const polynomial = 0x82f63b78;
/** What a byte adds if so many bytes follow it in a step (0 to 15), by byte. */
const [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = tables(16);

/** Source: M. Kounavis and F. Berry, "A Systematic Approach to Building High Performance, Software-based, CRC Generators" (2005). */
function tables(count: number): Int32Array[] {
  const first = new Int32Array(256).map((_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
  const all = [first];
  while (all.length < count) all.push(all[all.length - 1].map((crc) => (crc >>> 8) ^ first[crc & 255]));
  return all;
}

/**
 * CRC-32C (Castagnoli) of `bytes[start, end)` as an unsigned 32-bit number.
 * Source: RFC 3720, appendix B.4 (polynomial 0x1edc6f41, reflected; initial value and final xor all ones).
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let crc = -1;
  let at = start;
  for (const last = end - 16; at <= last; at += 16) {
    crc =
      t15[bytes[at] ^ (crc & 255)] ^
      t14[bytes[at + 1] ^ ((crc >>> 8) & 255)] ^
      t13[bytes[at + 2] ^ ((crc >>> 16) & 255)] ^
      t12[bytes[at + 3] ^ (crc >>> 24)] ^
      t11[bytes[at + 4]] ^
      t10[bytes[at + 5]] ^
      t9[bytes[at + 6]] ^
      t8[bytes[at + 7]] ^
      t7[bytes[at + 8]] ^
      t6[bytes[at + 9]] ^
      t5[bytes[at + 10]] ^
      t4[bytes[at + 11]] ^
      t3[bytes[at + 12]] ^
      t2[bytes[at + 13]] ^
      t1[bytes[at + 14]] ^
      t0[bytes[at + 15]];
  }
  if (at <= end - 8) {
    crc =
      t7[bytes[at] ^ (crc & 255)] ^
      t6[bytes[at + 1] ^ ((crc >>> 8) & 255)] ^
      t5[bytes[at + 2] ^ ((crc >>> 16) & 255)] ^
      t4[bytes[at + 3] ^ (crc >>> 24)] ^
      t3[bytes[at + 4]] ^
      t2[bytes[at + 5]] ^
      t1[bytes[at + 6]] ^
      t0[bytes[at + 7]];
    at += 8;
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]) & 255];
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

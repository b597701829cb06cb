import { constants, crc32, deflateSync } from 'node:zlib';

/** How hard deflate looks for repetitions: anywhere before, in runs of one byte only, or not at all (the bytes are stored). */
export type DeflateEffort = 'search' | 'runs' | 'none';

/** The parts of zlib that an image encoder needs, where the platform has them natively. */
export interface NativeZlib {
  /** Deflates into the zlib format. On bytes without repetitions 'runs' is several times faster than 'search', 'none' than both. */
  deflate(bytes: Uint8Array, effort: DeflateEffort): Uint8Array;
  /** CRC-32 (ISO 3309), to be continued with `previous`. */
  crc32(bytes: Uint8Array, previous?: number): number;
}

const options = {
  search: { level: 1 },
  runs: { level: 1, strategy: constants.Z_RLE },
  none: { level: 0 },
};

/** Node's zlib; undefined in browsers, which have no synchronous deflate. */
export const nativeZlib: NativeZlib | undefined = {
  deflate: (bytes, effort) => deflateSync(bytes, options[effort]),
  crc32: (bytes, previous) => crc32(bytes, previous),
};

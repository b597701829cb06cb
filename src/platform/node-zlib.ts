import { constants, crc32, deflateSync } from 'node:zlib';

/** The parts of zlib that an image encoder needs, where the platform has them natively. */
export interface NativeZlib {
  /** Deflates into the zlib format; `runs` looks for repeated bytes only: several times faster on noisy data. */
  deflate(bytes: Uint8Array, runs: boolean): Uint8Array;
  /** CRC-32 (ISO 3309), to be continued with `previous`. */
  crc32(bytes: Uint8Array, previous?: number): number;
}

/** Node's zlib; undefined in browsers, which have no synchronous deflate. */
export const nativeZlib: NativeZlib | undefined = {
  deflate: (bytes, runs) =>
    deflateSync(bytes, { level: 1, strategy: runs ? constants.Z_RLE : constants.Z_DEFAULT_STRATEGY }),
  crc32: (bytes, previous) => crc32(bytes, previous),
};

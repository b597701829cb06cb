/** What an image encoder needs of zlib, from Node, which has it at once, and from pages, where a stream brings it later. */
import type { DeflateEffort, Zlib } from './platform.js';

/** Node's zlib, which is handed in because threads get it in another way than by an import. */
export function zlibOfNode(zlib: typeof import('node:zlib')): Zlib {
  const options = {
    search: { level: 1 },
    runs: { level: 1, strategy: zlib.constants.Z_RLE },
    none: { level: 0 },
  } satisfies Record<DeflateEffort, object>;
  return {
    isImmediate: true,
    deflate: (bytes, effort) => zlib.deflateSync(bytes, options[effort]),
    crc32: (bytes) => zlib.crc32(bytes),
  };
}

/** A page's: the browser's own deflate. In a browser without CompressionStream bytes are stored. */
export const zlibOfPage: Zlib = {
  isImmediate: false,
  async deflate(bytes, effort) {
    if (effort === 'none' || typeof CompressionStream === 'undefined') return stored(bytes);
    const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream('deflate'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  },
  crc32,
};

/** The zlib of a thread, which may be one of Node or of a page. */
export function zlibOfThread(): Zlib {
  const zlib = globalThis.process?.getBuiltinModule?.('zlib');
  return zlib === undefined ? zlibOfPage : zlibOfNode(zlib);
}

/** The table of the CRC of PNG: https://www.w3.org/TR/png-3/#D-CRCAppendix. It is made when it is used first. */
let crcTable: Uint32Array | undefined;

function crc32(bytes: Uint8Array): number {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
  });
  let crc = -1;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The most bytes of a stored block: https://www.rfc-editor.org/rfc/rfc1951#section-3.2.4 */
const blockBytes = 65_535;

/** Bytes in the zlib format (https://www.rfc-editor.org/rfc/rfc1950) as they are. */
function stored(bytes: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(bytes.length / blockBytes));
  const all = new Uint8Array(2 + 5 * blocks + bytes.length + 4);
  const view = new DataView(all.buffer);
  all.set([0x78, 0x01]);
  let at = 2;
  for (let from = 0, block = 1; block <= blocks; block++, from += blockBytes) {
    const part = bytes.subarray(from, from + blockBytes);
    all[at] = block === blocks ? 1 : 0;
    view.setUint16(at + 1, part.length, true);
    view.setUint16(at + 3, ~part.length, true);
    all.set(part, at + 5);
    at += 5 + part.length;
  }
  view.setUint32(at, adler32(bytes));
  return all;
}

function adler32(bytes: Uint8Array): number {
  let [low, high] = [1, 0];
  for (let from = 0; from < bytes.length; from += 4096) {
    // So many sums stay below 2^32.
    for (let i = from; i < Math.min(from + 4096, bytes.length); i++) {
      low += bytes[i];
      high += low;
    }
    low %= 65_521;
    high %= 65_521;
  }
  return high * 65_536 + low;
}

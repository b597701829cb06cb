/**
 * What an event file comes packed in: `containerOf` recognizes it by its bytes, whatever its name is. What unpacks two of them is in
 * `inflate.ts`, which readers load when they meet one.
 */

/** A container that a file was recognized as. */
export interface Container {
  readonly name: string;
  /** The command that unpacks it; undefined for the two that an Inflater unpacks. */
  readonly command?: string;
}

/** Bytes at a position that tell a container. */
interface Magic extends Container {
  readonly magic: string;
  readonly at?: number;
}

const containers: readonly Magic[] = [
  { name: 'gzip', magic: '\x1f\x8b\x08' },
  { name: 'zstd', magic: '\x28\xb5\x2f\xfd', command: 'zstd -d' },
  { name: 'bzip2', magic: 'BZh', command: 'bunzip2' },
  { name: 'xz', magic: '\xfd7zXZ\x00', command: 'unxz' },
  { name: 'lz4', magic: '\x04\x22\x4d\x18', command: 'unlz4' },
  { name: 'zip', magic: 'PK\x03\x04', command: 'unzip' },
  { name: '7z', magic: '7z\xbc\xaf\x27\x1c', command: '7z x' },
  { name: 'tar', magic: 'ustar', at: 257, command: 'tar -xf' },
];

/** The container that a file is which begins with `bytes[start, end)`; undefined if it is none of those that are known. */
export function containerOf(bytes: Uint8Array, start: number, end: number): Container | undefined {
  const begins = ({ at = 0, magic }: Magic) =>
    start + at + magic.length <= end && [...magic].every((char, i) => bytes[start + at + i] === char.charCodeAt(0));
  if (end - start >= 2 && isZlib(bytes[start], bytes[start + 1])) return { name: 'zlib' };
  return containers.find(begins);
}

/** Whether two bytes begin a zlib stream that needs no dictionary. */
function isZlib(first: number, second: number): boolean {
  return (first & 15) === 8 && first >>> 4 <= 7 && (second & 0x20) === 0 && (first * 256 + second) % 31 === 0;
}

/** Names and paths that file systems take: how long they may be, and what becomes of a name that is longer. */
import { fnv1aHex, utf8Encoder } from './bytes.js';

/** The longest name of a file or folder, in bytes of UTF-8. Source: NAME_MAX of Linux, macOS and the BSDs. */
export const maxNameBytes = 255;
/** The longest path, in bytes of UTF-8. Source: PATH_MAX of Linux, less the zero that ends a path. */
const maxPathBytes = 4095;

/** How many bytes a text takes in UTF-8. */
export function utf8Length(text: string): number {
  return utf8Encoder().encode(text).length;
}

/** A name of at most `maxBytes` bytes of UTF-8: a longer one is cut between characters, and ends in a checksum of the whole. */
export function shortenedName(name: string, maxBytes: number = maxNameBytes): string {
  if (3 * name.length <= maxBytes || utf8Length(name) <= maxBytes) return name;
  const room = new Uint8Array(maxBytes - 9);
  const { read } = utf8Encoder().encodeInto(name, room);
  return `${name.slice(0, read)}-${fnv1aHex(name)}`;
}

/**
 * Checks a path that the user has given, which is not shortened.
 *
 * @param what names the option, for errors
 * @param room bytes that must be left in the path, and in its last name, for what will be put after it
 * @throws RangeError if the path or a name in it is too long for a file system
 */
export function checkPath(path: string, what: string, roomInPath = 0, roomInName = 0): void {
  const names = path.split(/[/\\]/);
  const longest = Math.max(...names.map(utf8Length), utf8Length(names.at(-1)!) + roomInName);
  if (longest > maxNameBytes) {
    throw new RangeError(
      `${what}: expected names of at most ${maxNameBytes} bytes in the path, got one that needs ${longest}`,
    );
  }
  const bytes = utf8Length(path) + roomInPath;
  if (bytes > maxPathBytes) {
    throw new RangeError(
      `${what}: expected a path that needs at most ${maxPathBytes} bytes, got one that needs ${bytes}`,
    );
  }
}

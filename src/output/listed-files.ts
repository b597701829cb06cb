/**
 * Files that an Output has, for whoever takes them from it: listed, to be read; and as one zip file, to be downloaded.
 * Source of the zip file: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (6.3.10), sections 4.3.7, 4.3.12, 4.3.16.
 */
import crc32Library from 'crc-32/crc32.js';

/** A file that an Output has listed. */
export interface ListedFile {
  /** The file's path below the folder, with `/` between its parts. */
  path: string;
  /** The file, as it was when it was listed. */
  file: File;
}

/** An Output that lists its files, such as what `openBrowserFolder` gives, or a MemoryOutput: `readEvents` and `listRuns` read it. */
export interface ListedFolder {
  /** Every file in the folder and below it. */
  list(): Promise<ListedFile[]>;
}

/** A file on its way into a zip file. */
export interface ZipEntry {
  /** The file's path, with `/` between its parts. */
  readonly path: string;
  /** What it holds. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** When it was changed, in milliseconds since 1970. */
  readonly time: number;
}

/** The largest count, size and position of the format: one more says that its extension zip64 has the number. */
const maxFiles = 0xfffe;
const maxBytes = 0xfffffffe;

/** Version 2.0 of the format, which knows folders; bit 11: names are UTF-8. */
const version = 20;
const namesAreUtf8 = 0x800;

/**
 * A zip file of some files, each as it is: event files are small, and packing them would make a page wait.
 *
 * @param folder the folder in the zip file that all lie in, as a safe path; '' for none
 * @throws RangeError if there are more files, or bytes, than a zip file has room for
 */
export async function zipOf(files: AsyncIterable<ZipEntry> | Iterable<ZipEntry>, folder: string): Promise<Blob> {
  const parts: BlobPart[] = [];
  const directory: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  let directoryBytes = 0;
  for await (const { path, bytes, time } of files) {
    const name = new TextEncoder().encode(folder === '' ? path : `${folder}/${path}`);
    const isFull = directory.length === maxFiles;
    if (isFull || at + directoryBytes + bytes.length + 2 * (name.length + 64) > maxBytes) {
      const most = isFull ? `at most ${maxFiles} files` : 'less than 4 GiB';
      throw new RangeError(
        `toZip: expected ${most}, got more, up to '${path}': take the zip files of parts, as run(name).toZip()`,
      );
    }
    // What a file's own header and its entry in the directory have in common.
    const common = [
      [version, 2],
      [namesAreUtf8, 2],
      [0, 2], // stored
      ...dosTime(new Date(time)),
      [crc32Library.buf(bytes) >>> 0, 4],
      [bytes.length, 4],
      [bytes.length, 4],
      [name.length, 2],
      [0, 2], // no extra field
    ] as const;
    const header = fields([[0x04034b50, 4], ...common], name);
    const entry = fields(
      [
        [0x02014b50, 4],
        [version, 2],
        ...common,
        [0, 2], // no comment
        [0, 2], // on the first disk
        [0, 2],
        [0, 4],
        [at, 4],
      ],
      name,
    );
    parts.push(header, new Blob([bytes])); // which a browser may keep on the disk
    directory.push(entry);
    at += header.length + bytes.length;
    directoryBytes += entry.length;
  }
  const end = fields([
    [0x06054b50, 4],
    [0, 2],
    [0, 2],
    [directory.length, 2],
    [directory.length, 2],
    [directoryBytes, 4],
    [at, 4],
    [0, 2],
  ]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}

/** Unsigned little-endian numbers of 2 or 4 bytes, and a text behind them. */
function fields(
  numbers: readonly (readonly [value: number, bytes: 2 | 4])[],
  text = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const length = numbers.reduce((sum, [, bytes]) => sum + bytes, 0);
  const all = new Uint8Array(length + text.length);
  const view = new DataView(all.buffer);
  let at = 0;
  for (const [value, bytes] of numbers) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  all.set(text, length);
  return all;
}

/** A time of this place as MS-DOS has it, the time of day before the date: two-second steps, from 1980 to 2107. */
function dosTime(time: Date): [[number, 2], [number, 2]] {
  const year = Math.min(Math.max(time.getFullYear(), 1980), 2107);
  return [
    [(time.getHours() << 11) | (time.getMinutes() << 5) | (time.getSeconds() >> 1), 2],
    [((year - 1980) << 9) | ((time.getMonth() + 1) << 5) | time.getDate(), 2],
  ];
}

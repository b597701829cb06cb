/**
 * Where a writer's records go. `Output` is the contract between the two; MemoryOutput is the smallest that keeps all of it,
 * DirectoryOutput and BrowserFolderOutput write files. `safePath` is what keeps the names of runs and companion files
 * inside their folder.
 */

import { fnv1aHex } from '../encoding/bytes.js';
import { maxNameBytes, shortenedName, utf8Length } from '../encoding/file-names.js';
import { describe } from '../errors.js';
import { eventFileName } from './event-file-name.js';
import type { ListedFile, ListedFolder, ZipEntry } from './listed-files.js';

/**
 * Where records go: a directory, memory, a browser file and an object store are all Outputs.
 * A writer owns its Output: it calls `write` with whole records only, in order, and `close` once at the end.
 */
export interface Output {
  /**
   * Takes one or more whole records. The bytes are valid only during the call: copy what outlives it. A call that
   * throws has taken nothing: the writer keeps the records in memory and offers them again.
   */
  write(bytes: Uint8Array): void;
  /** Called at process exit, where nothing asynchronous can run any more. */
  flushSync?(): void;
  /** Resolves when everything written so far has reached its destination; rejects with the first error. */
  flush(): Promise<void>;
  /** Flushes and releases what is held. Further writes are errors. */
  close(): Promise<void>;
  /** The Output of a run below this one. */
  run?(name: string): Output;
  /** Writes a companion file (projector configuration, stores) at a path relative to the run's folder. */
  file?(path: string, bytes: Uint8Array): Promise<void>;
  /** What a companion file holds; undefined if there is none. With it or `updateFile`, the projector's configuration is continued. */
  readFile?(path: string): Uint8Array | undefined;
  /**
   * Replaces what a companion file holds by what `change` makes of it (undefined if there is no such file), without losing what
   * others write to it meanwhile. Without it, the writer remembers what it has written.
   */
  updateFile?(path: string, change: (content: Uint8Array | undefined) => Uint8Array): Promise<void>;
  /**
   * The event files of this run that are there, in the order in which TensorBoard reads them, each in pieces. With it a purge
   * knows which points it must hide.
   */
  readEarlier?(): AsyncIterable<AsyncIterable<Uint8Array>> | Iterable<Iterable<Uint8Array>>;
  /** Bytes that have been accepted and are not yet at their destination; a producer may slow down on it. */
  readonly pendingBytes?: number;
  /**
   * How many times a new file was begun in place of one that is gone (or full: the error's `code` is 'EFBIG' then). If it
   * changes during a write that throws, the writer sends the first record again, and what each tag needs on its first event.
   */
  readonly restarts?: number;
  /**
   * Tells an Output that lists its files how to get what a writer holds, which it does before it lists them. `flush` never rejects: what fails
   * is told by the writer's own next `flush` or `close`. Returns a function to call when the writer is closed.
   */
  heldBy?(flush: () => Promise<void>): () => void;
  /**
   * Whether events are better off here than in the writer's memory, and a small write costs microseconds. If so, the
   * writer does not hold events back: it writes them within milliseconds, many of them one by one. Otherwise it writes when
   * `maxQueue`, `flushSecs` or `maxBufferedBytes` says so.
   */
  readonly isImmediate?: boolean;
}

/** An Output in memory: for tests, for browsers, for sending event files elsewhere. *
 * @example
 * ```js
 * import { MemoryOutput, readEvents, SummaryWriter } from 'delve-tensorboard';
 *
 * const output = new MemoryOutput();
 * const writer = new SummaryWriter(output);
 * writer.addScalar('loss', 0.5, 1);
 * await writer.close();
 * for await (const { step } of readEvents(output)) console.log(step);
 * const zip = await output.toZip();
 * ```
 */
export class MemoryOutput implements ListedFolder, Output {
  /** The Outputs of the runs below this one, by name. */
  readonly runs: ReadonlyMap<string, MemoryOutput>;
  /** Companion files, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly #runs = new Map<string, MemoryOutput>();
  readonly #files = new Map<string, Uint8Array>();
  #buffer = new Uint8Array(0);
  #length = 0;
  /** The name that the event file has as soon as somebody asks for files. */
  #name: string | undefined;
  /** How its writers are flushed. */
  readonly #writers = new Set<() => Promise<void>>();

  /** Begins with nothing written. */
  constructor() {
    this.runs = this.#runs;
    this.files = this.#files;
  }

  /** Everything written so far, which is the content of an event file. A view that is valid until the next write. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Appends whole records. */
  write(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
      grown.set(this.bytes);
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }

  /** Does nothing: everything is in memory at once. */
  async flush(): Promise<void> {}

  /** Does nothing: what was written can still be read. */
  async close(): Promise<void> {}

  /** The Output of a run below this one. There is one per name. */
  run(name: string): MemoryOutput {
    const key = safePath(name);
    let run = this.#runs.get(key);
    if (run === undefined) this.#runs.set(key, (run = new MemoryOutput()));
    return run;
  }

  /** Stores a copy of a companion file. */
  async file(path: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(safePath(path), bytes.slice());
  }

  /** The bytes of a companion file; undefined if there is none. */
  readFile(path: string): Uint8Array | undefined {
    return this.#files.get(safePath(path));
  }

  /** Keeps how a writer is flushed, until the function that this returns is called. */
  heldBy(flush: () => Promise<void>): () => void {
    this.#writers.add(flush);
    return () => void this.#writers.delete(flush);
  }

  /** Every file that a folder would have in the place of this Output, with what a writer holds: to read (`readEvents(file)`), to write elsewhere, to send. */
  async list(): Promise<ListedFile[]> {
    await this.#flushWriters();
    const listed = [...this.#entries()].map(({ path, bytes, time }) => {
      const name = path.slice(path.lastIndexOf('/') + 1);
      return { path, file: new File([bytes], name, { lastModified: time }) };
    });
    return listed.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /**
   * All files in one zip file, runs in their folders: TensorBoard shows the folder into which it is unzipped.
   *
   * @param folder the folder in the zip file that everything lies in; none by default
   * @throws RangeError for more than 65,534 files, or 4 GiB
   */
  async toZip(folder = ''): Promise<Blob> {
    const { zipOf } = await import('./listed-files.js');
    await this.#flushWriters();
    return zipOf(this.#entries(), folder && safePath(folder, true));
  }

  async #flushWriters(): Promise<void> {
    await Promise.all([
      ...Array.from(this.#writers, (flush) => flush()),
      ...Array.from(this.#runs.values(), (run) => run.#flushWriters()),
    ]);
  }

  *#entries(prefix = ''): Generator<ZipEntry> {
    const time = Date.now();
    if (this.#length > 0) {
      this.#name ??= eventFileName([], '');
      yield { path: prefix + this.#name, bytes: this.bytes.slice(), time };
    }
    for (const [path, bytes] of this.#files) yield { path: prefix + path, bytes: bytes.slice(), time };
    for (const [name, run] of this.#runs) yield* run.#entries(`${prefix}${name}/`);
  }
}

/** Control characters, the backslash, which separates folders on Windows, and halves of characters, which are no UTF-8. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is exactly what must not reach a file system
const unsafeCharacters = /[\u0000-\u001f\u007f\\]|\p{Cs}/gu;

/** Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file */
const unsafeOnWindows = /[<>:"|?*]|[. ]+$|(?<=^(?:con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³]))(?=\.|$)/gi;

/** The longest path below a folder, in bytes: the folder and an event file's name need room, too. */
const maxPathBytes = 1024;

/**
 * A name as a path below a folder, whatever the name: `/` separates folders, and empty parts and `.` are left out, since they
 * name the same folder. A part that cannot be a folder's name is changed and ends in a checksum of what it was, so that no two
 * names share a folder: `..` becomes `__`, and backslashes and control characters (NUL among them) become `_`; a part of
 * more than 255 bytes is cut, and so is a path of more than 1,024. So no name of a tag or a run makes a file outside the folder.
 *
 * @param isForWindows also change what Windows, or a browser on any system, does not take as a name
 * @throws RangeError if nothing is left
 */
export function safePath(name: string, isForWindows = false): string {
  const parts = name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .map((part) => safePart(part, isForWindows));
  if (parts.length === 0) throw new RangeError(`name: expected one that can name a folder, got ${describe(name)}`);
  const path = parts.join('/');
  return utf8Length(path) <= maxPathBytes ? path : shortenedPath(parts);
}

function safePart(part: string, isForWindows: boolean): string {
  let safe = part === '..' ? '__' : part.replace(unsafeCharacters, '_');
  if (isForWindows) safe = safe.replace(unsafeOnWindows, '_');
  if (safe === part) return shortenedName(part);
  // JSON has a text for half a character, which UTF-8 does not.
  return `${shortenedName(safe, maxNameBytes - 9)}-${fnv1aHex(JSON.stringify(part))}`;
}

/** As many of the first parts as there is room for, and all others as one part. */
function shortenedPath(parts: readonly string[]): string {
  const kept: string[] = [];
  let bytes = maxNameBytes;
  for (const part of parts) {
    bytes += utf8Length(part) + 1;
    if (bytes > maxPathBytes) break;
    kept.push(part);
  }
  const rest = parts.slice(kept.length).join('_');
  return [...kept, `${shortenedName(rest, maxNameBytes - 9)}-${fnv1aHex(parts.join('/'))}`].join('/');
}

/**
 * The file system as TensorBoard sees it: which files are event files, which folders are runs (`listRuns`), in which order
 * the files of a run are read. RunFiles feeds them to a reader one after the other, and keeps watching them if asked to.
 */
import { warn } from '#platform';
import { concat } from '../encoding/bytes.js';
import { crc32c } from '../encoding/crc32c.js';
import { RecordReader } from '../encoding/record.js';
import { CorruptRecordError, describe, messageOf, namesOf } from '../errors.js';
import type { ListedFolder } from '../output/listed-files.js';
import type { OpenFile, SourceFiles } from '../platform/platform.js';
import { FileError, isListedFolder, type RecordSource } from './byte-source.js';
import { isRemote, listedFiles, sourceFiles, sourcePath } from './places.js';

/** Bytes read from a file at a time. */
const chunkBytes = 2 ** 18;

/**
 * Whether TensorBoard takes a file for an event file, by its name without folders.
 * Source: tensorboard/data/server/logdir.rs and tensorboard/backend/event_processing/io_wrapper.py
 */
export function isEventFileName(name: string): boolean {
  return name.includes('tfevents') && !name.endsWith('.profile-empty');
}

/** A run that `listRuns` has found. */
export interface ListedRun {
  /** The run's name: the path of its folder below the logdir, with `/` between its parts; '.' for the logdir itself. */
  run: string;
  /** The paths of the run's event files, in the order in which they are read; those of an Output's are relative to it. */
  files: string[];
}

/**
 * The runs below a folder, as TensorBoard finds them: every folder that holds event files, links followed. A folder that
 * several paths lead to is one run, under the path without links if there is one. Pipes, sockets and devices are passed
 * over, and so is a folder that cannot be read, with a warning.
 *
 * A bucket's part (`s3://bucket/logs/`, `gs://`) is a folder, too, and so are the address of what `serve` and `share` show, and
 * an Output that lists its files: what `openBrowserFolder` gives, a MemoryOutput. `readEvents(output.run(name))` reads a run of it.
 *
 * @returns the runs, sorted by name
 * @throws TypeError if `logdir` is neither, Error if it is not a folder that can be read
 *
 * @example
 * ```js
 * import { listRuns } from 'delve-tensorboard';
 *
 * for (const { run, files } of await listRuns('runs')) console.log(run, files.length);
 * ```
 */
export async function listRuns(logdir: string | URL | ListedFolder): Promise<ListedRun[]> {
  const complain = (path: string, error: unknown) => warn(`listRuns: '${path}' is passed over: ${messageOf(error)}`);
  if (isListedFolder(logdir)) return walkRuns('', complain, Infinity, listedFiles(logdir));
  if ((typeof logdir !== 'string' && !(logdir instanceof URL)) || logdir === '') {
    throw new TypeError(
      `listRuns: expected the path of a folder, or an Output that lists its files, got ${describe(logdir)}`,
    );
  }
  const folder = sourcePath(logdir, 'listRuns');
  if ((await sourceFiles.kind(folder)) !== 'folder') throw new Error(`listRuns: there is no folder "${folder}"`);
  return walkRuns(folder, complain);
}

/** A folder that a walk has yet to look into. */
interface Folder {
  readonly path: string;
  /** Its path below the logdir, '' for the logdir itself. */
  readonly run: string;
}

/**
 * Does the work of `listRuns`.
 *
 * @param complain is told of every folder below the logdir that cannot be read
 * @param most how many folders it looks into
 * @param place the file system that the logdir is of
 * @throws Error if the logdir cannot be read
 */
export async function walkRuns(
  logdir: string,
  complain: (path: string, error: unknown) => void,
  most = Infinity,
  place: SourceFiles = sourceFiles,
): Promise<ListedRun[]> {
  const runs: ListedRun[] = [];
  const folders: Folder[] = [{ path: logdir, run: '' }];
  // Looked into when no other folder is left, so that a folder is found by its own path first.
  const links: Folder[] = [];
  const visited = new Set<string>();
  let folder: Folder | undefined;
  while (visited.size < most && (folder = folders.pop() ?? links.pop())) {
    const { path, run } = folder;
    try {
      const real = await place.realPath(path);
      if (visited.has(real)) continue;
      visited.add(real);
      const entries = (await place.list(path)).sort((a, b) => byName(a.name, b.name));
      const files = entries.filter(({ kind, name }) => kind === 'file' && isEventFileName(name));
      if (files.length > 0) runs.push({ run: run || '.', files: files.map((file) => file.path) });
      for (const { isLink, kind, name, path } of entries.reverse()) {
        if (kind === 'folder') (isLink ? links : folders).push({ path, run: run === '' ? name : `${run}/${name}` });
      }
    } catch (error) {
      if (run === '') throw error;
      complain(path, error);
    }
  }
  return runs.sort((a, b) => byName(a.run, b.run));
}

/** How many folders are looked into for runs below one that is none. */
const maxLooks = 1000;

/** Reads an open file chunk by chunk; while one chunk is used, the next one is read. */
export class ChunkReader {
  readonly #file: OpenFile;
  readonly #readsAhead: boolean;
  #position: number;
  #chunk: Uint8Array = new Uint8Array(chunkBytes);
  /** Takes the next chunk; small files need none. */
  #other: Uint8Array | undefined;
  /** The read that is under way. */
  #reading: Promise<number> | undefined;

  /**
   * @param position where it begins
   * @param readsAhead must be false if what is behind the chunk that is used may still change
   */
  constructor(file: OpenFile, position = 0, readsAhead = true) {
    this.#file = file;
    this.#position = position;
    this.#readsAhead = readsAhead;
  }

  /** Resolves to the next chunk, which is valid until the next call; it is empty at the end of the file. */
  async next(): Promise<Uint8Array> {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading !== undefined) [this.#chunk, this.#other] = [this.#other as Uint8Array, this.#chunk];
    const length = await (reading ?? this.#file.read(this.#chunk, this.#position));
    this.#position += length;
    // A chunk that is not full is the last one, as a rule.
    if (this.#readsAhead && length === chunkBytes) {
      this.#other ??= new Uint8Array(chunkBytes);
      this.#reading = this.#file.read(this.#other, this.#position);
      this.#reading.catch(() => {}); // whoever asks for that chunk sees the error
    }
    return this.#chunk.subarray(0, length);
  }

  /** Closes the file. */
  async close(): Promise<void> {
    await this.#reading?.catch(() => {});
    await this.#file.close();
  }
}

/** One file of a run and how far it has been read. */
interface ReadFile {
  readonly path: string;
  /** Position in the file of the next byte to be read. */
  position: number;
  /** Holds what has come of a record that is not whole yet. */
  records: RecordReader;
  /** The last bytes that were read of a followed file: where they begin, where the record ends before them, their checksum. */
  last?: { start: number; boundary: number; crc: number };
  /** The length to which the file has shrunk, as long as it has not grown again. */
  shrunkTo?: number;
  /** Whether the rest of the file is skipped because it is damaged. */
  skipped: boolean;
}

/**
 * The event files of a run folder in the order of their names, or one file. If the run is followed, whatever is added to
 * any of them and any new file comes afterwards, again and again. At most one file is open, and none while waiting.
 */
class RunFiles implements RecordSource {
  readonly #source: string;
  readonly #place: SourceFiles;
  readonly #follow: boolean;
  readonly #maxRecordBytes: number | undefined;
  readonly #wait: () => Promise<void>;
  readonly #files = new Map<string, ReadFile>();
  #closed = false;
  #round = 0;
  #queue: ReadFile[] = [];
  #current: ReadFile | undefined;
  #open: ChunkReader | undefined;
  /** The reader of the current file; an empty one before the first file and after a skipped one. */
  #records: RecordReader;

  /**
   * @param source a path, or an Output that lists its files
   * @param wait resolves when it is time to look at a followed run again, or when the run has been closed
   */
  constructor(
    source: string | ListedFolder,
    follow: boolean,
    maxRecordBytes: number | undefined,
    wait: () => Promise<void>,
  ) {
    this.#source = typeof source === 'string' ? source : '';
    this.#place = typeof source === 'string' ? sourceFiles : listedFiles(source);
    this.#follow = follow;
    this.#maxRecordBytes = maxRecordBytes;
    this.#wait = wait;
    this.#records = new RecordReader();
  }

  get records(): RecordReader {
    return this.#records;
  }

  get file(): string | undefined {
    return this.#current?.path;
  }

  async more(): Promise<boolean> {
    for (;;) {
      if (this.#open && this.#current) {
        const { position } = this.#current;
        const chunk = await ofFile(position, this.#open.next());
        if (chunk.length > 0) {
          if (this.#follow) {
            this.#current.last = { start: position, boundary: this.#records.nextOffset, crc: crc32c(chunk) };
          }
          this.#current.position += chunk.length;
          this.#records.push(chunk);
          return true;
        }
        await this.#closeFile();
      }
      const next = this.#queue.shift();
      if (next) {
        this.#current = next;
        this.#records = next.records;
        const open = await ofFile(next.position, openIfThere(this.#place, next.path));
        if (this.#closed) {
          await open?.close();
          return false;
        }
        this.#open = open && new ChunkReader(open, next.position, !this.#follow);
      } else {
        if (this.#round > 0) {
          if (!this.#follow) return false;
          await this.#wait();
          if (this.#closed) return false;
        }
        this.#queue = await this.#findUnread();
        this.#round++;
      }
    }
  }

  async skipFile(): Promise<boolean> {
    if (this.#current) this.#current.skipped = true;
    this.#records = new RecordReader();
    await this.#closeFile();
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.close();
  }

  /** The files that hold more than has been read of them, sorted by name. */
  async #findUnread(): Promise<ReadFile[]> {
    const unread: ReadFile[] = [];
    for (const path of await this.#list()) {
      let file = this.#files.get(path);
      if (!file) {
        const records = new RecordReader({ maxRecordBytes: this.#maxRecordBytes, file: path, unpacks: !this.#follow });
        file = { path, position: 0, records, skipped: false };
        // A reader of a packed file holds some memory, and nobody comes back to it.
        if (this.#follow) this.#files.set(path, file);
      }
      if (file.skipped) continue;
      const size = this.#follow ? await this.#place.size(path) : Infinity;
      if (size === undefined) continue;
      if (size < (file.shrunkTo ?? file.position)) await this.#shrink(file, size);
      else if (file.shrunkTo !== undefined && size > file.shrunkTo) await this.#regrow(file, file.shrunkTo, size);
      if (file.shrunkTo === undefined && size > file.position) unread.push(file);
    }
    return unread;
  }

  async #list(): Promise<string[]> {
    const source = this.#source;
    const kind = await this.#place.kind(source);
    if (kind === 'file') return [source];
    if (kind === undefined) {
      // A followed run may be deleted and come back, but there has to be one to begin with.
      if (this.#round > 0) return [];
      throw new Error(`readEvents: there is no file or folder "${source}"`);
    }
    const entries = await this.#place.list(source);
    const files = entries.filter((entry) => entry.kind === 'file' && isEventFileName(entry.name));
    if (files.length === 0 && this.#round === 0) await this.#lookBelow();
    return files.map((entry) => entry.path).sort(byName);
  }

  /**
   * Tells of the runs below a folder that is none itself: nobody who passes it means to read nothing.
   *
   * @throws RangeError if there are any; if the run is followed, it may begin later, and a warning is enough
   */
  async #lookBelow(): Promise<void> {
    const runs = await walkRuns(this.#source, () => {}, maxLooks, this.#place);
    // An event file may have been made in the folder itself meanwhile.
    if (runs.length === 0 || runs.some(({ run }) => run === '.')) return;
    const [got, remedy] =
      this.#place === sourceFiles
        ? [`'${this.#source}', which`, 'pass the path of one of']
        : ['an Output that', 'pass its run(name), which is one of'];
    const found = `expected the folder of a run, got ${got} has no event file itself but runs below`;
    const message = `readEvents: ${found}: ${remedy} ${namesOf(runs.map(({ run }) => run))}`;
    if (!this.#follow) throw new RangeError(message);
    warn(message);
  }

  /**
   * Notes that a file is shorter than what was read of it: a writer whose disk is full takes back what it has written of a
   * batch of records.
   *
   * @throws CorruptRecordError if the file does not end between two records
   */
  async #shrink(file: ReadFile, size: number): Promise<void> {
    const { last, path, position, records } = file;
    if (size < records.nextOffset) {
      const from = last && last.boundary <= size ? last.boundary : 0;
      const walk = new RecordReader({ offset: from, file: path, unpacks: false });
      await readRange(this.#place, path, from, size, (chunk) => {
        walk.push(chunk);
        while (walk.next());
      });
      if (walk.nextOffset !== size) {
        this.#current = file;
        const reason = `the file has shrunk to ${size} bytes after ${position} were read`;
        throw new CorruptRecordError(reason, records.nextOffset, path);
      }
    }
    file.shrunkTo = size;
  }

  /**
   * Goes on with a file that has shrunk and grows again: behind what was read, if that has been written again as it was;
   * otherwise at the end that it had in between.
   */
  async #regrow(file: ReadFile, end: number, size: number): Promise<void> {
    const { last, path, position, records } = file;
    file.shrunkTo = undefined;
    if (last && last.start <= end && size >= position) {
      const chunks: Uint8Array[] = [];
      await readRange(this.#place, path, last.start, position, (chunk) => void chunks.push(chunk.slice()));
      if (crc32c(concat(chunks)) === last.crc) return;
    }
    file.position = Math.min(end, records.nextOffset);
    file.records = new RecordReader({
      maxRecordBytes: this.#maxRecordBytes,
      offset: file.position,
      file: path,
      unpacks: false,
    });
  }
}

/** How often to look for what was added, in milliseconds; every look at a bucket costs requests. */
const [localPollInterval, remotePollInterval] = [250, 10_000];

/**
 * The event files of a run, or one file; see RunFiles.
 *
 * @param signal ends the waiting
 */
export function runFilesOf(
  source: string | ListedFolder,
  follow: boolean,
  maxRecordBytes: number | undefined,
  pollInterval: number | undefined,
  signal: AbortSignal,
): RunFiles {
  const isFar = typeof source === 'string' && isRemote(source);
  const interval = pollInterval ?? (isFar ? remotePollInterval : localPollInterval);
  return new RunFiles(source, follow, maxRecordBytes, () => sleep(interval, signal));
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal.addEventListener('abort', wake, { once: true });
  });
}

/** Reads `[start, end)` of a file, or as much of it as is there, in chunks that are valid during the call. */
async function readRange(
  place: SourceFiles,
  path: string,
  start: number,
  end: number,
  take: (chunk: Uint8Array) => void,
): Promise<void> {
  const file = await place.open(path);
  try {
    const chunk = new Uint8Array(Math.min(chunkBytes, end - start));
    for (let at = start, length = 1; at < end && length > 0; at += length) {
      length = await file.read(chunk.subarray(0, end - at), at);
      take(chunk.subarray(0, length));
    }
  } finally {
    await file.close();
  }
}

/** Compares names as TensorBoard sorts them: by code unit, not by language. */
function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function ofFile<T>(offset: number, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (cause) {
    throw new FileError(offset, cause);
  }
}

/** Returns undefined if the file has vanished since it was listed: TensorBoard passes over it, too. */
async function openIfThere(place: SourceFiles, path: string): Promise<OpenFile | undefined> {
  try {
    return await place.open(path);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}

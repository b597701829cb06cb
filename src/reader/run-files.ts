import { sourceFiles } from '#platform';
import { RecordReader } from '../encoding/record.js';
import { CorruptRecordError } from '../errors.js';
import type { OpenFile } from '../platform/platform.js';
import type { RecordSource } from './byte-source.js';

/** Bytes read from a file at a time. */
const chunkBytes = 2 ** 18;

/**
 * Whether TensorBoard takes a file for an event file, by its name without folders.
 * Source: tensorboard/data/server/logdir.rs and tensorboard/backend/event_processing/io_wrapper.py
 */
export function isEventFileName(name: string): boolean {
  return name.includes('tfevents') && !name.endsWith('.profile-empty');
}

/** One file of a run and how far it has been read. */
interface ReadFile {
  readonly path: string;
  /** Where the next bytes are to be read from. */
  position: number;
  /** Keeps what has come of a record that is not whole yet. */
  readonly records: RecordReader;
  /** Damaged: nothing more is read of it. */
  left: boolean;
}

/**
 * The event files of a run folder, in the order of their names, or one file; when followed, then again and again what
 * has been added to any of them, and new ones. At most one file is open, and none while waiting.
 */
export class RunFiles implements RecordSource {
  readonly #source: string | URL;
  readonly #follow: boolean;
  readonly #maxRecordBytes: number | undefined;
  readonly #wait: () => Promise<void>;
  readonly #files = new Map<string, ReadFile>();
  readonly #chunk = new Uint8Array(chunkBytes);
  #closed = false;
  #round = 0;
  #queue: ReadFile[] = [];
  #current: ReadFile | undefined;
  #open: OpenFile | undefined;
  /** Stands in until the first file is open. */
  #records: RecordReader;

  /** @param wait resolves when a followed run is to be looked at again, or has been closed */
  constructor(source: string | URL, follow: boolean, maxRecordBytes: number | undefined, wait: () => Promise<void>) {
    this.#source = source;
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
        const length = await this.#open.read(this.#chunk, this.#current.position);
        if (length > 0) {
          this.#current.position += length;
          this.#records.push(this.#chunk.subarray(0, length));
          return true;
        }
        await this.#closeFile();
      }
      const next = this.#queue.shift();
      if (next) {
        const open = await openIfThere(next.path);
        if (this.#closed) {
          await open?.close();
          return false;
        }
        this.#open = open;
        this.#current = next;
        this.#records = next.records;
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

  async leave(): Promise<boolean> {
    if (this.#current) this.#current.left = true;
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

  /** The files that are longer than what has been read of them, by name. */
  async #findUnread(): Promise<ReadFile[]> {
    const unread: ReadFile[] = [];
    for (const path of await this.#list()) {
      let file = this.#files.get(path);
      if (!file) {
        const records = new RecordReader({ maxRecordBytes: this.#maxRecordBytes, file: path });
        file = { path, position: 0, records, left: false };
        this.#files.set(path, file);
      }
      if (file.left) continue;
      const size = this.#follow ? await sourceFiles.size(path) : Infinity;
      if (size === undefined) continue;
      if (size < file.position) this.#failShrunk(file, size);
      if (size > file.position) unread.push(file);
    }
    return unread;
  }

  async #list(): Promise<string[]> {
    const source = this.#source;
    const kind = await sourceFiles.kind(source);
    if (kind === 'file') return [sourceFiles.path(source)];
    if (kind === undefined) {
      // What is followed may be deleted and come back, but something has to be there to begin with.
      if (this.#round > 0) return [];
      throw new Error(`readEvents: there is no file or folder "${source}"`);
    }
    const entries = await sourceFiles.list(source);
    return entries
      .filter((entry) => entry.kind === 'file' && isEventFileName(entry.name))
      .map((entry) => entry.path)
      .sort(byName);
  }

  #failShrunk(file: ReadFile, size: number): never {
    this.#current = file;
    const reason = `the file has shrunk to ${size} bytes after ${file.position} were read`;
    throw new CorruptRecordError(reason, file.records.nextOffset, file.path);
  }
}

/** Runs' files sort as TensorBoard sorts them: by code unit, not by language. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A file may vanish between being listed and being opened; TensorBoard passes over it, too. */
async function openIfThere(path: string): Promise<OpenFile | undefined> {
  try {
    return await sourceFiles.open(path);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}

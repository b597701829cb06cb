import { closeSync, constants, fstatSync, ftruncateSync, openSync, type Stats, writeSync } from 'node:fs';
import type { AppendableFile } from './platform.js';

/** How many files stay open between two appends: opening and closing takes longer than writing an event. */
const maxOpenFiles = 32;
/**
 * How long a file stays open, in milliseconds. A network file system shows others what was written when the file is closed;
 * and a file that was renamed is found out when it is opened again.
 */
const maxOpenMillis = 1000;
/** Errors by which the file system says that a file is no longer at its path. */
const goneCodes = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ESTALE', 'ELOOP']);
/** Opens a file to go on writing it; a link that has taken its place is not followed. */
const writeWithoutLinks = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0);

/** The open files of this thread, those appended to least recently first. */
const openFiles = new Set<EventFile>();

/** Closes files until no more than `most` are open. */
function closeOldest(most: number): void {
  for (const file of openFiles) {
    if (openFiles.size <= most) return;
    file.close();
  }
}

/** Does what needs a descriptor. If the program has none left, the files that stay open here give theirs back. */
export function withDescriptor<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    const code = codeOf(error);
    if (openFiles.size === 0 || (code !== 'EMFILE' && code !== 'ENFILE')) throw error;
    closeOldest(0);
    return act();
  }
}

/** A file that is appended to. It is found by its path again whenever it was closed in between. */
export class EventFile implements AppendableFile {
  readonly path: string;
  /** The bytes that have been appended. */
  #size = 0;
  /** Bytes after them: a part of an append that failed, which could not be cut off again. */
  #excess = 0;
  #descriptor: number | undefined;
  /** What the descriptor stood for when it was new. */
  #opened: Stats | undefined;
  #openedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closeError: unknown;

  /** @param descriptor of the file, which is new and empty */
  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#keepOpen(descriptor);
  }

  append(bytes: Uint8Array): boolean {
    const stats = this.#statOpen() ?? this.#open();
    if (stats === undefined) return false;
    const wasDeleted = stats.nlink === 0 && this.#opened!.nlink > 0;
    if (wasDeleted || stats.size !== this.#size + this.#excess) {
      this.close();
      return false;
    }
    const descriptor = this.#descriptor!;
    openFiles.delete(this);
    openFiles.add(this);
    if (this.#excess > 0) this.#cut(descriptor);
    try {
      for (let written = 0; written < bytes.length; ) {
        written += countOf(
          writeSync(descriptor, bytes, written, bytes.length - written, this.#size + written),
          this.path,
        );
        this.#excess = written;
      }
    } catch (error) {
      try {
        this.#cut(descriptor);
      } catch {
        // The next append cuts first.
      }
      throw error;
    }
    this.#size += bytes.length;
    this.#excess = 0;
    return true;
  }

  release(): void {
    this.close();
    const error = this.#closeError;
    this.#closeError = undefined;
    if (error !== undefined) throw error;
  }

  /** Closes the file. What the system says then is thrown by `release`. */
  close(): void {
    const descriptor = this.#forget();
    if (descriptor === undefined) return;
    try {
      closeSync(descriptor);
    } catch (error) {
      this.#closeError = error;
    }
  }

  /** What is known of the file if it is open; undefined if it must be opened. */
  #statOpen(): Stats | undefined {
    if (this.#descriptor === undefined) return undefined;
    if (performance.now() - this.#openedAt > maxOpenMillis) {
      this.close();
      return undefined;
    }
    try {
      const stats = fstatSync(this.#descriptor);
      // A program that closes one of its files twice may have closed ours, and its number may belong to another file now.
      if (stats.ino === this.#opened!.ino && stats.dev === this.#opened!.dev) return stats;
      this.#forget();
    } catch (error) {
      if (codeOf(error) === 'EBADF') this.#forget();
      else this.close();
    }
    return undefined;
  }

  /** Opens the file; returns undefined if it is gone. */
  #open(): Stats | undefined {
    try {
      // 'a' would make a new file if the old one was deleted.
      this.#keepOpen(withDescriptor(() => openSync(this.path, writeWithoutLinks)));
    } catch (error) {
      if (goneCodes.has(codeOf(error) ?? '')) return undefined;
      throw error;
    }
    return this.#opened;
  }

  #keepOpen(descriptor: number): void {
    closeOldest(maxOpenFiles - 1);
    this.#opened = fstatSync(descriptor);
    this.#descriptor = descriptor;
    this.#openedAt = performance.now();
    this.#timer = setTimeout(() => this.close(), maxOpenMillis);
    this.#timer.unref?.(); // jsdom's, in tests, has none
    openFiles.add(this);
  }

  #forget(): number | undefined {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    clearTimeout(this.#timer);
    openFiles.delete(this);
    return descriptor;
  }

  #cut(descriptor: number): void {
    ftruncateSync(descriptor, this.#size);
    this.#excess = 0;
  }
}

/** How many bytes a write took. @throws Error if it took none, which would not change if it were tried for ever */
export function countOf(written: number, path: string): number {
  if (written > 0) return written;
  throw Object.assign(new Error(`EIO: the file system took no bytes, write '${path}'`), { code: 'EIO' });
}

/** The system's code of an error, such as 'ENOENT'. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

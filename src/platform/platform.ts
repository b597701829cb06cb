/**
 * The few things an event file needs of a file system, all synchronous: they run inside training loops and at process
 * exit, where nothing can be awaited. Every function throws the file system's own error, with its `code`.
 */
export interface Files {
  /** The absolute path of a path relative to the working directory as it is now. */
  resolve(path: string): string;
  /** A path below a folder; `name` uses `/`. */
  join(folder: string, name: string): string;
  /** The one true path of an existing folder, links and letter case resolved. */
  realPath(path: string): string;
  /** Makes a folder and those it lies in. */
  makeDirectory(path: string): void;
  /** The names in a folder. */
  list(path: string): string[];
  /** Makes an empty file; false where the name is taken. */
  create(path: string): boolean;
  /**
   * Appends all bytes or none to a file that is expected to hold `size` bytes. False, and nothing written, where the
   * file is gone or has another size.
   */
  append(path: string, bytes: Uint8Array, size: number): boolean;
  /** Replaces a file's content in one step, making the folders it lies in. */
  write(path: string, bytes: Uint8Array): void;
  /** A file's bytes, piece by piece; each piece is valid until the next. */
  read(path: string): Iterable<Uint8Array>;
}

/** The few things a reader of event files needs of a file system. Every function rejects with the file system's own error. */
export interface SourceFiles {
  /** What is at a path or a `file:` URL, links followed; undefined where there is nothing. */
  kind(path: string | URL): Promise<'file' | 'folder' | undefined>;
  /** What a folder holds, in no particular order, links followed. What vanishes meanwhile is left out. */
  list(folder: string | URL): Promise<{ name: string; path: string; kind: 'file' | 'folder' }[]>;
  /** The one true path of a folder, links resolved. */
  realPath(folder: string): Promise<string>;
  /** A file's length; undefined where it is gone. A pipe has none: Infinity. */
  size(path: string): Promise<number | undefined>;
  /** A `file:` URL as a path; a path as it is. */
  path(path: string | URL): string;
  open(path: string): Promise<OpenFile>;
}

/** A file open for reading. */
export interface OpenFile {
  /** Reads what is at `position` (of a pipe: what comes next) into the buffer's front and resolves to its length, 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * The few things a store needs of a file system. Paths use `/`; relative ones are below the working directory
 * (Node) or the origin private file system (browsers).
 */
export interface StoreFiles {
  /** The file's bytes, or undefined where there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>;
  /**
   * Replaces the file's content in one step and makes the folders it lies in: a reader, or a crash in the middle,
   * finds either the old content or the new, never a part of it.
   */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Every file at any depth below a folder, as paths relative to it, sorted; empty where there is no such folder. */
  list(folder: string): Promise<string[]>;
  /** Removes a file; no error where there is none. */
  remove(path: string): Promise<void>;
}

/** A thread that runs a script of ours, alike in Node and in browsers. */
export interface WorkerThread {
  /** Sends a message; the buffers of `transfer` move with it. */
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /** Whether a message that is still to come keeps the program alive. A thread starts without. */
  setRef(keepsAlive: boolean): void;
  terminate(): void;
}

/** What a thread reports. */
export interface WorkerListener {
  onMessage(message: unknown): void;
  /** The thread could not start, or died. Nothing follows. */
  onError(error: Error): void;
}

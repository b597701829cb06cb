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

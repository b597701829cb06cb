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

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

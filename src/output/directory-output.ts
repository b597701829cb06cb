import { files as platformFiles } from '#platform';
import { concat } from '../encoding/bytes.js';
import type { Files } from '../platform/platform.js';
import { eventFileName, fileNamePart } from './event-file-name.js';
import { type Output, safePath } from './output.js';

/**
 * One event file in a folder, made when the first records come, and open only while it is written to.
 *
 * It sorts after what stands in the folder (see eventFileName) and is made exclusively, so writers in other processes and
 * threads get files of their own.
 */
export class DirectoryOutput implements Output {
  /** The folder as it was given. */
  readonly logdir: string;
  /** The folder's absolute path. */
  readonly folder: string;
  readonly #files: Files;
  readonly #suffix: string;
  #path: string | undefined;
  #size = 0;
  #restarts = 0;

  /**
   * @param logdir the folder; it need not exist yet
   * @param folder its absolute path, where `logdir` is not relative to the working directory as it is now
   */
  constructor(
    logdir: string,
    options: { filenameSuffix?: string } = {},
    files: Files | undefined = platformFiles,
    folder: string | undefined = files?.resolve(logdir),
  ) {
    if (files === undefined || folder === undefined) {
      throw new TypeError(
        `There is no file system here for the logdir '${logdir}': pass an Output, such as a MemoryOutput, instead`,
      );
    }
    this.logdir = logdir;
    this.folder = folder;
    this.#files = files;
    this.#suffix = fileNamePart(options.filenameSuffix ?? '');
  }

  /** The event file, once it has been made. */
  get path(): string | undefined {
    return this.#path;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /**
   * Makes the folder and returns its one true path, by which two writers know that they write to the same.
   *
   * @param mayFail throw where it cannot be made; otherwise the path is returned as it is, and `write` will fail
   */
  prepare(mayFail: boolean): string {
    try {
      this.#files.makeDirectory(this.folder);
      return this.#files.realPath(this.folder);
    } catch (error) {
      if (mayFail) throw explain(`Cannot make the logdir '${this.logdir}'`, error);
      return this.folder;
    }
  }

  write(bytes: Uint8Array): void {
    this.#path ??= this.#create();
    let appended: boolean;
    try {
      appended = this.#files.append(this.#path, bytes, this.#size);
    } catch (error) {
      throw explain(`Cannot write to ${this.#path}`, error);
    }
    if (!appended) {
      // Whatever stands there now is not ours to append to; the next write begins another file.
      const lost = this.#path;
      this.#path = undefined;
      this.#size = 0;
      this.#restarts++;
      throw new Error(`The event file ${lost} was removed or changed while it was being written`);
    }
    this.#size += bytes.length;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}

  run(name: string): DirectoryOutput {
    const path = safePath(name);
    const { join } = this.#files;
    const options = { filenameSuffix: this.#suffix };
    return new DirectoryOutput(join(this.logdir, path), options, this.#files, join(this.folder, path));
  }

  async file(path: string, bytes: Uint8Array): Promise<void> {
    const target = this.#files.join(this.folder, safePath(path));
    try {
      this.#files.write(target, bytes);
    } catch (error) {
      throw explain(`Cannot write ${target}`, error);
    }
  }

  readFile(path: string): Uint8Array | undefined {
    const target = this.#files.join(this.folder, safePath(path));
    try {
      return concat(Array.from(this.#files.read(target), (piece) => piece.slice()));
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return undefined;
      throw explain(`Cannot read ${target}`, error);
    }
  }

  /** The event files that stand in the folder, in the order TensorBoard reads them, each in pieces. */
  *readEarlier(): Iterable<Iterable<Uint8Array>> {
    const names = this.#files.list(this.folder).filter((name) => name.includes('tfevents'));
    for (const name of names.sort()) yield this.#files.read(this.#files.join(this.folder, name));
  }

  #create(): string {
    try {
      this.#files.makeDirectory(this.folder);
      const names = this.#files.list(this.folder);
      for (;;) {
        const path = this.#files.join(this.folder, eventFileName(names, this.#suffix));
        if (this.#files.create(path)) return path;
      }
    } catch (error) {
      throw explain(`Cannot make an event file in ${this.folder}`, error);
    }
  }
}

function explain(what: string, cause: unknown): Error {
  const { message, code } = cause as { message?: string; code?: string };
  return Object.assign(
    new Error(`${what}: ${message ?? String(cause)}`, { cause }),
    code === undefined ? {} : { code },
  );
}

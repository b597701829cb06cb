/** The Output of a folder of the file system. It makes and appends to event files, and keeps companion files beside them. */
import { files, localPath } from '#platform';
import { concat } from '../encoding/bytes.js';
import { checkPath, maxNameBytes } from '../encoding/file-names.js';
import { describe } from '../errors.js';
import type { AppendableFile, Files } from '../platform/platform.js';
import { eventFileName, fileNamePart } from './event-file-name.js';
import { type Output, safePath } from './output.js';

/** How a DirectoryOutput writes. */
export interface DirectoryOutputOptions {
  /** Ends the event file's name. Letters, digits, `-`, `_` and `.` are kept; any other character becomes `_`. */
  filenameSuffix?: string;
}

/** Whether a logdir is the path or the `file:` URL of a folder. */
export function isLogdir(logdir: unknown): logdir is string | URL {
  return typeof logdir === 'string' ? logdir !== '' : logdir instanceof URL;
}

/** The path of a logdir. @throws TypeError if it is no place of this computer */
export function logdirPath(logdir: string | URL, call: string): string {
  return localPath(logdir, call, outputFor(String(logdir)));
}

/** What to pass in the place of an Output, for an error; '' for anything else. */
export function insteadOfOutput(logdir: unknown): string {
  return typeof (logdir as Partial<Output> | undefined)?.write === 'function' ? ': pass new SummaryWriter(output)' : '';
}

/** What to write through to a place that is no folder of this computer. */
function outputFor(place: string): string {
  const parts = /^(s3|gs):\/{1,2}([^/]+)\/*(.*?)\/*$/i.exec(place);
  if (parts === null) return 'write elsewhere through an Output of your own';
  const [, scheme, bucket, prefix] = parts;
  const name = scheme.toLowerCase() === 's3' ? 's3Output' : 'gcsOutput';
  const options = `{ bucket: '${bucket}'${prefix === '' ? '' : `, prefix: '${prefix}'`} }`;
  return `pass ${name}(${options}) instead, which 'delve-tensorboard/object-stores' exports`;
}

/**
 * The Output of a folder: one event file in it, which is made when the first records come. `new SummaryWriter('logs')` makes
 * one; make one yourself to wrap it in an Output of your own. What `write` has taken is with the operating system, and stays
 * if the program is killed. Of all event files of a program, the 32 written last are open, and each for a second at most.
 *
 * The file's name sorts after those of all event files in the folder, and the file is made exclusively, so that writers in
 * other processes and threads get files of their own. Links in the folder are not followed out of it. If somebody else removes or changes the file, the next write throws
 * and the one after it begins a new file (see `restarts`).
 */
export class DirectoryOutput implements Output {
  /** The path of the folder as it was given. */
  readonly logdir: string;
  /** The folder's absolute path, as of the time this was made. */
  readonly folder: string;
  readonly #files: Files;
  readonly #suffix: string;
  /** The folder that the user named: links below it are not followed out of it. */
  readonly #root: string;
  #file: AppendableFile | undefined;
  #isEmpty = true;
  #restarts = 0;

  /**
   * Makes no file and no folder yet.
   *
   * @param logdir the folder; it is made when the first records come, if it is missing
   * @throws TypeError if `logdir` is not the path or `file:` URL of a folder of this computer, or if there is no file system, as
   * in browsers; RangeError if the path is too long
   */
  constructor(logdir: string | URL, options?: DirectoryOutputOptions);
  /**
   * @internal
   * @param folder the folder's absolute path, if `logdir` is not relative to the present working directory
   * @param root the absolute path of the logdir that it lies in
   */
  constructor(logdir: string, options: DirectoryOutputOptions | undefined, folder: string, root: string);
  constructor(logdir: string | URL, options: DirectoryOutputOptions = {}, folder?: string, root?: string) {
    if (!isLogdir(logdir)) {
      throw new TypeError(`DirectoryOutput: expected logdir to be a non-empty string, got ${describe(logdir)}`);
    }
    if (files === undefined) {
      throw new TypeError(
        `There is no file system here for the logdir '${logdir}': pass an Output instead, such as await openBrowserFolder('${logdir}') or a MemoryOutput`,
      );
    }
    this.logdir = folder === undefined ? logdirPath(logdir, 'DirectoryOutput') : String(logdir);
    this.folder = folder ?? files.resolve(this.logdir);
    checkPath(this.folder, `DirectoryOutput '${this.logdir.slice(0, 80)}'`, maxNameBytes + 1);
    this.#files = files;
    this.#root = root ?? this.folder;
    this.#suffix = fileNamePart(options.filenameSuffix ?? '');
  }

  /** The path of the event file; undefined until it has been made. */
  get path(): string | undefined {
    return this.#file?.path;
  }

  /** How many event files have been given up because somebody else removed or changed them, or because they were full. */
  get restarts(): number {
    return this.#restarts;
  }

  /** True: what `write` has taken does not depend on this program any more, and a small write costs microseconds. */
  get isImmediate(): boolean {
    return true;
  }

  /**
   * Makes the folder, if it is missing, and returns its real path: links and letter case resolved.
   *
   * @throws Error if the folder cannot be made, RangeError if a link leads it out of the logdir that it is a run of
   */
  makeFolder(): string {
    this.#checkInside(this.folder);
    try {
      this.#files.makeDirectory(this.folder);
      return this.#files.realPath(this.folder);
    } catch (error) {
      throw explain(`Cannot make the logdir '${this.logdir}'`, error);
    }
  }

  /**
   * @internal Makes the folder and returns whether it is new: then nobody else has it, in this program or another.
   * @throws Error if the folder cannot be made
   */
  makeNewFolder(): boolean {
    try {
      return this.#files.makeNewDirectory(this.folder);
    } catch (error) {
      throw explain(`Cannot make the logdir '${this.logdir}'`, error);
    }
  }

  /**
   * Appends whole records to the event file, all or nothing, in one synchronous write.
   *
   * @throws Error with the file system's `code`
   */
  write(bytes: Uint8Array): void {
    const file = (this.#file ??= this.#create());
    let appended: boolean;
    try {
      appended = file.append(bytes);
    } catch (error) {
      // The file has reached the size that the system allows; another one has room.
      if ((error as { code?: string }).code === 'EFBIG' && !this.#isEmpty) this.#beginAnother();
      throw explain(`Cannot write to ${file.path}`, error);
    }
    if (!appended) {
      // Whatever is there now, it is not for us to append to it: the next write begins another file.
      this.#beginAnother();
      throw new Error(`The event file ${file.path} was removed or changed while it was being written`);
    }
    this.#isEmpty = false;
  }

  /**
   * Closes the event file until the next write, so that other computers see it whole.
   *
   * @throws Error with the file system's `code` if it reports only now that something could not be written
   */
  async flush(): Promise<void> {
    try {
      this.#file?.release();
    } catch (error) {
      throw explain(`Cannot write to ${this.#file!.path}`, error);
    }
  }

  /** The same as `flush`. */
  async close(): Promise<void> {
    await this.flush();
  }

  /** The Output of a folder below this one. */
  run(name: string): DirectoryOutput {
    const { join, hasNamesOfWindows } = this.#files;
    const path = safePath(name, hasNamesOfWindows);
    const options = { filenameSuffix: this.#suffix };
    return new DirectoryOutput(join(this.logdir, path), options, join(this.folder, path), this.#root);
  }

  /**
   * Replaces the content of a companion file in one step, and makes the folders it lies in.
   *
   * @throws Error with the file system's `code`, RangeError if a link leads out of the logdir
   */
  async file(path: string, bytes: Uint8Array): Promise<void> {
    const target = this.#pathOf(path);
    this.#checkInside(target, false);
    try {
      this.#files.write(target, bytes);
    } catch (error) {
      throw explain(`Cannot write ${target}`, error);
    }
  }

  /**
   * The content of a companion file; undefined if there is no such file.
   *
   * @throws Error with the file system's `code`, RangeError if a link leads out of the logdir
   */
  readFile(path: string): Uint8Array | undefined {
    const target = this.#pathOf(path);
    this.#checkInside(target);
    try {
      return concat(Array.from(this.#files.read(target), (piece) => piece.slice()));
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return undefined;
      throw explain(`Cannot read ${target}`, error);
    }
  }

  /**
   * Replaces the content of a companion file by what `change` makes of it, which nobody else changes meanwhile.
   *
   * @param change gets what the file holds; undefined if there is no such file
   * @throws as `readFile` and `file` do
   */
  async updateFile(path: string, change: (content: Uint8Array | undefined) => Uint8Array): Promise<void> {
    const target = this.#pathOf(path);
    this.#checkInside(target, false);
    try {
      this.#files.lock(target, () => this.#files.write(target, change(this.readFile(path))));
    } catch (error) {
      throw error instanceof RangeError ? error : explain(`Cannot write ${target}`, error);
    }
  }

  /** The event files that are in the folder, in the order in which TensorBoard reads them, each in pieces. */
  *readEarlier(): Iterable<Iterable<Uint8Array>> {
    const names = this.#files.list(this.folder).filter((name) => name.includes('tfevents'));
    for (const name of names.sort()) yield this.#files.read(this.#files.join(this.folder, name));
  }

  #pathOf(name: string): string {
    return this.#files.join(this.folder, safePath(name, this.#files.hasNamesOfWindows));
  }

  /** @param followLast false if what is at the path will be replaced: then it does not matter where a link there leads */
  #checkInside(path: string, followLast = true): void {
    if (this.#files.isInside(this.#root, path, followLast)) return;
    throw new RangeError(`'${path}': expected a path in the logdir, got a link that leads out of it`);
  }

  #beginAnother(): void {
    this.#file = undefined;
    this.#isEmpty = true;
    this.#restarts++;
  }

  #create(): AppendableFile {
    this.#checkInside(this.folder);
    try {
      this.#files.makeDirectory(this.folder);
      const names = this.#files.list(this.folder);
      for (;;) {
        const path = this.#files.join(this.folder, eventFileName(names, this.#suffix));
        const file = this.#files.create(path);
        if (file !== undefined) return file;
      }
    } catch (error) {
      throw explain(`Cannot make an event file in ${this.folder}`, error);
    }
  }
}

/** An error that says what failed, with the message and the `code` of the file system's error. */
function explain(what: string, cause: unknown): Error {
  const { message, code } = cause as { message?: string; code?: string };
  return Object.assign(
    new Error(`${what}: ${message ?? String(cause)}`, { cause }),
    code === undefined ? {} : { code },
  );
}

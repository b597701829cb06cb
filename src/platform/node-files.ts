/** Node's file system, as `Platform` wants it: for event files, for readers and for stores. */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../errors.js';
import { codeOf, countOf, EventFile, withDescriptor } from './event-file.js';
import { makeFolders } from './make-folders.js';
import type { Files, SourceFiles, StoreFiles } from './platform.js';
import { random, randomText } from './random.js';

const readBytes = 1 << 20;

/**
 * Opens a regular file as usual. Should a pipe or a device have taken its place since it was looked at, opening that does not
 * block, and reading it fails instead of waiting.
 */
const readWithoutWaiting = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * A new name for the file that is written before it takes the name of another, so that the other is replaced in one step. It
 * must be opened exclusively: then a link that somebody has put there is not followed.
 */
function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path).slice(0, 50)}.${randomText()}.tmp`);
}

/** A lock that has not changed hands for so long, in milliseconds, belongs to somebody who died: it is held for a few. */
const staleMillis = 2000;
/** How long a lock is waited for, in milliseconds. */
const maxWaitMillis = 20_000;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** A file that exists while somebody holds the lock. It has the holder's own text, by which others see that it changed hands. */
class LockFile {
  readonly #path: string;
  readonly #text = `${process.pid} ${randomText()}`;

  constructor(path: string) {
    this.#path = path;
  }

  acquire(): void {
    const began = performance.now();
    let holder: string | undefined;
    let since = began;
    while (!this.#make(this.#path)) {
      const now = performance.now();
      if (now - began > maxWaitMillis) {
        throw Object.assign(new Error(`EBUSY: others hold the lock '${this.#path}'`), { code: 'EBUSY' });
      }
      const present = textOf(this.#path);
      if (present !== holder) [holder, since] = [present, now];
      else if (holder !== undefined && now - since > staleMillis) this.#takeOver(holder);
      Atomics.wait(sleeper, 0, 0, 1 + 4 * random());
    }
  }

  release(): void {
    if (textOf(this.#path) === this.#text) rmSync(this.#path, { force: true });
  }

  /** Makes a file with the holder's text; returns false if it is there already. */
  #make(path: string): boolean {
    let descriptor: number;
    try {
      descriptor = withDescriptor(() => openSync(path, 'wx'));
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    }
    try {
      writeSync(descriptor, this.#text);
    } finally {
      closeSync(descriptor);
    }
    return true;
  }

  /** Removes the lock of somebody who died. A second lock keeps others from removing the lock of whoever comes after them. */
  #takeOver(holder: string): void {
    const second = `${this.#path}.old`;
    if (!this.#make(second)) {
      const age = Date.now() - (statSync(second, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY);
      if (age > maxWaitMillis) rmSync(second, { force: true });
      return;
    }
    try {
      if (textOf(this.#path) === holder) rmSync(this.#path, { force: true });
    } finally {
      rmSync(second, { force: true });
    }
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The synchronous file system. */
export const files: Files | undefined = {
  resolve: (path) => resolve(path),
  join: (folder, name) => join(folder, name),
  realPath: (path) => realpathSync.native(path),
  hasNamesOfWindows: process.platform === 'win32',
  makeDirectory(path) {
    try {
      makeFolders(path);
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
      throw Object.assign(
        new Error(`expected a folder, got a file of that name or on the way to it (${code})`, { cause: error }),
        { code },
      );
    }
  },
  makeNewDirectory(path) {
    makeFolders(dirname(path));
    try {
      mkdirSync(path);
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    }
  },
  isInside(folder, path, followLast) {
    const real = realPathIfThere(folder);
    if (real === undefined) return true; // there is nothing in it yet
    let at = followLast ? path : dirname(path);
    let target: string | undefined;
    while (at.length > folder.length && (target = realPathIfThere(at)) === undefined) at = dirname(at);
    if (at.length <= folder.length || target === undefined) return true;
    return target === real || target.startsWith(real.endsWith(sep) ? real : real + sep);
  },
  list: (path) => withDescriptor(() => readdirSync(path)),
  create(path) {
    try {
      return new EventFile(
        path,
        withDescriptor(() => openSync(path, 'wx')),
      );
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return undefined;
      throw error;
    }
  },
  lock(path, act) {
    makeFolders(dirname(path));
    const lock = new LockFile(join(dirname(path), `.${basename(path).slice(0, 50)}.lock`));
    lock.acquire();
    try {
      act();
    } finally {
      lock.release();
    }
  },
  write(path, bytes) {
    const temporary = temporaryPath(path);
    makeFolders(dirname(path));
    const descriptor = withDescriptor(() => openSync(temporary, 'wx'));
    try {
      try {
        for (let written = 0; written < bytes.length; ) {
          written += countOf(writeSync(descriptor, bytes, written, bytes.length - written), path);
        }
      } finally {
        closeSync(descriptor);
      }
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  },
  *read(path) {
    if (!statSync(path).isFile()) return;
    const descriptor = withDescriptor(() => openSync(path, readWithoutWaiting));
    try {
      const buffer = new Uint8Array(readBytes);
      let length: number;
      while ((length = readSync(descriptor, buffer, 0, readBytes, null)) > 0) yield buffer.subarray(0, length);
    } finally {
      closeSync(descriptor);
    }
  },
};

/** The canonical path of what is at a path, links followed; undefined if there is nothing. */
function realPathIfThere(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The file system that event files are read from. */
export const sourceFiles: SourceFiles = {
  async kind(path) {
    const found = await ifThere(stat(path));
    if (found === undefined) return undefined;
    return found.isDirectory() ? 'folder' : 'file';
  },
  async list(folder) {
    const entries = await readdir(folder, { withFileTypes: true });
    const found = await Promise.all(
      entries.map(async (entry) => {
        const path = join(folder, entry.name);
        const isLink = entry.isSymbolicLink();
        const kind = isLink ? await kindOfTarget(path) : entryKind(entry);
        return kind === undefined ? [] : [{ name: entry.name, path, kind, isLink }];
      }),
    );
    return found.flat();
  },
  realPath: (folder) => realpath(folder),
  async size(path) {
    const found = await ifThere(stat(path));
    if (found === undefined) return undefined;
    return found.isFile() ? found.size : Infinity;
  },
  async open(path) {
    const seekable = (await stat(path)).isFile();
    const file = await open(path, seekable ? readWithoutWaiting : 'r');
    return {
      read: async (buffer, position) =>
        (await file.read(buffer, 0, buffer.length, seekable ? position : null)).bytesRead,
      close: () => file.close(),
    };
  },
};

/** Schemes that programs write with one slash, too: joining paths takes the other one away. */
const remoteSchemes =
  's3[an]?|gs|gcs|hdfs|viewfs|https?|ftps?|sftp|ssh|abfss?|wasbs?|az|adl|dbfs|oss|cos|minio|webhdfs';
/** A letter alone is a drive of Windows. */
const elsewherePattern = new RegExp(`^(?:[a-z][a-z0-9+.-]+://|(?:${remoteSchemes}):/)`, 'i');
const shellPattern = /^(?:~|\$\w+|\$\{\w+\}|%\w+%)(?=[\\/]|$)/;

/** A path as it is, and a `file:` URL as a path; see `Platform`. */
export function localPath(place: string | URL, call: string, elsewhere: string): string {
  const text = String(place);
  const refuse = (why: string): never => {
    throw new TypeError(`${call}: expected a path of this computer, got ${JSON.stringify(text.slice(0, 200))}: ${why}`);
  };
  if (/\0|^file:.*%00/i.test(text)) return refuse('no path holds a NUL character');
  if (/^file:\//i.test(text)) {
    try {
      return fileURLToPath(text);
    } catch (cause) {
      return refuse(messageOf(cause));
    }
  }
  if (typeof place !== 'string' || elsewherePattern.test(text)) return refuse(elsewhere);
  const variable = shellPattern.exec(text)?.[0];
  if (variable === '~') return refuse('only a shell replaces ~, so write homedir() of node:os instead');
  if (variable) return refuse(`only a shell replaces ${variable}, so write its value instead`);
  return place;
}

/** What an entry of a folder is to a reader. Pipes, sockets and devices are nothing: opening one may wait for ever. */
function entryKind(entry: { isDirectory(): boolean; isFile(): boolean } | undefined): 'file' | 'folder' | undefined {
  if (entry?.isDirectory()) return 'folder';
  return entry?.isFile() ? 'file' : undefined;
}

/** What a link leads to. If that may not be looked at, it is taken for a file, so that opening it says why. */
async function kindOfTarget(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    return entryKind(await ifThere(stat(path)));
  } catch {
    return 'file';
  }
}

/** Resolves to undefined if there is nothing at the path. */
async function ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}

/** Files below the working directory of this moment: a later chdir does not move a store's files. */
export function defaultStoreFiles(): StoreFiles {
  const base = process.cwd();
  const at = (path: string) =>
    resolve(base, localPath(path, 'StoreFiles', 'keep files elsewhere through StoreFiles of your own'));
  return {
    async read(path) {
      const file = await absentAsUndefined(open(at(path), readWithoutWaiting));
      try {
        if (file !== undefined && !(await file.stat()).isFile())
          throw new Error(`'${path}' is no regular file: it is not read`);
        return await file?.readFile();
      } finally {
        await file?.close();
      }
    },
    async write(path, bytes) {
      const target = at(path);
      const temporary = temporaryPath(target);
      makeFolders(dirname(target));
      const file = await open(temporary, 'wx');
      try {
        try {
          for (let written = 0; written < bytes.length; ) {
            const { bytesWritten } = await file.write(bytes, written, bytes.length - written);
            written += countOf(bytesWritten, target);
          }
        } finally {
          await file.close();
        }
        await rename(temporary, target);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    async list(folder) {
      const root = at(folder);
      const entries = await absentAsUndefined(readdir(root, { recursive: true, withFileTypes: true }));
      return (entries ?? [])
        .filter((entry) => entry.isFile())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
        .sort();
    },
    async remove(path) {
      await rm(at(path), { force: true });
    },
  };
}

async function absentAsUndefined<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

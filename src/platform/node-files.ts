/** Node's file system, as `Platform` wants it: for event files, for readers and for stores. */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdir, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Files, SourceFiles, StoreFiles } from './platform.js';

const readBytes = 1 << 20;

/**
 * Opens a regular file as usual. Should a pipe or a device have taken its place since it was looked at, opening that does not
 * block, and reading it fails instead of waiting.
 */
const readWithoutWaiting = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** The synchronous file system. No file stays open between two calls, so any number of event files costs no descriptor. */
export const files: Files | undefined = {
  resolve: (path) => resolve(path),
  join: (folder, name) => join(folder, name),
  realPath: (path) => realpathSync.native(path),
  makeDirectory(path) {
    mkdirSync(path, { recursive: true });
  },
  list: (path) => readdirSync(path),
  create(path) {
    try {
      closeSync(openSync(path, 'wx'));
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    }
  },
  append(path, bytes, size) {
    let descriptor: number;
    try {
      // 'a' would make a new file if the old one was deleted.
      descriptor = openSync(path, 'r+');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    }
    try {
      if (fstatSync(descriptor).size !== size) return false;
      try {
        let written = 0;
        while (written < bytes.length) {
          written += writeSync(descriptor, bytes, written, bytes.length - written, size + written);
        }
      } catch (error) {
        ftruncateSync(descriptor, size);
        throw error;
      }
    } finally {
      closeSync(descriptor);
    }
    return true;
  },
  write(path, bytes) {
    const temporary = join(dirname(path), `.${basename(path)}.tmp`);
    mkdirSync(dirname(path), { recursive: true });
    try {
      writeFileSync(temporary, bytes);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  },
  *read(path) {
    if (!statSync(path).isFile()) return;
    const descriptor = openSync(path, readWithoutWaiting);
    try {
      const buffer = new Uint8Array(readBytes);
      let length: number;
      while ((length = readSync(descriptor, buffer, 0, readBytes, null)) > 0) yield buffer.subarray(0, length);
    } finally {
      closeSync(descriptor);
    }
  },
};

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** The file system that event files are read from. */
export const sourceFiles: SourceFiles = {
  async kind(path) {
    const found = await ifThere(stat(path));
    if (found === undefined) return undefined;
    return found.isDirectory() ? 'folder' : 'file';
  },
  async list(folder) {
    const base = toPath(folder);
    const entries = await readdir(base, { withFileTypes: true });
    const found = await Promise.all(
      entries.map(async (entry) => {
        const path = join(base, entry.name);
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
  path: toPath,
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

function toPath(path: string | URL): string {
  return typeof path === 'string' ? path : fileURLToPath(path);
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
  const at = (path: string) => resolve(base, path);
  return {
    async read(path) {
      return absentAsUndefined(readFile(at(path)));
    },
    async write(path, bytes) {
      const target = at(path);
      const temporary = join(dirname(target), `.${basename(target)}.tmp`);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(temporary, bytes);
      try {
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

import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Files } from './platform.js';

const readBytes = 1 << 20;

/** The file system of Node. No file stays open between two calls, so any number of event files costs no descriptor. */
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
      // Not 'a', which would make a new file where the old one was deleted.
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
    const descriptor = openSync(path, 'r');
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

import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ModelFiles } from './platform.js';

/** Files of models, of which ranges are read and which are written piece by piece: they may be larger than memory. */
export const modelFiles: ModelFiles = {
  open(path) {
    const descriptor = openSync(path, 'r');
    return {
      size: fstatSync(descriptor).size,
      read(from, to) {
        const bytes = new Uint8Array(Math.max(0, to - from));
        let length = 0;
        while (length < bytes.length) {
          const count = readSync(descriptor, bytes, length, bytes.length - length, from + length);
          if (count === 0) throw new RangeError(`expected ${to} bytes, got ${from + length}: the file became shorter`);
          length += count;
        }
        return bytes;
      },
      close: () => closeSync(descriptor),
    };
  },
  list(path) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
    const { compare } = new Intl.Collator('en', { numeric: true });
    const files = readdirSync(path, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
    return files.map(({ name }) => join(path, name)).sort(compare);
  },
  async load(packageName) {
    try {
      return await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName);
    } catch (error) {
      let path: string;
      try {
        path = createRequire(join(process.cwd(), 'package.json')).resolve(packageName);
      } catch {
        throw error;
      }
      return await import(/* @vite-ignore */ /* webpackIgnore: true */ pathToFileURL(path).href);
    }
  },
  write(path, pieces) {
    const temporary = `${path}.${process.pid}.tmp`;
    const descriptor = openSync(temporary, 'wx');
    try {
      try {
        for (const piece of pieces) {
          for (let at = 0; at < piece.length; ) at += writeSync(descriptor, piece, at);
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
};

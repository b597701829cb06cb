import { closeSync, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
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

import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SourceFiles } from './source-files.js';

/** Node's file system, for reading. */
export const sourceFiles: SourceFiles = {
  kind: async (path) => kindOf(await ifThere(stat(path))),
  async list(folder) {
    const base = toPath(folder);
    const entries = await readdir(base, { withFileTypes: true });
    const found = await Promise.all(
      entries.map(async (entry) => {
        const path = join(base, entry.name);
        const kind = kindOf(entry.isSymbolicLink() ? await ifThere(stat(path)) : entry);
        return kind === undefined ? [] : [{ name: entry.name, path, kind }];
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
    const file = await open(path, 'r');
    const seekable = (await file.stat()).isFile();
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

function kindOf(entry: { isDirectory(): boolean } | undefined): 'file' | 'folder' | undefined {
  if (entry === undefined) return undefined;
  return entry.isDirectory() ? 'folder' : 'file';
}

async function ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}

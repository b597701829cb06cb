import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { StoreFiles } from './store-files.js';

/** Files below the working directory as it is now: a later chdir does not move a store's files. */
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

import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it, unless they are there. `mkdirSync` with `recursive` does not do: where the system says
 * ENOENT of a folder whose parent is there, as in /proc or on a drive that is gone, Node before 26 tries for ever.
 *
 * @param mode that of the folders that are made
 * @throws the system's error; EEXIST or ENOTDIR if a file is in the way
 */
export function makeFolders(path: string, mode?: number): void {
  try {
    mkdirSync(path, { mode });
    return;
  } catch (error) {
    if (isFolder(path)) return;
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error;
    makeFolders(parent, mode);
  }
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (!isFolder(path)) throw error;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

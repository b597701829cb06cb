import { createHash, createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { link, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { makeFolders } from './make-folders.js';

/*
 * What partial results need of the machine: digests, and files of which only the first writer's stays. Node's own; a page does
 * not take part in a plan.
 */

/** SHA-256, as hexadecimal digits. */
export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** HMAC with SHA-256, as hexadecimal digits. */
export function hmacSha256(key: string, content: Uint8Array | string): string {
  return createHmac('sha256', key).update(content).digest('hex');
}

/** Compares digests in a time that tells nothing about where they differ. */
export function isSameDigest(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Lets everything run that waits in the event loop: the heartbeats of an engine, signals. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** This package's version. */
export function packageVersion(): string {
  return (createRequire(import.meta.url)('../../package.json') as { version: string }).version;
}

const temporary = '.tmp-';

/** The bytes of a file; undefined if there is none. */
export async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Writes a file that nobody ever sees in part, and that outlives the machine's end, unless there is one of this name.
 *
 * @returns false if there is one, and nothing was written
 * @throws the system's error; a file system without hard links cannot do it
 */
export async function createWhole(path: string, bytes: Uint8Array): Promise<boolean> {
  const folder = dirname(path);
  makeFolders(folder);
  const own = join(folder, `${temporary}${randomUUID()}`);
  const file = await open(own, 'wx');
  try {
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(own, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(own).catch(() => {});
  }
  await syncFolder(folder);
  return true;
}

/** Makes sure that a folder's new entries outlive the machine's end; systems that cannot open folders do it by themselves. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** Gives a file another name; nothing happens if it is gone. */
export async function renameIfThere(path: string, to: string): Promise<void> {
  await rename(path, to).catch((error) => {
    if (!isMissing(error)) throw error;
  });
}

/** The whole files below a folder, with `/` between the parts of their paths, in no order. */
export async function filesBelow(folder: string): Promise<{ path: string; size: number }[]> {
  let entries: { name: string; parentPath: string; isFile(): boolean }[];
  try {
    entries = await readdir(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  const files: { path: string; size: number }[] = [];
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.startsWith(temporary)) continue;
    const path = join(entry.parentPath, entry.name);
    const found = await stat(path).catch(() => undefined); // it may have been set aside meanwhile
    if (found) files.push({ path: path.slice(folder.length + 1).replaceAll(sep, '/'), size: found.size });
  }
  return files;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

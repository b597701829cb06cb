import { localPath } from '#platform';
import { checkPrefix, type ObjectInfo, type ObjectStore } from '../output/object-store.js';
import { createWhole, filesBelow, readIfThere, renameIfThere } from '../platform/partial-files.js';

/*
 * Where partials lie. All that a plan relies on is that of several writers of a key the first one wins, and that nobody reads a
 * part of what was written.
 */

/** Keys to bytes that never change. All functions reject with an Error if the store cannot be reached or refuses. */
export interface PartialStore {
  /** The bytes under a key, which are the caller's to change; undefined if there are none. */
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Writes bytes, in one step, if there are none under this key.
   *
   * @returns false if there are, and nothing was written
   */
  putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean>;
  /** Takes damaged bytes away, so that others can be written under their key; they are kept under another one. */
  setAside(key: string): Promise<void>;
  /** The keys that begin with a prefix, with the lengths of their bytes. `planStatus` needs it. */
  list?(prefix: string): Promise<readonly ObjectInfo[]>;
}

/** A name for what is set aside, which `isSetAside` knows. */
const aside = (key: string) => `${key}.bad-${Date.now()}`;

/** Whether a key is that of bytes that were set aside. */
export function isSetAside(key: string): boolean {
  return /\.bad-\d+$/.test(key);
}

/** Partials in memory: for one process, and for tests. Bytes are copied in and out. */
export function memoryPartials(): PartialStore {
  const stored = new Map<string, Uint8Array>();
  return {
    get: async (key) => stored.get(key)?.slice(),
    async putIfAbsent(key, bytes) {
      if (stored.has(key)) return false;
      stored.set(key, bytes.slice());
      return true;
    },
    async setAside(key) {
      const bytes = stored.get(key);
      if (bytes === undefined) return;
      stored.set(aside(key), bytes);
      stored.delete(key);
    },
    list: async (prefix) =>
      [...stored].filter(([key]) => key.startsWith(prefix)).map(([key, { length }]) => ({ key, size: length })),
  };
}

/**
 * Partials as files in a folder, on one machine or on a file system that machines share. It needs hard links: a file gets its
 * name by one, after it was written and has reached the disk.
 *
 * @throws TypeError if it is no place of this computer
 */
export function folderPartials(folder: string | URL): PartialStore {
  const root = localPath(folder, 'folderPartials', 'use objectPartials for object stores');
  const pathOf = (key: string) => `${root}/${key}`;
  return {
    get: (key) => readIfThere(pathOf(key)),
    putIfAbsent: (key, bytes) => createWhole(pathOf(key), bytes),
    setAside: (key) => renameIfThere(pathOf(key), pathOf(aside(key))),
    async list(prefix) {
      // Prefixes are those of folders, so only these are read.
      const below = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      const files = await filesBelow(pathOf(below).replace(/\/$/, ''));
      return files.map(({ path, size }) => ({ key: below + path, size })).filter(({ key }) => key.startsWith(prefix));
    },
  };
}

/**
 * Partials as objects of an object store, such as `s3Store` makes one. The store must know `put` with `ifNoneMatch: '*'`.
 *
 * @param options `prefix`: keys begin with it and `/`
 */
export function objectPartials(store: ObjectStore, { prefix = '' }: { prefix?: string } = {}): PartialStore {
  const checked = checkPrefix(prefix, 'objectPartials: prefix');
  const root = checked === '' ? '' : `${checked}/`;
  return {
    get: (key) => store.get(root + key),
    putIfAbsent: (key, bytes) => store.put(root + key, bytes, { ifNoneMatch: '*' }),
    async setAside(key) {
      if (store.remove === undefined) {
        throw new TypeError(
          `objectPartials: expected a store with remove, to take away the damaged object '${root}${key}'`,
        );
      }
      const bytes = await store.get(root + key);
      if (bytes === undefined) return;
      await store.put(root + aside(key), bytes);
      await store.remove(root + key);
    },
    async list(below) {
      const { objects } = await store.list(root + below);
      return objects.map(({ key, size }) => ({ key: key.slice(root.length), size }));
    },
  };
}

/**
 * Files and folders of a browser, in the page's origin private file system or picked by the user: walking them, replacing
 * and appending to files. https://fs.spec.whatwg.org
 */
import type { StoreFiles } from './platform.js';

/** The files of a page's stores, in its origin private file system. */
export function defaultStoreFiles(): StoreFiles {
  return {
    async read(path) {
      const { folder, name } = await find(path);
      return folder && readFile(folder, name);
    },
    async write(path, bytes) {
      const { parts, name } = split(path);
      await replaceFile(await folderAt(await privateRoot(path), parts), name, bytes);
    },
    async list(path) {
      const { folder, name } = await find(path);
      const root = name === '' ? folder : await absentAsUndefined(folder?.getDirectoryHandle(name));
      const found: string[] = [];
      if (root) for await (const file of filesBelow(root)) found.push(file.path);
      return found.sort();
    },
    async remove(path) {
      const { folder, name } = await find(path);
      await absentAsUndefined(folder?.removeEntry(name));
    },
  };
}

/** The folder that a path lies in, undefined if there is none, and the path's last part. */
async function find(path: string): Promise<{ folder: FileSystemDirectoryHandle | undefined; name: string }> {
  const { parts, name } = split(path);
  let folder: FileSystemDirectoryHandle | undefined = await privateRoot(path);
  for (const part of parts) folder = await absentAsUndefined(folder?.getDirectoryHandle(part));
  return { folder, name };
}

function split(path: string): { parts: string[]; name: string } {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const name = parts.pop() ?? '';
  return { parts, name };
}

/** @param path what is looked for, for the error */
async function privateRoot(path: string): Promise<FileSystemDirectoryHandle> {
  const storage = globalThis.navigator?.storage;
  if (typeof storage?.getDirectory !== 'function') {
    throw new Error(
      `Cannot reach '${path}': this page has no origin private file system (it needs a secure context). Hand the store \`files\` of your own.`,
    );
  }
  return storage.getDirectory();
}

/** A folder below another; folders that are missing on the way are made. */
export async function folderAt(
  root: FileSystemDirectoryHandle,
  parts: readonly string[],
): Promise<FileSystemDirectoryHandle> {
  let folder = root;
  for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true });
  return folder;
}

/** Every file at any depth below a folder, with its path relative to the folder. Chrome's swap files are left out. */
export async function* filesBelow(
  folder: FileSystemDirectoryHandle,
  prefix = '',
): AsyncGenerator<{ path: string; handle: FileSystemFileHandle }> {
  // TypeScript's DOM library lists a directory's iterator only under DOM.AsyncIterable, by this name.
  for await (const [name, entry] of folder.entries()) {
    if (entry.kind === 'directory') yield* filesBelow(entry as FileSystemDirectoryHandle, `${prefix}${name}/`);
    else if (!name.endsWith('.crswap')) yield { path: prefix + name, handle: entry as FileSystemFileHandle };
  }
}

/** A file's bytes; undefined if there is no such file. */
export async function readFile(folder: FileSystemDirectoryHandle, name: string): Promise<Uint8Array | undefined> {
  const handle = await absentAsUndefined(folder.getFileHandle(name));
  return handle && (await readHandle(handle)).bytes;
}

/** How often a file is read again that was replaced while it was read. */
const maxTries = 10;

/** A file's bytes, and when it was changed, in milliseconds since 1970. A File is of no use once its file has been written to. */
export function readHandle(handle: FileSystemFileHandle): Promise<{ bytes: Uint8Array<ArrayBuffer>; time: number }> {
  return withFile(handle, async (file) => ({
    bytes: new Uint8Array(await file.arrayBuffer()),
    time: file.lastModified,
  }));
}

/** Uses a file as it is now. For a moment, a file that is being replaced is not there, or is another one than was found. */
export async function withFile<T>(handle: FileSystemFileHandle, use: (file: File) => T | Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await use(await handle.getFile());
    } catch (error) {
      const { name } = error as DOMException;
      if ((name !== 'NotReadableError' && name !== 'NotFoundError') || tries === maxTries) throw error;
      await new Promise((resolve) => setTimeout(resolve, tries));
    }
  }
}

/** Calls that are made one after another where the browser has no locks, by their names. */
const turns = new Map<string, Promise<void>>();

/**
 * Calls `act` when no other page or worker of this origin is in a call with the same name. Without Web Locks this page alone
 * waits for its own calls. Source: https://w3c.github.io/web-locks/
 */
export async function exclusively(name: string, act: () => Promise<void>): Promise<void> {
  const locks = globalThis.navigator?.locks;
  if (locks !== undefined) {
    await locks.request(name, act);
    return;
  }
  const turn = (turns.get(name) ?? Promise.resolve()).then(act);
  turns.set(
    name,
    turn.catch(() => {}),
  );
  await turn;
}

/**
 * Replaces a file's content, all or nothing: a writable stream works on a copy that replaces the file on close.
 * Source: https://fs.spec.whatwg.org/#api-filesystemfilehandle-createwritable
 */
export async function replaceFile(folder: FileSystemDirectoryHandle, name: string, bytes: Uint8Array): Promise<void> {
  const handle = await folder.getFileHandle(name, { create: true });
  const writable = await handle.createWritable();
  await writable.write(new Uint8Array(bytes));
  await writable.close();
}

/** A result of the file system; undefined if what it is about is not there. */
export async function absentAsUndefined<T>(result: Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if ((error as DOMException).name === 'NotFoundError') return undefined;
    throw error;
  }
}

/** The part of a FileSystemSyncAccessHandle we use: https://fs.spec.whatwg.org/#api-filesystemsyncaccesshandle */
interface SyncAccess {
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

type Handle = FileSystemFileHandle & { createSyncAccessHandle?: () => Promise<SyncAccess> };

/**
 * Appends all bytes or none to a file that is expected to hold `size` bytes. Workers write in place. A page can only write
 * a copy that replaces the file, so appending to a large file takes long there.
 */
export async function appendToFile(
  handle: FileSystemFileHandle,
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
): Promise<void> {
  const access = await accessTo(handle);
  if (access !== undefined) {
    try {
      appendInPlace(access, bytes, size);
    } finally {
      access.close();
    }
    return;
  }
  const writable = await handle.createWritable({ keepExistingData: true });
  try {
    await writable.write({ type: 'write', position: size, data: bytes });
  } catch (error) {
    await writable.abort();
    throw error;
  }
  await writable.close();
}

/** Returns undefined on a page, and for files outside the origin private file system. */
async function accessTo(handle: Handle): Promise<SyncAccess | undefined> {
  if (typeof handle.createSyncAccessHandle !== 'function') return undefined;
  try {
    return await handle.createSyncAccessHandle();
  } catch (error) {
    if ((error as DOMException).name === 'InvalidStateError') return undefined;
    throw error;
  }
}

function appendInPlace(access: SyncAccess, bytes: Uint8Array, size: number): void {
  let written = 0;
  try {
    while (written < bytes.length) {
      const count = access.write(bytes.subarray(written), { at: size + written });
      if (count === 0) throw new Error('the browser took no bytes');
      written += count;
    }
  } catch (error) {
    access.truncate(size);
    throw error;
  }
  access.flush();
}

import type { StoreFiles } from './platform.js';

/**
 * Files in the origin private file system. A writable stream there works on a copy that replaces the file on close,
 * so a write is all or nothing: https://fs.spec.whatwg.org/#api-filesystemfilehandle-createwritable
 */
export function defaultStoreFiles(): StoreFiles {
  return {
    async read(path) {
      const { folder, name } = await folderOf(path, false);
      const handle = await absentAsUndefined(folder?.getFileHandle(name));
      return handle && new Uint8Array(await (await handle.getFile()).arrayBuffer());
    },
    async write(path, bytes) {
      const { folder, name } = await folderOf(path, true);
      const handle = await folder!.getFileHandle(name, { create: true });
      const writable = await handle.createWritable();
      await writable.write(new Uint8Array(bytes));
      await writable.close();
    },
    async list(path) {
      const { folder, name } = await folderOf(path, false);
      const root = name === '' ? folder : await absentAsUndefined(folder?.getDirectoryHandle(name));
      const found: string[] = [];
      if (root) await collect(root, '', found);
      return found.sort();
    },
    async remove(path) {
      const { folder, name } = await folderOf(path, false);
      await absentAsUndefined(folder?.removeEntry(name));
    },
  };
}

/** The folder a path lies in, made where asked, and the path's last part. */
async function folderOf(path: string, create: boolean): Promise<{ folder?: FileSystemDirectoryHandle; name: string }> {
  const storage = globalThis.navigator?.storage;
  if (typeof storage?.getDirectory !== 'function') {
    throw new Error(
      `Cannot reach '${path}': this page has no origin private file system (it needs a secure context). Hand the store \`files\` of your own.`,
    );
  }
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const name = parts.pop() ?? '';
  let folder: FileSystemDirectoryHandle | undefined = await storage.getDirectory();
  for (const part of parts) folder = await absentAsUndefined(folder?.getDirectoryHandle(part, { create }));
  return { folder, name };
}

async function collect(folder: FileSystemDirectoryHandle, prefix: string, found: string[]): Promise<void> {
  // TypeScript's DOM library lists a directory's iterator only under DOM.AsyncIterable, by this name.
  for await (const [name, entry] of folder.entries()) {
    if (entry.kind === 'file') found.push(prefix + name);
    else await collect(entry as FileSystemDirectoryHandle, `${prefix}${name}/`, found);
  }
}

async function absentAsUndefined<T>(result: Promise<T> | undefined): Promise<T | undefined> {
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
 * Appends all bytes or none to a browser's file that is expected to hold `size` bytes. Workers write in place. A page can
 * only write a copy that replaces the file, so there appending to a large file takes long.
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

/** Undefined on a page, and for files outside the origin private file system. */
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

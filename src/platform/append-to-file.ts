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

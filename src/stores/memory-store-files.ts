import type { StoreFiles } from '../platform/platform.js';

/** Files in memory instead of on a disk: for a page that offers them as downloads, and for tests. */
export class MemoryStoreFiles implements StoreFiles {
  /** Content by path. */
  readonly files = new Map<string, Uint8Array>();

  async read(path: string): Promise<Uint8Array | undefined> {
    return this.files.get(path);
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    this.files.set(path, bytes.slice());
  }

  async list(folder: string): Promise<string[]> {
    const prefix = folder.endsWith('/') ? folder : `${folder}/`;
    return [...this.files.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length))
      .sort();
  }

  async remove(path: string): Promise<void> {
    this.files.delete(path);
  }
}

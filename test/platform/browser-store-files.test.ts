import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultStoreFiles } from '../../src/platform/browser-folders.js';

/** As much of the file system specification (https://fs.spec.whatwg.org) as the stores ask for, in memory. */
class Directory {
  readonly kind = 'directory';
  readonly #entries = new Map<string, Directory | File>();

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<Directory> {
    return this.#get(name, Directory, create);
  }
  async getFileHandle(name: string, { create = false } = {}): Promise<File> {
    return this.#get(name, File, create);
  }
  async removeEntry(name: string): Promise<void> {
    if (!this.#entries.delete(name)) throw new DOMException(name, 'NotFoundError');
  }
  async *entries(): AsyncGenerator<[string, Directory | File]> {
    yield* this.#entries;
  }
  #get<T extends Directory | File>(name: string, kind: new () => T, create: boolean): T {
    if (name === '' || name === '.' || name === '..' || name.includes('/')) throw new TypeError(`no name: ${name}`);
    const entry = this.#entries.get(name) ?? (create ? new kind() : undefined);
    if (!entry) throw new DOMException(name, 'NotFoundError');
    if (!(entry instanceof kind)) throw new DOMException(name, 'TypeMismatchError');
    this.#entries.set(name, entry);
    return entry;
  }
}
class File {
  readonly kind = 'file';
  #content = new Blob();
  async getFile(): Promise<Blob> {
    return this.#content;
  }
  async createWritable() {
    const parts: BlobPart[] = [];
    return {
      write: async (part: BlobPart) => void parts.push(part),
      close: async () => void (this.#content = new Blob(parts)),
    };
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (content: Uint8Array | undefined) => content && new TextDecoder().decode(content);

describe('defaultStoreFiles in a browser', () => {
  beforeEach(() => {
    const root = new Directory();
    vi.stubGlobal('navigator', { storage: { getDirectory: async () => root } });
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('makes the folders of a file, replaces it, reads it back and removes it', async () => {
    const files = defaultStoreFiles();
    await files.write('runs/a/run.csv', bytes('one'));
    await files.write('./runs//a/run.csv', bytes('two'));
    expect(textOf(await files.read('/runs/a/run.csv'))).toBe('two');
    await files.remove('runs/a/run.csv');
    expect(await files.read('runs/a/run.csv')).toBeUndefined();
  });

  it('lists files at any depth, relative to the folder', async () => {
    const files = defaultStoreFiles();
    for (const path of ['runs/x/y/2.npy', 'runs/1.npy', 'other']) await files.write(path, bytes(''));
    expect(await files.list('runs')).toEqual(['1.npy', 'x/y/2.npy']);
    expect(await files.list('')).toEqual(['other', 'runs/1.npy', 'runs/x/y/2.npy']);
  });

  it('takes what is not there for nothing, and makes no folder by asking', async () => {
    const files = defaultStoreFiles();
    expect(await files.read('none/at/all')).toBeUndefined();
    expect(await files.list('none')).toEqual([]);
    await expect(files.remove('none/at/all')).resolves.toBeUndefined();
    expect(await files.list('')).toEqual([]);
  });

  it('passes other errors on', async () => {
    const files = defaultStoreFiles();
    await files.write('file', bytes(''));
    await expect(files.write('file/below', bytes(''))).rejects.toThrow('file');
  });

  it('says what to do where there is no such file system', async () => {
    vi.stubGlobal('navigator', {});
    await expect(defaultStoreFiles().read('run.csv')).rejects.toThrow(/'run\.csv'.*secure context.*`files`/);
  });
});

import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import * as browser from '../../src/platform/browser.js';
import { startWorker, waitForChange } from '../../src/platform/browser.js';
import { defaultStoreFiles } from '../../src/platform/browser-folders.js';
import * as node from '../../src/platform/node.js';
import type { Platform } from '../../src/platform/platform.js';

describe('a platform', () => {
  it('Node and browsers both have what Platform lists, and nothing beside it, says the compiler', () => {
    expectTypeOf({ ...node } satisfies Platform).toHaveProperty('files');
    expectTypeOf({ ...browser } satisfies Platform).toHaveProperty('files');
    expectTypeOf<keyof typeof node>().toEqualTypeOf<keyof Platform>();
    expectTypeOf<keyof typeof browser>().toEqualTypeOf<keyof Platform>();
  });

  it('Node and browsers offer the same primitives, of the same kind', () => {
    const kinds = (platform: object) =>
      Object.entries(platform)
        .map(([name, value]) => [name, value === undefined ? 'absent' : typeof value])
        .sort();
    const nodeKinds = new Map(kinds(node) as [string, string][]);
    const browserKinds = new Map(kinds(browser) as [string, string][]);
    expect([...browserKinds.keys()]).toEqual([...nodeKinds.keys()]);
    for (const [name, kind] of browserKinds) if (kind !== 'absent') expect(kind, name).toBe(nodeKinds.get(name));
  });

  it('a page that is hidden writes what is buffered', () => {
    const listeners = new Map<string, () => void>();
    vi.stubGlobal('addEventListener', (type: string, listener: () => void) => listeners.set(type, listener));
    const calls: boolean[] = [];
    browser.onExit((final) => calls.push(final));
    browser.onExit((final) => calls.push(final));
    vi.unstubAllGlobals();
    listeners.get('pagehide')!();
    // The browser may restore a page from its cache.
    expect(calls).toEqual([false, false]);
  });
});

const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

/** What a page loads for an entry: code, the modules in it and what is imported from elsewhere. */
async function bundled(entry: string) {
  const complaints: string[] = [];
  const bundle = await rolldown({
    input: source(entry),
    platform: 'browser',
    tsconfig: false,
    resolve: { alias: { '#platform': source('platform/browser.ts') } },
    onLog(_level, { code, message }) {
      // Who imports all of it gets in one piece what a page that only reads loads when it is needed; bundlers say so of one's own
      // modules, not of packages'.
      if (code !== 'INEFFECTIVE_DYNAMIC_IMPORT') complaints.push(message);
    },
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const chunks = output.filter((each) => each.type === 'chunk');
  const own = new Set(chunks.map(({ fileName }) => fileName));
  const outside = chunks.flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports]);
  return {
    code: chunks.map(({ code }) => code).join('\n'),
    modules: chunks.flatMap(({ moduleIds }) => moduleIds),
    outside: outside.filter((name) => !own.has(name)),
    complaints,
  };
}

describe.each(['index.ts', 'reports.ts'])('%s, bundled for a page', (entry) => {
  it('resolves without a complaint, and pulls in neither Node nor TensorFlow.js', async () => {
    const { code, modules, outside, complaints } = await bundled(entry);
    expect(complaints).toEqual([]);
    expect(outside).toEqual([]);
    expect(modules.filter((id) => /@tensorflow|platform.node|resvg/.test(id))).toEqual([]);
    expect(code).not.toMatch(/["']node:/);
  });
});

/** The part of the file system specification (https://fs.spec.whatwg.org) that the stores use, in memory. */
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

  it('finds nothing if there is no such file, and makes no folder by asking', async () => {
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

  it('says what to do if there is no such file system', async () => {
    vi.stubGlobal('navigator', {});
    await expect(defaultStoreFiles().read('run.csv')).rejects.toThrow(/'run\.csv'.*secure context.*`files`/);
  });
});

/** The part of a page that startWorker uses. */
class FakeWorker extends EventTarget {
  static last: FakeWorker | undefined;
  readonly posted: unknown[] = [];
  terminated = false;
  constructor(readonly url: string) {
    super();
    FakeWorker.last = this;
  }
  postMessage(...message: unknown[]) {
    this.posted.push(message);
  }
  terminate() {
    this.terminated = true;
  }
}

const quiet = { onMessage: () => {}, onError: () => {} };

describe('startWorker in a page', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  it('is undefined if there are no workers, and if a policy forbids them', () => {
    vi.stubGlobal('Worker', undefined);
    expect(startWorker('', quiet)).toBeUndefined();
    const revoke = vi.spyOn(URL, 'revokeObjectURL');
    vi.stubGlobal(
      'Worker',
      class {
        constructor() {
          throw new DOMException('blocked', 'SecurityError');
        }
      },
    );
    expect(startWorker('', quiet)).toBeUndefined();
    expect(revoke).toHaveBeenCalledOnce();
  });

  it('runs the source from a Blob, which is released once the worker speaks', async () => {
    vi.stubGlobal('Worker', FakeWorker);
    const blob = vi.spyOn(URL, 'createObjectURL');
    const revoke = vi.spyOn(URL, 'revokeObjectURL');
    const messages: unknown[] = [];
    const thread = startWorker('postMessage(1)', { ...quiet, onMessage: (message) => messages.push(message) });
    expect(await (blob.mock.calls[0][0] as Blob).text()).toBe('postMessage(1)');
    const worker = FakeWorker.last!;
    expect(revoke).not.toHaveBeenCalled();
    worker.dispatchEvent(new MessageEvent('message', { data: 'ready' }));
    expect(messages).toEqual(['ready']);
    expect(revoke).toHaveBeenCalledWith(worker.url);
    const buffer = new ArrayBuffer(8);
    thread?.post('work', [buffer]);
    thread?.setRef(true);
    expect(worker.posted).toEqual([['work', [buffer]]]);
    thread?.terminate();
    expect(worker.terminated).toBe(true);
  });

  it('reports an error that comes later', () => {
    vi.stubGlobal('Worker', FakeWorker);
    const errors: Error[] = [];
    startWorker('', { ...quiet, onError: (error) => errors.push(error) });
    FakeWorker.last?.dispatchEvent(new Event('error', { cancelable: true }));
    expect(errors.map(({ message }) => message)).toEqual(['The worker could not start.']);
  });
});

describe('waitForChange in a page', () => {
  it('is false if the thread must not wait', () => {
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new TypeError('Atomics.wait cannot be called in this context');
    });
    expect(waitForChange(new Int32Array(new SharedArrayBuffer(4)), 0)).toBe(false);
    vi.restoreAllMocks();
    expect(waitForChange(new Int32Array(new SharedArrayBuffer(4)), 1)).toBe(true);
  });
});

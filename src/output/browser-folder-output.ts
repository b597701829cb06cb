import { warn } from '#platform';
import { concat } from '../encoding/bytes.js';
import { appendToFile } from '../platform/browser-folders.js';
import { eventFileName } from './event-file-name.js';
import { type Output, safePath } from './output.js';

/** Bytes that are kept while they cannot be written; beyond, they stay with the writer, whose bound then counts. */
const maxKeptBytes = 2 ** 24;
/** A page that appends rewrites the file: it rests so many times as long as that took, unless it is asked to flush. */
const restFactor = 9;

/**
 * Opens a folder that a browser can write to, for a writer: `new SummaryWriter(await openBrowserFolder('runs/first'))`.
 * Every writer begins an event file of its own; one writer, with a run for each part, shows everything in TensorBoard.
 *
 * @param folder a path in the page's origin private file system; or a folder the user has picked
 *   (`showDirectoryPicker({ mode: 'readwrite' })`), which TensorBoard can watch while the page trains
 * @throws TypeError where this is no browser, or a page without such a file system (it needs https or localhost)
 */
export async function openBrowserFolder(folder: string | FileSystemDirectoryHandle): Promise<BrowserFolderOutput> {
  if (typeof folder !== 'string') {
    if (folder?.kind === 'directory') return new BrowserFolderOutput(async () => folder);
    throw new TypeError('openBrowserFolder: expected a path or a FileSystemDirectoryHandle');
  }
  const storage = globalThis.navigator?.storage;
  if (typeof storage?.getDirectory !== 'function') {
    throw new TypeError(
      `openBrowserFolder '${folder}': there is no origin private file system here; browsers have one in pages served over https or from localhost`,
    );
  }
  const path = safePath(folder);
  const output = new BrowserFolderOutput(async () => folderAt(await storage.getDirectory(), path));
  await output.handle();
  return output;
}

/**
 * One event file in a folder of a browser's file system, made when the first records come. Records are written in the
 * background, in order, each time all that have come meanwhile; `flush` resolves when they are in the file. What could not
 * be written is kept, tried again with the next records, and rejects `flush`. A page that is closed or reloaded without
 * `flush` loses what came last.
 *
 * In a worker the file is appended to in place; on a page every append makes the browser copy the file, so it is done the
 * more rarely the longer it takes.
 */
export class BrowserFolderOutput implements Output {
  readonly #open: () => Promise<FileSystemDirectoryHandle>;
  readonly #runs = new Map<string, BrowserFolderOutput>();
  #folder: Promise<FileSystemDirectoryHandle> | undefined;
  #file: FileSystemFileHandle | undefined;
  #size = 0;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #appending: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #restMillis = 0;
  #failure: Error | undefined;
  #warned = false;

  /** @internal Use openBrowserFolder. */
  constructor(open: () => Promise<FileSystemDirectoryHandle>) {
    this.#open = open;
  }

  get pendingBytes(): number {
    return this.#waitingBytes;
  }

  /** The folder. Rejects where it cannot be made. */
  handle(): Promise<FileSystemDirectoryHandle> {
    this.#folder ??= this.#open().catch((error) => {
      this.#folder = undefined;
      throw error;
    });
    return this.#folder;
  }

  write(bytes: Uint8Array): void {
    if (this.#failure !== undefined && this.#waitingBytes + bytes.length > maxKeptBytes) {
      this.#appendSoon();
      throw this.#failure;
    }
    this.#waiting.push(bytes.slice());
    this.#waitingBytes += bytes.length;
    this.#appendSoon();
  }

  /** Begins to write what is there; a page that is being closed may not live to see the end of it. */
  flushSync(): void {
    this.#append().catch((error: Error) => {
      if (this.#warned) return;
      this.#warned = true;
      warn(`${error.message}. Events are kept in memory and tried again; flush() tells whether they are in the file.`);
    });
  }

  async flush(): Promise<void> {
    while (this.#waitingBytes > 0) await this.#append();
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      clearTimeout(this.#timer);
    }
  }

  run(name: string): BrowserFolderOutput {
    const path = safePath(name);
    let run = this.#runs.get(path);
    if (run === undefined) {
      run = new BrowserFolderOutput(async () => folderAt(await this.handle(), path));
      this.#runs.set(path, run);
    }
    return run;
  }

  async file(path: string, bytes: Uint8Array): Promise<void> {
    const parts = safePath(path).split('/');
    const name = parts.pop()!;
    const folder = await folderAt(await this.handle(), parts.join('/'));
    const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await writable.write(new Uint8Array(bytes));
    await writable.close();
  }

  /** Every file in the folder and below it, by path, sorted: to read (`readEvents(file)`), to download, to send. */
  async list(): Promise<{ path: string; file: File }[]> {
    const found: { path: string; file: File }[] = [];
    await collect(await this.handle(), '', found);
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #appendSoon(): void {
    if (this.#timer !== undefined || this.#appending !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.flushSync();
    }, this.#restMillis);
  }

  /** Appends everything that waits; one append at a time. */
  #append(): Promise<void> {
    this.#appending ??= this.#appendNow().finally(() => {
      this.#appending = undefined;
      if (this.#waitingBytes > 0 && this.#failure === undefined) this.#appendSoon();
    });
    return this.#appending;
  }

  async #appendNow(): Promise<void> {
    if (this.#waitingBytes === 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const began = performance.now();
    try {
      this.#file ??= await this.#create();
      const taken = this.#waiting.length;
      const bytes = concat(this.#waiting);
      await appendToFile(this.#file, bytes, this.#size);
      this.#size += bytes.length;
      this.#waitingBytes -= bytes.length;
      this.#waiting.splice(0, taken);
      this.#failure = undefined;
    } catch (error) {
      const { message, name } = error as Error;
      this.#failure = Object.assign(new Error(`Cannot write to the browser's folder: ${message}`, { cause: error }), {
        code: name,
      });
      throw this.#failure;
    } finally {
      this.#restMillis = restFactor * (performance.now() - began);
    }
  }

  async #create(): Promise<FileSystemFileHandle> {
    const folder = await this.handle();
    const names: string[] = [];
    for await (const name of folder.keys()) names.push(name);
    return folder.getFileHandle(eventFileName(names, ''), { create: true });
  }
}

/** A folder below another, made where it is missing. */
async function folderAt(root: FileSystemDirectoryHandle, path: string): Promise<FileSystemDirectoryHandle> {
  let folder = root;
  for (const part of path.split('/').filter(Boolean)) folder = await folder.getDirectoryHandle(part, { create: true });
  return folder;
}

async function collect(
  folder: FileSystemDirectoryHandle,
  prefix: string,
  found: { path: string; file: File }[],
): Promise<void> {
  for await (const [name, entry] of folder.entries()) {
    if (entry.kind === 'directory') await collect(entry as FileSystemDirectoryHandle, `${prefix}${name}/`, found);
    else if (!name.endsWith('.crswap')) {
      found.push({ path: prefix + name, file: await (entry as FileSystemFileHandle).getFile() });
    }
  }
}

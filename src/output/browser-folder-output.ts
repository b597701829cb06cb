/** The Output of a folder that a browser can write to. Everything in a browser's file system is asynchronous, so records wait. */
import { warn } from '#platform';
import { concat } from '../encoding/bytes.js';
import { describe, messageOf } from '../errors.js';
import {
  absentAsUndefined,
  appendToFile,
  exclusively,
  filesBelow,
  folderAt,
  readFile,
  readHandle,
  replaceFile,
  withFile,
} from '../platform/browser-folders.js';
import { eventFileName } from './event-file-name.js';
import type { ListedFile, ListedFolder, ZipEntry } from './listed-files.js';
import { type Output, safePath } from './output.js';

/** Bytes that wait here while they cannot be written. Beyond it they stay with the writer, whose own limit then counts. */
const maxWaitingBytes = 2 ** 24;
/** A page rewrites the file in order to append: it then rests this many times as long as that took, unless it is asked to flush. */
const restFactor = 9;
/** The least such rest: the first records are written at once, and what comes then is written together. */
const minRestMillis = 250;

/** How the writers of this page are flushed, with where they write. */
const writers = new Map<() => Promise<void>, BrowserFolderOutput>();

/**
 * Opens a folder that a browser can write to, for a writer: `new SummaryWriter(await openBrowserFolder('runs/first'))`.
 * Every writer begins an event file of its own; one writer, with a run for each part, shows everything in TensorBoard.
 *
 * @param folder a path in the page's origin private file system; or a folder that the user has picked
 * (`showDirectoryPicker({ mode: 'readwrite' })`), which TensorBoard can watch while the page trains
 * @throws TypeError if this is no browser, or a page without such a file system (it needs https or localhost)
 */
export async function openBrowserFolder(folder: string | FileSystemDirectoryHandle): Promise<BrowserFolderOutput> {
  if (typeof folder !== 'string') {
    if (folder?.kind === 'directory') return new BrowserFolderOutput(async () => folder);
    throw new TypeError(`openBrowserFolder: expected a path or a FileSystemDirectoryHandle, got ${describe(folder)}`);
  }
  const storage = globalThis.navigator?.storage;
  if (typeof storage?.getDirectory !== 'function') {
    throw new TypeError(
      `openBrowserFolder '${folder}': there is no origin private file system here; browsers have one in pages served over https or from localhost`,
    );
  }
  if (folder.split('/').every((part) => part === '' || part === '.')) {
    throw new RangeError(`openBrowserFolder: expected a path that names a folder, got ${describe(folder)}`);
  }
  const path = safePath(folder);
  const output = new BrowserFolderOutput(async () => folderAt(await storage.getDirectory(), path.split('/')));
  await output.handle();
  return output;
}

/**
 * The Output of a folder of a browser's file system: one event file in it, which is made when the first records come.
 * Records are written in the background, in order, each time all that have come meanwhile; `flush` resolves when they are
 * in the file. What could not be written is kept and tried again with the next records, and makes `flush` reject. A page
 * that is closed or reloaded without `flush` may lose what came last: a file system of a browser is written in the background, and the page
 * ends meanwhile. The first records are written at once, later ones after a quarter of a second or nine times as long as the last
 * append took, and what is left when the page is hidden.
 *
 * A worker appends to the file in place. On a page every append makes the browser copy the file, so the longer that takes,
 * the more rarely it is done.
 */
export class BrowserFolderOutput implements ListedFolder, Output {
  /** A write takes the records into memory here, from where they are appended. */
  readonly isImmediate = true;
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

  /** Bytes that are not in the file yet. */
  get pendingBytes(): number {
    return this.#waitingBytes;
  }

  /** The folder, which is made if it is missing. Rejects if it cannot be made. */
  handle(): Promise<FileSystemDirectoryHandle> {
    this.#folder ??= this.#open().catch((error) => {
      this.#folder = undefined;
      throw error;
    });
    return this.#folder;
  }

  /**
   * Takes whole records, which are written in the background.
   *
   * @throws Error if writing fails and too many bytes wait already
   */
  write(bytes: Uint8Array): void {
    if (this.#failure !== undefined && this.#waitingBytes + bytes.length > maxWaitingBytes) {
      this.#appendSoon();
      throw this.#failure;
    }
    this.#waiting.push(bytes.slice());
    this.#waitingBytes += bytes.length;
    this.#appendSoon();
  }

  /** Begins to write what waits. A page that is being closed may not live long enough to finish it. */
  flushSync(): void {
    this.#append().catch((error: Error) => {
      if (this.#warned) return;
      this.#warned = true;
      warn(`${error.message}. Events are kept in memory and tried again; flush() says whether they are in the file.`);
    });
  }

  /** Resolves when everything that was written is in the file; rejects if it cannot be written. */
  async flush(): Promise<void> {
    while (this.#waitingBytes > 0) await this.#append();
  }

  /** Flushes, and stops trying. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      clearTimeout(this.#timer);
    }
  }

  /** The Output of a folder below this one. There is one per name. */
  run(name: string): BrowserFolderOutput {
    const path = safePath(name, true);
    let run = this.#runs.get(path);
    if (run === undefined) {
      run = new BrowserFolderOutput(async () => folderAt(await this.handle(), path.split('/')));
      this.#runs.set(path, run);
    }
    return run;
  }

  /** Replaces the content of a companion file in one step, and makes the folders it lies in. */
  async file(path: string, bytes: Uint8Array): Promise<void> {
    const { folder, name } = await this.#find(path);
    await replaceFile(folder, name, bytes);
  }

  /**
   * Replaces what a companion file holds by what `change` makes of it; undefined if there is no such file. Other pages and
   * workers wait meanwhile, if the browser has locks.
   */
  async updateFile(path: string, change: (content: Uint8Array | undefined) => Uint8Array): Promise<void> {
    const { folder, name } = await this.#find(path);
    await exclusively(`delve-tensorboard ${folder.name}/${name}`, async () => {
      await replaceFile(folder, name, change(await readFile(folder, name)));
    });
  }

  /** Keeps how a writer is flushed, until the function that this returns is called. */
  heldBy(flush: () => Promise<void>): () => void {
    writers.set(flush, this);
    return () => void writers.delete(flush);
  }

  /** Every file in the folder and below it, with what writers of this page hold, sorted by path: to read (`readEvents(file)`), to download, to send. */
  async list(): Promise<ListedFile[]> {
    await this.#flushWriters();
    const found: ListedFile[] = [];
    for await (const { handle, path } of filesBelow(await this.handle())) {
      const file = await absentAsUndefined(withFile(handle, (each) => each));
      if (file !== undefined) found.push({ path, file });
    }
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /**
   * All files in one zip file, runs in their folders, to be downloaded: TensorBoard shows the folder into which it is unzipped.
   * What writers of this page hold is in it; those of another page or worker must be flushed before.
   *
   * @param folder the folder in the zip file that everything lies in; none by default
   * @throws RangeError for more than 65,534 files, or 4 GiB
   */
  async toZip(folder = ''): Promise<Blob> {
    const { zipOf } = await import('./listed-files.js');
    await this.#flushWriters();
    return zipOf(this.#entries(), folder && safePath(folder, true));
  }

  /** Flushes the writers of this page that write to this folder or below it. */
  async #flushWriters(): Promise<void> {
    const folder = await this.handle();
    const flush = async ([flushWriter, output]: [() => Promise<void>, BrowserFolderOutput]) => {
      const handle = await output.handle().catch(() => undefined); // a folder that is gone holds nothing
      if (handle !== undefined && (await folder.resolve(handle)) !== null) await flushWriter();
    };
    await Promise.all([...writers].map(flush));
  }

  async *#entries(): AsyncGenerator<ZipEntry> {
    for await (const { handle, path } of filesBelow(await this.handle())) {
      const read = await absentAsUndefined(readHandle(handle));
      if (read !== undefined) yield { path, ...read };
    }
  }

  async #find(path: string): Promise<{ folder: FileSystemDirectoryHandle; name: string }> {
    const parts = safePath(path, true).split('/');
    const name = parts.pop()!;
    return { folder: await folderAt(await this.handle(), parts), name };
  }

  #appendSoon(): void {
    if (this.#timer !== undefined || this.#appending !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.flushSync();
    }, this.#restMillis);
  }

  /** Appends everything that waits. There is one append at a time. */
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
      const message = `Cannot write to the browser's folder: ${messageOf(error)}`;
      this.#failure = Object.assign(new Error(message, { cause: error }), { code: (error as Error).name });
      throw this.#failure;
    } finally {
      this.#restMillis = Math.max(minRestMillis, restFactor * (performance.now() - began));
    }
  }

  async #create(): Promise<FileSystemFileHandle> {
    const folder = await this.handle();
    const names: string[] = [];
    for await (const name of folder.keys()) names.push(name);
    return folder.getFileHandle(eventFileName(names, ''), { create: true });
  }
}

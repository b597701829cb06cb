/**
 * The Output of an object store, where nothing can be appended to what is small: the newest object of a run is put again with what
 * has come since, until it is full and the next begins; or one object grows, by a copy of itself on the store's side.
 */
import { isExiting, unref, warn } from '#platform';
import { concat } from '../encoding/bytes.js';
import { checkOptionNames, describe, messageOf, type OptionNames } from '../errors.js';
import { eventFileName, fileNamePart, type WriterName } from './event-file-name.js';
import { checkPrefix, type ObjectStore } from './object-store.js';
import { type Output, safePath } from './output.js';

/** How an Output of an object store writes. */
export interface ObjectOutputOptions {
  /** Where the run is in the bucket: a path with `/`. '' by default, the bucket itself. */
  prefix?: string;
  /**
   * 'rolling' (default): the newest object is put again until it holds `maxObjectBytes`, then the next begins. 'growing': one object
   * for the run, which from 5 MiB on grows by a copy of itself in the store; for long runs, because TensorBoard makes several
   * requests for each object. It needs a store that can append, as `s3Store` and `gcsStore` can.
   */
  layout?: 'rolling' | 'growing';
  /** When a rolling object is full, in bytes: the most that is sent again with each upload. 1 MiB by default. */
  maxObjectBytes?: number;
  /** The time between two uploads of a run, in seconds, unless `flush` asks for one. 10 by default. */
  uploadSecs?: number;
  /** Ends the objects' names. Letters, digits, `-`, `_` and `.` are kept; any other character becomes `_`. */
  filenameSuffix?: string;
}

/** The names of the options. */
export const objectOutputNames: OptionNames<ObjectOutputOptions> = {
  prefix: true,
  layout: true,
  maxObjectBytes: true,
  uploadSecs: true,
  filenameSuffix: true,
};

/** From this size on an object grows by a copy of itself: S3 takes no smaller part of an upload but the last. */
const minCopiedBytes = 5 * 2 ** 20;
/** S3 copies no more at once: then the next object begins. */
const maxCopiedBytes = 5 * 2 ** 30;
/** Bytes that wait here while they cannot be written. Beyond it they stay with the writer, whose own limit then counts. */
export const maxWaitingBytes = 2 ** 24;
/** The longest pause between two uploads that fail, in milliseconds. */
const maxPauseMillis = 60_000;
/** Bytes of an earlier object that are read at a time. */
const pieceBytes = 2 ** 22;

/** What a thread that uploads is told by the one that it uploads for. */
export interface Surroundings {
  readonly writer?: WriterName;
  /** Is told of the first failure after everything was written. */
  complain(message: string): void;
  /** Is told of each upload. */
  onUpload?(bytes: number, failure: unknown): void;
}

/**
 * Checks options.
 *
 * @throws TypeError or RangeError that says what is wrong
 */
export function checkObjectOutputOptions(call: string, options: ObjectOutputOptions): void {
  const { layout, maxObjectBytes, uploadSecs, filenameSuffix } = options;
  if (layout !== undefined && layout !== 'rolling' && layout !== 'growing') {
    throw new RangeError(`${call}: expected layout to be 'rolling' or 'growing', got ${describe(layout)}`);
  }
  if (maxObjectBytes !== undefined && !(Number.isSafeInteger(maxObjectBytes) && maxObjectBytes > 0)) {
    throw new RangeError(`${call}: expected maxObjectBytes to be a positive integer, got ${describe(maxObjectBytes)}`);
  }
  if (uploadSecs !== undefined && !(typeof uploadSecs === 'number' && uploadSecs >= 0)) {
    throw new RangeError(`${call}: expected uploadSecs to be a number of at least 0, got ${describe(uploadSecs)}`);
  }
  if (filenameSuffix !== undefined && typeof filenameSuffix !== 'string') {
    throw new TypeError(`${call}: expected filenameSuffix to be a string, got ${describe(filenameSuffix)}`);
  }
}

/**
 * The Output of a run in an object store, by any client: `new SummaryWriter(new ObjectOutput(store, { prefix: 'runs/first' }))`.
 * (`s3Output` and `gcsOutput` make one that uploads on a thread, also when the program ends.)
 *
 * Records are uploaded in the background, in order; `flush` resolves when they are in the store. What could not be uploaded is
 * kept and tried again, is warned of, and makes `flush` reject. While bytes wait the program stays alive, unless uploads fail. A
 * program that is ended by `process.exit` or a signal loses what has not been uploaded: call `close` before.
 */
export class ObjectOutput implements Output {
  readonly #store: ObjectStore;
  readonly #options: ObjectOutputOptions;
  readonly #surroundings: Surroundings;
  readonly #prefix: string;
  readonly #runs = new Map<string, ObjectOutput>();
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** What is being uploaded. It stays the same until it is in the store: an attempt may have succeeded unheard. */
  #batch: { bytes: Uint8Array; chunks: number } | undefined;
  /** The name that the next object is to get. It is kept while it cannot be said whether it has got it. */
  #candidate: string | undefined;
  /** The newest object. */
  #name: string | undefined;
  #size = 0;
  /** What the newest object holds, as long as it is put again. */
  #content: Uint8Array[] = [];
  #uploading: Promise<void> | undefined;
  #updates: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #nextAt = 0;
  #failures = 0;
  #failure: unknown;
  #closed = false;

  /**
   * Writes nothing yet.
   *
   * @param store where to write to
   * @throws TypeError or RangeError if an option is wrong
   */
  constructor(store: ObjectStore, options?: ObjectOutputOptions);
  /** @internal */
  constructor(store: ObjectStore, options: ObjectOutputOptions, surroundings: Surroundings);
  constructor(store: ObjectStore, options: ObjectOutputOptions = {}, surroundings: Surroundings = { complain: warn }) {
    if (typeof store?.put !== 'function' || typeof store.get !== 'function' || typeof store.list !== 'function') {
      throw new TypeError(`ObjectOutput: expected an ObjectStore, got ${describe(store)}`);
    }
    checkOptionNames('ObjectOutput', options, objectOutputNames);
    checkObjectOutputOptions('ObjectOutput', options);
    if (options.layout === 'growing' && store.append === undefined) {
      throw new TypeError(
        `ObjectOutput: expected a store that can append for layout 'growing', got one without append`,
      );
    }
    this.#store = store;
    this.#options = options;
    this.#surroundings = surroundings;
    const prefix = checkPrefix(options.prefix ?? '', 'ObjectOutput: prefix');
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
  }

  /** Bytes that are not in the store yet. */
  get pendingBytes(): number {
    return this.#waitingBytes;
  }

  /**
   * Takes whole records, which are uploaded in the background.
   *
   * @throws Error if uploads fail and too many bytes wait already
   */
  write(bytes: Uint8Array): void {
    const isHeard = this.#surroundings.onUpload !== undefined; // then the one who hears it counts
    if (!isHeard && this.#failures > 0 && this.#waitingBytes + bytes.length > maxWaitingBytes) {
      this.#uploadLater();
      throw this.#failure;
    }
    this.#waiting.push(bytes.slice());
    this.#waitingBytes += bytes.length;
    this.#uploadLater();
  }

  /** Begins to upload what waits. At exit it is too late for that: then it says how much is lost. */
  flushSync(): void {
    if (this.#waitingBytes === 0) return;
    if (isExiting()) {
      this.#surroundings.complain(
        `At exit ${this.#waitingBytes} bytes of events were not uploaded: call await writer.close() before`,
      );
      return;
    }
    this.#upload().catch(() => {});
  }

  /** Resolves when everything that was written is in the store; rejects if it cannot be uploaded. */
  async flush(): Promise<void> {
    await this.#updates;
    // An upload that is under way may fail for a reason that has passed.
    if (this.#uploading !== undefined) await this.#uploading.catch(() => {});
    while (this.#waitingBytes > 0) await this.#upload();
  }

  /** Flushes, and stops trying. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.#closed = true;
      clearTimeout(this.#timer);
    }
  }

  /** The Output of a run below this one. There is one per name. */
  run(name: string): ObjectOutput {
    const path = safePath(name);
    let run = this.#runs.get(path);
    if (run === undefined) {
      const prefix = `${this.#prefix}${path}`;
      run = new ObjectOutput(this.#store, { ...this.#options, prefix }, this.#surroundings);
      this.#runs.set(path, run);
    }
    return run;
  }

  /** Writes a companion file as an object. */
  async file(path: string, bytes: Uint8Array): Promise<void> {
    await this.#store.put(`${this.#prefix}${safePath(path)}`, bytes);
  }

  /** What a companion file holds; undefined if there is none. */
  async download(path: string): Promise<Uint8Array | undefined> {
    return this.#store.get(`${this.#prefix}${safePath(path)}`);
  }

  /**
   * Replaces what a companion file holds by what `change` makes of it; undefined if there is no such file. If another program
   * changes it at the same moment, one of the changes is lost.
   */
  updateFile(path: string, change: (content: Uint8Array | undefined) => Uint8Array): Promise<void> {
    const updated = this.#updates.then(async () => this.file(path, change(await this.download(path))));
    this.#updates = updated.catch(() => {}); // whoever asked for it learns of the failure
    return updated;
  }

  /** The event files that are there, in the order in which TensorBoard reads them. */
  async *readEarlier(): AsyncGenerator<AsyncIterable<Uint8Array>> {
    for (const name of await this.#namesThere()) {
      if (name.includes('tfevents')) yield this.#pieces(`${this.#prefix}${name}`);
    }
  }

  async *#pieces(key: string): AsyncGenerator<Uint8Array> {
    for (let from = 0; ; from += pieceBytes) {
      const piece = await this.#store.get(key, { from, end: from + pieceBytes });
      if (piece === undefined || piece.length === 0) return;
      yield piece;
      if (piece.length < pieceBytes) return;
    }
  }

  async #namesThere(): Promise<string[]> {
    const { objects } = await this.#store.list(this.#prefix, { isFlat: true });
    return objects.map(({ key }) => key.slice(this.#prefix.length));
  }

  #uploadLater(): void {
    if (this.#timer !== undefined || this.#uploading !== undefined || this.#closed) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#upload().catch(() => {});
      },
      Math.max(0, this.#nextAt - performance.now()),
    );
    if (this.#failures > 0) unref(this.#timer);
  }

  /** Uploads everything that waits. There is one upload at a time. */
  #upload(): Promise<void> {
    this.#uploading ??= this.#uploadNow().finally(() => {
      this.#uploading = undefined;
      if (this.#waitingBytes > 0) this.#uploadLater();
    });
    return this.#uploading;
  }

  async #uploadNow(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waitingBytes === 0) return;
    const pauseMillis = 1000 * (this.#options.uploadSecs ?? 10);
    try {
      this.#batch ??= { bytes: concat(this.#waiting), chunks: this.#waiting.length };
      const { bytes, chunks } = this.#batch;
      await this.#add(bytes);
      this.#batch = undefined;
      this.#waiting.splice(0, chunks);
      this.#waitingBytes -= bytes.length;
      this.#failures = 0;
      this.#nextAt = performance.now() + pauseMillis;
      this.#surroundings.onUpload?.(bytes.length, undefined);
    } catch (cause) {
      const pause = Math.min(maxPauseMillis, Math.max(1000, pauseMillis) * 2 ** Math.min(this.#failures, 10));
      this.#nextAt = performance.now() + pause;
      const { code } = cause as { code?: string };
      const message = `Cannot upload events: ${messageOf(cause)}`;
      this.#failure = Object.assign(new Error(message, { cause }), code === undefined ? {} : { code });
      this.#surroundings.onUpload?.(0, this.#failure);
      if (this.#failures++ === 0) {
        this.#surroundings.complain(`${message}. They are kept in memory and uploaded as soon as that works again.`);
      }
      throw this.#failure;
    }
  }

  /** Adds bytes to the newest object, or begins one with them. */
  async #add(bytes: Uint8Array): Promise<void> {
    const isGrowing = this.#options.layout === 'growing';
    const most = isGrowing ? maxCopiedBytes - maxWaitingBytes : (this.#options.maxObjectBytes ?? 2 ** 20);
    if (this.#name === undefined || this.#size >= most) {
      await this.#begin(bytes);
      this.#size = 0;
      this.#content = [];
    } else if (isGrowing && this.#size >= minCopiedBytes) {
      try {
        await this.#store.append!(`${this.#prefix}${this.#name}`, this.#size, bytes);
      } catch (error) {
        // Somebody else has changed or removed the object: it is not for us to go on with it.
        if ((error as { code?: string }).code !== 'ObjectChanged') throw error;
        await this.#begin(bytes);
        this.#size = 0;
      }
    } else {
      await this.#store.put(`${this.#prefix}${this.#name}`, concat([...this.#content, bytes]));
    }
    this.#size += bytes.length;
    const isPutAgain = this.#size < (isGrowing ? minCopiedBytes : most);
    if (isPutAgain) this.#content.push(bytes);
    else this.#content = [];
  }

  /** Begins an object, under a name that sorts behind those that are there and that nobody else takes. */
  async #begin(bytes: Uint8Array): Promise<void> {
    const suffix = fileNamePart(this.#options.filenameSuffix ?? '');
    const isKnown = this.#candidate !== undefined;
    const there = isKnown ? [] : this.#name === undefined ? await this.#namesThere() : [this.#name];
    for (;;) {
      this.#candidate ??= eventFileName(there, suffix, this.#surroundings.writer);
      const name = this.#candidate;
      const key = `${this.#prefix}${name}`;
      // An earlier attempt may have succeeded unheard: then the object holds these very bytes.
      if (!(await this.#store.put(key, bytes, { ifNoneMatch: '*' })) && !isSame(await this.#store.get(key), bytes)) {
        there.push(name);
        this.#candidate = undefined;
        continue;
      }
      this.#candidate = undefined;
      this.#name = name;
      return;
    }
  }
}

function isSame(one: Uint8Array | undefined, other: Uint8Array): boolean {
  return one?.length === other.length && one.every((byte, i) => byte === other[i]);
}

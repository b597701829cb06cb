/**
 * The door of the reader. `readEvents` takes any input, pulls bytes from it as records are asked for, and decides what a
 * damaged record means; cutting bytes into records is `encoding/record.ts`, decoding a record is `event-decoder.ts`.
 */
import { PackedStream, undecodable } from '../encoding/record.js';
import { CorruptRecordError, describe, messageOf } from '../errors.js';
import type { TensorBoardEvent } from '../event/event.js';
import {
  ByteSource,
  chunksOf,
  type EventInput,
  FileError,
  isListedFolder,
  LaterSource,
  type RecordSource,
} from './byte-source.js';
import { EventDecoder } from './event-decoder.js';
import { sourcePath } from './places.js';

/** Options of `readEvents`. */
export interface ReadEventsOptions {
  /**
   * What to do about a damaged record. 'throw' (default): throw CorruptRecordError. 'stop': end the iteration there.
   * 'nextFile': skip the rest of that file, or all of a file that cannot be opened, and go on with the run's next one, as
   * TensorBoard does. A function: call it with the error and go on likewise; if it throws, the iteration ends with that.
   */
  onCorrupt?: 'throw' | 'stop' | 'nextFile' | ((damage: CorruptRecordError) => void);
  /**
   * Whether to wait for events that are added later, as `tail -f` does, until the loop is left or `signal` is aborted.
   * Only for paths and Outputs, and not for packed files. False by default.
   */
  follow?: boolean;
  /** How often to look for what was added to a followed run, in milliseconds. 250 by default, 10,000 for one on another computer. */
  pollInterval?: number;
  /** When it is aborted, the iteration ends by throwing the signal's reason. */
  signal?: AbortSignal;
  /**
   * Whether a tag's summaries are decoded. Summaries of other tags are left out, and events that hold nothing else are
   * not yielded. Asked once per tag. All tags are decoded by default.
   */
  tags?: (tag: string) => boolean;
  /**
   * Whether summaries keep their bytes in `raw`, which `addEvent` writes. If not, `raw` is empty, files of many small events are read
   * faster, and the `buckets` of up to 85 buckets share an ArrayBuffer of 8 KiB with others that were read just before or after:
   * `slice()` those that are transferred, or kept while most are not. True by default.
   */
  raw?: boolean;
  /** A record that claims more bytes than this is taken for damaged. 1 GiB by default. */
  maxRecordBytes?: number;
}

const defaults = { onCorrupt: 'throw', follow: false } as const;
const damageChoices = ['throw', 'stop', 'nextFile'] as const;

/**
 * Reads the events of a run folder (its event files in the order of their names, not those of runs below it), one event file, either of
 * them also in a bucket (`s3://`, `gs://`; how to reach it the environment says, as for `s3Store`) or at an `https://` address, an Output
 * that lists its files (what `openBrowserFolder` gives, a MemoryOutput), a Blob, a Response, a ReadableStream, bytes, or an iterable of byte chunks, whichever writer they came from. Both formats of summaries,
 * v1 and v2, come out in one shape.
 *
 * A record is damaged if its length or its content does not match the checksum stored with it, if it claims more than
 * `maxRecordBytes`, or if it is not an event: see `onCorrupt`. A summary whose value cannot be decoded, in a sound event, is
 * no damage: it is yielded with an UndecodedValue that says why. A record with a valid length that runs past the end of its
 * source is a torn tail, as a crash leaves it: the file ends before it (with `follow`, until the rest of it has come).
 * Each of the sources may be a gzip file or a zlib stream, which is unpacked as it is read; positions are then those of what
 * is unpacked. Other containers (zstd, zip, ...) are damage that names them.
 *
 * Memory follows the bytes that are there, never the lengths that are claimed, and does not grow with the file.
 *
 * While a followed run is waited for, no file is open; a timer keeps the program alive only while an event is awaited.
 *
 * @throws TypeError or RangeError from the call if an argument is wrong; from the iteration, CorruptRecordError, the file
 * system's or the stream's own errors, and the signal's reason
 *
 * @example
 * ```js
 * import { readEvents } from 'delve-tensorboard';
 *
 * for await (const { step, summary } of readEvents('runs/second')) {
 *   for (const { tag, plugin, value } of summary ?? []) console.log(step, tag, plugin, value);
 * }
 * ```
 */
export function readEvents(
  source: EventInput,
  options: ReadEventsOptions = {},
): AsyncIterableIterator<TensorBoardEvent> {
  checkOptions(options);
  const { follow = defaults.follow, maxRecordBytes, pollInterval } = options;
  const isPath = typeof source === 'string' || source instanceof URL;
  if (isPath || isListedFolder(source)) {
    if (source === '') throw new TypeError(`readEvents: expected a path, got ${describe(source)}`);
    const ended = new AbortController();
    const place = isPath ? sourcePath(source, 'readEvents') : source;
    const files = new LaterSource(async () => {
      const { runFilesOf } = await import('./run-files.js');
      return runFilesOf(place, follow, maxRecordBytes, pollInterval, ended.signal);
    });
    return new EventIterator(files, options, ended);
  }
  const open = chunksOf(source);
  if (!open) {
    throw new TypeError(
      `readEvents: expected a path, an Output of openBrowserFolder, bytes, a Blob, a Response, a ReadableStream or an iterable of bytes, got ${describe(source)}`,
    );
  }
  return new EventIterator(new ByteSource(open, maxRecordBytes), options);
}

/** Wraps an error of the caller's own function, so that it is not taken for damage. */
class CallerError extends Error {}

/**
 * Decodes events as they are asked for. Not an async generator, which takes three turns of the microtask queue for every
 * event: `next` decodes at once if it can.
 */
class EventIterator implements AsyncIterableIterator<TensorBoardEvent> {
  readonly #source: RecordSource;
  readonly #decoder: EventDecoder;
  readonly #onCorrupt: NonNullable<ReadEventsOptions['onCorrupt']>;
  readonly #signal: AbortSignal | undefined;
  /** Aborted when the iteration is over, so that nothing waits any longer. */
  readonly #ended: AbortController | undefined;
  /** Whether what decodes most events is asked for: it is loaded while the first bytes come. */
  #usesForms = false;
  #done = false;
  /** `next()` calls that have not settled yet. Each waits for the one before it. */
  #unsettled = 0;
  #latest: Promise<unknown> | undefined;

  constructor(
    source: RecordSource,
    { onCorrupt = defaults.onCorrupt, raw, signal, tags }: ReadEventsOptions,
    ended?: AbortController,
  ) {
    this.#source = source;
    this.#ended = ended;
    this.#onCorrupt = onCorrupt;
    this.#signal = signal;
    this.#decoder = new EventDecoder(tags && wrapErrors(tags), raw);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<TensorBoardEvent>> {
    if (this.#unsettled === 0 && !this.#done && !this.#signal?.aborted) {
      try {
        const event = this.#decodeNext();
        if (event) return Promise.resolve({ done: false, value: event });
      } catch (error) {
        return this.#inTurn(() => this.#afterError(error));
      }
    }
    return this.#inTurn(() => this.#readOn());
  }

  async return(): Promise<IteratorResult<TensorBoardEvent>> {
    return this.#finish();
  }

  /** The next event in the bytes that have come. Returns undefined if more bytes are needed. */
  #decodeNext(): TensorBoardEvent | undefined {
    const { records } = this.#source;
    while (records.next()) {
      let event: TensorBoardEvent | undefined;
      try {
        event = this.#decoder.decode(records.bytes, records.start, records.end);
      } catch (error) {
        if (error instanceof CallerError) throw error.cause;
        throw undecodable(error, records, this.#source.file);
      }
      if (event) return event;
    }
    return undefined;
  }

  async #more(): Promise<boolean> {
    if (this.#usesForms) return this.#source.more();
    this.#usesForms = true;
    const [isThere, { RecordForms }] = await Promise.all([this.#source.more(), import('./record-forms.js')]);
    this.#decoder.useForms(RecordForms);
    return isThere;
  }

  async #readOn(): Promise<IteratorResult<TensorBoardEvent>> {
    try {
      while (!this.#done) {
        this.#signal?.throwIfAborted();
        const event = this.#decodeNext();
        if (event) return { done: false, value: event };
        if (!(await untilAborted(this.#more(), this.#signal))) break;
      }
    } catch (error) {
      return this.#afterError(error);
    }
    return this.#finish();
  }

  async #afterError(error: unknown): Promise<IteratorResult<TensorBoardEvent>> {
    if (error instanceof PackedStream) {
      // Few files are packed: what unpacks them is loaded then.
      const { records } = this.#source;
      const { Inflater } = await import('../encoding/inflate.js');
      records.unpackWith(new Inflater(error.container));
      return this.#readOn();
    }
    let reason = error instanceof FileError ? error.cause : error;
    const damage = this.#damageOf(error);
    if (damage) {
      try {
        if (typeof this.#onCorrupt === 'function') this.#onCorrupt(damage);
        if (this.#onCorrupt !== 'stop' && (await this.#source.skipFile())) return this.#readOn();
        return this.#finish();
      } catch (cause) {
        reason = cause;
      }
    }
    // An error of closing would only hide the one that led to it; and a source that hangs is not waited for.
    const finished = this.#finish().catch(() => {});
    if (!this.#signal?.aborted) await finished;
    throw reason;
  }

  /** The damage that an error means; undefined if the error ends the iteration. */
  #damageOf(error: unknown): CorruptRecordError | undefined {
    if (this.#onCorrupt === 'throw') return undefined;
    if (error instanceof CorruptRecordError) return error;
    if (!(error instanceof FileError) || this.#onCorrupt === 'stop') return undefined;
    const { cause, offset } = error;
    return new CorruptRecordError(`it cannot be read: ${messageOf(cause)}`, offset, this.#source.file, {
      cause,
      isUnread: true,
    });
  }

  async #finish(): Promise<IteratorResult<TensorBoardEvent>> {
    this.#done = true;
    this.#ended?.abort();
    await this.#source.close();
    return { done: true, value: undefined };
  }

  async #inTurn(step: () => Promise<IteratorResult<TensorBoardEvent>>): Promise<IteratorResult<TensorBoardEvent>> {
    this.#unsettled++;
    const turn = this.#unsettled === 1 ? step() : this.#latest!.then(step, step);
    this.#latest = turn;
    try {
      return await turn;
    } finally {
      // Before the caller's code goes on, so that its next call can decode at once again.
      this.#unsettled--;
    }
  }
}

function wrapErrors(tags: (tag: string) => boolean): (tag: string) => boolean {
  return (tag) => {
    try {
      return tags(tag);
    } catch (cause) {
      throw new CallerError('tags', { cause });
    }
  };
}

/** Rejects with the signal's reason as soon as it is aborted, whatever the promise does later. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function checkOptions(options: ReadEventsOptions): void {
  const check = (
    expected: string,
    WrongOption: ErrorConstructor,
    isRight: (value: unknown) => boolean,
    ...names: (keyof ReadEventsOptions)[]
  ) => {
    for (const name of names) {
      const value: unknown = options[name];
      if (value === undefined || isRight(value)) continue;
      throw new WrongOption(`readEvents: expected ${name} to be ${expected}, got ${describe(value)}`);
    }
  };
  const isFunction = (value: unknown) => typeof value === 'function';
  const isChoice = (value: unknown) => (damageChoices as readonly unknown[]).includes(value);
  const isSignal = (value: unknown) => isFunction((value as AbortSignal | null)?.addEventListener);
  const isPositive = (value: unknown) => typeof value === 'number' && value > 0;
  check(`'throw', 'stop', 'nextFile' or a function`, RangeError, (it) => isFunction(it) || isChoice(it), 'onCorrupt');
  check('true or false', TypeError, (it) => typeof it === 'boolean', 'follow', 'raw');
  check('a function of a tag', TypeError, isFunction, 'tags');
  check('an AbortSignal', TypeError, isSignal, 'signal');
  check('a positive number', RangeError, isPositive, 'maxRecordBytes', 'pollInterval');
}

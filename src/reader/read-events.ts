import { sourceFiles } from '#platform';
import { CorruptRecordError, describe, messageOf } from '../errors.js';
import type { TensorBoardEvent } from '../event/event.js';
import { ByteSource, chunksOf, type EventSource, type RecordSource } from './byte-source.js';
import { EventDecoder } from './event-decoder.js';
import { byName, isEventFileName, RunFiles } from './run-files.js';

export type { EventSource } from './byte-source.js';

/** How often a followed run is looked at, in milliseconds, unless told otherwise. */
const defaultPollInterval = 250;

/** Options of `readEvents`. */
export interface ReadEventsOptions {
  /**
   * What to do about a damaged record. 'throw' (default): throw CorruptRecordError. 'stop': end there. 'nextFile': leave
   * the rest of that file and go on with the run's next one, as TensorBoard does.
   */
  onCorrupt?: 'throw' | 'stop' | 'nextFile';
  /** Wait for what is added, as `tail -f` does, until the loop is left or `signal` is aborted. For paths. */
  follow?: boolean;
  /** How often to look for what was added, in milliseconds (250). */
  pollInterval?: number;
  /** Ends the iteration with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Which tags to decode. Summaries of other tags are left out, and events that hold nothing else are not yielded.
   * Asked once per tag.
   */
  tags?: (tag: string) => boolean;
  /** A record that claims more bytes than this is damaged (1 GiB). */
  maxRecordBytes?: number;
}

/**
 * Reads the events of a run folder (its event files in the order of their names), one event file, a Blob, a Response or
 * ReadableStream, bytes, or an iterable of byte chunks, whichever writer they came from. Both formats of summaries,
 * v1 and v2, come out in one shape.
 *
 * A record whose length or content does not match its checksum, that claims more than `maxRecordBytes`, or that is not
 * an event, is damaged: see `onCorrupt`. A record with a valid length that runs past the end of its source is a torn
 * tail, as a crash leaves it: the file ends before it (with `follow`, until the rest of it has come). Memory follows
 * the bytes that are there, never the lengths that are claimed, and does not grow with the file.
 *
 * While it waits for a followed run nothing is open; a timer keeps the program alive only while an event is awaited.
 *
 * @throws TypeError or RangeError at once where an argument is wrong; while iterating, CorruptRecordError, the file
 * system's or the stream's own errors, and the signal's reason
 */
export function readEvents(
  source: EventSource,
  options: ReadEventsOptions = {},
): AsyncIterableIterator<TensorBoardEvent> {
  checkOptions(options);
  const { follow = false, maxRecordBytes, pollInterval = defaultPollInterval } = options;
  if (typeof source === 'string' || source instanceof URL) {
    if (source === '') throw new TypeError('readEvents: expected a path, got an empty string');
    const ended = new AbortController();
    const wait = () => sleep(pollInterval, ended.signal);
    return new EventIterator(new RunFiles(source, follow, maxRecordBytes, wait), options, ended);
  }
  const open = chunksOf(source);
  if (!open) {
    throw new TypeError(
      `readEvents: expected a path, bytes, a Blob, a Response, a ReadableStream or an iterable of bytes, got ${describe(source)}`,
    );
  }
  return new EventIterator(new ByteSource(open, maxRecordBytes), options);
}

/**
 * The runs below a folder, as TensorBoard finds them: every folder that holds event files, links followed.
 *
 * @returns by name: `run` is the folder's path below `logdir` with `/` between its parts, '.' for `logdir` itself;
 * `files` are the paths of its event files in the order in which they are read
 * @throws Error where `logdir` is not a folder
 */
export async function listRuns(logdir: string | URL): Promise<{ run: string; files: string[] }[]> {
  if ((typeof logdir !== 'string' && !(logdir instanceof URL)) || logdir === '') {
    throw new TypeError(`listRuns: expected the path of a folder, got ${describe(logdir)}`);
  }
  if ((await sourceFiles.kind(logdir)) !== 'folder') throw new Error(`listRuns: there is no folder "${logdir}"`);
  const runs: { run: string; files: string[] }[] = [];
  // A folder may link to one above itself.
  const ancestors: string[] = [];
  const visit = async (folder: string, run: string): Promise<void> => {
    const real = await sourceFiles.realPath(folder);
    if (ancestors.includes(real)) return;
    ancestors.push(real);
    const entries = (await sourceFiles.list(folder)).sort((a, b) => byName(a.name, b.name));
    const files = entries.filter(({ kind, name }) => kind === 'file' && isEventFileName(name)).map(({ path }) => path);
    if (files.length > 0) runs.push({ run: run || '.', files });
    for (const { kind, name, path } of entries) {
      if (kind === 'folder') await visit(path, run === '' ? name : `${run}/${name}`);
    }
    ancestors.pop();
  };
  await visit(sourceFiles.path(logdir), '');
  return runs.sort((a, b) => byName(a.run, b.run));
}

/** Carries an error of the caller's own function through code that takes errors for damage. */
class CallerError extends Error {}

/**
 * Decodes on demand, without the three turns of the microtask queue that an async generator takes for every event.
 */
class EventIterator implements AsyncIterableIterator<TensorBoardEvent> {
  readonly #source: RecordSource;
  readonly #decoder: EventDecoder;
  readonly #onCorrupt: 'throw' | 'stop' | 'nextFile';
  readonly #signal: AbortSignal | undefined;
  /** Aborted when the iteration is over, so that nothing goes on waiting. */
  readonly #ended: AbortController | undefined;
  #done = false;
  /** `next()` calls that have not settled yet. Each waits for the one before it. */
  #unsettled = 0;
  #latest: Promise<unknown> | undefined;

  constructor(source: RecordSource, { onCorrupt = 'throw', signal, tags }: ReadEventsOptions, ended?: AbortController) {
    this.#source = source;
    this.#ended = ended;
    this.#onCorrupt = onCorrupt;
    this.#signal = signal;
    this.#decoder = new EventDecoder(tags && guard(tags));
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

  /** The next event among the bytes at hand. */
  #decodeNext(): TensorBoardEvent | undefined {
    const { records } = this.#source;
    while (records.next()) {
      let event: TensorBoardEvent | undefined;
      try {
        event = this.#decoder.decode(records.bytes, records.start, records.end);
      } catch (error) {
        if (error instanceof CallerError) throw error.cause;
        const reason = `it is not an event: ${messageOf(error)}`;
        throw new CorruptRecordError(reason, records.recordOffset, this.#source.file, { cause: error });
      }
      if (event) return event;
    }
    return undefined;
  }

  async #readOn(): Promise<IteratorResult<TensorBoardEvent>> {
    try {
      while (!this.#done) {
        this.#signal?.throwIfAborted();
        const event = this.#decodeNext();
        if (event) return { done: false, value: event };
        if (!(await untilAborted(this.#source.more(), this.#signal))) break;
      }
    } catch (error) {
      return this.#afterError(error);
    }
    return this.#finish();
  }

  async #afterError(error: unknown): Promise<IteratorResult<TensorBoardEvent>> {
    if (error instanceof CorruptRecordError && this.#onCorrupt !== 'throw') {
      if (this.#onCorrupt === 'nextFile' && (await this.#source.leave())) return this.#readOn();
      return this.#finish();
    }
    // What closing might add would only hide the error that led to it; and a source that hangs is not waited for.
    const finished = this.#finish().catch(() => {});
    if (!this.#signal?.aborted) await finished;
    throw error;
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
      // Before the caller hears of it, so that its next call finds the short way again.
      this.#unsettled--;
    }
  }
}

function guard(tags: (tag: string) => boolean): (tag: string) => boolean {
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

function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal?.addEventListener('abort', wake, { once: true });
  });
}

function checkOptions(options: ReadEventsOptions): void {
  const { follow, maxRecordBytes, onCorrupt, pollInterval, signal, tags } = options;
  if (onCorrupt !== undefined && !['throw', 'stop', 'nextFile'].includes(onCorrupt)) {
    throw new RangeError(`readEvents: onCorrupt must be 'throw', 'stop' or 'nextFile', got ${describe(onCorrupt)}`);
  }
  if (follow !== undefined && typeof follow !== 'boolean') {
    throw new TypeError(`readEvents: follow must be true or false, got ${describe(follow)}`);
  }
  if (tags !== undefined && typeof tags !== 'function') {
    throw new TypeError(`readEvents: tags must be a function of a tag, got ${describe(tags)}`);
  }
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw new TypeError(`readEvents: signal must be an AbortSignal, got ${describe(signal)}`);
  }
  for (const [name, value] of Object.entries({ maxRecordBytes, pollInterval })) {
    if (value !== undefined && !(typeof value === 'number' && value > 0)) {
      throw new RangeError(`readEvents: ${name} must be a positive number, got ${value}`);
    }
  }
}

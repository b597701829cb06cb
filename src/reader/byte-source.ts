/**
 * Where a reader's bytes come from, unless it is a path: memory, a Blob, a response, a stream, an iterable. Any of these
 * becomes an iterator of chunks, and ByteSource cuts the chunks into records. `RecordSource` is what the files of a run
 * (run-files.ts) have in common with it.
 */
import { RecordReader } from '../encoding/record.js';
import { describe } from '../errors.js';
import type { ListedFolder } from '../output/listed-files.js';

/**
 * What `readEvents` reads: the path or URL (`file:`, `s3:`, `gs:`, `https:`) of a run folder or an event file, an Output that lists its files
 * (of `openBrowserFolder`, or a MemoryOutput), bytes, a Blob, a Response, a ReadableStream, or a (possibly asynchronous) iterable of byte chunks.
 */
export type EventInput =
  | string
  | URL
  | ListedFolder
  | Uint8Array
  | ArrayBuffer
  | SharedArrayBuffer
  | Blob
  | Response
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>;

/** @deprecated Use EventInput: this name is that of a class of the DOM. */
export type EventSource = EventInput;

/** Bytes on their way to be cut into records: one stream, or the files of a run one after the other. */
export interface RecordSource {
  /** Cuts the bytes that have come into records. */
  readonly records: RecordReader;
  /** The file that is being read at the moment; undefined if the bytes come from no file. */
  readonly file: string | undefined;
  /**
   * Makes more bytes available in `records`, which is another reader afterwards if another file has begun. Resolves to
   * false at the end.
   */
  more(): Promise<boolean>;
  /** Skips the rest of the current file. Resolves to false if nothing comes after it. */
  skipFile(): Promise<boolean>;
  /** Closes whatever is open. */
  close(): Promise<void>;
}

/** Wraps the file system's error about one file of a run: the others may still be read. */
export class FileError extends Error {
  /** How far the file has been read. */
  readonly offset: number;

  constructor(offset: number, cause: unknown) {
    super('', { cause });
    this.offset = offset;
  }
}

/** A source that is made when it is first read, by what is loaded for it then: bundles of programs that read bytes need none of it. */
export class LaterSource implements RecordSource {
  readonly #make: () => Promise<RecordSource>;
  readonly #none = new RecordReader();
  #source: RecordSource | undefined;
  #isClosed = false;

  constructor(make: () => Promise<RecordSource>) {
    this.#make = make;
  }

  get records(): RecordReader {
    return this.#source?.records ?? this.#none;
  }

  get file(): string | undefined {
    return this.#source?.file;
  }

  async more(): Promise<boolean> {
    this.#source ??= await this.#make();
    return this.#isClosed ? false : this.#source.more();
  }

  async skipFile(): Promise<boolean> {
    return this.#source?.skipFile() ?? false;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#source?.close();
  }
}

/** One stream of bytes: from memory, a Blob, a response, a stream, an iterable. */
export class ByteSource implements RecordSource {
  readonly file = undefined;
  readonly records: RecordReader;
  readonly #open: () => AsyncIterator<unknown> | Iterator<unknown>;
  #chunks: AsyncIterator<unknown> | Iterator<unknown> | undefined;

  constructor(open: () => AsyncIterator<unknown> | Iterator<unknown>, maxRecordBytes: number | undefined) {
    this.#open = open;
    this.records = new RecordReader({ maxRecordBytes });
  }

  async more(): Promise<boolean> {
    this.#chunks ??= this.#open();
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done) {
        this.#chunks = undefined;
        return false;
      }
      const bytes = asBytes(value);
      if (!bytes) throw new TypeError(`readEvents: expected chunks of bytes (Uint8Array), got ${describe(value)}`);
      if (bytes.length === 0) continue;
      this.records.push(bytes);
      return true;
    }
  }

  async skipFile(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {
    const chunks = this.#chunks;
    this.#chunks = undefined;
    await chunks?.return?.();
  }
}

/** Whether something is an Output that lists its files. */
export function isListedFolder(source: unknown): source is ListedFolder {
  return typeof (source as Partial<ListedFolder> | null)?.list === 'function';
}

/** A function that begins to iterate over the chunks of any input except a path or an Output. Returns undefined if `source` is no input. */
export function chunksOf(source: unknown): (() => AsyncIterator<unknown> | Iterator<unknown>) | undefined {
  const bytes = asBytes(source);
  if (bytes) return () => [bytes].values();
  if (typeof source !== 'object' || source === null) return undefined;
  const { body, getReader, ok, status, stream } = source as Partial<Response & ReadableStream<unknown> & Blob>;
  if (typeof getReader === 'function') return () => streamChunks(source as ReadableStream<unknown>);
  if (typeof stream === 'function') return () => streamChunks((source as Blob).stream());
  if (typeof ok === 'boolean' && body !== undefined) {
    return () => {
      if (!ok) throw new Error(`readEvents: the response has status ${status}`);
      return body === null ? [].values() : streamChunks(body);
    };
  }
  const iterable = source as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const asyncIterator = iterable[Symbol.asyncIterator];
  if (typeof asyncIterator === 'function') return () => asyncIterator.call(source);
  const iterator = iterable[Symbol.iterator];
  if (typeof iterator === 'function') return () => iterator.call(source);
  return undefined;
}

/** Not `for await`: ReadableStream is not async iterable in every browser, and its iterator cannot be canceled while it waits. */
function streamChunks(stream: ReadableStream<unknown>): AsyncIterator<unknown> {
  const reader = stream.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    async return() {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

function asBytes(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const name = Object.prototype.toString.call(value);
  if (name === '[object ArrayBuffer]' || name === '[object SharedArrayBuffer]')
    return new Uint8Array(value as ArrayBuffer);
  return undefined;
}

import { RecordReader } from '../encoding/record.js';
import { describe } from '../errors.js';

/** What `readEvents` reads: see there. */
export type EventSource =
  | string
  | URL
  | Uint8Array
  | ArrayBuffer
  | SharedArrayBuffer
  | Blob
  | Response
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>;

/** Bytes on their way to be cut into records: one stream, or the files of a run one after the other. */
export interface RecordSource {
  /** The records of what is being read at the moment. */
  readonly records: RecordReader;
  /** What is being read at the moment, where it has a name. */
  readonly file: string | undefined;
  /** Makes more bytes available in `records`, which may be another one then; false at the end. */
  more(): Promise<boolean>;
  /** Leaves the rest of what is being read at the moment; false when nothing comes after it. */
  leave(): Promise<boolean>;
  /** Lets go of what is open. */
  close(): Promise<void>;
}

/** Bytes that come by themselves: from memory, a Blob, a response, a stream. */
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

  async leave(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {
    const chunks = this.#chunks;
    this.#chunks = undefined;
    await chunks?.return?.();
  }
}

/** How to get the chunks of any source but a path; undefined for what is no source. */
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

/** ReadableStream is not async iterable in every browser, and its iterator cannot be cancelled while it waits. */
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

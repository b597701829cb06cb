/**
 * One file read from its beginning to its end or to its first damage, whatever it holds: how many records are sound, where
 * the damage is, how much of a record was cut off. The commands `inspect` and `verify` read files of a file system this
 * way, and a writer that purges reads pieces that come synchronously; `readEvents` is for everything else.
 */
import { Inflater } from '../encoding/inflate.js';
import { RecordReader, undecodable } from '../encoding/record.js';
import { CorruptRecordError } from '../errors.js';
import { sourceFiles } from './places.js';
import { ChunkReader } from './run-files.js';

/** What the records of one file are, and how the file ends. */
export interface Scan {
  /** The number of records before the end or the first damage. */
  readonly records: number;
  /** Bytes of a record that is cut off at the end; 0 if the file ends between two records or is damaged. */
  readonly tornBytes: number;
  /** Position in the file of the first byte after the last sound record. */
  readonly tornOffset: number;
  /** The first damage. */
  readonly damage: CorruptRecordError | undefined;
}

/** Decodes records, as EventDecoder does. */
export interface RecordDecoder<T> {
  /**
   * Decodes the payload in `bytes[start, end)`, which is valid only during the call. If it throws, the record is damaged.
   *
   * @param offset position in the file of the record's first byte
   */
  decode(bytes: Uint8Array, start: number, end: number, offset: number): T;
}

/**
 * Scans one file of the file system.
 *
 * @param visit takes what the decoder returns, record by record
 */
export function scanFile<T>(
  path: string,
  decoder: RecordDecoder<T>,
  visit?: (decoded: T, offset: number) => void,
  read?: (bytes: number) => void,
): Promise<Scan> {
  return scanChunks(chunksOfFile(path, read), decoder, visit, path);
}

/**
 * Scans one file that comes chunk by chunk, as `scanFile` does.
 *
 * @param file its path, for the words about damage
 * @param pause is awaited after each chunk
 */
export async function scanChunks<T>(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  decoder: RecordDecoder<T>,
  visit: (decoded: T, offset: number) => void = () => {},
  file?: string,
  pause?: () => Promise<void> | void,
): Promise<Scan> {
  const scan = new PieceScan(decoder, visit, file);
  for await (const chunk of chunks) {
    if (!scan.push(chunk)) break;
    await pause?.();
  }
  return scan;
}

/**
 * The bytes of a file of the file system. Each chunk is valid until the next one is asked for.
 *
 * @param read is told of each chunk's length
 */
export async function* chunksOfFile(path: string, read?: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  const reader = new ChunkReader(await sourceFiles.open(path));
  try {
    let chunk: Uint8Array;
    while ((chunk = await reader.next()).length > 0) {
      read?.(chunk.length);
      yield chunk;
    }
  } finally {
    await reader.close();
  }
}

/** A file of a run: its path, or its chunks and what it is called. */
export type RunFile =
  | string
  | {
      /** Its name in complaints. */
      readonly path: string;
      /** Its bytes, from the beginning each time. */
      chunks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    };

/** A file that is scanned more than once. What comes out of a pipe is kept in memory for the second time. */
export class RereadFile {
  /** Its name in complaints. */
  readonly path: string;
  readonly #chunks: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly #isFile: boolean;
  #kept: Uint8Array[] | undefined;

  /** @param read is told of bytes that are read of a path */
  constructor(file: RunFile, read?: (bytes: number) => void) {
    this.#isFile = typeof file === 'string';
    this.path = typeof file === 'string' ? file : file.path;
    this.#chunks = typeof file === 'string' ? () => chunksOfFile(file, read) : () => file.chunks();
  }

  /** Scans it, as `scanChunks` does. */
  async scan<T>(
    decoder: RecordDecoder<T>,
    visit: (decoded: T, offset: number) => void,
    pause?: () => Promise<void> | void,
  ): Promise<Scan> {
    if (this.#isFile && this.#kept === undefined && (await sourceFiles.size(this.path)) === Infinity) {
      this.#kept = [];
      for await (const chunk of chunksOfFile(this.path)) this.#kept.push(chunk.slice());
    }
    return scanChunks(this.#kept ?? this.#chunks(), decoder, visit, this.path, pause);
  }
}

/** Scans one file that comes in pieces, as `scanFile` does. */
export function scanPieces<T>(
  pieces: Iterable<Uint8Array>,
  decoder: RecordDecoder<T>,
  visit: (decoded: T) => void,
): Scan {
  const scan = new PieceScan(decoder, visit);
  for (const piece of pieces) if (!scan.push(piece)) break;
  return scan;
}

/** A scan under way. */
class PieceScan<T> implements Scan {
  records = 0;
  damage: CorruptRecordError | undefined;
  readonly #reader: RecordReader;
  readonly #decoder: RecordDecoder<T>;
  readonly #visit: (decoded: T, offset: number) => void;
  readonly #file: string | undefined;

  constructor(decoder: RecordDecoder<T>, visit: (decoded: T, offset: number) => void, file?: string) {
    this.#reader = new RecordReader({ file, unpacker: (container) => new Inflater(container) });
    this.#decoder = decoder;
    this.#visit = visit;
    this.#file = file;
  }

  get tornBytes(): number {
    return this.damage === undefined ? this.#reader.pendingBytes : 0;
  }

  get tornOffset(): number {
    return this.#reader.nextOffset;
  }

  /** Takes the next piece; returns false if the file is damaged. */
  push(piece: Uint8Array): boolean {
    const reader = this.#reader;
    reader.push(piece);
    while (this.#next()) {
      let decoded: T;
      try {
        decoded = this.#decoder.decode(reader.bytes, reader.start, reader.end, reader.recordOffset);
      } catch (cause) {
        this.damage = undecodable(cause, reader, this.#file);
        return false;
      }
      this.records++;
      this.#visit(decoded, reader.recordOffset);
    }
    return this.damage === undefined;
  }

  #next(): boolean {
    try {
      return this.#reader.next();
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error;
      this.damage = error;
      return false;
    }
  }
}

/** The command `repair`: whole copies of event files, of which some are damaged. */
import { files as fileSystem, modelFiles } from '#platform';
import { readUint32 } from '../encoding/bytes.js';
import { containerOf } from '../encoding/containers.js';
import { maskedCrc32c } from '../encoding/crc32c.js';
import { frameRecord, maxPayloadBytes, recordHeaderBytes, recordOverheadBytes } from '../encoding/record.js';
import { messageOf, printable } from '../errors.js';
import { encodeEvent, fileVersion } from '../event/encode-event.js';
import type { TensorBoardEvent } from '../event/event.js';
import { EventDecoder } from '../reader/event-decoder.js';
import { isRemote } from '../reader/places.js';
import { checkNoEvents, findRuns, folderOfRun, noteEmbeddings, readWhole, typedPath } from './runs.js';
import { writeJson } from './table.js';
import { Complaints, plural, styled, type Terminal, UsageError } from './terminal.js';

/** Options of `repair`, as typed. */
interface RepairOptions {
  json?: boolean;
  out?: string;
}

/** Bytes that are read at a time while the next record is looked for. */
const windowBytes = 2 ** 20;

/** A file of which ranges are read. */
interface Source {
  readonly size: number;
  read(from: number, to: number): Uint8Array;
}

/** What was found of a file. */
interface Repaired {
  /** Records that are kept. */
  records: number;
  /** Stretches that are left out, from and to a byte. */
  readonly lost: (readonly [from: number, to: number])[];
}

/**
 * `repair`: copies the event files of a logdir into another folder, without the bytes that no reader takes. Behind damage it looks
 * for the next record, byte by byte. Resolves to the exit code, which is 1 if a file cannot be read.
 */
export async function repair(terminal: Terminal, path: string | undefined, options: RepairOptions): Promise<number> {
  if (options.out === undefined) throw new UsageError('expected --out <folder> for the whole copies');
  const out = typedPath(options.out, '--out');
  if (fileSystem === undefined || modelFiles === undefined) throw new Error('expected Node, got a browser');
  const { resolve } = fileSystem;
  const isSame = (one: string, other: string) => resolve(one) === resolve(other);
  const complaints = new Complaints(terminal);
  let count = 0;
  let records = 0;
  let bytes = 0;
  const copies: object[] = [];
  const runs = await findRuns(path, complaints);
  for (const { run, files } of runs) {
    const folder = folderOfRun(out, run);
    if (files.some((file) => !isRemote(file) && isSame(`${folder}/${file.replace(/^.*[/\\]/, '')}`, file))) {
      throw new UsageError('--out: expected another folder than that of the files, which stay as they are');
    }
    await checkNoEvents(folder);
  }
  for (const { run, files } of runs) {
    const decoder = new EventDecoder();
    const folder = folderOfRun(out, run);
    for (const file of files) {
      const target = `${folder}/${file.replace(/^.*[/\\]/, '')}`;
      try {
        fileSystem.makeDirectory(folder);
        const source = isRemote(file) ? inMemory(await readWhole(file)) : modelFiles.open(file);
        try {
          const found: Repaired = { records: 0, lost: [] };
          modelFiles.write(target, soundRecords(source, decoder, found));
          const lost = found.lost.reduce((sum, [from, to]) => sum + to - from, 0);
          count++;
          records += found.records;
          bytes += lost;
          const stretches = found.lost.map(([from, to]) => ({ from, to }));
          copies.push({ file, copy: target, records: found.records, lostBytes: lost, lost: stretches });
          if (!options.json) say(terminal, file, found, lost);
        } finally {
          source.close();
        }
      } catch (error) {
        complaints.add(`${file}: ${messageOf(error)}`);
      }
    }
    await noteEmbeddings(terminal, run, files);
  }
  if (options.json) writeJson(terminal, copies);
  else
    terminal.write(`${plural(count, 'file')}, ${plural(records, 'record')} kept, ${plural(bytes, 'byte')} left out\n`);
  return complaints.exitCode;
}

/** A file of another computer. */
function inMemory(bytes: Uint8Array): Source & { close(): void } {
  return { size: bytes.length, read: (from, to) => bytes.subarray(from, to), close: () => {} };
}

function say(terminal: Terminal, file: string, { records, lost }: Repaired, bytes: number): void {
  if (lost.length === 0) {
    terminal.write(`${styled(terminal, 'green', 'ok')}        ${printable(file)}: ${plural(records, 'record')}\n`);
    return;
  }
  const where = lost.slice(0, 3).map(([from, to]) => `${from} to ${to}`);
  const more = lost.length > 3 ? ` and ${lost.length - 3} more` : '';
  const words = `${plural(records, 'record')} kept, ${plural(bytes, 'byte')} left out (${where.join(', ')}${more})`;
  terminal.write(`${styled(terminal, 'yellow', 'repaired')}  ${printable(file)}: ${words}\n`);
}

/** The records of a file that are whole, intact and events, with their frames. */
function* soundRecords(source: Source, decoder: EventDecoder, found: Repaired): Generator<Uint8Array> {
  const start = source.read(0, Math.min(source.size, 16));
  if (containerOf(start, 0, start.length) !== undefined) {
    throw new RangeError('expected an event file as it is, got a compressed one: unpack it first, as with gunzip');
  }
  let lostFrom = -1;
  let at = 0;
  const keepLost = (to: number) => {
    if (lostFrom >= 0) found.lost.push([lostFrom, to]);
    lostFrom = -1;
  };
  while (at < source.size) {
    const record = recordAt(source, at);
    const event = record && eventIn(decoder, record);
    if (record !== undefined && event !== undefined) {
      keepLost(at);
      // What the lost first record said: readers of old go by it.
      if (found.records === 0 && event.fileVersion === undefined) {
        yield frameRecord(encodeEvent({ wallTime: event.wallTime, step: 0, fileVersion }));
      }
      found.records++;
      at += record.length;
      yield record;
      continue;
    }
    if (lostFrom < 0) lostFrom = at;
    // A record that is framed well and holds no event is passed over as one.
    at = record !== undefined ? at + record.length : nextHeader(source, at + 1);
  }
  keepLost(source.size);
}

/** The record at a position, if its length and its checksums are right. */
function recordAt(source: Source, at: number): Uint8Array | undefined {
  if (at + recordOverheadBytes > source.size) return undefined;
  const length = lengthOf(source.read(at, at + recordHeaderBytes), 0);
  if (length === undefined || at + length + recordOverheadBytes > source.size) return undefined;
  const record = source.read(at, at + length + recordOverheadBytes);
  const end = recordHeaderBytes + length;
  return maskedCrc32c(record, recordHeaderBytes, end) === readUint32(record, end) ? record : undefined;
}

/** The length that a header says, if its checksum is right and a record may be so long. */
function lengthOf(bytes: Uint8Array, at: number): number | undefined {
  if (maskedCrc32c(bytes, at, at + 8) !== readUint32(bytes, at + 8)) return undefined;
  const length = readUint32(bytes, at) + readUint32(bytes, at + 4) * 2 ** 32;
  return length <= maxPayloadBytes ? length : undefined;
}

/** The next position from `from` on at which a header stands; the file's end if there is none. */
function nextHeader(source: Source, from: number): number {
  for (let at = from; at + recordHeaderBytes <= source.size; at += windowBytes) {
    const bytes = source.read(at, Math.min(source.size, at + windowBytes + recordHeaderBytes - 1));
    for (let i = 0; i + recordHeaderBytes <= bytes.length && i < windowBytes; i++) {
      if (lengthOf(bytes, i) !== undefined) return at + i;
    }
  }
  return source.size;
}

/** The event in a record; undefined if it holds none. One of which nothing is known is an event all the same. */
function eventIn(decoder: EventDecoder, record: Uint8Array): TensorBoardEvent | undefined {
  try {
    return decoder.decode(record, recordHeaderBytes, record.length - 4) ?? { wallTime: 0, step: 0 };
  } catch {
    return undefined;
  }
}

import { CorruptRecordError } from '../errors.js';
import type { TensorBoardEvent } from '../event/event.js';
import type { EventDecoder } from './event-decoder.js';
import { RunFiles } from './run-files.js';

/** How the reading of one file ended. */
export interface Scan {
  /** Whole, sound records. */
  records: number;
  /** Bytes of a record that is cut off at the end; 0 when the file ends between two. */
  tornBytes: number;
  /** Where the torn tail begins. */
  tornOffset: number;
  damage?: CorruptRecordError;
}

/** Reads one file to its end or to its first damaged record, and says which it was. */
export async function scanRun(
  path: string,
  decoder: EventDecoder,
  visit: (event: TensorBoardEvent) => void = () => {},
): Promise<Scan> {
  const source = new RunFiles(path, false, undefined, async () => {});
  let records = 0;
  try {
    do {
      while (source.records.next()) {
        const { bytes, end, recordOffset, start } = source.records;
        let event: TensorBoardEvent | undefined;
        try {
          event = decoder.decode(bytes, start, end);
        } catch (cause) {
          const reason = `it is not an event: ${(cause as Error).message}`;
          throw new CorruptRecordError(reason, recordOffset, path, { cause });
        }
        records++;
        if (event) visit(event);
      }
    } while (await source.more());
  } catch (error) {
    if (error instanceof CorruptRecordError) return { records, tornBytes: 0, tornOffset: 0, damage: error };
    throw error;
  } finally {
    await source.close();
  }
  return { records, tornBytes: source.records.pendingBytes, tornOffset: source.records.nextOffset };
}

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeMessage } from '../../src/encoding/message-codec.js';
import { RecordReader } from '../../src/encoding/record.js';
import { MemoryOutput } from '../../src/output/output.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';

/** Names of the event files in a folder, in TensorBoard's order. */
export function eventFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.includes('tfevents'))
    .sort();
}

/** The whole records in some bytes, as protobufjs decodes them; a torn tail is left out. */
export function decodeRecords(bytes: Uint8Array): tensorboard.Event[] {
  const reader = new RecordReader();
  reader.push(new Uint8Array(bytes));
  const events: tensorboard.Event[] = [];
  while (reader.next()) events.push(decodeMessage(tensorboard.Event, reader.bytes.slice(reader.start, reader.end)));
  return events;
}

/** All events of a run's files, in order. */
export function eventsIn(folder: string): tensorboard.Event[] {
  return eventFiles(folder).flatMap((name) => decodeRecords(readFileSync(join(folder, name))));
}

/** A scalar event as numbers. */
export interface Point {
  tag: string;
  step: number;
  value: number;
}

/** The scalars in some events. */
export function scalarsOf(events: tensorboard.Event[]): Point[] {
  return events.flatMap(({ step, summary }) =>
    (summary?.value ?? []).flatMap(({ tag, tensor }) => {
      const content = tensor?.tensorContent;
      if (tensor?.dtype !== tensorboard.DataType.DT_FLOAT || content?.length !== 4) return [];
      const value = new DataView(content.buffer, content.byteOffset).getFloat32(0, true);
      return [{ tag: tag ?? '', step: Number(step), value }];
    }),
  );
}

/** The steps of a tag's scalars in a folder. */
export function stepsIn(folder: string, tag = 'loss'): number[] {
  return scalarsOf(eventsIn(folder))
    .filter((point) => point.tag === tag)
    .map(({ step }) => step);
}

/** A writer into memory; `events` flushes it and returns what it has written so far. */
export function writerInMemory() {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const events = async () => {
    await writer.flush();
    return decodeRecords(output.bytes);
  };
  return { output, writer, events };
}

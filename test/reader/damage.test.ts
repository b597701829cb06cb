import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { frameRecord } from '../../src/encoding/record.js';
import { CorruptRecordError } from '../../src/errors.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { MemoryOutput } from '../../src/output/output.js';
import { readEvents } from '../../src/reader/read-events.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenBytes, goldenFiles } from '../support/golden.js';
import { eventsOf } from '../support/read-run.js';

const folder = temporaryFolder;
const { path, records } = goldenFiles.find((file) => file.path.startsWith('tbx/scalar/'))!;
const bytes = goldenBytes(path);

function damaged(record: number): Uint8Array {
  const copy = bytes.slice();
  copy[records[record].offset + 12] ^= 1;
  return copy;
}

describe('damage', () => {
  it('throws by default, after everything before it, with its place', async () => {
    const run = folder();
    const name = join(run, 'a.tfevents');
    writeFileSync(name, damaged(3));
    const events: TensorBoardEvent[] = [];
    const error = await (async () => {
      for await (const event of readEvents(run)) events.push(event);
    })().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CorruptRecordError);
    expect(error).toMatchObject({ offset: records[3].offset, file: name });
    expect(events).toEqual((await eventsOf(bytes)).slice(0, 3));
  });

  it('is also a record with a good checksum that is not an event', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    writer.addScalar('t', 1, 1);
    await writer.flush();
    const source = [output.bytes.slice(), frameRecord(Uint8Array.of(0x1a, 0x05, 0x41))];
    await expect(eventsOf(source)).rejects.toMatchObject({
      name: 'CorruptRecordError',
      offset: output.bytes.length,
      reason: expect.stringContaining('it is not an event'),
    });
  });

  it("ends the events with 'stop'", async () => {
    expect(await eventsOf(damaged(3), { onCorrupt: 'stop' })).toEqual((await eventsOf(bytes)).slice(0, 3));
    const run = folder();
    writeFileSync(join(run, '1.tfevents'), damaged(2));
    writeFileSync(join(run, '2.tfevents'), bytes);
    expect((await eventsOf(run, { onCorrupt: 'stop' })).length).toBe(2);
  });

  it("is followed by the run's next file with 'nextFile'", async () => {
    const run = folder();
    writeFileSync(join(run, '1.tfevents'), damaged(2));
    writeFileSync(join(run, '2.tfevents'), bytes);
    expect((await eventsOf(run, { onCorrupt: 'nextFile' })).length).toBe(2 + records.length);
    expect((await eventsOf(damaged(2), { onCorrupt: 'nextFile' })).length).toBe(2);
  });

  it('a function is called with it, and the next file comes; if it throws, its error ends the iteration', async () => {
    const run = folder();
    const name = join(run, '1.tfevents');
    writeFileSync(name, damaged(2));
    writeFileSync(join(run, '2.tfevents'), bytes);
    const damages: CorruptRecordError[] = [];
    const events = await eventsOf(run, { onCorrupt: (damage) => damages.push(damage) });
    expect(events.length).toBe(2 + records.length);
    expect(damages).toMatchObject([{ offset: records[2].offset, file: name }]);
    const mine = new Error('mine');
    const onCorrupt = () => {
      throw mine;
    };
    await expect(eventsOf(run, { onCorrupt })).rejects.toBe(mine);
  });

  it('ends the iteration', async () => {
    const iterator = readEvents(damaged(0));
    await expect(iterator.next()).rejects.toThrow(CorruptRecordError);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it('is not a torn tail: the file ends before it', async () => {
    for (const cut of [1, 11, 12, 30]) {
      const { offset } = records[4];
      expect((await eventsOf(bytes.subarray(0, offset + cut))).length).toBe(4);
    }
  });

  it('is a record that is longer than the limit of the caller', async () => {
    await expect(eventsOf(bytes, { maxRecordBytes: 10 })).rejects.toMatchObject({ offset: 0 });
  });
});

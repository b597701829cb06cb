import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CorruptRecordError } from '../../src/errors.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { type ReadEventsOptions, readEvents } from '../../src/reader/read-events.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenBytes, goldenFiles } from '../support/golden.js';
import { eventsOf } from '../support/read-run.js';

const { path, records } = goldenFiles.find((file) => file.path.startsWith('tbx/scalar/'))!;
const bytes = goldenBytes(path);
const endOf = (index: number) => records[index].offset + 16 + records[index].length;

/** A reader that follows, and what it has read; `until(n)` resolves when it has read n events. */
function follow(source: string, options: ReadEventsOptions = {}) {
  const controller = new AbortController();
  const events: TensorBoardEvent[] = [];
  let wake = () => {};
  const ended = (async () => {
    const reading = readEvents(source, { follow: true, pollInterval: 5, signal: controller.signal, ...options });
    for await (const event of reading) {
      events.push(event);
      wake();
    }
  })();
  ended.catch(() => wake());
  const until = async (count: number) => {
    while (events.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (events.length < count) await Promise.race([ended, Promise.resolve()]);
    }
  };
  return { events, until, ended, stop: () => controller.abort(new Error('stopped')) };
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 40));

describe('readEvents with follow', () => {
  it('reads a file that grows, record by record and in the middle of records', async () => {
    const file = join(temporaryFolder(), 'a.tfevents');
    writeFileSync(file, bytes.subarray(0, endOf(1)));
    const reader = follow(file);
    await reader.until(2);
    for (const [from, to, count] of [
      [endOf(1), endOf(2), 3],
      [endOf(2), endOf(5), 6],
    ]) {
      appendFileSync(file, bytes.subarray(from, to));
      await reader.until(count);
    }
    // A torn tail: the length alone, then a part of the content, then the rest.
    for (const [from, to] of [
      [endOf(5), endOf(5) + 12],
      [endOf(5) + 12, endOf(6) - 6],
    ]) {
      appendFileSync(file, bytes.subarray(from, to));
      await pause();
      expect(reader.events.length).toBe(6);
    }
    appendFileSync(file, bytes.subarray(endOf(6) - 6));
    await reader.until(records.length);
    reader.stop();
    await expect(reader.ended).rejects.toThrow('stopped');
    const whole: TensorBoardEvent[] = [];
    for await (const event of readEvents(bytes)) whole.push(event);
    expect(reader.events).toEqual(whole);
  });

  it('reads files of a run folder that come later, and files that go on growing beside them', async () => {
    const run = temporaryFolder();
    const reader = follow(run);
    await pause();
    writeFileSync(join(run, '1.tfevents'), bytes.subarray(0, endOf(2) + 5));
    await reader.until(3);
    writeFileSync(join(run, '2.tfevents'), bytes.subarray(0, endOf(0)));
    await reader.until(4);
    appendFileSync(join(run, '1.tfevents'), bytes.subarray(endOf(2) + 5, endOf(3)));
    await reader.until(5);
    appendFileSync(join(run, '2.tfevents'), bytes.subarray(endOf(0), endOf(1)));
    await reader.until(6);
    rmSync(join(run, '1.tfevents'));
    writeFileSync(join(run, '3.tfevents'), bytes);
    await reader.until(6 + records.length);
    reader.stop();
    await expect(reader.ended).rejects.toThrow('stopped');
  });

  it('reads what a SummaryWriter is writing', async () => {
    const run = temporaryFolder();
    const writer = new SummaryWriter(run);
    const reader = follow(run);
    for (let step = 0; step < 5; step++) {
      writer.addScalar('loss', step / 2, step);
      await writer.flush();
      await reader.until(step + 2);
    }
    await writer.close();
    reader.stop();
    await expect(reader.ended).rejects.toThrow('stopped');
    expect(reader.events.slice(1).map((event) => event.summary?.[0].value)).toEqual([0, 0.5, 1, 1.5, 2]);
  });

  it('reports a file that shrinks as damage; one that is deleted may come back', async () => {
    const file = join(temporaryFolder(), 'a.tfevents');
    writeFileSync(file, bytes);
    const reader = follow(file);
    await reader.until(records.length);
    renameSync(file, `${file}.away`);
    await pause();
    renameSync(`${file}.away`, file);
    await pause();
    truncateSync(file, 100);
    await expect(reader.ended).rejects.toBeInstanceOf(CorruptRecordError);
    await expect(reader.ended).rejects.toMatchObject({ offset: bytes.length, file });
    expect(reader.events.length).toBe(records.length);
  });

  it("loses only the rest of a damaged file with 'nextFile'", async () => {
    const run = temporaryFolder();
    const damaged = bytes.slice();
    damaged[endOf(1) + 12] ^= 1;
    writeFileSync(join(run, '1.tfevents'), damaged);
    const reader = follow(run, { onCorrupt: 'nextFile' });
    await reader.until(2);
    writeFileSync(join(run, '2.tfevents'), bytes);
    await reader.until(2 + records.length);
    appendFileSync(join(run, '1.tfevents'), bytes);
    await pause();
    expect(reader.events.length).toBe(2 + records.length);
    reader.stop();
    await expect(reader.ended).rejects.toThrow('stopped');
  });

  // What a writer does whose disk is full, and has room again.
  it.each([
    ['at the end of a record', endOf(5) - endOf(3)],
    ['in the middle of a record', endOf(5) + 7 - endOf(3)],
  ])(
    'survives a file that is cut back to a record, and goes on behind what is written again: %s',
    async (_, partial) => {
      const file = join(temporaryFolder(), 'a.tfevents');
      writeFileSync(file, bytes.subarray(0, endOf(3)));
      const reader = follow(file);
      await reader.until(4);
      appendFileSync(file, bytes.subarray(endOf(3), endOf(3) + partial));
      await reader.until(6);
      await pause();
      truncateSync(file, endOf(3));
      await pause();
      appendFileSync(file, bytes.subarray(endOf(3)));
      await reader.until(records.length);
      await pause();
      reader.stop();
      await expect(reader.ended).rejects.toThrow('stopped');
      expect(reader.events).toEqual(await eventsOf(bytes));
    },
  );

  it('survives a torn tail that is taken back and replaced', async () => {
    const file = join(temporaryFolder(), 'a.tfevents');
    writeFileSync(file, bytes.subarray(0, endOf(3) + 20));
    const reader = follow(file);
    await reader.until(4);
    await pause();
    truncateSync(file, endOf(3));
    await pause();
    appendFileSync(file, bytes.subarray(endOf(5), endOf(6)));
    await reader.until(5);
    reader.stop();
    await expect(reader.ended).rejects.toThrow('stopped');
    expect(reader.events.at(-1)).toEqual((await eventsOf(bytes))[6]);
  });

  it('reads what replaces records that were taken back', async () => {
    const file = join(temporaryFolder(), 'a.tfevents');
    writeFileSync(file, bytes.subarray(0, endOf(6)));
    const reader = follow(file);
    await reader.until(7);
    await pause();
    truncateSync(file, endOf(1));
    await pause();
    appendFileSync(file, bytes.subarray(endOf(4)));
    await reader.until(7 + records.length - 5);
    reader.stop();
    await expect(reader.ended).rejects.toThrow('stopped');
    const all = await eventsOf(bytes);
    expect(reader.events).toEqual([...all.slice(0, 7), ...all.slice(5)]);
  });

  it('refuses a packed file, which does not grow, and follows the others if it may', async () => {
    const run = temporaryFolder();
    const file = join(run, '1.tfevents.gz');
    writeFileSync(file, gzipSync(bytes));
    await expect(follow(file).ended).rejects.toMatchObject({
      name: 'CorruptRecordError',
      reason: 'this is a gzip file: read it without follow',
      file,
    });
    writeFileSync(join(run, '2.tfevents'), bytes);
    const reader = follow(run, { onCorrupt: 'nextFile' });
    await reader.until(records.length);
    reader.stop();
    await expect(reader.ended).rejects.toThrow('stopped');
  });

  it('ends when the iterator is returned while it waits', async () => {
    const run = temporaryFolder();
    const iterator = readEvents(run, { follow: true, pollInterval: 10_000 });
    const waiting = iterator.next();
    await pause();
    await iterator.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  it('rejects if there is nothing at the path at the beginning', async () => {
    await expect(follow(join(temporaryFolder(), 'nowhere')).ended).rejects.toThrow('there is no file or folder');
  });
});

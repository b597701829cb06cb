import { afterEach, expect, it, vi } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import type { Output } from '../../src/output/output.js';
import type { SummaryWriterOptions } from '../../src/writer/run-writer.js';
import { FaultyOutput } from '../support/faulty-output.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();
afterEach(() => {
  vi.useRealTimers();
});

const enospc = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const small: SummaryWriterOptions = { maxBufferedBytes: 1000, flushSecs: 1000 };

it('a write error never throws into addScalar; the first is warned of once and rejected by every flush until it ends', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, small);
  const first = enospc();
  output.failure = first;
  for (const step of range(0, 50)) writer.addScalar('loss', step, step);
  output.failure = new Error('EIO');
  for (const step of range(50, 100)) writer.addScalar('loss', step, step);
  await expect(writer.flush()).rejects.toBe(first);
  await expect(writer.flush()).rejects.toBe(first);
  expect(warnings).toEqual([expect.stringMatching(/^ENOSPC: no space left on device\. Events are kept in memory/)]);
  output.failure = undefined;
  await writer.flush();
  expect(output.steps).toEqual(range(0, 100));
  await writer.close();
});

it('a timer writes what is kept as soon as that works again', () => {
  vi.useFakeTimers();
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, { flushSecs: 2 });
  output.failure = enospc();
  writer.addScalar('loss', 1, 1);
  vi.advanceTimersByTime(10_000);
  expect(output.attempts).toBeGreaterThan(2);
  output.failure = undefined;
  vi.advanceTimersByTime(2000);
  expect(output.steps).toEqual([1]);
});

it('what is kept stays under its bound; the newest are lost, counted, and the count is rejected by flush and close', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, { ...small, maxUnwrittenBytes: 10_000 });
  output.failure = enospc();
  for (const step of range(0, 10_000)) {
    writer.addScalar('loss', step, step);
    expect(writer.pendingBytes).toBeLessThanOrEqual(10_000 + 1000);
  }
  output.failure = undefined;
  const error = await writer.flush().then(
    () => undefined,
    (reason) => reason,
  );
  const lost = 10_000 - output.steps.length;
  expect(lost).toBeGreaterThan(9000);
  expect(error.message).toContain(`${lost} events were lost`);
  expect(error.code).toBe('ENOSPC');
  expect(error.cause.message).toMatch(/ENOSPC/);
  await writer.flush();
  await expect(writer.close()).rejects.toThrow(`${lost} events were lost`);
  expect(warnings.length).toBe(2);
});

it('tags are described again after a loss, since their first event may be among the lost', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, { maxBufferedBytes: 200, flushSecs: 1000, maxUnwrittenBytes: 0 });
  output.failure = enospc();
  for (const step of range(0, 100)) writer.addScalar(step < 50 ? 'a' : 'b', step, step);
  output.failure = undefined;
  await writer.flush().catch(() => {});
  writer.addScalar('a', 100, 100);
  writer.addScalar('b', 101, 101);
  await writer.flush();
  const values = output.events.flatMap(({ summary }) => summary?.value ?? []);
  expect(values.length).toBeLessThan(50);
  // The last event of 'a' before was among the lost.
  expect(
    values
      .filter(({ tag }) => tag === 'a')
      .map(({ metadata }) => Boolean(metadata))
      .at(-1),
  ).toBe(true);
  expect(values.find(({ tag }) => tag === 'b')!.metadata).toBeTruthy();
  await writer.close().catch(() => {});
});

it('close gives up what cannot be written, says how much, and the writer is closed all the same', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, small);
  output.failure = enospc();
  for (const step of range(0, 7)) writer.addScalar('loss', step, step);
  // The version record is an event, too.
  await expect(writer.close()).rejects.toThrow(/^8 events were lost: the writer was closed/);
  expect(() => writer.addScalar('loss', 1, 1)).toThrow(/closed/);
});

it('when the file is gone, what waits begins a new one: version, every tag described, nothing that waited missing', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, small);
  for (const step of range(0, 5)) writer.addScalar('loss', step, step, { description: 'falls' });
  writer.addText('note', 'one', 5);
  await writer.flush();
  output.gone = true;
  for (const step of range(6, 200)) writer.addScalar('loss', step, step);
  writer.addText('note', 'two', 200);
  const error = await writer.flush().then(
    () => undefined,
    (reason) => reason,
  );
  expect(error.message).toMatch(/^7 events were lost: their file is gone/);
  await writer.flush();
  const { events } = output;
  expect(events[0].fileVersion).toBe('brain.Event:2');
  expect(events.filter(({ fileVersion }) => fileVersion).length).toBe(1);
  expect(output.steps).toEqual(range(6, 200));
  const firsts = ['loss', 'note'].map(
    (tag) => events.flatMap(({ summary }) => summary?.value ?? []).find((value) => value.tag === tag)!,
  );
  expect(firsts.map(({ metadata }) => metadata?.pluginData?.pluginName)).toEqual(['scalars', 'text']);
  expect(firsts[0].metadata?.summaryDescription).toBe('falls');
  writer.addScalar('loss', 201, 201);
  await writer.flush();
  const last = output.events.at(-1)!.summary!.value![0];
  expect(last.metadata ?? undefined).toBeUndefined();
  await expect(writer.close()).rejects.toThrow(/7 events were lost/);
});

it('a file that is gone before anything was written to it is no loss, and the new one has one version record', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, small);
  output.gone = true;
  for (const step of range(0, 5)) writer.addScalar('loss', step, step);
  await writer.flush();
  expect(output.events.map(({ fileVersion }) => fileVersion ?? undefined)).toEqual([
    'brain.Event:2',
    ...range(0, 5).map(() => undefined),
  ]);
  expect(output.steps).toEqual(range(0, 5));
  await writer.close();
});

it('a file that is gone while writing fails is noticed once that works again', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, small);
  writer.addScalar('loss', 0, 0);
  await writer.flush();
  output.failure = enospc();
  for (const step of range(1, 100)) writer.addScalar('loss', step, step);
  await expect(writer.flush()).rejects.toThrow(/ENOSPC/);
  output.failure = undefined;
  output.gone = true;
  await writer.flush().catch(() => {});
  expect(output.steps).toEqual(range(1, 100));
  expect(output.events[0].fileVersion).toBe('brain.Event:2');
  expect(output.events[1].summary!.value![0].metadata).toBeTruthy();
  await writer.close().catch(() => {});
});

it.each([
  ['a scalar', (writer: SummaryWriter, step: number) => writer.addScalar('rare', step, step)],
  ['a text', (writer: SummaryWriter, step: number) => writer.addText('rare', 'text', step)],
  [
    'a text larger than the buffer',
    (writer: SummaryWriter, step: number) => writer.addText('rare', 'x'.repeat(5000), step),
  ],
])(
  '%s whose tag was last seen in a file that is gone is described in the new one, wherever that begins',
  async (_, add) => {
    // With one of these lengths the file is found gone between the encoding and the writing of exactly this event.
    for (let before = 0; before < 25; before++) {
      const output = new FaultyOutput();
      const writer = new SummaryWriter(output, small);
      add(writer, 0);
      add(writer, 1);
      writer.addScalar('loss', 0, 0);
      await writer.flush();
      output.gone = true;
      for (const step of range(0, before)) writer.addScalar('loss', step, step);
      add(writer, 2);
      add(writer, 3);
      await writer.flush().catch(() => {});
      const rare = output.events.flatMap(({ summary }) => summary?.value ?? []).filter(({ tag }) => tag === 'rare');
      expect(rare.map(({ metadata }) => Boolean(metadata))).toEqual([true, false]);
      await writer.close().catch(() => {});
    }
  },
);

it('a rejection of flush or close that nobody awaits ends no program', async () => {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output);
  output.failure = enospc();
  writer.addScalar('loss', 1, 1);
  void writer.flush();
  void writer.close();
  await new Promise((done) => setTimeout(done, 20));
  process.off('unhandledRejection', unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

it("an Output's own late failure is kept and rejected, too", async () => {
  let failure: Error | undefined = new Error('upload failed');
  const output: Output = {
    write() {},
    async flush() {
      if (failure !== undefined) throw failure;
    },
    async close() {},
  };
  const writer = new SummaryWriter(output);
  writer.addScalar('loss', 1, 1);
  await expect(writer.flush()).rejects.toBe(failure);
  failure = undefined;
  await writer.flush();
  failure = new Error('upload failed again');
  await expect(writer.close()).rejects.toBe(failure);
  expect(warnings.length).toBe(1);
});

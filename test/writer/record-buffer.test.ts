import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MemoryOutput, SummaryWriter } from '../../src/index.js';
import type { Output } from '../../src/output/output.js';
import type { SummaryWriterOptions } from '../../src/writer/run-writer.js';
import { decodeRecords, scalarsOf } from '../support/event-files.js';

/** An Output that can be made to fail, and to lose its file. */
class FaultyOutput extends MemoryOutput {
  failure: Error | undefined;
  restarts = 0;
  /** Set: the next write finds the file gone. */
  gone = false;
  earlier: Uint8Array[] = [];
  attempts = 0;
  #start = 0;

  override write(bytes: Uint8Array): void {
    this.attempts++;
    if (this.failure !== undefined) throw this.failure;
    if (this.gone) {
      this.gone = false;
      this.restarts++;
      this.#start = this.bytes.length;
      throw new Error('The file is gone');
    }
    super.write(bytes);
  }

  /** What is in the file that is there now. */
  get events() {
    return decodeRecords(this.bytes.slice(this.#start));
  }

  get steps(): number[] {
    return scalarsOf(this.events).map(({ step }) => step);
  }
}

let warnings: string[];
beforeEach(() => {
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warnings.push(String(text)));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const enospc = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const small: SummaryWriterOptions = { maxBufferedBytes: 1000, flushSecs: 1000 };

test('a write error never throws into addScalar; the first is warned of once and rejected by every flush until it ends', async () => {
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

test('a timer writes what is kept as soon as that works again', () => {
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

test('what is kept stays under its bound; the newest are lost, counted, and the count is rejected by flush and close', async () => {
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

test('tags are described again after a loss, since their first event may be among the lost', async () => {
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

test('close gives up what cannot be written, says how much, and the writer is closed all the same', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, small);
  output.failure = enospc();
  for (const step of range(0, 7)) writer.addScalar('loss', step, step);
  // The version record is an event, too.
  await expect(writer.close()).rejects.toThrow(/^8 events were lost: the writer was closed/);
  expect(() => writer.addScalar('loss', 1, 1)).toThrow(/closed/);
});

test('when the file is gone, what waits begins a new one: version, every tag described, nothing that waited missing', async () => {
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

test('a file that is gone before anything was written to it is no loss, and the new one has one version record', async () => {
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

test('a file that is gone while writing fails is noticed once that works again', async () => {
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

test.each([
  ['a scalar', (writer: SummaryWriter, step: number) => writer.addScalar('rare', step, step)],
  ['a text', (writer: SummaryWriter, step: number) => writer.addText('rare', 'text', step)],
  [
    'a text larger than the buffer',
    (writer: SummaryWriter, step: number) => writer.addText('rare', 'x'.repeat(5000), step),
  ],
])(
  '%s whose tag was last seen in a file that is gone is described in the new one, wherever that begins',
  async (_, add) => {
    // One of these lengths makes room for the very event: the file is found gone between its encoding and its writing.
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

test('a record larger than the buffer is written whole and in its place, also while writing fails', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, small);
  const long = 'x'.repeat(5000);
  writer.addScalar('loss', 0, 0);
  writer.addText('long', long, 1);
  writer.addScalar('loss', 2, 2);
  output.failure = enospc();
  writer.addText('long', long, 3);
  writer.addScalar('loss', 4, 4);
  output.failure = undefined;
  await writer.flush();
  expect(output.events.map(({ step }) => Number(step))).toEqual([0, 0, 1, 2, 3, 4]);
  await writer.close();
});

test('maxQueue events are written at once, and flushSecs is checked at every addX', () => {
  vi.useFakeTimers({ now: 1e12, toFake: ['Date'] });
  const queued = new FaultyOutput();
  const writer = new SummaryWriter(queued, { maxQueue: 5, flushSecs: 1000 });
  const steps: number[] = [];
  for (const step of range(0, 12)) {
    writer.addScalar('loss', step, step);
    steps.push(queued.steps.length);
  }
  // The version record counts.
  expect(steps).toEqual([0, 0, 0, 4, 4, 4, 4, 4, 9, 9, 9, 9]);
  const timed = new FaultyOutput();
  const other = new SummaryWriter(timed, { flushSecs: 3 });
  other.addScalar('loss', 0, 0);
  vi.setSystemTime(1e12 + 2999);
  other.addScalar('loss', 1, 1);
  expect(timed.steps).toEqual([]);
  vi.setSystemTime(1e12 + 3000);
  other.addScalar('loss', 2, 2);
  expect(timed.steps).toEqual([0, 1, 2]);
});

test('flushSecs beyond what a timer takes does not fire at once', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, { flushSecs: Number.POSITIVE_INFINITY });
  writer.addScalar('loss', 0, 0);
  await new Promise((done) => setTimeout(done, 30));
  expect(output.attempts).toBe(0);
  await writer.close();
});

test('a rejection of flush or close that nobody awaits ends no program', async () => {
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

test("an Output's own late failure is kept and rejected, too", async () => {
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

test('ten million bytes of events keep the memory of the writer flat', async () => {
  let written = 0;
  const output: Output = {
    write(bytes) {
      written += bytes.length;
    },
    async flush() {},
    async close() {},
  };
  const writer = new SummaryWriter(output, { flushSecs: 1000 });
  let most = 0;
  for (let step = 0; step < 200_000; step++) {
    writer.addScalar('loss', step, step);
    most = Math.max(most, writer.pendingBytes);
  }
  expect(most).toBeLessThanOrEqual(65_536);
  await writer.close();
  expect(written).toBeGreaterThan(1e7);
});

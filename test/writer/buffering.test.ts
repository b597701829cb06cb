import { afterEach, expect, it, vi } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import type { Output } from '../../src/output/output.js';
import type { SummaryWriterOptions } from '../../src/writer/run-writer.js';
import { stepsIn } from '../support/event-files.js';
import { FaultyOutput } from '../support/faulty-output.js';
import { temporaryFolder } from '../support/folders.js';
import { catchWarnings } from '../support/warnings.js';

catchWarnings();
afterEach(() => {
  vi.useRealTimers();
});

const enospc = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const small: SummaryWriterOptions = { maxBufferedBytes: 1000, flushSecs: 1000 };

it('a record larger than the buffer is written whole and in its place, also while writing fails', async () => {
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

it('maxQueue events are written at once, and flushSecs is checked at every addX', () => {
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

it('flushSecs beyond what a timer takes does not fire at once', async () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, { flushSecs: Number.POSITIVE_INFINITY });
  writer.addScalar('loss', 0, 0);
  await new Promise((done) => setTimeout(done, 30));
  expect(output.attempts).toBe(0);
  await writer.close();
});

it('ten million bytes of events keep the memory of the writer flat', async () => {
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

it('flush() has written by the time it returns', () => {
  const output = new FaultyOutput();
  const writer = new SummaryWriter(output, { flushSecs: 1000 });
  writer.addScalar('loss', 1, 1);
  expect(output.attempts).toBe(0);
  void writer.flush();
  expect(output.steps).toEqual([1]);
  const logdir = temporaryFolder();
  const burst = new SummaryWriter(logdir, { flushSecs: 1000 });
  for (const step of range(0, 5000)) burst.addScalar('loss', step, step);
  void burst.flush();
  expect(stepsIn(logdir)).toEqual(range(0, 5000));
});

/** An Output to which a small write is cheap, or said to be. */
class ImmediateOutput extends FaultyOutput {
  readonly isImmediate = true;
  /** How long a write takes, in milliseconds. */
  millis = 0;

  override write(bytes: Uint8Array): void {
    for (const end = performance.now() + this.millis; performance.now() < end; );
    super.write(bytes);
  }
}

const endOfTurn = () => new Promise((done) => process.nextTick(done));

it('an immediate Output gets an event as it is added', () => {
  const output = new ImmediateOutput();
  const writer = new SummaryWriter(output);
  for (const step of range(0, 5)) {
    writer.addScalar('loss', step, step);
    expect(output.steps).toEqual(range(0, step + 1));
  }
});

it('an immediate Output gets a burst in few pieces, and all of it by the end of the turn', async () => {
  const output = new ImmediateOutput();
  output.millis = 0.2;
  const writer = new SummaryWriter(output);
  for (const step of range(0, 20_000)) writer.addScalar('loss', step, step);
  expect(writer.pendingBytes).toBeGreaterThan(0);
  await endOfTurn();
  expect(writer.pendingBytes).toBe(0);
  expect(output.steps).toEqual(range(0, 20_000));
  expect(output.attempts).toBeLessThan(2000);
});

it('an immediate Output gets what is some milliseconds old with the next event, and all that is old after a failure', async () => {
  vi.useFakeTimers({ now: 2e12, toFake: ['Date'] });
  const output = new ImmediateOutput();
  output.millis = 5;
  const writer = new SummaryWriter(output);
  for (const step of range(0, 100)) writer.addScalar('loss', step, step);
  const before = output.steps.length;
  expect(before).toBeLessThan(100);
  vi.setSystemTime(2e12 + 4);
  writer.addScalar('loss', 100, 100);
  expect(output.steps).toEqual(range(0, 101));
  output.failure = enospc();
  writer.addScalar('loss', 101, 101);
  await endOfTurn();
  output.failure = undefined;
  vi.setSystemTime(2e12 + 200);
  writer.addScalar('loss', 102, 102);
  expect(output.steps).toEqual(range(0, 103));
});

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

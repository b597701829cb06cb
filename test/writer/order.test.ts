import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryOutput, SummaryWriter } from '../../src/index.js';
import { maxWaitingBytes, maxWaitingEvents, OrderedQueue } from '../../src/writer/ordered-queue.js';
import { decodeRecords, scalarsOf } from '../support/event-files.js';
import { catchWarnings } from '../support/warnings.js';

const warnings = catchWarnings();

/** A tensor that can only be read asynchronously, as on WebGPU. */
function lateTensor(value: number) {
  let come!: () => void;
  let fail!: (error: Error) => void;
  const data = new Promise<Float32Array>((resolve, reject) => {
    come = () => resolve(Float32Array.of(value));
    fail = reject;
  });
  const dataSync = () => {
    throw new Error('readSync is not supported');
  };
  return { tensor: { shape: [], dtype: 'float32', dataSync, data: () => data }, come, fail };
}

const unexpected = (error: unknown) => expect.unreachable(String(error));

const settle = () => new Promise((done) => setTimeout(done, 0));

it('values that come later keep their place, whichever comes first', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const [a, b] = [lateTensor(10), lateTensor(20)];
  writer.addScalar('loss', 0, 0);
  writer.addScalar('loss', a.tensor, 1);
  writer.addScalar('loss', 2, 2);
  writer.addHistogram('weights', b.tensor, 3);
  writer.addText('note', 'four', 4);
  writer.addScalar('loss', 5, 5);
  b.come();
  await settle();
  const flushed = writer.flush();
  a.come();
  await flushed;
  const events = decodeRecords(output.bytes);
  expect(events.map(({ step }) => Number(step))).toEqual([0, 0, 1, 2, 3, 4, 5]);
  expect(scalarsOf(events).map(({ value }) => value)).toEqual([0, 10, 2, 5]);
  // The tag was described once, by its first event.
  const described = events.filter(({ summary }) => summary?.value?.[0].metadata).map(({ step }) => Number(step));
  expect(described).toEqual([0, 3, 4]);
  await writer.close();
});

it('flush waits for values that are on their way', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const late = lateTensor(1);
  writer.addScalar('loss', late.tensor, 1);
  let done = false;
  const flushed = writer.flush().then(() => (done = true));
  await settle();
  expect(done).toBe(false);
  late.come();
  await flushed;
  expect(scalarsOf(decodeRecords(output.bytes)).length).toBe(1);
  await writer.close();
});

it('values that never come are counted, reported and rejected; the events around them are written', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const late = lateTensor(1);
  writer.addScalar('loss', 0, 0);
  writer.addScalar('loss', late.tensor, 1);
  writer.addScalar('loss', 2, 2);
  const flushed = writer.flush();
  late.fail(new Error('device lost'));
  await expect(flushed).rejects.toThrow('1 event was lost: its values never came');
  expect(scalarsOf(decodeRecords(output.bytes)).map(({ step }) => step)).toEqual([0, 2]);
  expect(warnings.join()).toMatch(/device lost/);
  await writer.close().catch(() => {});
});

it('a list of files waits for values that come, and leaves what was lost to be told by flush', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const late = lateTensor(1);
  writer.addScalar('loss', late.tensor, 1);
  writer.addScalar('loss', 2, 2);
  const listed = output.list();
  late.fail(new Error('device lost'));
  const [{ file }] = await listed;
  expect(scalarsOf(decodeRecords(new Uint8Array(await file.arrayBuffer()))).map(({ step }) => step)).toEqual([2]);
  await expect(writer.flush()).rejects.toThrow('1 event was lost');
  await writer.close().catch(() => {});
});

it('values that wait too long lose their place instead of filling the memory; nothing is lost', async () => {
  const queue = new OrderedQueue(unexpected);
  const written: string[] = [];
  let come!: (value: string) => void;
  const late = new Promise<string>((resolve) => (come = resolve));
  queue.addLater(
    late,
    'late',
    (value) => written.push(value),
    () => {},
  );
  for (let i = 0; i < maxWaitingEvents + 5; i++) queue.add(() => written.push(String(i)), unexpected, 100);
  expect(written.length).toBe(maxWaitingEvents + 5);
  expect(queue.isWaiting).toBe(false);
  expect(warnings.length).toBe(1);
  come('late');
  await queue.settled();
  expect(written.at(-1)).toBe('late');
  expect(written.slice(0, -1)).toEqual(Array.from({ length: maxWaitingEvents + 5 }, (_, i) => String(i)));
});

it('large events wait up to a number of bytes only', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const [first, second] = [lateTensor(1), lateTensor(2)];
  writer.addScalar('loss', first.tensor, 0);
  writer.addText('long', 'x'.repeat(2 ** 20), 1);
  writer.addScalar('loss', second.tensor, 2);
  let most = 0;
  for (let step = 3; step < 200; step++) {
    writer.addText('long', 'x'.repeat(2 ** 20), step);
    most = Math.max(most, writer.pendingBytes);
  }
  expect(most).toBeGreaterThan(2 ** 25);
  expect(most).toBeLessThanOrEqual(maxWaitingBytes + 2 ** 18);
  first.come();
  second.come();
  await writer.close();
  const steps = decodeRecords(output.bytes).map(({ step }) => Number(step));
  expect([...steps].sort((a, b) => a - b)).toEqual([0, ...Array.from({ length: 200 }, (_, step) => step)]);
  expect(warnings.length).toBe(1);
});

it('an event that cannot be written when its turn comes is reported, and the rest are written', async () => {
  const queue = new OrderedQueue(unexpected);
  const written: string[] = [];
  const failures: unknown[] = [];
  const failure = new Error('on purpose');
  const fail = () => {
    throw failure;
  };
  queue.addLater(Promise.resolve(), 'late', fail, (error) => failures.push(error));
  queue.add(fail, (error) => failures.push(error), 1);
  queue.add(() => written.push('last'), unexpected, 1);
  await queue.settled();
  expect(failures).toEqual([failure, failure]);
  expect(written).toEqual(['last']);
  expect(() => queue.add(fail, unexpected, 1)).toThrow(failure);
});

it('close waits for late values, and an addScalar after it is refused', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  const late = lateTensor(7);
  writer.addScalar('loss', late.tensor, 1);
  const closed = writer.close();
  expect(() => writer.addScalar('loss', 1, 2)).toThrow('closed');
  late.come();
  await closed;
  expect(scalarsOf(decodeRecords(output.bytes)).map(({ value }) => value)).toEqual([7]);
});

describe('values that never come', () => {
  const never = { shape: [], data: () => new Promise<Float32Array>(() => {}) };
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are given up by name after 30 s; what waits behind them is written, and flush rejects', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    writer.addScalar('loss', never, 1);
    writer.addHistogram('weights', never, 2);
    writer.addScalar('loss', 3, 3);
    const flushed = writer.flush();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(warnings).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await expect(flushed).rejects.toThrow(
      '2 events were lost: no value has come for 30 s (given up: addScalar "loss" at step 1, addHistogram "weights" at step 2)',
    );
    expect(scalarsOf(decodeRecords(output.bytes)).map(({ step }) => step)).toEqual([3]);
    expect(warnings).toEqual([expect.stringContaining('addScalar "loss" at step 1, addHistogram "weights" at step 2')]);
    await writer.flush();
    await expect(writer.close()).rejects.toThrow('2 events were lost');
  });

  it('do not keep close from ending', async () => {
    const writer = new SummaryWriter(new MemoryOutput());
    writer.addScalar('loss', never, 1);
    const closed = writer.close();
    await vi.advanceTimersByTimeAsync(30_000);
    await expect(closed).rejects.toThrow('1 event was lost: no value has come for 30 s');
  });

  it('are waited for as long as others come', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const late = Array.from({ length: 10 }, (_, step) => lateTensor(step));
    for (const [step, { tensor }] of late.entries()) writer.addScalar('loss', tensor, step);
    for (const { come } of late) {
      await vi.advanceTimersByTimeAsync(20_000);
      come();
    }
    await writer.flush();
    expect(scalarsOf(decodeRecords(output.bytes)).map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    writer.addScalar('loss', never, 10);
    await vi.advanceTimersByTimeAsync(20_000);
    // This one gets its 30 s, too.
    const last = lateTensor(11);
    writer.addScalar('loss', last.tensor, 11);
    await vi.advanceTimersByTimeAsync(20_000);
    last.come();
    await writer.flush().catch(() => {});
    expect(scalarsOf(decodeRecords(output.bytes)).at(-1)).toMatchObject({ step: 11 });
    expect(warnings.length).toBe(1);
    await writer.close().catch(() => {});
  });

  it('that come after they were given up change nothing any more', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const late = lateTensor(1);
    writer.addScalar('loss', late.tensor, 1);
    await vi.advanceTimersByTimeAsync(30_000);
    writer.addScalar('loss', 2, 2);
    late.come();
    await writer.close().catch(() => {});
    expect(scalarsOf(decodeRecords(output.bytes)).map(({ step }) => step)).toEqual([2]);
  });

  it('for a companion file do not keep flush from ending', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const vectors = { shape: [2, 2], data: () => new Promise<Float32Array>(() => {}) };
    writer.addEmbedding('words', vectors, 1, { metadata: ['a', 'b'] });
    const flushed = writer.flush();
    await vi.advanceTimersByTimeAsync(30_000);
    await expect(flushed).rejects.toThrow(/events? were lost: no value has come for 30 s \(given up: the file '/);
    await writer.close().catch(() => {});
  });
});

import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { MemoryOutput, SummaryWriter } from '../../src/index.js';
import { decodeRecords, eventFiles, eventsIn, scalarsOf, stepsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';

let programs: Programs;
beforeAll(() => {
  programs = new Programs();
});
afterAll(() => programs.remove());

const stepsOf = (bytes: Uint8Array) => decodeRecords(bytes).map(({ step }) => Number(step));

const thousand = Array.from({ length: 1000 }, (_, step) => step);

it('writers of one real folder share one file, by whatever path, until the last is closed', async () => {
  const logdir = temporaryFolder();
  mkdirSync(join(logdir, 'real'));
  symlinkSync(join(logdir, 'real'), join(logdir, 'link'));
  const first = new SummaryWriter(join(logdir, 'real'));
  const second = new SummaryWriter(join(logdir, 'link', '..', 'link', '.'));
  first.addScalar('loss', 1, 1);
  second.addScalar('loss', 2, 2);
  await first.close();
  second.addScalar('loss', 3, 3);
  await second.close();
  expect(eventFiles(join(logdir, 'real')).length).toBe(1);
  expect(stepsIn(join(logdir, 'real'))).toEqual([1, 2, 3]);
  const described = eventsIn(join(logdir, 'real')).filter(({ summary }) => summary?.value?.[0].metadata);
  expect(described.length).toBe(1);
});

it('a writer that is stricter than those before it counts for what waits already', async () => {
  vi.useFakeTimers();
  try {
    const output = new MemoryOutput();
    const lax = new SummaryWriter(output, { flushSecs: 60 });
    lax.addScalar('loss', 1, 1);
    const strict = new SummaryWriter(output, { flushSecs: 1 });
    strict.addScalar('loss', 2, 2);
    vi.advanceTimersByTime(1100);
    expect(stepsOf(output.bytes)).toEqual([0, 1, 2]);
    await Promise.all([lax.close(), strict.close()]);
  } finally {
    vi.useRealTimers();
  }
});

it('a run and a writer of its folder share one file', async () => {
  const logdir = temporaryFolder();
  const parent = new SummaryWriter(logdir);
  const direct = new SummaryWriter(join(logdir, 'train'));
  parent.run('train').addScalar('loss', 1, 1);
  direct.addScalar('loss', 2, 2);
  await parent.close();
  direct.addScalar('loss', 3, 3);
  await direct.close();
  expect(eventFiles(join(logdir, 'train')).length).toBe(1);
  expect(stepsIn(join(logdir, 'train'))).toEqual([1, 2, 3]);
});

it('writers of one Output share one file, and the last to close closes the Output', async () => {
  class CountingOutput extends MemoryOutput {
    closed = 0;
    override async close(): Promise<void> {
      this.closed++;
    }
  }
  const output = new CountingOutput();
  const [first, second] = [new SummaryWriter(output), new SummaryWriter(output)];
  first.addScalar('loss', 1, 1);
  second.addScalar('loss', 2, 2);
  await first.close();
  expect(output.closed).toBe(0);
  second.addScalar('loss', 3, 3);
  await second.close();
  expect(output.closed).toBe(1);
  const events = decodeRecords(output.bytes);
  expect(events.filter(({ fileVersion }) => fileVersion).length).toBe(1);
  expect(events.filter(({ summary }) => summary?.value?.[0].metadata).length).toBe(1);
  expect(scalarsOf(events).map(({ step }) => step)).toEqual([1, 2, 3]);
});

it('one of the writers that share a run claims a value, once for each owner', async () => {
  const logdir = temporaryFolder();
  const [first, second] = [new SummaryWriter(logdir), new SummaryWriter(join(logdir, '.'))];
  const [fit, nextFit] = [{}, {}];
  expect([first.claim(fit, 'loss'), second.claim(fit, 'loss'), first.claim(fit, 'loss')]).toEqual([true, false, false]);
  expect([second.claim(fit, 'accuracy'), second.claim(nextFit, 'loss')]).toEqual([true, true]);
  expect(first.run('val').claim(fit, 'loss')).toBe(true);
  await Promise.all([first.close(), second.close()]);
});

it('of two writers of one folder the stricter limits hold', async () => {
  const logdir = temporaryFolder();
  const first = new SummaryWriter(logdir);
  const second = new SummaryWriter(logdir, { maxQueue: 1 });
  first.addScalar('loss', 1, 1);
  expect(stepsIn(logdir)).toEqual([1]);
  await Promise.all([first.close(), second.close()]);
});

it('a writer opened after the last was closed begins another file that sorts later', async () => {
  const logdir = temporaryFolder();
  for (const step of [1, 2, 3]) {
    const writer = new SummaryWriter(logdir);
    writer.addScalar('loss', step, step);
    await writer.close();
  }
  expect(eventFiles(logdir).length).toBe(3);
  expect(stepsIn(logdir)).toEqual([1, 2, 3]);
});

it('workers and forked programs that write to one folder at once lose nothing: each has its file', async () => {
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `import { fork } from 'node:child_process';
    import { Worker, isMainThread, workerData, threadId } from 'node:worker_threads';
    const [, program, logdir, name] = process.argv;
    const tag = isMainThread ? (name ?? 'main') : workerData;
    const writer = new SummaryWriter(logdir);
    for (let step = 0; step < 100; step++) writer.addScalar(tag, step, step);
    if (isMainThread && name === undefined) {
      for (let i = 0; i < 4; i++) {
        new Worker(program, { argv: [logdir], workerData: 'worker' + i });
        fork(program, [logdir, 'fork' + i]);
      }
    }`,
    [logdir],
  );
  expect(ending).toMatchObject({ code: 0, stderr: '' });
  const files = eventFiles(logdir);
  expect(files.length).toBe(9);
  const tags = new Set<string>();
  for (const name of files) {
    const points = scalarsOf(decodeRecords(readFileSync(join(logdir, name))));
    expect(points.map(({ step }) => step)).toEqual(thousand.slice(0, 100));
    expect(new Set(points.map(({ tag }) => tag)).size).toBe(1);
    tags.add(points[0].tag);
  }
  expect(tags.size).toBe(9);
});

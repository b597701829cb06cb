import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stepsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';

let programs: Programs;
beforeAll(() => {
  programs = new Programs();
});
afterAll(() => programs.remove());

const thousand = Array.from({ length: 1000 }, (_, step) => step);
/** Adds a thousand events that stay in the buffer. */
const addThousand = `
  const writer = new SummaryWriter(process.argv[2], { flushSecs: 1000, maxBufferedBytes: 1e7 });
  for (let step = 0; step < 1000; step++) writer.addScalar('loss', step / 2, step);
`;

describe('every event is in the file, without close(), after', () => {
  it.each([
    ['the event loop running dry', '', 0],
    ['process.exit()', 'process.exit(3);', 3],
    ['process.exit() within a promise', 'await 1; setTimeout(() => process.exit(4), 5);', 4],
    ['an uncaught exception', "setTimeout(() => { throw new Error('on purpose'); }, 1);", 1],
    ['an unhandled rejection', "Promise.reject(new Error('on purpose'));", 1],
    ['an exception in the first turn', "throw new Error('on purpose');", 1],
  ])('%s', async (_, end, code) => {
    const logdir = temporaryFolder();
    const ending = await programs.run(addThousand + end, [logdir]);
    expect(ending.code).toBe(code);
    expect(stepsIn(logdir)).toEqual(thousand);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('%s with handleSignals, and the program ends by it', async (signal) => {
    const logdir = temporaryFolder();
    const ending = await programs.run(
      `${addThousand.replace('flushSecs', 'handleSignals: true, flushSecs')}
      setInterval(() => {}, 1000);
      process.kill(process.pid, '${signal}');`,
      [logdir],
    );
    expect(ending.signal).toBe(signal);
    expect(stepsIn(logdir)).toEqual(thousand);
  });
});

it("a program's own signal listeners run, and the program goes on, with handleSignals", async () => {
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `${addThousand.replace('flushSecs', 'handleSignals: true, flushSecs')}
    let signals = 0;
    process.on('SIGTERM', () => {
      if (++signals === 2) process.exit(7);
      writer.addScalar('loss', 0, 1000);
      setTimeout(() => process.kill(process.pid, 'SIGTERM'), 20);
    });
    setInterval(() => {}, 1000);
    process.kill(process.pid, 'SIGTERM');`,
    [logdir],
  );
  expect(ending.code).toBe(7);
  expect(stepsIn(logdir)).toEqual([...thousand, 1000]);
});

it('a listener that ends the program only if it is the only one still does, with handleSignals', async () => {
  const ending = await programs.run(
    `${addThousand.replace('flushSecs', 'handleSignals: true, flushSecs')}
    const listener = () => {
      if (process.listenerCount('SIGINT') > 1) return;
      process.off('SIGINT', listener);
      process.kill(process.pid, 'SIGINT');
    };
    process.on('SIGINT', listener);
    setTimeout(() => process.exit(9), 5000);
    process.kill(process.pid, 'SIGINT');`,
    [temporaryFolder()],
  );
  expect(ending.signal).toBe('SIGINT');
});

it('after SIGKILL nothing older than flushSecs is missing, even from a loop that lets no timer fire', async () => {
  const logdir = temporaryFolder();
  const { child, ended } = programs.start(
    `const writer = new SummaryWriter(process.argv[2], { flushSecs: 0.2, maxBufferedBytes: 1e8 });
    import { writeSync } from 'node:fs';
    const begin = Date.now();
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let step = 0, told = 0; ; step++) {
      writer.addScalar('loss', 0, step);
      Atomics.wait(pause, 0, 0, 0.5);
      const seconds = Math.floor((Date.now() - begin) / 500);
      if (seconds > told) writeSync(1, step + '\\n'), told = seconds;
    }`,
    [logdir],
  );
  const added = await new Promise<number>((resolve) => {
    let text = '';
    child.stdout!.on('data', (more) => {
      text += more;
      const lines = text.split('\n');
      // The first step printed was added 500 ms before the second one is printed.
      if (lines.length > 2) resolve(Number(lines[0]));
    });
  });
  child.kill('SIGKILL');
  expect((await ended).signal).toBe('SIGKILL');
  const steps = stepsIn(logdir);
  expect(steps.length).toBeGreaterThan(added);
  expect(steps.every((step, index) => step === index)).toBe(true);
});

it('a timer writes what waits, and keeps no program alive', async () => {
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `const writer = new SummaryWriter(process.argv[2], { flushSecs: 0.05 });
    import { readdirSync, statSync } from 'node:fs';
    writer.addScalar('loss', 1, 1);
    const [, , logdir] = process.argv;
    setTimeout(() => {
      const [file] = readdirSync(logdir);
      console.log(file === undefined ? 0 : statSync(logdir + '/' + file).size);
      writer.addScalar('loss', 1, 2);
    }, 400);`,
    [logdir],
  );
  expect(Number(ending.stdout)).toBeGreaterThan(100);
  expect(ending.code).toBe(0);
  expect(stepsIn(logdir)).toEqual([1, 2]);
});

it('values that are still being computed at exit are counted and reported; the events after them are written', async () => {
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `const writer = new SummaryWriter(process.argv[2]);
    const never = { shape: [], data: () => new Promise(() => {}) };
    writer.addScalar('late', never, 1);
    writer.addScalar('late', never, 2);
    writer.addScalar('loss', 1, 1);
    process.exit(0);`,
    [logdir],
  );
  expect(ending.stderr).toMatch(/2 events were lost: their values were still being computed/);
  expect(stepsIn(logdir)).toEqual([1]);
  expect(stepsIn(logdir, 'late')).toEqual([]);
});

it('a hundred writers add one exit listener, and none for uncaught exceptions', async () => {
  const ending = await programs.run(
    `const before = process.listenerCount('exit');
    for (let i = 0; i < 100; i++) new SummaryWriter(process.argv[2] + '/' + i, { handleSignals: true });
    console.log(process.listenerCount('exit') - before, process.listenerCount('uncaughtException'),
      process.listenerCount('unhandledRejection'), process.listenerCount('SIGINT'));`,
    [temporaryFolder()],
  );
  expect(ending.stdout.trim()).toBe('1 0 0 1');
});

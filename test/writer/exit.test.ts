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
/** Adds a thousand events that stay in the buffer: nothing says that a write to this Output is cheap. */
const addThousand = `
  import { DirectoryOutput } from './src/index.js';
  const folder = new DirectoryOutput(process.argv[2]);
  const output = { write: (bytes) => folder.write(bytes), flush: () => folder.flush(), close: () => folder.close() };
  const writer = new SummaryWriter(output, { flushSecs: 1000, maxBufferedBytes: 1e7 });
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
    ['an exception in a listener of exit', "process.on('exit', () => { throw new Error('on purpose'); });", 1],
    [
      'an exception in a listener of exit that comes first',
      "process.prependListener('exit', () => { throw new Error('on purpose'); }); process.exit(4);",
      4,
    ],
    ['process.exit() in a listener of exit', "process.on('exit', () => process.exit(6));", 6],
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

it.each([
  ['throws', "throw new Error('on purpose');", 1],
  ['calls process.exit()', 'process.exit(5);', 5],
])('an older listener of exit that %s loses nothing', async (_, act, code) => {
  const logdir = temporaryFolder();
  const ending = await programs.run(`process.on('exit', () => { ${act} }); ${addThousand}`, [logdir]);
  expect(ending.code).toBe(code);
  expect(stepsIn(logdir)).toEqual(thousand);
});

describe('once the program exits, every event is written as it is added:', () => {
  const addMore = "for (let step = 1000; step < 3000; step++) writer.addScalar('loss', 0, step);";
  const all = Array.from({ length: 3000 }, (_, step) => step);

  it.each([
    ['by a listener that comes later', `process.on('exit', () => { ${addMore} });`, 0],
    ['by a listener that then throws', `process.on('exit', () => { ${addMore} throw new Error('on purpose'); });`, 1],
    ['by a listener that then exits', `process.on('exit', () => { ${addMore} process.exit(3); });`, 3],
    ['and after an uncaught exception', `process.on('exit', () => { ${addMore} }); throw new Error('on purpose');`, 1],
  ])('%s', async (_, end, code) => {
    const logdir = temporaryFolder();
    const ending = await programs.run(addThousand + end, [logdir]);
    expect(ending.code).toBe(code);
    expect(stepsIn(logdir)).toEqual(all);
  });

  it('to the first writer that the program makes', async () => {
    const logdir = temporaryFolder();
    await programs.run(
      `process.on('exit', () => { ${addThousand.replace(/import .*/, '')} });
      import { DirectoryOutput } from './src/index.js';`,
      [logdir],
    );
    expect(stepsIn(logdir)).toEqual(thousand);
  });

  it('and an Output that works in the background is told after each', async () => {
    const ending = await programs.run(
      `const told = [];
      const output = { write() {}, flushSync: () => told.push(writer.pendingBytes), async flush() {}, async close() {} };
      const writer = new SummaryWriter(output);
      process.on('exit', () => {
        writer.addScalar('loss', 1, 1);
        writer.addScalar('loss', 2, 2);
        console.log(told.join());
      });`,
    );
    // Once when the exit begins; the first event is written after the record that names the format.
    expect(ending.stdout).toBe('0,0,0,0\n');
  });

  it('behind values that never come, which are named', async () => {
    const logdir = temporaryFolder();
    const ending = await programs.run(
      `const writer = new SummaryWriter(process.argv[2]);
      const never = { shape: [], data: () => new Promise(() => {}) };
      writer.addScalar('early', never, 1);
      process.on('exit', () => {
        writer.addScalar('late', never, 2);
        writer.addScalar('loss', 0, 3);
      });`,
      [logdir],
    );
    expect(ending.stderr).toContain(
      '1 event was lost: their values were still being computed (addScalar "early" at step 1)',
    );
    expect(ending.stderr).toContain(
      '1 event was lost: their values were still being computed (addScalar "late" at step 2)',
    );
    expect(stepsIn(logdir)).toEqual([3]);
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

it('after SIGKILL nothing older than flushSecs is missing from an Output of any kind, even from a loop that lets no timer fire', async () => {
  const logdir = temporaryFolder();
  const { child, ended } = programs.start(
    `${addThousand.replace('1000,', '0.2,').replace(/for .*/, '')}
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
    `${addThousand.replace('1000,', '0.05,').replace(/for .*/, '')}
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
  expect(ending.stderr).toMatch(
    /2 events were lost: their values were still being computed \(addScalar "late" at step 1, addScalar/,
  );
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

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stepsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';

let programs: Programs;
beforeAll(() => {
  programs = new Programs();
});
afterAll(() => programs.remove());

/** `computeFor` some seconds without a pause, and `announce` a text without a turn of the event loop. */
const tools = `
  import { writeSync } from 'node:fs';
  const writer = new SummaryWriter(process.argv[2]);
  const computeFor = (seconds) => { for (const end = Date.now() + 1000 * seconds; Date.now() < end; ); };
  const announce = (text = '') => writeSync(1, text + '\\n');
`;

/** Runs a program until it announces something, ends it by a signal, and resolves to what it announced last. */
async function killed(text: string, logdir: string, signal: NodeJS.Signals): Promise<string> {
  const { child, ended } = programs.start(tools + text, [logdir]);
  await Promise.race([new Promise((done) => child.stdout!.once('data', done)), ended]);
  child.kill(signal);
  const ending = await ended;
  expect(ending).toMatchObject({ signal, stderr: '' });
  return ending.stdout.trim().split('\n').at(-1)!;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('%s loses nothing', (signal) => {
  it('of what was added before a long synchronous step', async () => {
    const logdir = temporaryFolder();
    await killed(
      `for (let step = 0; step < 5; step++) writer.addScalar('loss', step, step);
      announce();
      computeFor(60);`,
      logdir,
      signal,
    );
    expect(stepsIn(logdir)).toEqual(range(0, 5));
  });

  it('of a burst between two long synchronous steps', async () => {
    const logdir = temporaryFolder();
    await killed(
      `computeFor(3);
      for (let step = 0; step < 2000; step++) writer.addScalar('loss', step, step);
      announce();
      computeFor(60);`,
      logdir,
      signal,
    );
    expect(stepsIn(logdir)).toEqual(range(0, 2000));
  });

  it('of a burst that the event loop has turned after', async () => {
    const logdir = temporaryFolder();
    await killed(
      `for (let step = 0; step < 20_000; step++) writer.addScalar('loss', step, step);
      await new Promise(setImmediate);
      announce();
      computeFor(60);`,
      logdir,
      signal,
    );
    expect(stepsIn(logdir)).toEqual(range(0, 20_000));
  });
});

it('in a loop that only adds, an event is in the file when one is added some milliseconds later', async () => {
  const logdir = temporaryFolder();
  const step = await killed(
    `let oldest = 0, added = Date.now();
    for (let step = 0; ; step++) {
      writer.addScalar('loss', step, step);
      if (Date.now() - added < 10) continue;
      announce(oldest);
      oldest = step;
      added = Date.now();
    }`,
    logdir,
    'SIGKILL',
  );
  const steps = stepsIn(logdir);
  expect(steps).toEqual(range(0, steps.length));
  expect(steps.length).toBeGreaterThan(Number(step));
});

it('a training loop that never lets the event loop turn keeps what each step added', async () => {
  const logdir = temporaryFolder();
  const step = await killed(
    `for (let step = 0; ; step++) {
      for (let layer = 0; layer < 10; layer++) writer.addScalar('loss', 0, 10 * step + layer);
      await null;
      computeFor(0.05);
      if (step > 3) announce(step);
    }`,
    logdir,
    'SIGKILL',
  );
  const steps = stepsIn(logdir);
  expect(steps).toEqual(range(0, steps.length));
  expect(steps.length).toBeGreaterThanOrEqual(10 * (Number(step) + 1));
});

it.each([
  ['abort', 'process.abort();', ''],
  [
    'an exhausted heap',
    'for (const all = []; ; ) all.push(new Array(1000).fill(all.length));',
    '--max-old-space-size=40',
  ],
])('%s loses nothing of what was added before', async (_, end, options) => {
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `const writer = new SummaryWriter(process.argv[2]);
    for (let step = 0; step < 5; step++) writer.addScalar('loss', step, step);
    ${end}`,
    [logdir],
    `ulimit -c 0; export NODE_OPTIONS=${options}`,
  );
  expect(ending.signal ?? ending.code).not.toBe(0);
  expect(stepsIn(logdir)).toEqual(range(0, 5));
});

it('a terminated worker loses nothing of what it added before', async () => {
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `import { Worker, isMainThread, parentPort } from 'node:worker_threads';
    if (isMainThread) {
      const worker = new Worker(new URL(import.meta.url), { argv: [process.argv[2]] });
      worker.once('message', () => worker.terminate());
    } else {
      const writer = new SummaryWriter(process.argv[2]);
      for (let step = 0; step < 5; step++) writer.addScalar('loss', step, step);
      parentPort.postMessage('added');
      for (;;);
    }`,
    [logdir],
  );
  expect(ending).toMatchObject({ code: 0, stderr: '' });
  expect(stepsIn(logdir)).toEqual(range(0, 5));
});

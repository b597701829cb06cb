import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng, type Pixels } from '../../src/drawing/png.js';
import { maxWaitingPixelBytes } from '../../src/drawing/png-threads.js';
import { MemoryOutput, SummaryWriter } from '../../src/index.js';
import { processorCount, zlib } from '../../src/platform/node.js';
import { decodeRecords, eventFiles, eventsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { noisyPixels } from '../support/pixels.js';
import { Programs } from '../support/programs.js';

const shaped = ({ data, height, width, channels }: Pixels) => ({ data, shape: [height, width, channels] });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Adds an image that takes longer than this thread may take, so that other threads encode those that follow. */
const big = noisyPixels(1000, 12);
const useUpTime = (writer: SummaryWriter) => {
  writer.addImage('big', shaped(big), 0);
  writer.addImage('big', shaped(big), 1);
};

const pictures = [20, 75, 100, 140].map((side, i) => noisyPixels(side, [12, 1, 256, 40][i], side));
const files = pictures.map((pixels) => Buffer.from(encodePng(pixels, zlib) as Uint8Array));

/** A value that comes some turns of the event loop later, as a tensor on a GPU does. */
const late = (value: number, turns: number) => ({
  shape: [],
  async data() {
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    return Float32Array.of(value);
  },
});

const act = fc.oneof(
  fc.record({ kind: fc.constant('image' as const), which: fc.nat({ max: pictures.length - 1 }) }),
  fc.record({ kind: fc.constant('scalar' as const) }),
  fc.record({ kind: fc.constant('late' as const), turns: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constant('turn' as const) }),
  fc.record({ kind: fc.constant('flush' as const) }),
);

it('events are in the order in which they were added, with the bytes of one thread, whatever is mixed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 60 }), async (acts) => {
      const output = new MemoryOutput();
      const writer = new SummaryWriter(output);
      useUpTime(writer);
      const flushes: Promise<void>[] = [];
      for (const [step, each] of acts.entries()) {
        if (each.kind === 'image') writer.addImage('image', shaped(pictures[each.which]), step);
        else if (each.kind === 'scalar') writer.addScalar('loss', step, step);
        else if (each.kind === 'late') writer.addScalar('late', late(step, each.turns), step);
        else if (each.kind === 'turn') await new Promise(setImmediate);
        else flushes.push(writer.flush());
      }
      await writer.close();
      await Promise.all(flushes);
      const events = decodeRecords(output.bytes).slice(3);
      const added = acts.map((each, step) => ({ ...each, step }));
      const expected = added.filter(({ kind }) => kind !== 'turn' && kind !== 'flush');
      expect(events.map(({ step }) => Number(step))).toEqual(expected.map(({ step }) => step));
      const images = events.filter(({ summary }) => summary!.value![0].tag === 'image');
      const which = added.flatMap((each) => (each.kind === 'image' ? [each.which] : []));
      expect(images.length).toBe(which.length);
      for (const [i, { summary }] of images.entries()) {
        expect(Buffer.compare(summary!.value![0].tensor!.stringVal![2], files[which[i]])).toBe(0);
      }
    }),
    { numRuns: 20 },
  );
});

it('a tag is described by its first event, and wall times are those of the calls', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  useUpTime(writer);
  const began = Date.now() / 1000;
  for (const step of range(0, 30)) writer.addImage('image', shaped(pictures[3]), step, { description: 'noise' });
  const ended = Date.now() / 1000;
  await new Promise((done) => setTimeout(done, 50));
  await writer.close();
  const events = decodeRecords(output.bytes).slice(3);
  expect(events.map(({ summary }) => summary!.value![0].metadata?.summaryDescription)).toEqual([
    'noise',
    ...Array(29).fill(undefined),
  ]);
  const times = events.map(({ wallTime }) => wallTime);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(times[0]).toBeGreaterThanOrEqual(began);
  expect(times.at(-1)).toBeLessThanOrEqual(ended);
});

it('images that wait count as pending, and no more of them than some bytes wait', async () => {
  const writer = new SummaryWriter(new MemoryOutput());
  useUpTime(writer);
  await writer.flush();
  let most = 0;
  for (const step of range(0, 400)) {
    writer.addImage('image', shaped(pictures[3]), step);
    most = Math.max(most, writer.pendingBytes);
  }
  if (processorCount() > 1) expect(most).toBeGreaterThan(pictures[3].data.length);
  // What was encoded while others waited for their turn is smaller than its pixels, and waits in its place.
  expect(most).toBeLessThan(4 * maxWaitingPixelBytes);
  await writer.close();
  expect(writer.pendingBytes).toBe(0);
});

it('bad pixels throw from the call, while others are encoded', async () => {
  const output = new MemoryOutput();
  const writer = new SummaryWriter(output);
  useUpTime(writer);
  for (const step of range(0, 10)) writer.addImage('image', shaped(pictures[3]), step);
  expect(() => writer.addImage('image', { data: pictures[3].data, shape: [7, 7, 3] }, 10)).toThrow(RangeError);
  expect(() => writer.addImage('image', 'cat.png' as never, 10)).toThrow(TypeError);
  await writer.close();
  expect(decodeRecords(output.bytes).length).toBe(13);
});

it('flush has written when it returns, although other threads encode', () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  useUpTime(writer);
  for (const step of range(0, 40)) writer.addImage('image', shaped(pictures[3]), step);
  writer.addScalar('loss', 0, 40);
  const flushed = writer.flush();
  const events = decodeRecords(readFileSync(join(logdir, eventFiles(logdir)[0])));
  expect(events.slice(3).map(({ step }) => Number(step))).toEqual(range(0, 41));
  return flushed.then(() => writer.close());
});

describe('a program that adds many images', () => {
  let programs: Programs;
  beforeAll(() => {
    programs = new Programs();
  });
  afterAll(() => programs.remove());

  const add = `
    const writer = new SummaryWriter(process.argv[2]);
    const data = Uint8Array.from({ length: 300 * 300 * 3 }, (_, i) => (i / 400 + 12 * Math.abs(Math.sin(i * i))) % 256);
    for (let step = 0; step < 60; step++) writer.addImage('image', { data, shape: [300, 300, 3] }, step);
    if (${processorCount() > 1} && writer.pendingBytes === 0) throw new Error('expected images to wait for other threads');
    writer.addScalar('loss', 1, 60);
  `;

  it.each([
    ['ends by itself, without close()', '', 0],
    ['closes the writer, and is not kept alive by threads', 'await writer.close();', 0],
    ['exits', 'process.exit(3);', 3],
    ['throws', "throw new Error('on purpose');", 1],
    ['throws in a later turn', "setTimeout(() => { throw new Error('on purpose'); }, 1);", 1],
    [
      'adds more while it exits',
      "process.on('exit', () => writer.addImage('image', { data, shape: [300, 300, 3] }, 61));",
      0,
    ],
  ])('loses none: it %s', async (_, end, code) => {
    const logdir = temporaryFolder();
    const ending = await programs.run(add + end, [logdir]);
    expect(ending.code).toBe(code);
    const steps = eventsIn(logdir)
      .slice(1)
      .map(({ step }) => Number(step));
    expect(steps).toEqual(range(0, end.includes('61') ? 62 : 61));
  });

  it('has written what flush was called for when a signal ends it in a long computation', async () => {
    const logdir = temporaryFolder();
    const { child, ended } = programs.start(
      `${add} void writer.flush();
      process.stdout.write('flushed');
      setTimeout(() => { for (;;); }, 0);`,
      [logdir],
    );
    await Promise.race([new Promise((done) => child.stdout!.once('data', done)), ended]);
    child.kill('SIGKILL');
    expect(await ended).toMatchObject({ signal: 'SIGKILL' });
    expect(eventsIn(logdir).length).toBe(62);
  });
});

import { execFileSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Step } from '../../src/event/event.js';
import { type RunReading, scanRun } from '../../src/reader/shown-points.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { eventFiles } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { eventFile, pointsOfRecords, shownByPython, shownByRust, type TestRecord } from '../support/loaders.js';

/** The values of the points that are shown of files with these records. */
async function shownOf(files: readonly (readonly TestRecord[])[], raw = false): Promise<number[]> {
  const folder = temporaryFolder();
  const paths = files.map((records, index) => {
    const path = join(folder, `${index}.tfevents`);
    writeFileSync(path, eventFile(records));
    return path;
  });
  const values: number[] = [];
  const complaints: string[] = [];
  const complain = (message: string) => void complaints.push(message);
  const { hidden } = await scanRun(paths, { complain, raw }, (event, isShown) => {
    for (const [index, { value }] of (event.summary ?? []).entries()) if (isShown(index)) values.push(value as number);
  });
  expect(complaints).toEqual([]);
  expect(values.length + hidden).toBe(pointsOfRecords(files.flat()).length);
  expect(await shownInOneReading(paths, raw)).toEqual(values);
  expect(await shownInOneReading(paths, raw, true)).toEqual(values);
  return values;
}

/** The same, by one who can forget what it was shown. @param takesScalars whether it takes scalars without their events */
async function shownInOneReading(paths: string[], raw: boolean | undefined, takesScalars = false): Promise<number[]> {
  let values: number[] = [];
  const bytes = { read: 0, files: 2 * paths.reduce((sum, path) => sum + statSync(path).size, 0) };
  const reading: RunReading = {
    raw,
    complain: expect.unreachable,
    read: (count) => void (bytes.read += count),
    keepsRaw: false,
    startOver: () => void (values = []),
    ...(takesScalars && { scalar: ({ value }) => void values.push(value) }),
  };
  await scanRun(paths, reading, (event, isShown) => {
    for (const [index, { raw: stored, value }] of (event.summary ?? []).entries()) {
      expect(stored).toHaveLength(0);
      if (isShown(index)) values.push(value as number);
    }
  });
  expect(bytes.read).toBe(bytes.files);
  return values;
}

const version: TestRecord = { fileVersion: 'brain.Event:2' };
const point = (tag: string, step: Step, value: number): TestRecord => ({ step, values: [[tag, value]] });
const start = (step: Step): TestRecord => ({ step, start: true });

describe('a point is shown', () => {
  it('unless one of its tag at its step or before comes later', async () => {
    const steps = [0, 1, 2, 5, 6, 3, 4, 4];
    const records = [version, ...steps.map((step, index) => point('a', step, index)), point('b', 9, 100)];
    expect(await shownOf([records])).toEqual([0, 1, 2, 5, 7, 100]);
    expect(await shownOf([records], true)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 100]);
  });

  it('unless a session, but the first one, starts later at its step or before', async () => {
    const before = [version, point('a', 1, 1), point('a', 7, 2), point('b', 3, 3)];
    expect(await shownOf([[...before, start(3), point('a', 9, 4)]])).toEqual([1, 2, 3, 4]);
    expect(await shownOf([before, [version, start(3), start(3), point('a', 9, 4)]])).toEqual([1, 4]);
    // Files of version 1 know no sessions.
    const [, ...rest] = before;
    expect(await shownOf([[...rest, start(3), start(3)]])).toEqual([1, 2, 3]);
    expect(await shownOf([[{ fileVersion: 'brain.Event:1' }, ...rest, start(3), start(3)]])).toEqual([1, 2, 3]);
  });

  it('if it comes before one without a time, which the Rust loader drops', async () => {
    for (const wallTime of [Number.NaN, Infinity, -Infinity]) {
      const timeless: TestRecord = { step: 3, wallTime, values: [['a', 2]] };
      expect(await shownOf([[version, point('a', 7, 1), timeless]])).toEqual([1, 2]);
    }
  });

  it('once if it is written again, as a writer with purgeStep does', async () => {
    const logdir = temporaryFolder();
    const first = new SummaryWriter(logdir);
    for (let step = 0; step <= 150; step += 10) first.addScalar('loss', step, step);
    first.addScalar('late', 1, 140);
    await first.close();
    const second = new SummaryWriter(logdir, { purgeStep: 100 });
    for (let step = 100; step <= 130; step += 10) second.addScalar('loss', 1000 + step, step);
    await second.close();
    const files = eventFiles(logdir).map((name) => join(logdir, name));
    const shown: [string, Step, number][] = [];
    await scanRun(files, { complain: expect.unreachable }, (event, isShown) => {
      for (const [index, { tag, value }] of (event.summary ?? []).entries()) {
        if (isShown(index)) shown.push([tag, event.step, value as number]);
      }
    });
    shown.sort(([, one], [, other]) => Number(one) - Number(other));
    expect(shown).toEqual([
      ...Array.from({ length: 10 }, (_, index) => ['loss', index * 10, index * 10]),
      ...Array.from({ length: 4 }, (_, index) => ['loss', 100 + index * 10, 1100 + index * 10]),
    ]);
  });

  it('if both loaders show it, whatever the records', async () => {
    const step = fc.oneof(fc.integer({ min: -2, max: 6 }), fc.constantFrom(2n ** 62n, 2n ** 53n, -(2n ** 63n)));
    const tag = fc.constantFrom('a', 'b', 'ü');
    const record: fc.Arbitrary<TestRecord> = fc.oneof(
      { weight: 12, arbitrary: fc.record({ step, values: fc.array(fc.tuple(tag, fc.constant(0)), { maxLength: 3 }) }) },
      { weight: 2, arbitrary: fc.record({ step, start: fc.constant(true) }) },
      { weight: 2, arbitrary: fc.record({ fileVersion: fc.constantFrom('brain.Event:2', 'brain.Event:1', 'x') }) },
    ) as fc.Arbitrary<TestRecord>;
    const files = fc.array(fc.array(record, { maxLength: 30 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(files, async (drawn) => {
        let value = 0;
        const numbered = drawn.map((records) =>
          records.map((each) => ({ ...each, values: each.values?.map(([tag]) => [tag, value++] as const) })),
        ) as TestRecord[][];
        const records = numbered.flat();
        const python = shownByPython(records);
        const expected = shownByRust(records).filter((each) => python.includes(each));
        expect(await shownOf(numbered)).toEqual(expected.sort((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });
});

describe('a reading', () => {
  it('of a pipe takes what comes out of it once', async () => {
    const folder = temporaryFolder();
    const pipe = join(folder, 'pipe');
    const file = join(folder, 'file');
    execFileSync('mkfifo', [pipe]);
    writeFileSync(file, eventFile([version, point('a', 5, 1), point('a', 3, 2), point('a', 4, 3)]));
    execFileSync('/bin/sh', ['-c', 'cat "$0" > "$1" &', file, pipe], { stdio: 'ignore' });
    const values: unknown[] = [];
    const { hidden } = await scanRun([pipe], { complain: expect.unreachable }, (event, isShown) => {
      for (const [index, { value }] of (event.summary ?? []).entries()) if (isShown(index)) values.push(value);
    });
    expect({ hidden, values }).toEqual({ hidden: 1, values: [2, 3] });
  });

  it('ends with the error of who visits the events', async () => {
    const file = join(temporaryFolder(), 'a.tfevents');
    writeFileSync(file, eventFile([version, point('a', 5, 1)]));
    const mine = new Error('mine');
    const visit = () => {
      throw mine;
    };
    await expect(scanRun([file], { complain: expect.unreachable }, visit)).rejects.toBe(mine);
  });

  it('takes time in proportion to the points, however their steps jump', async () => {
    const jumping = Array.from({ length: 20_000 }, (_, index) =>
      index % 3 === 0 ? start(20_000 - index) : point(`t${index % 7}`, index % 2 === 0 ? index : 20_000 - index, index),
    );
    expect((await shownOf([[version, ...jumping]])).length).toBeLessThan(20_000);
  });
});

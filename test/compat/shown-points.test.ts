import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { listRuns } from '../../src/reader/run-files.js';
import { scanRun } from '../../src/reader/shown-points.js';
import { temporaryFolder } from '../support/folders.js';
import { eventFile, shownByPython, shownByRust, type TestRecord } from '../support/loaders.js';
import { describeWithTensorBoard, startTensorBoard, type TensorBoard } from './harness.js';

const tags = ['a', 'b'];

/** Sixty runs of random records, of which some begin sessions, in files of version 2, of version 1 and of none. */
function randomRuns(): TestRecord[][][] {
  const step = fc.integer({ min: -2, max: 6 });
  const values = fc.array(fc.tuple(fc.constantFrom(...tags), fc.constant(0)), { minLength: 1, maxLength: 3 });
  const record = fc.oneof(
    { weight: 8, arbitrary: fc.record({ step, values }) },
    { weight: 1, arbitrary: fc.record({ step, start: fc.constant(true) }) },
  ) as fc.Arbitrary<TestRecord>;
  const beginnings: TestRecord[][] = [[{ fileVersion: 'brain.Event:1' }], []];
  for (let count = 0; count < 6; count++) beginnings.push([{ fileVersion: 'brain.Event:2' }]);
  const version = fc.constantFrom(...beginnings);
  const file = fc.tuple(version, fc.array(record, { minLength: 5, maxLength: 25 })).map((parts) => parts.flat());
  const run = fc.array(file, { minLength: 1, maxLength: 3 });
  let value = 0;
  return fc
    .sample(run, { numRuns: 60, seed: 11 })
    .map((files) =>
      files.map((records) =>
        records.map((each) => ({ ...each, values: each.values?.map(([tag]) => [tag, value++] as const) })),
      ),
    );
}

/** The values of all points that TensorBoard shows of a run, sorted. */
async function shownBy(board: TensorBoard, run: string): Promise<number[]> {
  const known = await board.ask<Record<string, Record<string, unknown>>>('scalars/tags');
  const found = tags.filter((tag) => known[run] && tag in known[run]);
  const series = await Promise.all(
    found.map((tag) => board.ask<[number, number, number][]>('scalars/scalars', { run, tag })),
  );
  return series.flatMap((points) => points.map(([, , value]) => value)).sort((a, b) => a - b);
}

describeWithTensorBoard('points of runs whose steps go back', () => {
  it('are shown here if both loaders show them', async () => {
    const logdir = temporaryFolder();
    const runs = randomRuns();
    for (const [index, files] of runs.entries()) {
      mkdirSync(join(logdir, `run${index}`));
      for (const [number, records] of files.entries()) {
        writeFileSync(join(logdir, `run${index}/${number}.tfevents`), eventFile(records));
      }
    }
    const rust = await startTensorBoard(logdir, { fast: true });
    const python = await startTensorBoard(logdir, { fast: false });
    let differing = 0;
    for (const { run, files } of await listRuns(logdir)) {
      const records = runs[Number(run.slice('run'.length))].flat();
      const byRust = await shownBy(rust, run);
      const byPython = await shownBy(python, run);
      // What test/reader/shown-points.test.ts takes for the loaders' ways is their way.
      expect(byRust).toEqual(shownByRust(records).sort((a, b) => a - b));
      expect(byPython).toEqual(shownByPython(records).sort((a, b) => a - b));
      const shown: number[] = [];
      await scanRun(files, { complain: expect.unreachable }, (event, isShown) => {
        for (const [index, { value }] of (event.summary ?? []).entries())
          if (isShown(index)) shown.push(value as number);
      });
      expect(shown.sort((a, b) => a - b)).toEqual(byRust.filter((value) => byPython.includes(value)));
      if (byRust.length !== byPython.length) differing++;
    }
    expect(differing).toBeGreaterThan(10);
  }, 120_000);
});

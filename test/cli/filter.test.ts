import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { listRuns, SummaryWriter } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenFolder } from '../support/golden.js';
import { eventsOf, pointsOf, summariesOf } from '../support/read-run.js';

async function cli(path: string, values: CommandLine['values'] = {}) {
  const said = { out: '', err: '' };
  const terminal = {
    write: (text: string) => void (said.out += text),
    writeError: (text: string) => void (said.err += text),
    colors: false,
  } as Partial<Terminal> as Terminal;
  const code = await main(terminal, { positionals: ['filter', path], values }, '1.2.3');
  return { ...said, code };
}

/** Two runs, of which one is in two files. */
async function logdir(): Promise<string> {
  const folder = temporaryFolder();
  for (const [run, from] of [
    ['train', 0],
    ['train', 10],
    ['val', 0],
  ] as const) {
    const writer = new SummaryWriter(join(folder, run));
    for (let step = from; step < from + 10; step++) {
      writer.addScalar('loss/total', step, step, { displayName: 'the loss', description: 'words' });
      writer.addText('notes', `step ${step}`, step);
    }
    writer.addGraph(new Uint8Array([10, 6, 10, 1, 97, 18, 1, 98]));
    await writer.close();
  }
  return folder;
}

const steps = (points: [number, unknown][]) => points.map(([step]) => step);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('filter', () => {
  it('without a wish copies everything, in one file for each run', async () => {
    const folder = await logdir();
    const out = join(temporaryFolder(), 'copy');
    expect(await cli(folder, { out })).toEqual({ out: `${out}: 2 runs, 60 values\n`, err: '', code: 0 });
    for (const run of ['train', 'val']) {
      expect(await summariesOf(join(out, run))).toEqual(await summariesOf(join(folder, run)));
      expect(readdirSync(join(out, run)).filter((name) => name.includes('tfevents'))).toHaveLength(1);
    }
    expect((await eventsOf(join(out, 'val'))).filter(({ graph }) => graph !== undefined)).toHaveLength(1);
  });

  it('keeps runs, tags and steps that are wanted, and what the first value of a tag said', async () => {
    const folder = await logdir();
    const out = temporaryFolder();
    const { out: said, code } = await cli(folder, { out, runs: '^train', tags: 'loss|notes', steps: '5..12' });
    expect({ said, code }).toEqual({ said: `${out}: 1 run, 16 values\n`, code: 0 });
    expect((await listRuns(out)).map(({ run }) => run)).toEqual(['train']);
    const copied = await summariesOf(join(out, 'train'));
    expect(steps(pointsOf(copied, 'loss/total'))).toEqual(range(5, 12));
    expect(copied[0]).toMatchObject({
      tag: 'loss/total',
      plugin: 'scalars',
      displayName: 'the loss',
      description: 'words',
    });
    expect(copied.find(({ tag }) => tag === 'notes')).toMatchObject({ plugin: 'text', value: { strings: ['step 5'] } });
  });

  it.each<[string, number[]]>([
    ['3', [3]],
    ['8..', [8, 9]],
    ['..1', [0, 1]],
    ['-5..0', [0]],
  ])('--steps %s', async (wanted, expected) => {
    const out = temporaryFolder();
    await cli(await logdir(), { out, runs: 'val', steps: wanted });
    expect(steps(pointsOf(await summariesOf(join(out, 'val')), 'loss/total'))).toEqual(expected);
  });

  it('renames tags by a regular expression', async () => {
    const out = temporaryFolder();
    await cli(await logdir(), { out, runs: 'val', rename: '^loss/(.*)=train_$1' });
    const copied = await summariesOf(join(out, 'val'));
    expect(pointsOf(copied, 'train_total')).toHaveLength(10);
    expect(copied.map(({ tag }) => tag)).not.toContain('loss/total');
    expect(copied[0]).toMatchObject({ tag: 'train_total', displayName: 'the loss' });
  });

  it("copies other writers' files of every kind", async () => {
    const out = temporaryFolder();
    const { code, err } = await cli(goldenFolder, { out });
    let values = 0;
    for (const { run } of await listRuns(goldenFolder)) {
      const before = await summariesOf(join(goldenFolder, run));
      values += before.length;
      if (before.length === 0) continue; // a file without events becomes none
      const after = await summariesOf(join(out, run));
      const leftOut = err.split('\n').filter((line) => line.includes(`${run}/`) && line.includes('left out')).length;
      expect(after.length + leftOut, run).toBeGreaterThanOrEqual(before.length);
      if (leftOut === 0) expect(after).toEqual(before);
    }
    expect(values).toBeGreaterThan(50);
    const complaints = err.split('\n').filter((line) => line !== '' && !line.includes('not copied'));
    expect(code).toBe(complaints.length === 0 ? 0 : 1);
  });

  it.each<[string, CommandLine['values'], RegExp]>([
    ['no target', {}, /expected --out <folder>/],
    ['steps', { out: 'x', steps: 'a..b' }, /--steps: expected a step or a range such as 10..20, got "a..b"/],
    ['a pattern', { out: 'x', runs: '(' }, /--runs: Invalid regular expression/],
    ['a renaming', { out: 'x', rename: 'abc' }, /--rename: expected <regular expression>=<replacement>/],
  ])('%s that is wrong is named', async (_name, values, message) => {
    const { code, err } = await cli(await logdir(), values);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  it('leaves the files as they are', async () => {
    const folder = await logdir();
    expect(await cli(folder, { out: folder })).toMatchObject({
      code: 2,
      err: expect.stringContaining('another folder'),
    });
  });
});

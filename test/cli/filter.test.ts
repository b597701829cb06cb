import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { listRuns, SummaryWriter } from '../../src/index.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { scanRun } from '../../src/reader/shown-points.js';
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

/** Steps and values of the loss that TensorBoard shows. */
async function readShown(run: string): Promise<[number, unknown][]> {
  const shown: [number, unknown][] = [];
  const { files } = (await listRuns(run))[0];
  await scanRun(files, { complain: expect.fail }, ({ step, summary = [] }, isShown) => {
    for (const [at, { tag, value }] of summary.entries())
      if (tag === 'loss' && isShown(at)) shown.push([Number(step), value]);
  });
  return shown;
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

  it('brings no points back that TensorBoard hides: with --steps it copies what is shown, without them all that hides them', async () => {
    const folder = temporaryFolder();
    const crashed = new SummaryWriter(folder);
    for (let step = 0; step < 20; step++) crashed.addScalar('loss', step, step);
    await crashed.close();
    const resumed = new SummaryWriter(folder, { purgeStep: 5 });
    for (let step = 5; step < 8; step++) resumed.addScalar('loss', 100 + step, step);
    await resumed.close();
    const copyOf = async (values: CommandLine['values']) => {
      const out = join(temporaryFolder(), 'copy');
      const said = await cli(folder, { out, ...values });
      if (said.out.includes(': 0 runs')) return { said, shown: [], all: [] };
      return { said, shown: await readShown(out), all: pointsOf(await summariesOf(out), 'loss') };
    };
    const shown = [0, 1, 2, 3, 4, 105, 106, 107].map((value, step) => [step, value]);
    const dead = await copyOf({ steps: '10..' });
    expect(dead.all).toEqual([]);
    expect(dead.said.err).toContain(
      'run ".": 16 points left out that TensorBoard hides behind later ones: --raw copies',
    );
    const some = await copyOf({ steps: '3..6' });
    expect(some.all).toEqual(shown.slice(3, 7));
    expect(some.shown).toEqual(shown.slice(3, 7));
    expect((await copyOf({ steps: '10..', raw: true })).all.map(([step]) => step)).toEqual(range(10, 19));
    for (const values of [{}, { tags: 'loss' }, { runs: '.' }]) {
      const { all, said, shown: still } = await copyOf(values);
      expect(still).toEqual(shown);
      expect(all).toEqual(pointsOf(await summariesOf(folder), 'loss'));
      expect(said.err).toBe('');
    }
  });

  it('of an event that is refused for one summary keeps the others, and what they say of their tags', async () => {
    const scalar = (tag: string, numbers: number[], isFirst = true) => ({
      tag,
      ...(isFirst && { metadata: { pluginData: { pluginName: 'scalars' }, dataClass: 1 } }),
      tensor: {
        dtype: 1,
        tensorShape: { dim: numbers.length === 1 ? [] : [{ size: numbers.length }] },
        floatVal: numbers,
      },
    });
    const events = [
      [scalar('loss', [1]), scalar('bad', [1, 2]), scalar('accuracy', [0.5])],
      [scalar('loss', [2], false)],
      [scalar('bad', [3, 4], false)],
    ].map((value, step) => encodeMessage(tensorboard.Event, { wallTime: step, step, summary: { value } }));
    const folder = temporaryFolder();
    writeFileSync(join(folder, '1.tfevents'), Buffer.concat(events.map((event) => frameRecord(event))));
    const out = temporaryFolder();
    const { code, err, out: said } = await cli(folder, { out });
    expect({ code, said }).toEqual({ code: 1, said: `${out}: 1 run, 3 values\n` });
    expect(err.trim().split('\n')).toEqual([
      expect.stringMatching(/run ".", step 0: left out: addEvent "bad": .*expected one number, got a float32 tensor/),
      expect.stringMatching(/run ".", step 2: left out: addEvent "bad": /),
    ]);
    const copied = (await summariesOf(out)).map(({ plugin, step, tag, value }) => [tag, plugin, step, value]);
    expect(copied).toEqual([
      ['loss', 'scalars', 0, 1],
      ['accuracy', 'scalars', 0, 0.5],
      ['loss', 'scalars', 1, 2],
    ]);
  });

  it.each([
    ['(?=loss)=my_', 'my_loss/total'],
    ['(?<=loss)/t=_T', 'loss_Total'],
    ['loss=a=b', 'a=b/total'],
    ['[=]|/=_', 'loss_total'],
  ])('--rename %s', async (rename, expected) => {
    const out = temporaryFolder();
    await cli(await logdir(), { out, runs: 'val', rename });
    expect(new Set((await summariesOf(join(out, 'val'))).map(({ tag }) => tag))).toEqual(new Set([expected, 'notes']));
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
    [
      'the pattern of a renaming',
      { out: 'x', rename: '(?=loss=my_' },
      /--rename: Invalid regular expression: .*\(\?\//,
    ],
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

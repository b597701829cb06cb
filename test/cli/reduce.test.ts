import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { listRuns, SummaryWriter } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';
import { pointsOf, summariesOf } from '../support/read-run.js';

interface Reference extends Record<'mean' | 'std' | 'min' | 'max' | 'median', number[]> {
  steps: number[];
  runs: (number | null)[][];
}

/** What pandas says: see reference.py beside it. */
const reference = JSON.parse(
  readFileSync(new URL('../fixtures/reduce/reference.json', import.meta.url), 'utf8'),
) as Reference;
const names = ['mean', 'std', 'min', 'max', 'median'] as const;
const peerFolder = 'test/fixtures/reduce/tensorboard-reducer';
/** What tensorboard-reducer 0.4.0 says of the runs of its own tests: see reference.py beside it. */
const peer = JSON.parse(readFileSync(join(peerFolder, 'reference.json'), 'utf8')) as Record<
  string,
  Record<string, Record<'steps' | 'count' | (typeof names)[number], (number | null)[]>>
>;

async function cli(positionals: string[], values: CommandLine['values'] = {}) {
  const said = { out: '', err: '', code: 0, files: new Map<string, string>() };
  const terminal = {
    write: (text: string) => void (said.out += text),
    writeError: (text: string) => void (said.err += text),
    colors: false,
    createFile(path: string) {
      said.files.set(path, '');
      return { write: (text: string) => void said.files.set(path, `${said.files.get(path)}${text}`), close: () => {} };
    },
  } as Partial<Terminal> as Terminal;
  said.code = await main(terminal, { positionals: ['reduce', ...positionals], values }, '1.2.3');
  return said;
}

/** The runs of the reference, each with a run `val` below it. */
async function trainings(): Promise<string> {
  const folder = temporaryFolder();
  for (const [seed, values] of reference.runs.entries()) {
    const writer = new SummaryWriter(join(folder, `seed${seed}`));
    for (const [at, value] of values.entries()) {
      const step = reference.steps[at];
      writer.addScalar('loss/train', value ?? Number.NaN, step, { wallTime: 1e9 + step + seed });
      writer.run('val').addScalar('accuracy', (value ?? Number.NaN) * 2, step);
    }
    await writer.close();
  }
  return folder;
}

const near = (value: number) => expect.closeTo(value, 6);

describe('reduce', () => {
  it('writes what pandas computes, as runs that TensorBoard draws over each other', async () => {
    const folder = await trainings();
    const out = join(temporaryFolder(), 'reduced');
    const { out: said, err, code } = await cli([folder], { out });
    expect({ said, code }).toEqual({ said: `${out}: 2 scalars of 5 runs\n`, code: 0 });
    expect(err).toBe('loss/train: left out: 1 value, NaN\nval: accuracy: left out: 1 value, NaN\n');
    expect((await listRuns(out)).map(({ run }) => run)).toEqual(
      ['band', ...names].flatMap((name) => [name, `${name}/val`]).sort(),
    );
    for (const name of names) {
      const points = pointsOf(await summariesOf(join(out, name)), 'loss/train');
      expect(points).toEqual(reference[name].map((value, at) => [reference.steps[at], near(value)]));
      const doubled = pointsOf(await summariesOf(join(out, name, 'val')), 'accuracy');
      expect(doubled).toEqual(reference[name].map((value, at) => [reference.steps[at], near(2 * value)]));
    }
    const band = await summariesOf(join(out, 'band'));
    expect(pointsOf(band, 'max/loss/train').map(([, value]) => value)).toEqual(reference.max.map(near));
    const layout = band.find(({ plugin }) => plugin === 'custom_scalars')!.value;
    expect(JSON.stringify(layout)).toContain(
      '"value":"mean/loss/train","lower":"min/loss/train","upper":"max/loss/train"',
    );
  });

  it('writes runs into a folder with --json, too, and tells of them', async () => {
    const folder = await trainings();
    const out = join(temporaryFolder(), 'reduced');
    const { out: said, files } = await cli([folder], { out, json: true });
    expect(JSON.parse(said)).toEqual([{ out, scalars: 2, runs: 5 }]);
    expect(files).toEqual(new Map());
    expect((await listRuns(out)).map(({ run }) => run)).toContain('mean/val');
  });

  it('writes a table, of folders one by one', async () => {
    const folder = await trainings();
    const paths = reference.runs.map((_, seed) => join(folder, `seed${seed}`));
    const { out } = await cli(paths, { format: 'csv', tags: 'loss' });
    const [head, first, ...others] = out.trim().split('\r\n');
    expect(head).toBe('run,tag,step,wall_time,count,mean,std,min,max,median');
    const [run, tag, step, wallTime, count, ...values] = first.split(',');
    expect([run, tag, step, wallTime, count]).toEqual(['.', 'loss/train', '0', '1000000002', '5']);
    expect(values.map(Number)).toEqual(names.map((name) => near(reference[name][0])));
    expect(others).toHaveLength(reference.steps.length - 1);
    expect(others[2].split(',')[4]).toBe('4');
    const { files } = await cli([folder], { out: 'table.csv', tags: 'loss' });
    expect(files.get('table.csv')).toBe(out);
  });

  it('leaves out what some runs lack, and says so; --lax keeps it', async () => {
    const folder = temporaryFolder();
    for (const [name, steps] of [
      ['a', 3],
      ['b', 5],
    ] as const) {
      const writer = new SummaryWriter(join(folder, name));
      for (let step = 1; step <= steps; step++) writer.addScalar('x', step * (name === 'a' ? 1 : 3), step);
      if (name === 'b') writer.addScalar('y', 1, 1);
      await writer.close();
    }
    const strict = await cli([folder], { format: 'csv' });
    expect(strict.out.match(/^\.,x,/gm)).toHaveLength(3);
    expect(strict.out).not.toContain(',y,');
    expect(strict.err).toContain('x: left out: 2 steps that not all 2 runs have; --lax reduces those that have it');
    const lax = await cli([folder], { format: 'csv', lax: true });
    expect(
      lax.out
        .trim()
        .split('\r\n')
        .map((row) =>
          row
            .split(',')
            .filter((_, i) => i !== 3)
            .join(),
        ),
    ).toEqual([
      'run,tag,step,count,mean,std,min,max,median',
      `.,x,1,2,2,${Math.SQRT2},1,3,2`,
      `.,x,2,2,4,${2 * Math.SQRT2},2,6,4`,
      `.,x,3,2,6,${Math.sqrt(18)},3,9,6`,
      '.,x,4,1,12,NaN,12,12,12',
      '.,x,5,1,15,NaN,15,15,15',
      '.,y,1,1,1,NaN,1,1,1',
    ]);
    expect(lax.err).toBe('');
  });

  it.each<[string, string, CommandLine['values']]>([
    ['strict', 'strict', {}],
    ['lax_all', 'lax', { lax: true }],
    ['duplicate_steps', 'duplicate_steps', {}],
    ['duplicate_steps', 'duplicate_steps', { raw: true }],
  ])('equals tensorboard-reducer on its own fixtures: %s', async (name, folder, values) => {
    const { code, out } = await cli([join(peerFolder, folder)], { ...values, json: true });
    expect(code).toBe(0);
    const found = new Map<string, Record<string, (number | null)[]>>();
    const columns = ['step', 'count', ...names] as const;
    for (const record of JSON.parse(out) as Record<string, number | string>[]) {
      const tag = String(record.tag);
      if (!found.has(tag)) found.set(tag, Object.fromEntries(columns.map((column) => [column, []])));
      for (const column of columns)
        found.get(tag)![column].push(record[column] === 'NaN' ? null : Number(record[column]));
    }
    const expected = peer[name];
    expect([...found.keys()].sort()).toEqual(Object.keys(expected));
    for (const [tag, { steps, count, ...numbers }] of Object.entries(expected)) {
      expect(found.get(tag)).toMatchObject({ step: steps, count });
      for (const [of, column] of Object.entries(numbers)) {
        const ours = found.get(tag)![of];
        for (const [at, value] of column.entries()) {
          if (value === null) expect(ours[at]).toBeNull();
          else expect(Math.abs(ours[at]! - value), `${tag}, ${of}, ${at}`).toBeLessThan(1e-14);
        }
      }
    }
  });

  it('without --lax keeps the steps and tags of its fixtures that all runs have', async () => {
    const { out } = await cli([join(peerFolder, 'lax')], { json: true });
    const records = JSON.parse(out) as { tag: string; step: number; mean: number }[];
    expect(new Set(records.map(({ tag }) => tag))).toEqual(new Set(['lax/foo']));
    const { steps, mean } = peer.lax['lax/foo'];
    expect(records.map(({ step }) => step)).toEqual(steps);
    for (const [at, record] of records.entries()) expect(record.mean).toBeCloseTo(mean[at]!, 13);
  });

  it('keeps steps beyond 2^53 among others, and orders them', async () => {
    const folder = temporaryFolder();
    const steps = [1, 2n ** 60n, 2n ** 60n + 1n, 7];
    for (const [seed, name] of ['a', 'b'].entries()) {
      const writer = new SummaryWriter(join(folder, name));
      for (const [at, step] of steps.entries()) writer.addScalar('x', at + 10 * seed, step, { wallTime: at });
      // Of a tag beside it no step is that large.
      writer.addScalar('y', seed, 3);
      await writer.close();
    }
    const { out, err } = await cli([folder], { format: 'csv', raw: true });
    const rows = out.trim().split('\r\n').slice(1);
    expect(rows.map((row) => row.split(',').slice(1, 3).concat(row.split(',')[5]))).toEqual([
      ['x', '1', '5'],
      ['x', '7', '8'],
      ['x', String(2n ** 60n), '6'],
      ['x', String(2n ** 60n + 1n), '7'],
      ['y', '3', '0.5'],
    ]);
    expect(err).toBe('');
  });

  // As many as are sorted here, and as the engine sorts.
  it.each([3, 9, 24, 25, 40])('of %i runs has the middle value and both ends, whatever their order', async (count) => {
    const folder = temporaryFolder();
    const values = Array.from({ length: count }, (_, seed) => ((7 * seed + 3) % 41) - 20.5);
    const zeros = values.map((_, seed) => (seed % 2 === 0 ? 0 : -0));
    for (const [seed, value] of values.entries()) {
      const writer = new SummaryWriter(join(folder, `seed${seed}`));
      for (const [step, each] of [value, seed === 1 ? Number.NaN : 2, zeros[seed]].entries())
        writer.addScalar('x', each, step);
      await writer.close();
    }
    const out = join(temporaryFolder(), 'reduced');
    await cli([folder], { out });
    const sorted = [...values].sort((a, b) => a - b);
    const middle = (sorted[(count - 1) >> 1] + sorted[count >> 1]) / 2;
    for (const [name, expected] of Object.entries({
      min: [sorted[0], 2, -0],
      max: [sorted[count - 1], 2, 0],
      median: [middle, 2, expect.closeTo(0)],
    })) {
      const points = pointsOf(await summariesOf(join(out, name)), 'x');
      expect(points.map(([, value]) => value)).toEqual(expected);
    }
  });

  it('of any runs is what a plain sum over their points says', async () => {
    // Each run: points in the order of writing, at few steps, so that some repeat, go back or lack.
    const value = fc.oneof(fc.float(), fc.float({ min: -100, max: 100, noNaN: true }));
    const points = fc.array(fc.record({ tag: fc.constantFrom('a', 'b/c'), step: fc.nat(6), value }), {
      minLength: 1,
      maxLength: 20,
    });
    const runs = fc.array(points, { minLength: 2, maxLength: 5 });
    const close = (a: number, b: number) => expect(a).toEqual(Number.isFinite(b) ? expect.closeTo(b, 4) : b);
    let rows = 0;
    await fc.assert(
      fc.asyncProperty(runs, fc.boolean(), async (all, lax) => {
        const folder = temporaryFolder();
        for (const [seed, written] of all.entries()) {
          const writer = new SummaryWriter(join(folder, `seed${seed}`));
          for (const { step, tag, value } of written) writer.addScalar(tag, value, step);
          await writer.close();
        }
        const expected = new Map<string, number[]>();
        for (const tag of ['a', 'b/c']) {
          for (let step = 0; step <= 6; step++) {
            const last = all.map((written) =>
              written.filter((point) => point.tag === tag && point.step === step).at(-1),
            );
            const there = last.filter((point) => point !== undefined);
            if (there.length === 0 || (!lax && there.length < all.length)) continue;
            expected.set(
              `${tag} ${step}`,
              there.map(({ value }) => value).filter((each) => !Number.isNaN(each)),
            );
          }
        }
        const { out } = await cli([folder], { format: 'csv', lax, raw: true });
        const found = out.trim().split('\r\n').slice(1).filter(Boolean);
        expect(found.map((row) => row.split(',').slice(1, 3).join(' ')).sort()).toEqual([...expected.keys()].sort());
        for (const row of found) {
          const [, tag, step, , count, ...texts] = row.split(',');
          const [mean, std, min, max, median] = texts.map(Number);
          const values = expected.get(`${tag} ${step}`)!.sort((a, b) => a - b);
          const { length } = values;
          expect(Number(count)).toBe(length);
          rows++;
          if (length === 0) {
            expect([mean, std, min, max, median]).toEqual(Array(5).fill(Number.NaN));
            continue;
          }
          expect([min + 0, max + 0]).toEqual([Math.min(...values) + 0, Math.max(...values) + 0]);
          const [low, high] = [values[(length - 1) >> 1], values[length >> 1]];
          expect(median + 0).toEqual((low + high) / 2 + 0);
          // By another formula than the code's, in units of the largest value.
          const unit = Math.max(...values.map(Math.abs)) || 1;
          const sum = values.reduce((total, each) => total + each / unit, 0);
          close(mean / unit, sum / length);
          const pairs = values.flatMap((a) => values.map((b) => (a / unit - b / unit) ** 2));
          const spread = pairs.reduce((total, each) => total + each, 0) / (2 * length * (length - 1));
          close(std / unit, Math.sqrt(spread));
        }
      }),
      { numRuns: 60 },
    );
    expect(rows).toBeGreaterThan(100);
  });

  it('of one run says that there is nothing to reduce', async () => {
    const folder = temporaryFolder();
    const writer = new SummaryWriter(join(folder, 'only'));
    writer.addScalar('x', 1, 1);
    await writer.close();
    const { err, code } = await cli([folder], { format: 'csv' });
    expect(code).toBe(2);
    expect(err).toContain('expected several runs to reduce, got 1 run');
  });

  it('reduces what TensorBoard shows of a training that went on from a checkpoint', async () => {
    const folder = temporaryFolder();
    for (const name of ['a', 'b']) {
      const first = new SummaryWriter(join(folder, name));
      for (let step = 1; step <= 5; step++) first.addScalar('x', 100, step);
      await first.close();
      const second = new SummaryWriter(join(folder, name), { purgeStep: 3 });
      second.addScalar('x', 7, 3);
      await second.close();
    }
    const { out } = await cli([folder], { format: 'csv' });
    expect(
      out
        .trim()
        .split('\r\n')
        .slice(1)
        .map((row) => row.split(',')[5]),
    ).toEqual(['100', '100', '7']);
  });

  it.each<[string, string[], CommandLine['values'], RegExp]>([
    ['no path', [], {}, /expected --out <folder>|expected several runs/],
    ['no target', ['x', 'y'], { format: 'events' }, /expected --out <folder> for the runs mean, std/],
    ['a format', ['x', 'y'], { format: 'xml' }, /--format: expected csv, json, jsonl, parquet, got "xml"/],
    ['nothing there', ['/nowhere/a', '/nowhere/b'], { format: 'csv' }, /there is no file or folder "\/nowhere\/a"/],
  ])('%s is an error of usage', async (_name, paths, values, message) => {
    const { err, code } = await cli(paths, values);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  /** A run at each path, with one value of `loss`. */
  async function runsAt(values: Record<string, number>): Promise<string> {
    const folder = temporaryFolder();
    for (const [run, value] of Object.entries(values)) {
      const writer = new SummaryWriter(join(folder, run));
      writer.addScalar('loss', value, 1);
      await writer.close();
    }
    return folder;
  }

  it.each([
    ['train', 'val'], // this package, tfjs-node
    ['train', 'validation'], // Keras
    ['eval', 'train'],
    ['Train', 'Valid'],
    ['loss_train', 'loss_val'], // add_scalars of PyTorch
    ['fold-0-train', 'fold-0-val'],
    ['val_1', 'train_1'],
    ['test', 'train'],
  ])('refuses the folder of one training, whose runs are the splits %s and %s', async (one, other) => {
    const folder = await runsAt({ [one]: 1, [other]: 11 });
    const { code, err, out } = await cli([folder]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    for (const name of [one, other]) expect(err).toContain(`"${name}"`);
    expect(err).toContain(`got "${folder}"`);
    expect(err).toContain('reduce runs/seed*');
    // Whoever names both wants it, and is told.
    const both = await cli([join(folder, one), join(folder, other)], { json: true });
    expect(JSON.parse(both.out)).toMatchObject([{ tag: 'loss', count: 2, mean: 6 }]);
    expect(both.err).toMatch(/are splits of one training: their values are reduced together\n$/);
  });

  it('takes folds with the splits below them by split, and runs that are no splits of one training together', async () => {
    const folds = await runsAt({
      'fold-0/train': 0,
      'fold-0/val': 10,
      'fold-1/train': 1,
      'fold-1/val': 11,
      'fold-2/train': 2,
      'fold-2/val': 12,
    });
    const { out, err, code } = await cli([folds], { json: true });
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(JSON.parse(out)).toMatchObject([
      { run: 'train', count: 3, mean: 1, min: 0, max: 2 },
      { run: 'val', count: 3, mean: 11, min: 10, max: 12 },
    ]);
    const split = await cli([0, 1, 2].map((fold) => join(folds, `fold-${fold}/train`)));
    expect({ err: split.err, code: split.code }).toEqual({ err: '', code: 0 });
    const flat = await runsAt({ 'seed0-train': 1, 'seed1-train': 3, trainer: 2, latest: 4, 'test-1': 0, 'test-2': 0 });
    expect(await cli([flat])).toMatchObject({ err: '', code: 0 });
  });
});

/** Where commands write: what is there already, what is read, and what is told of it. */
import { existsSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { SummaryWriter } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';
import { pointsOf, summariesOf } from '../support/read-run.js';

async function cli(positionals: string[], values: CommandLine['values'] = {}) {
  const said = { out: '', err: '', code: 0, files: [] as string[] };
  const terminal: Partial<Terminal> = {
    write: (text: string) => void (said.out += text),
    writeError: (text: string) => void (said.err += text),
    colors: false,
    size: () => undefined,
    drained: async () => {},
    writeFile: (path: string) => void said.files.push(path),
    createFile: (path: string) => ({ write: () => {}, close: () => void said.files.push(path) }),
  };
  said.code = await main(terminal as Terminal, { positionals, values }, '1.2.3');
  return said;
}

/** Three runs of a loss and an image, of which one has an embedding. */
async function logdir(): Promise<string> {
  const folder = temporaryFolder();
  for (const [at, run] of ['a', 'b', 'c'].entries()) {
    const writer = new SummaryWriter(join(folder, run));
    for (const step of [1, 2]) writer.addScalar('loss', at + step, step);
    writer.addImage('picture', { data: new Uint8Array(3), shape: [1, 1, 3] }, 1);
    if (run === 'b') writer.addEmbedding('words', [[0, 1], [1, 0]], 1, { metadata: ['x', 'y'] }); // biome-ignore format: a matrix
    await writer.close();
  }
  return folder;
}

describe('a folder that has event files already', () => {
  it('is not mixed with a second copy of filter, nor with runs of reduce', async () => {
    const runs = await logdir();
    const out = join(temporaryFolder(), 'copy');
    expect((await cli(['filter', runs], { out, tags: 'loss' })).code).toBe(0);
    const before = await summariesOf(join(out, 'c'));
    const again = await cli(['filter', runs], { out, tags: 'picture' });
    expect(again).toMatchObject({ code: 2, out: '' });
    expect(again.err).toContain(
      `--out: expected a folder without event files, got "${join(out, 'a').replaceAll('\\', '/')}"`,
    );
    expect(await summariesOf(join(out, 'c'))).toEqual(before);

    const reduced = join(temporaryFolder(), 'reduced');
    expect((await cli(['reduce', runs], { out: reduced })).code).toBe(0);
    const means = pointsOf(await summariesOf(join(reduced, 'mean')), 'loss');
    expect(means.map(([, value]) => value)).toEqual([2, 3]);
    const twice = await cli(['reduce', runs], { out: reduced });
    expect(twice.code).toBe(2);
    expect(twice.err).toContain('--out: expected a folder without event files, got');
    expect(pointsOf(await summariesOf(join(reduced, 'mean')), 'loss')).toEqual(means);
  });

  it('takes more tables by from-csv, which says so', async () => {
    const folder = temporaryFolder();
    const out = join(folder, 'runs');
    for (const [name, told] of [
      ['loss', ''],
      ['accuracy', 'run "." has event files already: these points come beside theirs\n'],
    ]) {
      writeFileSync(join(folder, `${name}.csv`), `step,${name}\n1,0.5\n`);
      expect((await cli(['from-csv', join(folder, `${name}.csv`)], { out })).err).toBe(told);
    }
    expect((await summariesOf(out)).map(({ tag }) => tag).sort()).toEqual(['accuracy', 'loss']);
  });
});

describe('a folder that is read', () => {
  it.each<[string, (runs: string) => Promise<{ code: number; err: string }>]>([
    ['reduce of a logdir into itself', (runs) => cli(['reduce', runs], { out: runs })],
    ['reduce of a logdir into a folder of it', (runs) => cli(['reduce', runs], { out: join(runs, 'all') })],
    [
      'reduce of runs into one of them',
      (runs) => cli(['reduce', join(runs, 'a'), join(runs, 'b')], { out: join(runs, 'a') }),
    ],
    ['share into the logdir', (runs) => cli(['share', runs], { out: join(runs, 'site') })],
  ])('is not written into: %s', async (_, command) => {
    const runs = await logdir();
    const { code, err } = await command(runs);
    expect(code).toBe(2);
    expect(err).toContain('--out: expected a folder outside of');
    expect(readdirSync(runs).sort()).toEqual(['a', 'b', 'c']);
    expect(readdirSync(join(runs, 'a')).every((name) => name.includes('tfevents'))).toBe(true);
  });

  it('may have the folder of the result beside it, whose name begins as its own', async () => {
    const runs = await logdir();
    const out = `${join(runs, 'a')}-and-b`;
    expect(await cli(['reduce', join(runs, 'a'), join(runs, 'b')], { out })).toMatchObject({ code: 0, err: '' });
    expect(existsSync(join(out, 'mean'))).toBe(true);
  });
});

describe('what is not copied is told', () => {
  it('embeddings, which are files beside the event files', async () => {
    const runs = await logdir();
    for (const command of ['filter', 'repair']) {
      const { code, err } = await cli([command, runs], { out: join(temporaryFolder(), 'copy') });
      expect({ command, code }).toEqual({ command, code: 0 });
      expect(err).toMatch(
        /^run "b": not copied: 1 embedding, in .*b\/projector_config\.pbtxt and the files that it names\n$/,
      );
    }
  });

  it('runs of which nothing is wanted are not begun', async () => {
    const out = join(temporaryFolder(), 'copy');
    const { code, err } = await cli(['filter', await logdir()], { out, tags: 'no such tag' });
    expect({ code, err }).toEqual({ code: 1, err: 'nothing in these runs is wanted: no file is written\n' });
    expect(existsSync(out)).toBe(false);
    const some = await cli(['filter', await logdir()], { out, tags: '^loss$', runs: '^b$' });
    expect(some).toMatchObject({ code: 0, out: `${out}: 1 run, 2 values\n` });
    expect(readdirSync(out)).toEqual(['b']);
  });
});

describe('a place that is named twice', () => {
  it('counts once, however its path is written', async () => {
    const runs = await logdir();
    const link = join(temporaryFolder(), 'link');
    symlinkSync(join(runs, 'a'), link, 'junction');
    const same = [
      join(runs, 'a'),
      `${runs}/a/`,
      `${runs}/./a`,
      `${runs}/b/../a`,
      link,
      String(pathToFileURL(join(runs, 'a'))),
    ];
    const out = join(temporaryFolder(), 'out');
    expect(await cli(['merge', ...same], { out })).toMatchObject({
      code: 2,
      err: expect.stringContaining('expected several logdirs to merge, got 1: '),
    });
    expect((await cli(['merge', ...same, join(runs, 'b')], { out })).err).toContain('run ".": 3 points hidden behind');
    expect(pointsOf(await summariesOf(out), 'loss')).toHaveLength(4);
    expect(await cli(['reduce', ...same])).toMatchObject({ code: 2, err: expect.stringContaining('got 1 run') });
    const counts = JSON.parse((await cli(['reduce', ...same, join(runs, 'b')], { json: true, tags: 'loss' })).out);
    expect(counts.map(({ count }: { count: number }) => count)).toEqual([2, 2]);
    for (const command of ['inspect', 'verify', 'export']) {
      expect(JSON.parse((await cli([command, ...same], { json: true })).out).length, command).toBe(
        JSON.parse((await cli([command, same[0]], { json: true })).out).length,
      );
    }
    const table = join(runs, 'table.csv');
    writeFileSync(table, 'step,loss\n1,0.5\n');
    const imported = join(temporaryFolder(), 'imported');
    expect((await cli(['from-csv', table, `${runs}/./table.csv`], { out: imported })).out).toMatch(
      /^1 point in 1 run /,
    );
  });
});

it('reduce of a folder says that the run in the folder itself is left out', async () => {
  const runs = await logdir();
  const root = new SummaryWriter(runs);
  root.addScalar('loss', 100, 1);
  await root.close();
  const { err, out } = await cli(['reduce', runs], { json: true });
  expect(err).toContain(`${runs}: the files in the folder itself left out: what is reduced are the runs below it`);
  expect(JSON.parse(out)[0]).toMatchObject({ count: 3, max: 3 });
});

it('embeddings are chosen by their tag or by their whole name', async () => {
  const runs = await logdir();
  for (const tags of ['^words$', '^words:0*1$']) {
    const { err } = await cli(['filter', runs], { out: join(temporaryFolder(), 'out'), tags });
    expect(err).toContain('run "b": not copied: 1 embedding');
    const { files } = await cli(['export', runs], { kind: 'embeddings', out: join(temporaryFolder(), 'out'), tags });
    expect(files.map((file) => file.replace(/^.*\./, '.'))).toEqual(['.npy', '.tsv']);
  }
  expect((await cli(['filter', runs], { out: join(temporaryFolder(), 'out'), tags: '^loss$' })).err).toBe('');
});

describe('merge', () => {
  it('copies runs of several logdirs, those of one name into one file', async () => {
    const [one, other] = [await logdir(), temporaryFolder()];
    for (const run of ['c', 'd']) {
      const writer = new SummaryWriter(join(other, run));
      for (const step of [3, 4]) writer.addScalar('loss', 10 * step, step);
      await writer.close();
    }
    const out = join(temporaryFolder(), 'all');
    const said = await cli(['merge', one, other], { out });
    expect(said).toMatchObject({ code: 0, out: `${out}: 4 runs, 13 values\n` });
    expect(said.err).toMatch(/^run "b": not copied: 1 embedding, in /);
    expect(readdirSync(out).sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(readdirSync(join(out, 'c'))).toHaveLength(1);
    const points = pointsOf(await summariesOf(join(out, 'c')), 'loss');
    expect(points.map(([step, value]) => [step, value])).toEqual([[1, 3], [2, 4], [3, 30], [4, 40]]); // biome-ignore format: points
    expect((await cli(['merge', one, other], { out })).err).toContain('--out: expected a folder without event files');
  });

  it.each<[string, string[], CommandLine['values'], string]>([
    ['one logdir', ['a'], { out: 'x' }, 'expected several logdirs to merge, got 1'],
    ['no target', ['a', 'b'], {}, 'expected --out <folder> for the runs of all logdirs'],
  ])('of %s is an error of the command line', async (_, paths, values, message) => {
    const { code, err } = await cli(['merge', ...paths], values);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});

describe('--json', () => {
  it('lists the files that export writes', async () => {
    const { code, files, out } = await cli(['export', await logdir()], { kind: 'images', out: 'pictures', json: true });
    expect(code).toBe(0);
    const told = JSON.parse(out) as { run: string; file: string; bytes: number }[];
    expect(told.map(({ run }) => run)).toEqual(['a', 'b', 'c']);
    expect(told.map(({ file }) => file)).toEqual(files);
    expect(told.every(({ bytes }) => bytes > 50)).toBe(true);
  });

  it.each<[string, CommandLine['values'], string]>([
    ['with another format', { json: true, format: 'csv' }, '--json: expected no other format, got "csv"'],
    [
      'with the name of another',
      { json: true, out: 'x.csv' },
      '--json: expected a name that ends in .json, got --out "x.csv"',
    ],
  ])('%s is refused by export and reduce', async (_, values, message) => {
    const runs = await logdir();
    for (const command of ['export', 'reduce']) {
      const said = await cli([command, runs], values);
      expect(said).toMatchObject({ code: 2, out: '', files: [] });
      expect(said.err).toContain(message);
    }
  });
});

it('reduce without --out writes its table as CSV to standard output', async () => {
  const { code, out } = await cli(['reduce', await logdir()]);
  expect(code).toBe(0);
  expect(out.split('\r\n')[0]).toBe('run,tag,step,wall_time,count,mean,std,min,max,median');
  expect(out.split('\r\n')[1]).toMatch(/^\.?,?loss,1,[\d.]+,3,2,1,1,3,2$/);
});

it.each<[string, (runs: string) => string[], CommandLine['values'], string]>([
  ['a kind that is misspelt', (runs) => ['export', runs], { kind: 'scalar' }, "; did you mean 'scalars'?"],
  [
    'a folder for a table',
    (runs) => ['export', runs],
    { out: '.' },
    '--out: expected a file for the scalars, got the folder "."',
  ],
  [
    'a file for pictures',
    (runs) => ['export', runs],
    { kind: 'images', out: 'package.json' },
    '--out: expected a folder for the images, got the file "package.json"',
  ],
  ['a table that is not there', () => ['from-csv', 'missing.csv'], { out: 'never' }, 'there is no file "missing.csv"'],
  ['a folder for a table', (runs) => ['from-csv', runs], { out: 'never' }, 'expected a file, got the folder'],
  ['a single run', (runs) => ['reduce', join(runs, 'a')], { out: 'never' }, 'got 1 run:'],
  ['a folder without event files', () => ['share', temporaryFolder()], { out: 'never' }, 'there is no event file in'],
])('%s is an error of the command line', async (_, positionals, values, message) => {
  const { code, err } = await cli(positionals(await logdir()), values);
  expect(err).toContain(message);
  expect(code).toBe(2);
  expect(existsSync('never')).toBe(false);
});

it('a file too short for a record is no event file', async () => {
  const file = join(temporaryFolder(), 'a.txt');
  writeFileSync(file, 'hi\n');
  const { code, err } = await cli(['inspect', file]);
  expect({ code, err }).toEqual({ code: 1, err: `${file}: 3 bytes, which hold no record: it is no event file\n` });
});

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import { CsvReader } from '../../src/cli/table.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { readEvents, SummaryWriter } from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';

async function cli(positionals: string[], values: CommandLine['values'] = {}) {
  const said = { out: '', err: '', code: 0 };
  const terminal: Partial<Terminal> = {
    write: (text: string) => void (said.out += text),
    drained: async () => {},
    writeError: (text: string) => void (said.err += text),
    createFile(path) {
      writeFileSync(path, '');
      return { write: (content) => appendFileSync(path, content), close: () => {} };
    },
    colors: false,
    size: () => undefined,
  };
  said.code = await main(terminal as Terminal, { positionals, values }, '1.2.3');
  return said;
}

/** What a file of this content becomes: what the command says, and `run tag step value` of each point. */
async function imported(name: string, content: string, values: CommandLine['values'] = {}) {
  const folder = temporaryFolder();
  const file = join(folder, name);
  writeFileSync(file, content);
  const out = join(folder, 'runs');
  const said = await cli(['from-csv', file], { out, ...values });
  const { out: json } = await cli(['export', out], { format: 'json', raw: true });
  const points = (json === '' ? [] : JSON.parse(json)) as { run: string; tag: string; step: number; value: unknown }[];
  const told = said.err.replaceAll(file, name);
  return {
    ...said,
    err: told,
    points: points.map(({ run, tag, step, value }) => [run, tag, step, value]),
    out: said.out,
    file: out,
  };
}

const tags = fc.constantFrom(
  'loss',
  'value',
  'tag',
  'step',
  'run',
  'wall_time',
  'Wall time',
  'epoch',
  ' a b ',
  '=1+1',
  "'=1+1",
  "''=1+1",
  "'x",
  "'-3",
  "'@x",
  '\tx',
  "'\r=x",
  '\u001b[2J\r',
  'tag/step',
  'tag/tag/step',
  'tag/run',
  'tag/value',
  '10',
  '9',
  'a,"b"\r\nc',
  '層',
  '-3',
  ';',
  '__proto__',
);
const point = fc.record({
  run: fc.constantFrom('.', 'train', 'a/b', 'run10', 'run2', '-x', 'ü', '=x', "'=x", 'step'),
  tag: tags,
  value: fc.oneof(fc.float(), fc.constantFrom(Number.NaN, Infinity, -Infinity)),
  gap: fc.bigInt({ min: 1n, max: 2n ** 55n }),
  wallTime: fc.double({ min: 0, max: 4e9, noNaN: true }),
});

describe('export, from-csv, export', () => {
  it('is the same table, byte for byte, in each form', async () => {
    const forms: CommandLine['values'][] = [{}, { wide: true }, { format: 'jsonl' }, { format: 'json', wide: true }];
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(point, { minLength: 1, maxLength: 24 }), async (points) => {
        const folder = temporaryFolder();
        const logdir = join(folder, 'runs');
        const writer = new SummaryWriter(logdir);
        let step = 0n;
        for (const { gap, run, tag, value, wallTime } of points) {
          step += gap;
          (run === '.' ? writer : writer.run(run)).addScalar(tag, value, step, { wallTime });
        }
        await writer.close();
        for (const [at, values] of forms.entries()) {
          // Files, since control characters are escaped on standard output.
          const [file, again] = ['table', 'again'].map((name) =>
            join(folder, `${name}${at}.${values.format ?? 'csv'}`),
          );
          await cli(['export', logdir], { ...values, out: file });
          const out = join(folder, `copy${at}`);
          const { code, err } = await cli(['from-csv', file], { out });
          expect({ code, err }).toEqual({ code: 0, err: '' });
          await cli(['export', out], { ...values, out: again });
          expect(readFileSync(again, 'utf8')).toBe(readFileSync(file, 'utf8'));
          compared++;
        }
      }),
      { numRuns: 10 },
    );
    expect(compared).toBe(40);
  });
});

it('tags that differ by an apostrophe, or by the name of a column, stay two', async () => {
  const folder = temporaryFolder();
  const tags = ["'=a", "''=a", '=a', 'run', 'step', 'tag/run', 'tag/step', 'tag/tag/step'];
  const writer = new SummaryWriter(join(folder, 'runs'));
  for (const [step, tag] of tags.entries()) writer.addScalar(tag, step, step);
  await writer.close();
  for (const [at, wide] of [false, true].entries()) {
    const file = join(folder, `${at}.csv`);
    writeFileSync(file, (await cli(['export', join(folder, 'runs')], { wide })).out);
    const head: string[][] = parse(readFileSync(file));
    if (wide) expect(new Set(head[0]).size).toBe(head[0].length);
    expect(await cli(['from-csv', file], { out: join(folder, `copy${at}`) })).toMatchObject({ code: 0, err: '' });
    const copied: { tag: string; step: number }[] = JSON.parse(
      (await cli(['export', join(folder, `copy${at}`)], { json: true })).out,
    );
    expect(copied.sort((a, b) => a.step - b.step).map(({ tag }) => tag)).toEqual(tags);
  }
});

describe('tables of other programs', () => {
  it('names that no export has guarded stay: those in JSON, and in CSV with --plain', async () => {
    const json = JSON.stringify({ run: "'=r", tag: "'=a", step: 1, value: 0.5 });
    expect((await imported('a.jsonl', `${json}\n`)).points).toEqual([["'=r", "'=a", 1, 0.5]]);
    const csv = "step,'=a,tag/step\n1,0.5,2\n";
    expect((await imported('a.csv', csv, { plain: true })).points).toEqual([
      ['.', "'=a", 1, 0.5],
      ['.', 'tag/step', 1, 2],
    ]);
    expect((await imported('a.csv', csv)).points[0]).toEqual(['.', '=a', 1, 0.5]);
  });

  it('CSVLogger of Keras: a row for each epoch', async () => {
    const csv = 'epoch,accuracy,loss,val_loss\n0,0.5,1.25,nan\n1,0.75,1,inf\n';
    const { code, err, out, points } = await imported('log.csv', csv, { run: 'keras' });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^6 points in 1 run in /);
    expect(points).toEqual([
      ...[
        ['accuracy', 0.5],
        ['loss', 1.25],
        ['val_loss', 'NaN'],
      ].map(([tag, value]) => ['keras', tag, 0, value]),
      ...[
        ['accuracy', 0.75],
        ['loss', 1],
        ['val_loss', 'Infinity'],
      ].map(([tag, value]) => ['keras', tag, 1, value]),
    ]);
  });

  it('metrics.csv of Lightning: empty cells are no points, and --step chooses the column', async () => {
    const csv = 'epoch,step,train_loss,val_loss\r\n0,49,0.5,\r\n0,49,,0.25\r\n1,99,0.125,\r\n';
    expect((await imported('metrics.csv', csv)).points).toEqual([
      ['.', 'epoch', 49, 0],
      ['.', 'train_loss', 49, 0.5],
      ['.', 'epoch', 49, 0],
      ['.', 'val_loss', 49, 0.25],
      ['.', 'epoch', 99, 1],
      ['.', 'train_loss', 99, 0.125],
    ]);
    const byEpoch = await imported('metrics.csv', csv, { step: 'epoch' });
    expect(byEpoch.points).toContainEqual(['.', 'train_loss', 1, 0.125]);
    expect(byEpoch.points).toContainEqual(['.', 'step', 1, 99]);
    await expect(imported('metrics.csv', csv, { step: 'epcoh' })).resolves.toMatchObject({
      code: 2,
      err: expect.stringContaining('got "epcoh"; did you mean \'epoch\'?'),
    });
  });

  it("TensorBoard's own download: the tag is the name of the file, or --tag", async () => {
    const csv = 'Wall time,Step,Value\n1700000000.5,1,0.5\n1700000001.25,2,0.25\n';
    expect((await imported('epoch_loss.csv', csv)).points).toEqual([
      ['.', 'epoch_loss', 1, 0.5],
      ['.', 'epoch_loss', 2, 0.25],
    ]);
    const { file, points } = await imported('x.csv', csv, { tag: 'loss', run: 'train' });
    expect(points).toEqual([
      ['train', 'loss', 1, 0.5],
      ['train', 'loss', 2, 0.25],
    ]);
    const times: number[] = [];
    for await (const { summary, wallTime } of readEvents(join(file, 'train'))) if (summary) times.push(wallTime);
    expect(times).toEqual([1700000000.5, 1700000001.25]);
  });

  it('semicolons, a mark of byte order, JSON lines and tables without steps', async () => {
    expect((await imported('a.csv', '\uFEFFstep;loss\n3;0.5\n')).points).toEqual([['.', 'loss', 3, 0.5]]);
    expect((await imported('a.jsonl', '{"step":3,"loss":0.5}\n{"step":4,"acc":1,"loss":null}\n')).points).toEqual([
      ['.', 'loss', 3, 0.5],
      ['.', 'acc', 4, 1],
    ]);
    const counted = await imported('a.csv', 'loss\n0.5\n0.25');
    expect(counted.points).toEqual([
      ['.', 'loss', 0, 0.5],
      ['.', 'loss', 1, 0.25],
    ]);
    expect(counted).toMatchObject({ code: 0, err: expect.stringContaining('rows count from 0') });
  });
});

describe('what is wrong is named, and the rest is written', () => {
  it('cells that are no numbers, by line and column', async () => {
    const csv = 'step,loss,acc\n1,0.5,high\n"x\ny",0.5,0.5\n3,0x10,0.75,9\n2.5,1,1\n';
    const { code, err, points } = await imported('a.csv', csv);
    expect(code).toBe(1);
    expect(points).toEqual([
      ['.', 'loss', 1, 0.5],
      ['.', 'acc', 3, 0.75],
    ]);
    expect(err.trim().split('\n')).toEqual(
      [
        'a.csv: line 2, column "acc": expected a number, got "high"',
        String.raw`a.csv: line 3, column "step": expected a whole number: the row is left out, got "x\u005cny"`,
        'a.csv: line 5: expected 3 cells, got 4: those behind are left out',
        'a.csv: line 5, column "loss": expected a number, got "0x10"',
        'a.csv: line 6, column "step": expected a whole number: the row is left out, got "2.5"',
      ].map((line) => line.replace(String.raw`\u005c`, '\\')),
    );
  });

  it('of many such cells a few, and how many there are', async () => {
    const rows = Array.from({ length: 1000 }, (_, step) => `${step},2026-01-01,${step / 2}`);
    const { code, err, points } = await imported('a.csv', `step,date,loss\n${rows.join('\n')}\n`);
    expect({ code, points: points.length }).toEqual({ code: 1, points: 1000 });
    expect(err.trim().split('\n')).toHaveLength(6);
    expect(err).toContain('a.csv: column "date": 995 more cells of this kind');
  });

  it('of each file for itself, also of one that breaks off', async () => {
    const folder = temporaryFolder();
    const [broken, sound] = [join(folder, 'broken.csv'), join(folder, 'sound.csv')];
    const wrong = Array.from({ length: 7 }, (_, step) => `${step},none`).join('\n');
    writeFileSync(broken, `step,loss\n${wrong}\n7,"0.5`);
    writeFileSync(sound, 'step,loss\n1,none\n2,0.5\n');
    const { code, err } = await cli(['from-csv', broken, sound], { out: join(folder, 'runs') });
    expect(code).toBe(1);
    const told = err.replaceAll(`${folder}/`, '').trim().split('\n');
    expect(told.filter((line) => line.startsWith('sound.csv'))).toEqual([
      'sound.csv: line 2, column "loss": expected a number, got "none"',
    ]);
    expect(told.slice(5, 7).sort()).toEqual([
      expect.stringMatching(/^broken\.csv: column "loss": 2 more cells of this kind/),
      expect.stringMatching(/^broken\.csv: .*quot/),
    ]);
  });

  it.each(['../up', '/etc', 'a/../b', 'a//b', 'C:\\x', 'a\0b'])(
    'a run %j, which leads out of the logdir',
    async (run) => {
      const { code, err, points } = await imported('a.csv', `run,tag,step,value\n${run},loss,1,0.5\nb,loss,1,0.5\n`);
      expect({ code, points }).toEqual({ code: 1, points: [['b', 'loss', 1, 0.5]] });
      expect(err).toContain('a.csv: line 2: left out: run: expected the path of a folder below the logdir');
    },
  );

  it.each([
    ['nothing', '', /expected a line with the names of columns/],
    ['a cell that does not end', 'step,loss\n1,0.5\n2,"0.25', /line 3: expected the end of a cell in quotation marks/],
    ['no values', 'step,epoch_\n', /expected a line with the names of columns, and rows below it/],
    ['steps alone', 'step\n1\n', /expected a column of values besides steps and times, got 'step'/],
    ['a column without a name', ',step,loss\n0,1,0.5\n', /column 1 has no name: it is left out/],
  ])('%s', async (_, csv, message) => {
    expect(await imported('a.csv', csv)).toMatchObject({ code: 1, err: expect.stringMatching(message) });
  });

  it('JSON that is none, line by line', async () => {
    const { code, err, points } = await imported(
      'a.jsonl',
      '{"step":1,"loss":0.5}\n{"step":\n[1,2]\n{"step":2,"loss":0.25}',
    );
    expect(code).toBe(1);
    expect(points).toEqual([
      ['.', 'loss', 1, 0.5],
      ['.', 'loss', 2, 0.25],
    ]);
    expect(err).toMatch(/a\.jsonl: line 2: expected a record as JSON.*\na\.jsonl: line 3: expected a record as JSON/);
  });
});

it('rows are those of csv-parse, wherever the text is cut', () => {
  const cell = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', ';', ' ', '層', '') });
  const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(table, fc.nat(40), (rows, at) => {
      const quoted = rows.map((row) => row.map((each) => `"${each.replaceAll('"', '""')}"`).join(',')).join('\r\n');
      const text = `a,b\n${quoted}\n`;
      const reader = new CsvReader();
      const read = [...reader.push(text.slice(0, at)), ...reader.push(text.slice(at)), ...reader.end()];
      const expected = parse(text, { relax_column_count: true, record_delimiter: ['\r\n', '\n'] });
      expect(read.map(({ cells }) => cells)).toEqual(expected);
    }),
  );
});

it('standard input is called so in what is said of it, not by the file that holds it', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'stdin.tfevents');
  writeFileSync(file, 'step,loss\n0,much\n');
  const said = { err: '' };
  const terminal: Partial<Terminal> = {
    write: () => {},
    drained: async () => {},
    writeError: (text: string) => void (said.err += text),
    stdin: async () => file,
  };
  const run = (values: CommandLine['values']) =>
    main(
      terminal as Terminal,
      { positionals: ['from-csv', '-'], values: { out: join(folder, 'runs'), ...values } },
      '1',
    );
  expect(await run({})).toBe(1);
  expect(said.err).toBe('standard input: line 2, column "loss": expected a number, got "much"\n');
  said.err = '';
  expect(await run({ step: 'stp' })).toBe(2);
  expect(said.err).toContain('--step: expected a column of standard input, got "stp"; did you mean \'step\'?');
  expect(said.err).not.toContain(file);
});

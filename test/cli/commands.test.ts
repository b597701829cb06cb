import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import { afterAll, describe, expect, it } from 'vitest';
import { type CommandLine, main } from '../../src/cli/main.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { concat } from '../../src/encoding/bytes.js';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { MemoryOutput } from '../../src/output/output.js';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { readEvents } from '../../src/reader/read-events.js';
import { readHistory } from '../../src/saturation/runs.js';
import { SaturationWriter } from '../../src/saturation/saturation-writer.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { encodeNpy } from '../../src/stores/npy.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenBytes, goldenFiles, goldenFolder } from '../support/golden.js';
import { eventFile, type TestRecord } from '../support/loaders.js';
import { Programs } from '../support/programs.js';

async function cli(positionals: string[], values: CommandLine['values'] = {}, colors = false) {
  const said = { out: '', err: '', code: 0, files: new Map<string, string | Uint8Array>() };
  const terminal: Terminal = {
    write: (text) => void (said.out += text),
    drained: async () => {},
    stdin: async () => 'no standard input',
    importModule: (path) => import(path),
    size: () => undefined,
    ended: async () => {},
    writeError: (text) => void (said.err += text),
    colors,
    writeFile: (path, content) => void said.files.set(path, content),
    run: async () => undefined,
    pluginEnvironment: () => ({}),
    asset: (name) => new TextEncoder().encode(`// ${name}`),
    copyFile(from, to) {
      const bytes = readFileSync(from);
      said.files.set(to, bytes);
      return bytes.length;
    },
    secret: () => 'secret',
    serve: async () => ({ port: 1, ended: Promise.resolve() }),
    createFile(path) {
      said.files.set(path, '');
      const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      const textOf = (content: string | Uint8Array) =>
        typeof content === 'string' ? content : decoder.decode(content, { stream: true });
      return {
        write: (content) => void said.files.set(path, `${said.files.get(path)}${textOf(content)}`),
        close: () => {},
      };
    },
  };
  said.code = await main(terminal, { positionals, values }, '1.2.3');
  return said;
}

const scalarFile = goldenFiles.find((file) => file.path.startsWith('tbx/scalar/'))!;

/** A logdir of two runs, one of which ends in damage. */
async function damagedLogdir(): Promise<{ logdir: string; offset: number }> {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir);
  writer.addScalar('loss', 0.5, 1);
  writer.run('val').addScalar('loss', 0.25, 1);
  await writer.close();
  const { offset } = scalarFile.records[2];
  const bytes = goldenBytes(scalarFile.path);
  bytes[offset + 14] ^= 1;
  mkdirSync(join(logdir, 'broken'));
  writeFileSync(join(logdir, 'broken/a.tfevents'), bytes);
  return { logdir, offset };
}

const programs = new Programs('src/cli.ts');
afterAll(() => programs.remove());
const command = join(programs.folder, 'src/cli.js');

/** A run that crashed after step 5 and went on at step 4: its last point before that is written again. */
function resumedFile(): Uint8Array {
  const records: TestRecord[] = [{ fileVersion: 'brain.Event:2' }];
  for (let step = 0; step <= 5; step++) records.push({ step, values: [['loss', step]] });
  records.push({ step: 9, values: [['late', 9]] }, { step: 4, start: true }, { step: 4, start: true });
  records.push({ step: 3, values: [['loss', 3]] }, { step: 4, values: [['loss', 104]] });
  return eventFile(records);
}

/** What the reader says of a damaged file. */
async function damageOf(path: string): Promise<string> {
  try {
    for await (const _ of readEvents(path));
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the file is sound');
}

describe('inspect', () => {
  it('shows a padded row for every tag of every run', async () => {
    const { code, err, out } = await cli(['inspect', join(goldenFolder, 'recommended')]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^run {2}tag +plugin +count {2}steps {2}last$/);
    const row = (tag: string) => lines.find((line) => line.startsWith(`r    ${tag} `));
    expect(row('loss')).toMatch(/^r {4}loss +scalars +5 {2}0\.\.4 +0\.2$/);
    expect(row('img')).toMatch(/images +1 {2}0 +2 images of 6 x 8$/);
    expect(row('w/h')).toMatch(/histograms +1 {2}0 +10 in \[-1, 2\]$/);
    expect(row('w/empty')).toMatch(/ empty$/);
    expect(row('(graph)')).toMatch(/ graph +1 {2}0 +54 bytes$/);
    expect(row('_hparams_/session_start_info')).toMatch(/lr=0\.1 opt=sgd bn=true$/);
    expect(row('m_FACE')).toMatch(/face of m, \[1, 4, 3\]$/);
  });

  it('selects tags with --tags and prints JSON with --json', async () => {
    const { out } = await cli(['inspect', join(goldenFolder, 'tbx/scalar')], { tags: '^big', json: true });
    expect(JSON.parse(out)).toEqual([
      {
        run: '.',
        tags: [
          { tag: 'big/step', plugin: 'scalars', count: 9, firstStep: 0, lastStep: '4611686018427387904', last: 1 },
        ],
      },
    ]);
  });

  it('sorts the tags of each run with --sort, as JSON too', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (const tag of ['c', 'b10', 'b2']) writer.addScalar(tag, 1, 0);
    for (let step = 1; step < 3; step++) writer.addScalar('c', 1, step);
    writer.addText('d', 'text', 0);
    writer.addHistogram('a', [1], 0);
    await writer.close();
    const tagsBy = async (sort?: string) => {
      const [{ tags }] = JSON.parse((await cli(['inspect', logdir], { json: true, sort })).out);
      return tags.map(({ tag }: { tag: string }) => tag);
    };
    expect(await tagsBy()).toEqual(['a', 'b2', 'b10', 'c', 'd']);
    expect(await tagsBy('tag')).toEqual(['a', 'b2', 'b10', 'c', 'd']);
    expect(await tagsBy('count')).toEqual(['c', 'a', 'b2', 'b10', 'd']);
    expect(await tagsBy('plugin')).toEqual(['a', 'b2', 'b10', 'c', 'd']);
    const { code, err } = await cli(['inspect', logdir], { sort: 'size' });
    expect({ code, err }).toMatchObject({
      code: 2,
      err: expect.stringContaining('--sort: expected tag, plugin, count'),
    });
  });

  it('tells an embedding from a scalar of the same tag', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addScalar('x', 0.5, 7);
    writer.addScalar('x', 0.25, 6);
    writer.addEmbedding('x', [[1, 2], [3, 4]], 3); // biome-ignore format: a matrix
    await writer.close();
    const [{ tags }] = JSON.parse((await cli(['inspect', logdir], { json: true, raw: true })).out);
    expect(tags).toMatchObject([
      { tag: 'x', plugin: 'projector', count: 1, firstStep: 3, lastStep: 3 },
      { tag: 'x', plugin: 'scalars', count: 2, firstStep: 7, lastStep: 6, last: 0.25, goesBack: 1 },
    ]);
    expect(tags.map(({ goesBack }: { goesBack?: number }) => goesBack)).toEqual([undefined, 1]);
  });

  it('shows what has no summary, too', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addEvent({ wallTime: 1, step: 5, sessionLog: { status: 'start' } });
    writer.addEvent({ wallTime: 1, step: 7, sessionLog: { status: 'checkpoint', checkpointPath: '/models/7' } });
    writer.addEvent({ wallTime: 1, step: 9, sessionLog: { status: 'stop', message: 'done' } });
    writer.addEvent({ wallTime: 1, step: 9, metaGraph: new Uint8Array(0) });
    writer.addEvent({ wallTime: 1, step: 6, runMetadata: { tag: 'step 6', bytes: Uint8Array.of(0xfa, 0x01, 0x00) } });
    writer.addEvent({ wallTime: 1, step: 8, logMessage: { level: 30, message: 'it is\nhot' } });
    await writer.close();
    const { code, out } = await cli(['inspect', logdir]);
    expect(code).toBe(0);
    expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['run', 'tag', 'plugin', 'count', 'steps', 'last'],
      ['.', '(log message)', 'log message', '1', '8', 'it is hot'],
      ['.', '(metagraph)', 'metagraph', '1', '9', '0 bytes'],
      ['.', '(session checkpoint)', 'session checkpoint', '1', '7', '/models/7'],
      ['.', '(session start)', 'session start', '1', '5'],
      ['.', '(session stop)', 'session stop', '1', '9', 'done'],
      ['.', 'step 6', 'run metadata', '1', '6', '3 bytes'],
      [''],
    ]);
    const [{ tags }] = JSON.parse((await cli(['inspect', logdir], { json: true })).out);
    expect(tags[3]).toEqual({ tag: '', plugin: 'session start', count: 1, firstStep: 5, lastStep: 5, last: '' });
  });

  it('shows embeddings, whoever wrote them, though they stand beside the event file', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addEmbedding('words', [[1], [2]], 4);
    await writer.close();
    const rows = [
      { tag: 'words', plugin: 'projector', count: 1, firstStep: 4, lastStep: 4, last: '00004/words/tensors.tsv' },
    ];
    expect(JSON.parse((await cli(['inspect', logdir], { json: true })).out)).toEqual([{ run: '.', tags: rows }]);
    expect(JSON.parse((await cli(['inspect', logdir], { json: true, tags: 'x' })).out)).toEqual([]);
    for (const other of ['torch', 'tbx']) {
      expect((await cli(['inspect', join(goldenFolder, other, 'embedding')])).out).toMatch(/ projector +1 /);
    }
  });

  it('counts the points that TensorBoard shows, and says where steps go back', async () => {
    const logdir = temporaryFolder();
    writeFileSync(join(logdir, '1.tfevents'), resumedFile());
    const { out } = await cli(['inspect', logdir]);
    expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['run', 'tag', 'plugin', 'count', 'hidden', 'steps', 'last'],
      ['.', '(session start)', 'session start', '2', '0', '4'],
      ['.', 'late', 'scalars', '0', '1'],
      ['.', 'loss', 'scalars', '5', '3', '0..4', '104'],
      [
        'run .: steps go back, first from 5 to 3 in loss: 4 earlier points hidden, as in TensorBoard (--raw counts them)',
      ],
      [''],
    ]);
    const [{ tags }] = JSON.parse((await cli(['inspect', logdir], { json: true })).out);
    expect(tags.find(({ tag }: { tag: string }) => tag === 'loss')).toMatchObject({ count: 5, hidden: 3, goesBack: 1 });
    const raw = await cli(['inspect', logdir], { raw: true });
    expect(raw.out).toMatch(/^\. +loss +scalars +8 +0\.\.4 +104$/m);
  });

  it('says which file is damaged, shows the rest, and exits with 1', async () => {
    const { logdir, offset } = await damagedLogdir();
    const { code, err, out } = await cli(['inspect', logdir]);
    expect(code).toBe(1);
    expect(err).toMatch(`Damaged record at byte ${offset} of ${join(logdir, 'broken/a.tfevents')}`);
    expect(out).toMatch(/^val +loss +scalars +1 +1 +0\.25$/m);
  });
});

describe('what would command the terminal is shown, not obeyed', () => {
  // Moves the cursor, sets the title, rings; DEL; CSI as one character; text from right to left.
  const evil = '\u001b[2J\u001b]0;owned\u0007\u007f\u009b31m\u202e\u2066';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the very things that must not be there
  const commanding = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|\r(?!\n)/;

  /** A logdir with such characters in the names of a run, a file, tags and a plugin, in texts and in damage. */
  async function evilLogdir(): Promise<string> {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(join(logdir, `run${evil}`));
    writer.addScalar(`tag${evil}`, 1, 0);
    writer.addText('text', `${evil}\rover the beginning`, 0);
    writer.addHparams({ [`hparam${evil}`]: evil });
    await writer.close();
    const value = (tag: string, rest: object) => ({ summary: { value: [{ tag, ...rest }] } });
    const metadata = { pluginData: { pluginName: `plugin${evil}` } };
    const events = [
      value('other', { simpleValue: 1, metadata }),
      value(`bad${evil}`, { tensor: { dtype: 1, tensorShape: { dim: [{ size: 5 }] }, floatVal: [1, 2] } }),
    ];
    const bytes = concat(events.map((event) => frameRecord(encodeMessage(tensorboard.Event, event))));
    writeFileSync(join(logdir, `tfevents${evil}`), bytes);
    writeFileSync(join(logdir, `z${evil}tfevents`), 'this is no event file at all');
    return logdir;
  }

  it.each<[string, string[], CommandLine['values']]>([
    ['inspect', ['inspect'], {}],
    ['inspect --json', ['inspect'], { json: true }],
    ['verify', ['verify'], {}],
    ['export', ['export'], {}],
    ['export of texts', ['export'], { kind: 'text' }],
    ['export as JSON', ['export'], { kind: 'text', format: 'json' }],
    ['export of images', ['export'], { kind: 'images', out: evil }],
    ['a regular expression that is none', ['inspect'], { tags: `(${evil}` }],
  ])('%s', async (_, positionals, values) => {
    const { err, out } = await cli([...positionals, await evilLogdir()], values);
    expect(out).not.toMatch(commanding);
    expect(err).not.toMatch(commanding);
    expect(out + err).toContain('\\u001b[2J\\u001b]0;owned\\u0007\\u007f\\u009b31m\\u202e\\u2066');
  });

  it.each([
    ['a command', [evil]],
    ['a path', ['inspect', `/nowhere${evil}`]],
    ['an option', [`--${evil}`]],
    ['a logdir to report on', ['report', `/nowhere${evil}`]],
  ])('%s, on the command line', (_, args) => {
    const { stderr } = spawnSync(process.execPath, [command, ...args], { encoding: 'utf8' });
    expect(stderr).not.toMatch(commanding);
    expect(stderr).toContain('\\u001b[2J');
  });

  it('JSON holds the same texts as before, and a file that export wrote the same bytes', async () => {
    const logdir = await evilLogdir();
    const { out } = await cli(['export', logdir], { kind: 'text', format: 'json' });
    expect(JSON.parse(out)[0].value).toBe(`${evil}\rover the beginning`);
    const inspected = JSON.parse((await cli(['inspect', logdir], { json: true })).out);
    expect(inspected.map(({ run }: { run: string }) => run)).toContain(`run${evil}`);
    const { files } = await cli(['export', logdir], { kind: 'text', out: 'x.csv' });
    const [row] = parse<{ value: string }>(files.get('x.csv') as string, { columns: true });
    expect(row.value).toBe(`${evil}\rover the beginning`);
  });
});

describe('texts that a spreadsheet would run', () => {
  const formulas = ['=HYPERLINK("http://x")', '+1+1', '-2+3', '@SUM(A1)', '\tx', '\r=1', "=cmd|' /C calc'!A0", '- '];
  const harmless = ['-1.5', '+3', 'a=b', "'quoted", '1-2', '-Infinity'];
  const rowsOf = async (options: object) => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (const [i, text] of [...formulas, ...harmless].entries()) {
      writer.addText('text', text, i);
      writer.addScalar(`${text}/loss`, -1.5, i);
    }
    await writer.close();
    const read = async (kind: string) => {
      const { files } = await cli(['export', logdir], { kind, ...options, out: 'x.csv' });
      return parse<{ tag: string; value: string }>(files.get('x.csv') as string, { columns: true });
    };
    return { texts: (await read('text')).map(({ value }) => value), scalars: await read('scalars') };
  };

  it('have an apostrophe in front in CSV; numbers and other texts are as they are', async () => {
    const { texts, scalars } = await rowsOf({});
    expect(texts).toEqual([...formulas.map((text) => `'${text}`), ...harmless]);
    expect(new Set(scalars.map(({ value }) => value))).toEqual(new Set(['-1.5']));
    expect(scalars.length).toBe(texts.length);
    expect(scalars.some(({ tag }) => /^[=+\-@\t\r]/.test(tag))).toBe(false);
  });

  it('are as they are with --plain', async () => {
    const { texts, scalars } = await rowsOf({ plain: true });
    expect(texts).toEqual([...formulas, ...harmless]);
    expect(scalars.map(({ tag }) => tag).sort()).toEqual(
      [...formulas, ...harmless].map((text) => `${text}/loss`).sort(),
    );
  });
});

describe('a summary that cannot be decoded', () => {
  /** A file with a scalar of each tag: `good`, or a tensor whose one element is not a uint8, which addEvent refuses. */
  function oddFile(tags: readonly [tag: string, good?: number][]): string {
    const metadata = { pluginData: { pluginName: 'scalars' } };
    const records = tags.map(([tag, good = 300], step) => {
      const value = [{ tag, tensor: { dtype: 4, intVal: [good] }, metadata }];
      return frameRecord(encodeMessage(tensorboard.Event, { wallTime: 1, step, summary: { value } }));
    });
    const file = join(temporaryFolder(), 'a.tfevents');
    writeFileSync(file, concat(records));
    return file;
  }

  it('is no damage for verify', async () => {
    const file = 'test/fixtures/tensors/torch/add_tensor.tfevents';
    const out = expect.stringContaining(`${file}: 28 records\n`);
    expect(await cli(['verify', file])).toMatchObject({ code: 0, err: '', out });
    expect(await cli(['verify', oddFile([['odd']])])).toMatchObject({ code: 0, err: '' });
  });

  it('is shown by inspect with its reason', async () => {
    const file = oddFile([['odd'], ['mixed'], ['mixed', 7], ['loss', 5]]);
    const { code, out } = await cli(['inspect', file]);
    expect(code).toBe(0);
    expect(out).toMatch(/^\. +odd +scalars +1 +0 +undecoded: a uint8 tensor with the value 300$/m);
    expect(out).toMatch(/^\. +mixed +scalars +2 +1\.\.2 +7 \(1 undecoded: a uint8 tensor with the value 300\)$/m);
    expect(out).toMatch(/^\. +loss +scalars +1 +3 +5$/m);
    const [{ tags }] = JSON.parse((await cli(['inspect', file], { json: true })).out);
    const undecoded = { count: 1, reason: 'a uint8 tensor with the value 300' };
    expect(tags.map((tag: object) => 'undecoded' in tag && tag.undecoded)).toEqual([false, undecoded, undecoded]);
  });

  it('is left out by export, which says so and exits with 1', async () => {
    const file = oddFile([['odd'], ['mixed'], ['mixed', 7], ['odd']]);
    const { code, err, out } = await cli(['export', file]);
    expect(parse(out, { columns: true })).toMatchObject([{ tag: 'mixed', step: '2', value: '7' }]);
    const reason = 'undecoded: a uint8 tensor with the value 300';
    expect(err).toBe(
      `run ".", tag "odd": 2 values left out: ${reason}\nrun ".", tag "mixed": 1 value left out: ${reason}\n`,
    );
    expect(code).toBe(1);
  });
});

describe('verify', () => {
  it('accepts sound files', async () => {
    const { code, out } = await cli(['verify', goldenFolder]);
    expect(code).toBe(0);
    expect(out).toMatch(/43 files, 0 damaged, 0 with a torn tail\n$/);
    for (const { path, records } of goldenFiles) expect(out).toContain(`${path}: ${records.length} record`);
  });

  it('names damage with its byte and exits with 1', async () => {
    const { logdir, offset } = await damagedLogdir();
    const { code, out } = await cli(['verify', logdir]);
    expect(code).toBe(1);
    expect(out).toMatch(`broken/a.tfevents: damaged at byte ${offset}, after 2 records: its `);
    expect(out).toMatch(/3 files, 1 damaged, 0 with a torn tail\n$/);
  });

  it('reports a torn tail, which is not damage', async () => {
    const file = join(temporaryFolder(), 'a.tfevents');
    const { offset } = scalarFile.records[3];
    writeFileSync(file, goldenBytes(scalarFile.path).subarray(0, offset + 7));
    const { code, out } = await cli(['verify', file, file]);
    expect(code).toBe(0);
    expect(out).toContain(`3 records, then 7 bytes of one that is cut off, from byte ${offset}`);
    expect(out).toMatch(/1 file, 0 damaged, 1 with a torn tail\n$/);
  });
});

describe('a packed file', () => {
  const folder = 'test/fixtures/containers';
  const packed = (name: string) => new Uint8Array(readFileSync(join(folder, name)));

  it.each(['file.gzip', 'file.zlib'])('is verified, inspected and exported as what is in it: %s', async (name) => {
    const file = join(folder, name);
    const plain = join(goldenFolder, scalarFile.path);
    const out = expect.stringContaining(`${file}: ${scalarFile.records.length} records\n`);
    expect(await cli(['verify', file])).toMatchObject({ code: 0, out });
    for (const command of ['inspect', 'export'])
      expect(await cli([command, file])).toEqual(await cli([command, plain]));
  });

  it('that is cut off is torn', async () => {
    const file = join(temporaryFolder(), 'a.tfevents.gz');
    for (const cut of [300, packed('file.gzip').length - 512 - 3]) {
      writeFileSync(file, packed('file.gzip').subarray(0, cut));
      const { code, out } = await cli(['verify', file]);
      expect(code).toBe(0);
      expect(out).toMatch(/^torn .*records, then \d+ bytes of one that is cut off/);
    }
  });

  it('of a kind that is not read is named, with what to do', async () => {
    const { code, out } = await cli(['verify', join(folder, 'file.zst')]);
    expect(code).toBe(1);
    expect(out).toContain('damaged at byte 0, after 0 records: this is a zstd file: unpack it first (zstd -d)');
  });
});

describe('export', () => {
  it('writes scalars as CSV that a CSV parser reads', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const tag = 'a "quoted", tag\nof two lines';
    writer.addScalar(tag, Number.NaN, 2n ** 62n, { wallTime: 1.5 });
    writer.addScalar('loss', 0.5, -3, { wallTime: 2 });
    writer.addText('ignored', 'text', 0);
    await writer.close();
    const { code, out } = await cli(['export', logdir]);
    expect(code).toBe(0);
    expect(parse(out, { columns: true })).toEqual([
      { run: '.', tag, step: '4611686018427387904', wall_time: '1.5', value: 'NaN' },
      { run: '.', tag: 'loss', step: '-3', wall_time: '2', value: '0.5' },
    ]);
  });

  it('writes JSON into a file', async () => {
    const { files, out } = await cli(['export', join(goldenFolder, 'torch/scalars')], {
      format: 'json',
      out: 'x/y.json',
    });
    expect(out).toBe('4 rows in x/y.json\n');
    const rows = JSON.parse(files.get('x/y.json') as string);
    const stored = goldenFiles
      .filter((file) => file.path.startsWith('torch/scalars/'))
      .flatMap(({ path, records }) =>
        records.flatMap(({ event }) =>
          (event.summary?.value ?? []).map(({ simple_value, tag }) => ({
            run: path.split('/')[2],
            tag,
            step: Number(event.step ?? 0),
            wallTime: event.wall_time,
            value: simple_value,
          })),
        ),
      );
    expect(stored.length).toBe(4);
    expect(rows).toEqual(stored);
    expect(JSON.parse((await cli(['export', join(goldenFolder, 'torch/text')], { format: 'json' })).out)).toEqual([]);
  });

  it('writes histograms and texts', async () => {
    const histogram = await cli(['export', join(goldenFolder, 'recommended')], { kind: 'histograms', tags: '^w/h$' });
    expect(parse(histogram.out, { columns: true })).toMatchObject([
      { left: '-1', right: '0', count: '3' },
      { left: '0', right: '1', count: '5' },
      { left: '1', right: '2', count: '2' },
    ]);
    const text = await cli(['export', join(goldenFolder, 'tbx/text')], { kind: 'text', format: 'json' });
    expect(JSON.parse(text.out)[1]).toMatchObject({ step: 1, value: ['héllo 世界 🚀'] });
  });

  it('writes images and sounds byte for byte, wherever their tags would lead', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    const [stored] = goldenFiles
      .flatMap(({ records }) => records)
      .flatMap(({ event }) => event.summary?.value ?? [])
      .flatMap(({ image }) => (image ? [image] : []));
    const png = new Uint8Array(Buffer.from(stored.encoded_image_string, 'base64'));
    const image = { encoded: png, width: stored.width, height: stored.height };
    const tags = ['../../up', '..', '/etc/passwd', 'a/b', 'a%2Fb', 'nul\u0000', 'x'.repeat(5000), 'x'.repeat(5001)];
    for (const tag of tags) writer.addImage(tag, image, 7);
    writer.addImage('a/b', image, 7);
    await writer.close();
    const file = join(temporaryFolder(), 'a.tfevents');
    writeFileSync(file, output.bytes);
    const { files, out } = await cli(['export', file], { kind: 'images', out: 'shots', raw: true });
    expect(out).toBe('9 files in shots\n');
    expect(files.size).toBe(9);
    for (const [path, content] of files) {
      expect(dirname(path)).toBe('shots/root');
      expect(path.length).toBeLessThan(200);
      expect(path).toMatch(/\.7(\.again1)?\.png$/);
      expect(content).toEqual(png);
    }
    const sounds = await cli(['export', join(goldenFolder, 'recommended')], { kind: 'audio', out: 'wav' });
    expect([...sounds.files.keys()]).toEqual(['wav/r/snd1.0.wav', 'wav/r/snd2.0.wav']);
  });

  it('leaves out what TensorBoard hides, and says how much; --raw exports it', async () => {
    const logdir = temporaryFolder();
    writeFileSync(join(logdir, '1.tfevents'), resumedFile());
    const values = (out: string) =>
      parse(out, { columns: true }).map((row) => Number((row as { value: string }).value));
    const { code, err, out } = await cli(['export', logdir]);
    expect({ code, values: values(out) }).toEqual({ code: 0, values: [0, 1, 2, 3, 104] });
    expect(err).toBe('4 points left out that TensorBoard hides behind later ones: --raw exports all\n');
    const raw = await cli(['export', logdir], { raw: true });
    expect(values(raw.out)).toEqual([0, 1, 2, 3, 4, 5, 9, 3, 104]);
    expect(raw.err).toBe('');
  });

  it('goes on past a damaged file with a complaint and exit code 1, as inspect does', async () => {
    const { logdir, offset } = await damagedLogdir();
    // TensorBoard goes on with the next file of the damaged run as well.
    writeFileSync(join(logdir, 'broken/b.tfevents'), goldenBytes(scalarFile.path));
    for (const format of ['csv', 'json']) {
      const { code, err, out } = await cli(['export', logdir], { format, raw: true });
      expect(code).toBe(1);
      expect(err).toBe(`${await damageOf(join(logdir, 'broken/a.tfevents'))}\n`);
      expect(err).toContain(`at byte ${offset} of `);
      const rows: { run: string }[] = format === 'csv' ? parse(out, { columns: true }) : JSON.parse(out);
      const count = (run: string) => rows.filter((row) => row.run === run).length;
      // One row before the damage, then all of the second file.
      expect({ root: count('.'), val: count('val'), broken: count('broken') }).toEqual({
        root: 1,
        val: 1,
        broken: 1 + scalarFile.records.length - 1,
      });
    }
  });

  it('of images goes on past a damaged file, too', async () => {
    const { logdir } = await damagedLogdir();
    const writer = new SummaryWriter(join(logdir, 'zz'));
    writer.addImage('i', { data: new Uint8Array(3), shape: [1, 1, 3] }, 0);
    await writer.close();
    const { code, files, out } = await cli(['export', logdir], { kind: 'images', out: 'x' });
    expect({ code, out, files: [...files.keys()] }).toEqual({
      code: 1,
      out: '1 file in x\n',
      files: ['x/zz/i.0.png'],
    });
  });
});

describe('report', () => {
  it('draws a run that a tracker wrote as one page, and names the file', async () => {
    const logdir = temporaryFolder();
    const writer = new SaturationWriter(logdir).run('train');
    const spectra = { first: [4, 2, 1, 0.5], second: [3, 0.01, 0.001] };
    for (const step of [1, 2]) {
      for (const [layer, eigenvalues] of Object.entries(spectra)) {
        writer.addSaturation(layer, Spectrum.fromEigenvalues(eigenvalues, { samples: 100 }), step);
      }
    }
    await writer.close();
    const out = join(logdir, 'pages/run.html');
    expect(await cli(['report', logdir], { out })).toMatchObject({ code: 0, err: '', out: `${out}\n` });
    const html = readFileSync(out, 'utf8');
    for (const text of ['first', 'second', 'id="runs"']) expect(html).toContain(text);
    for (const folder of [join(logdir, 'pages'), join(logdir, 'new/')]) {
      const page = join(folder, 'report.html');
      expect(await cli(['report', logdir], { out: folder })).toMatchObject({ code: 0, err: '', out: `${page}\n` });
      expect(readFileSync(page, 'utf8')).toBe(html);
    }
    // Into the logdir itself, by default: no other command takes it for one of its files.
    const commands = [['inspect'], ['verify'], ['lint'], ['export']];
    const before = await Promise.all(commands.map(([command]) => cli([command, logdir])));
    expect(await cli(['report', logdir])).toMatchObject({ code: 0, out: `${join(logdir, 'report.html')}\n` });
    expect(readFileSync(join(logdir, 'report.html'), 'utf8')).toBe(html);
    expect(await Promise.all(commands.map(([command]) => cli([command, logdir])))).toEqual(before);
    expect(await cli(['report'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('expected the path of a logdir'),
    });
    const empty = await cli(['report', temporaryFolder()]);
    expect(empty).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^delve-tensorboard: expected runs .*found none/),
    });
  });
});

describe('report on several experiments', () => {
  it('writes one page, in which each is by itself', async () => {
    const logdir = temporaryFolder();
    for (const [fold, saturation] of [
      ['fold1', 0.125],
      ['fold2', 0.4375],
    ] as const) {
      const writer = new SummaryWriter(join(logdir, fold, 'train'));
      writer.addScalar('saturation/dense', saturation, 1);
      await writer.close();
    }
    const page = join(logdir, 'report.html');
    expect(await cli(['report', logdir])).toMatchObject({ code: 0, err: '', out: `${page}\n` });
    const html = readFileSync(page, 'utf8');
    expect(html).toContain(`Layer saturation of ${logdir}`);
    expect(html).toMatch(/<h2>fold1<\/h2>[\s\S]*0\.125[\s\S]*<h2>fold2<\/h2>[\s\S]*0\.438/);
    // What is damaged is complained of.
    writeFileSync(join(logdir, 'fold1/train/0.tfevents'), 'this is no event file at all');
    const out = join(logdir, 'one.html');
    const { code, err, out: said } = await cli(['report', logdir], { out });
    expect({ code, said }).toEqual({ code: 1, said: `${out}\n` });
    expect(err).toMatch(/^Damaged record at byte 0 of /);
  });
});

describe('the command line', () => {
  it.each([
    'inspect',
    'lint',
    'diff',
    'verify',
    'repair',
    'filter',
    'export',
    'reduce',
    'tail',
    'report',
    'watch',
    'serve',
    'share',
    'onnx',
    'board',
    'merge',
    'from-csv',
    'mcp',
    'scale',
    'run-node',
    'completions',
  ])('%s --help tells of the command, with examples', async (command) => {
    const { out, code } = await cli([command], { help: true });
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^Usage: .*\\n+  ${command} `));
    expect(out).toContain(`Examples:\n  delve-tensorboard ${command} `);
    expect(await cli(['help', command])).toMatchObject({ out, code: 0 });
    expect((await cli([], { help: true })).out).toContain(out.split('\n')[2]);
  });

  it('names options that a command does not have, and commands that were meant', async () => {
    expect(await cli(['verify', 'x'], { raw: true })).toMatchObject({
      code: 2,
      err: expect.stringMatching(/verify has no option --raw[\s\S]*Try: delve-tensorboard verify --help/),
    });
    expect(await cli(['inspect', 'x'], { out: 'y' })).toMatchObject({
      code: 2,
      err: expect.stringContaining(
        'inspect has no option --out; it has --tags, --raw, --sort, --cache, --threads, --json',
      ),
    });
    expect(await cli(['inspct', 'x'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('there is no command "inspct"; did you mean \'inspect\'?'),
    });
  });

  it('- is standard input', async () => {
    const output = new MemoryOutput();
    const memory = new SummaryWriter(output);
    for (let step = 0; step < 3; step++) memory.addScalar('loss', step, step);
    await memory.close();
    const program = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [program, ...args], { input: output.bytes, encoding: 'utf8' });
    expect(run('export', '-').stdout.split('\r\n')[3]).toMatch(/^\.,loss,2,[\d.]+,2$/);
    expect(run('inspect', '-', '--json').stdout).toContain('"loss"');
    expect(run('verify', '-')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('stdin.tfevents: 4 records'),
    });
    const damaged = spawnSync(process.execPath, [program, 'verify', '-'], {
      input: 'this is no event file at all',
      encoding: 'utf8',
    });
    expect(damaged.status).toBe(1);
  });

  it('prints help and version', async () => {
    expect(await cli([], { help: true })).toMatchObject({ code: 0, out: expect.stringContaining('Usage:') });
    expect(await cli([], { version: true })).toMatchObject({ code: 0, out: '1.2.3\n' });
    expect(await cli([])).toMatchObject({ code: 2, out: expect.stringContaining('Usage:') });
  });

  it.each<[string[], CommandLine['values'], RegExp]>([
    [['dance'], {}, /there is no command "dance"/],
    [['inspect'], {}, /expected the path/],
    [['verify'], {}, /expected the path/],
    [['inspect', '/nowhere/at/all'], {}, /there is no file or folder "\/nowhere\/at\/all"/],
    [['lint', '.', '.'], {}, /expected one path, got 2/],
    [['inspect', goldenFolder], { tags: '(' }, /--tags: /],
    [['export', goldenFolder], { kind: 'graphs' }, /--kind: expected scalars, .*got "graphs"/],
    [['export', goldenFolder], { format: 'xml' }, /--format: expected csv, json, jsonl, parquet, got "xml"/],
    [['export', goldenFolder], { kind: 'images' }, /--out: expected the folder/],
    [['inspect', 'hdfs://bucket/runs'], {}, /the path: expected a path of this computer, .*copy the files there first/],
    [['verify', '~/runs'], {}, /only a shell replaces ~/],
    [['export', goldenFolder], { out: 'gs://bucket/x.csv' }, /--out: expected a path of this computer/],
    [['report', 'hdfs://node/runs'], {}, /the path: expected a path of this computer/],
    [['report', goldenFolder], { out: '~/report.html' }, /--out: expected a path of this computer/],
  ])('refuses %j %j', async (positionals, values, message) => {
    const { code, err, out } = await cli(positionals, values);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(message);
  });

  it('reports a folder without event files', async () => {
    expect(await cli(['inspect', temporaryFolder()])).toMatchObject({
      code: 2,
      err: expect.stringMatching('no event file'),
    });
  });

  it.each([
    ['report', 'nothing'],
    ['serve', 'nothing'],
    ['share', 'nothing'],
    ['inspect', 'nothing'],
    ['onnx', 'layers', 'nothing'],
    ['onnx', 'expose', 'nothing'],
    ['report', 'package.json'],
    ['serve', 'package.json'],
  ])('%s %s %s: a path that leads to nothing it can read is an error of usage', async (...positionals) => {
    const values = ['share', 'expose'].some((word) => positionals.includes(word)) ? { out: 'x' } : {};
    const { code, err } = await cli(positionals, values);
    expect(err).toMatch(
      /^delve-tensorboard: (there is no file( or folder)? "nothing"|expected a logdir.* "package.json")\n/,
    );
    expect(code).toBe(2);
  });

  it('uses colors if the terminal has them', async () => {
    const { out } = await cli(['verify', join(goldenFolder, scalarFile.path)], {}, true);
    expect(out).toMatch('\u001b[32mok\u001b[39m');
  });
});

describe('as a program', () => {
  it('exits with the code of its command', async () => {
    const { logdir } = await damagedLogdir();
    expect(() => execFileSync(process.execPath, [command, 'verify', logdir], { stdio: 'pipe' })).toThrow(
      expect.objectContaining({ status: 1 }),
    );
    expect(() => execFileSync(process.execPath, [command, '--unknown'], { stdio: 'pipe' })).toThrow(
      expect.objectContaining({ status: 2 }),
    );
    const out = join(logdir, 'made/here/scalars.csv');
    execFileSync(process.execPath, [command, 'export', join(goldenFolder, 'tbx/scalar'), '--out', out]);
    expect(parse(readFileSync(out), { columns: true }).length).toBe(scalarFile.records.length - 1);
  });

  describe('on a disk that gets full', () => {
    // Neither 8 kB nor 16 kB is the whole table; sh and bash count a limit in different units.
    const full = 'ulimit -f 16; trap "" XFSZ';
    async function longLogdir(): Promise<string> {
      const logdir = temporaryFolder();
      const writer = new SummaryWriter(logdir);
      for (let step = 0; step < 20_000; step++) writer.addScalar('loss', step, step);
      await writer.close();
      return logdir;
    }

    it.each([
      ['--out', '"$0" "$@" --out table.csv'],
      ['standard output in a file', 'exec "$0" "$@" > table.csv'],
    ])('%s: the exit code is 1, and the words say that the table is incomplete', async (_, call) => {
      const logdir = await longLogdir();
      const args = ['-c', `${full}; ${call}`, process.execPath, command, 'export', logdir];
      const { status, stderr } = spawnSync('/bin/sh', args, { cwd: logdir, encoding: 'utf8' });
      expect(status).toBe(1);
      expect(stderr).toMatch(/^delve-tensorboard: cannot write all of '.+', which is incomplete now: EFBIG: .*\n$/);
      expect(readFileSync(join(logdir, 'table.csv')).length).toBeGreaterThan(8000);
    });

    it.runIf(existsSync('/dev/full'))('a device that is full', async () => {
      const args = [command, 'export', await longLogdir(), '--out', '/dev/full'];
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringMatching(/ENOSPC/) });
    });
  });

  it.skipIf(process.platform === 'win32')('a pipe that is named like an event file holds up no command', () => {
    const logdir = temporaryFolder();
    writeFileSync(join(logdir, '1.tfevents'), goldenBytes(scalarFile.path));
    execFileSync('mkfifo', [join(logdir, '2.tfevents'), join(logdir, 'notes')]);
    for (const name of ['inspect', 'verify', 'export']) {
      const { status, stdout } = spawnSync(process.execPath, [command, name, logdir], { timeout: 120_000 });
      expect({ name, status }).toEqual({ name, status: 0 });
      expect(stdout.toString()).not.toContain('2.tfevents');
    }
  });

  it.skipIf(process.platform === 'win32')('a pipe that is named on the command line is read', () => {
    const run = (name: string) => {
      const args = [process.execPath, command, name, join(goldenFolder, scalarFile.path)];
      return spawnSync('/bin/sh', ['-c', 'cat "$3" | "$0" "$1" "$2" /dev/stdin', ...args], { encoding: 'utf8' }).stdout;
    };
    expect(run('verify')).toContain(`/dev/stdin: ${scalarFile.records.length} records`);
    expect(parse(run('export'), { columns: true }).length).toBe(scalarFile.records.length - 1);
  });

  it('ends quietly when nobody reads on', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    for (let step = 0; step < 20_000; step++) writer.addScalar('loss', step, step);
    await writer.close();
    const child = spawn(process.execPath, [command, 'export', logdir], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (text) => (complaint += text));
    child.stdout.once('data', () => child.stdout.destroy());
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect({ code, complaint }).toEqual({ code: 0, complaint: '' });
  });
});

describe('onnx', () => {
  const model = new URL('../fixtures/onnx/digits_legacy.onnx', import.meta.url).pathname;
  const small = temporaryFolder(afterAll);
  const { model: bytes } = (
    JSON.parse(readFileSync(new URL('../fixtures/onnx/models.json', import.meta.url), 'utf8')) as Record<
      string,
      { model: string }
    >
  ).mlp;
  const mlp = join(small, 'mlp.onnx');
  writeFileSync(mlp, Buffer.from(bytes, 'base64'));

  it('lists the layers of a model', async () => {
    const { out, code } = await cli(['onnx', 'layers', model]);
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toMatch(/^layer +op +features +weight +output/);
    expect(out).toMatch(/^fc2 +Gemm +10 +10 x 128 /m);
    const all = JSON.parse((await cli(['onnx', 'layers', model], { json: true })).out) as { name: string }[];
    expect(all.map(({ name }) => name)).toContain('conv1');
    const some = await cli(['onnx', 'layers', model], { json: true, tags: '^fc' });
    expect((JSON.parse(some.out) as { name: string }[]).map(({ name }) => name)).toEqual(['fc1', 'fc2']);
    expect((await cli(['onnx', 'layers', model], { blocks: true })).out).toContain('enc/layers.0');
  });

  it('shows what the weights say', async () => {
    const { out, code } = await cli(['onnx', 'weights', model]);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^layer +weight +alpha +alpha weighted +log alpha norm +log norm +log spectral norm +stable rank\n/,
    );
    expect(out).toMatch(/^conv2 +32 x 16 x 9 +\d\.\d{3} /m);
    const layers = JSON.parse((await cli(['onnx', 'weights', model], { json: true })).out) as {
      layer: string;
      alpha: number;
      shape: number[];
    }[];
    expect(layers.find(({ layer }) => layer === 'fc2')?.shape).toEqual([10, 128]);
  });

  it('tells what images need', async () => {
    const folder = temporaryFolder();
    await expect(cli(['onnx', 'saturation', mlp, folder])).resolves.toMatchObject({
      code: 2,
      err: expect.stringContaining('expected a model that takes images, N x 3 x height x width'),
    });
    await expect(cli(['onnx', 'saturation', model, folder])).resolves.toMatchObject({
      code: 2,
      err: expect.stringContaining('expected images (png, jpeg,'),
    });
    writeFileSync(join(folder, 'a.png'), 'no image');
    const digits = ['onnx', 'saturation', model, folder];
    for (const [values, message] of [
      [{ size: '30x28' }, '--size: expected 28x28, which the model takes, got 30x28'],
      [{ size: 'big' }, '--size: expected height x width, such as 224x224, got big'],
      [{ mean: '1,2' }, '--mean: expected one number or 1,'],
      [{ std: '0' }, '--std: expected numbers other than 0'],
    ] as const) {
      expect((await cli(digits, values)).err).toContain(message);
    }
  });

  it('writes the model with its layers as outputs', async () => {
    const to = join(small, 'out.onnx');
    const { out, code } = await cli(['onnx', 'expose', mlp], { out: to });
    expect({ out, code }).toEqual({ out: `${to}: 2 layers are outputs now\n`, code: 0 });
    expect(readFileSync(to).length).toBeGreaterThan(readFileSync(mlp).length);
    await expect(cli(['onnx', 'expose', mlp], { out: to, tags: 'nothing' })).rejects.toThrow(/keep at least one node/);
  });

  it('measures the layers over a .npy file, and writes a run', async () => {
    const data = join(small, 'x.npy');
    const values = Float64Array.from({ length: 500 * 10 }, (_, i) => Math.sin(i * i));
    writeFileSync(data, encodeNpy({ dtype: 'float32', shape: [500, 10], values }));
    const logdir = join(small, 'run');
    const { out, code } = await cli(['onnx', 'saturation', mlp, data], { out: logdir, batch: '64' });
    expect(code).toBe(0);
    expect(out).toMatch(
      /^layer +op +rows +features +dimensions +saturation +with many rows\nfc1 +MatMul +500 +12 +\d+ +0\.\d{3} /,
    );
    const json = await cli(['onnx', 'saturation', mlp, `x=${data}`], { json: true });
    const found = JSON.parse(json.out) as { layer: string; saturation: number }[];
    expect(found.map(({ layer }) => layer)).toEqual(['fc1', 'fc2']);
    const history = await readHistory(logdir);
    expect(history.last?.layers.map(({ layer, saturation }) => [layer, saturation])).toEqual(
      found.map(({ layer, saturation }) => [layer, Math.fround(saturation)]),
    );
  });

  it.each<[string, string[], CommandLine['values'], RegExp]>([
    ['no action', ['onnx'], {}, /expected 'onnx layers', 'onnx weights', 'onnx expose' or 'onnx saturation'/],
    ['no model', ['onnx', 'layers'], {}, /expected the path of an .onnx file/],
    ['no target', ['onnx', 'expose', 'm.onnx'], {}, /expected --out <path>/],
    ['no data', ['onnx', 'saturation', 'm.onnx'], {}, /expected .npy files/],
    [
      'a batch of none',
      ['onnx', 'saturation', 'm.onnx', 'x.npy'],
      { batch: '0' },
      /--batch: expected an integer >= 1, got 0/,
    ],
    ['two ways', ['onnx', 'layers', 'm.onnx'], { blocks: true, tags: 'x' }, /expected --blocks or --tags, got both/],
  ])('%s is an error of usage', async (_name, args, values, message) => {
    const { err, code } = await cli(args, values);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});

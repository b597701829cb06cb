import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it, vi } from 'vitest';
import {
  CsvStore,
  DirectoryOutput,
  listRuns,
  MemoryStoreFiles,
  NpyStore,
  readEvents,
  reconstructCsv,
  SaturationWriter,
  Spectrum,
  SummaryWriter,
} from '../../src/index.js';
import { localPath } from '../../src/platform/node.js';
import { PlotStore, ReportStore, readHistories, readHistory, writeReport, writeReports } from '../../src/reports.js';
import { SaturationTracker, summaryFileWriter, tensorBoard } from '../../src/tfjs.js';
import { temporaryFolder } from '../support/folders.js';
import { eventsOf } from '../support/read-run.js';
import { catchWarnings } from '../support/warnings.js';

type Place = string | URL;

const smallModel = () => tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });

/** Every way in, with what a user passes there. */
const doors: [string, (place: Place) => unknown][] = [
  ['readEvents', (place) => eventsOf(place)],
  ['listRuns', (place) => listRuns(place)],
  ['readHistory', (place) => readHistory(place)],
  ['readHistories', (place) => readHistories(place)],
  ['writeReport', (place) => writeReport(place)],
  ['writeReports', (place) => writeReports(place)],
  ['writeReport path', (path) => writeReport(temporaryFolder(), { path })],
  ['SummaryWriter', (place) => new SummaryWriter(place)],
  ['SummaryWriter', (place) => new SaturationWriter(place)],
  ['DirectoryOutput', (place) => new DirectoryOutput(place)],
  ['summaryFileWriter', (place) => summaryFileWriter(place)],
  ['tensorBoard', (place) => tensorBoard(place)],
  ['SaturationTracker', (place) => new SaturationTracker(place, smallModel())],
  ['CsvStore savefile', (place) => new CsvStore(place)],
  ['NpyStore folder', (place) => new NpyStore(place)],
  ['PlotStore savefile', (place) => new PlotStore(place)],
  ['ReportStore', (place) => new ReportStore(place)],
  ['reconstructCsv', (place) => reconstructCsv(place)],
];

const elsewhere: Place[] = [
  's3://bucket/runs/1',
  'S3://bucket',
  's3:/bucket/joined', // what path.join makes of it
  'gs://bucket/runs',
  'hdfs://node:8020/runs',
  'http://127.0.0.1/x',
  'https://host/events',
  'abfss://c@account.dfs.core.windows.net/x',
  'some+new-store://x/y',
  'file://host/share/runs',
  new URL('https://host/events'),
  new URL('s3://bucket/runs'),
];
/** These read from other computers, too. */
const readers = new Set(['readEvents', 'listRuns', 'readHistory', 'readHistories', 'writeReport', 'writeReports']);
const isReadable = (place: Place) => /^(?:s3|gs|https?):\/\/[^/]/i.test(String(place));
const unexpanded = ['~', '~/runs/1', '$HOME/runs', '$' + '{HOME}/runs', '%TEMP%/x'];
const withNul = ['runs/a\0b', 'file:///runs/a%00b'];

describe.each(doors)('%s', (call, open) => {
  it('refuses a place that is not on this computer, that only a shell knows, or that holds NUL, and makes nothing', async () => {
    const before = readdirSync('.');
    const refused = elsewhere.filter((place) => !readers.has(call) || !isReadable(place));
    for (const place of [...refused, ...unexpanded, ...withNul]) {
      const error = await (async () => open(place))().then(
        () => new Error('accepted'),
        (reason: unknown) => reason as Error,
      );
      const expected = `${call}: expected a path of this computer, got ${JSON.stringify(String(place))}: `;
      expect(error.message.slice(0, expected.length)).toBe(expected);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message.length).toBeGreaterThan(expected.length + 20);
    }
    expect(readdirSync('.')).toEqual(before);
  });
});

describe('a file: URL, as an object or as text', () => {
  it('is where events are written and read, whatever characters are in it', async () => {
    const folder = join(temporaryFolder(), 'a b#c?d%20ü');
    for (const place of [pathToFileURL(folder), pathToFileURL(folder).href]) {
      const writer = new SummaryWriter(place);
      expect(writer.logdir).toBe(folder);
      writer.addScalar('loss', 1, 1);
      await writer.close();
      expect((await eventsOf(place)).length).toBeGreaterThan(1);
      expect((await listRuns(place)).map(({ run }) => run)).toEqual(['.']);
    }
    expect(readdirSync(folder).length).toBe(2);
  });

  it('is where a tracker and stores save', async () => {
    const folder = temporaryFolder();
    const url = (name: string) => pathToFileURL(join(folder, name));
    const tracker = new SaturationTracker(url('tracked'), smallModel(), { saveTo: ['tensorboard', 'csv'] });
    await tracker.close();
    expect(existsSync(join(folder, 'tracked'))).toBe(true);
    expect(tensorBoard(url('board')).logdir).toBe(join(folder, 'board'));
    expect(summaryFileWriter(url('w'))).toBe(summaryFileWriter(join(folder, 'w')));
    expect(new CsvStore(url('numbers')).path).toBe(join(folder, 'numbers.csv'));
    expect(new NpyStore(url('arrays/')).path).toBe(join(folder, 'arrays'));
    const train = new SaturationWriter(url('run/train'));
    train.addSaturation('fc', Spectrum.fromEigenvalues([2, 1]), 1);
    await train.close();
    expect((await readHistory(url('run'))).last?.layers.length).toBe(1);
    expect(await writeReport(url('run').href, { path: url('page.html') })).toBe(join(folder, 'page.html'));
    expect(existsSync(join(folder, 'page.html'))).toBe(true);
  });
});

describe('a path of this computer', () => {
  it.each([
    'C:\\runs\\x',
    'C:/runs/x',
    'c://runs',
    'run:1/x',
    '2026-11-26T10:00:00/a',
    'a:b',
    'exp:/x',
    'files:1/b',
    './s3:/x',
    '~backup/x',
    'x~/y',
    'price$/x',
    '$RECYCLE.BIN/x',
    'runs/http://x',
    '100%/x',
  ])('is taken as it is: %s', (path) => {
    expect(localPath(path, 'call', 'elsewhere')).toBe(path);
  });

  it('may have a colon in its folders: they are written and read', async () => {
    const logdir = join(temporaryFolder(), 'run:1', 'exp:/x');
    const writer = new SummaryWriter(logdir);
    writer.addScalar('loss', 1, 1);
    await writer.close();
    expect((await eventsOf(logdir)).length).toBe(2);
  });

  it('is any path if a store has files of its own', async () => {
    const files = new MemoryStoreFiles();
    const store = new CsvStore('s3://bucket/numbers', { files });
    await store.add({ epoch: 0, step: 1, threshold: 0.99, rule: 'paper', scalars: [], layers: [] });
    expect(await files.read('s3://bucket/numbers.csv')).toBeInstanceOf(Uint8Array);
  });
});

describe('a folder that is no run, with runs below it', () => {
  const warnings = catchWarnings();
  const logdir = async () => {
    const folder = temporaryFolder();
    for (const run of ['first/train', 'first/val']) {
      const writer = new SaturationWriter(join(folder, run));
      writer.addSaturation('fc', Spectrum.fromEigenvalues([2, 1]), 1);
      await writer.close();
    }
    return folder;
  };

  it('is an error of readEvents that names the runs', async () => {
    const first = join(await logdir(), 'first');
    await expect(eventsOf(first)).rejects.toThrow(
      `readEvents: expected the folder of a run, got '${first}', which has no event file itself but runs below: pass the path of one of 'train', 'val'`,
    );
    expect((await eventsOf(join(first, 'train'))).length).toBeGreaterThan(1);
  });

  it('names ten of many', async () => {
    const folder = temporaryFolder();
    for (let run = 10; run < 32; run++) {
      mkdirSync(join(folder, `r${run}`));
      writeFileSync(join(folder, `r${run}/a.tfevents`), '');
    }
    await expect(eventsOf(folder)).rejects.toThrow(/one of 'r10', .*'r19' and 12 more$/);
  });

  it('is none if there are events in it, too', async () => {
    const folder = await logdir();
    writeFileSync(join(folder, 'first/a.tfevents'), '');
    expect(await eventsOf(join(folder, 'first'))).toEqual([]);
  });

  it('is followed with a warning, since its own events may come', async () => {
    const first = join(await logdir(), 'first');
    const events = readEvents(first, { follow: true, pollInterval: 5 });
    const next = events.next();
    await vi.waitFor(
      () => expect(warnings).toEqual([expect.stringContaining("pass the path of one of 'train', 'val'")]),
      120_000,
    );
    const writer = new SummaryWriter(first);
    writer.addScalar('own', 1, 1);
    await writer.close();
    expect((await next).value).toMatchObject({ fileVersion: 'brain.Event:2' });
    await events.return?.();
  });

  it('or the run itself passed for its experiment, is named by readHistory and writeReport', async () => {
    const folder = await logdir();
    const train = join(folder, 'first/train');
    for (const read of [readHistory, writeReport, writeReports] as ((path: string) => Promise<unknown>)[]) {
      for (const path of [train, `${train}/`]) {
        await expect(read(path)).rejects.toThrow(
          /expected runs with saturation\/<layer> below '.*', got a run 'train': pass the folder of its experiment/,
        );
      }
    }
    const other = new SummaryWriter(join(folder, 'other/deep'));
    other.addScalar('loss', 1, 1);
    await other.close();
    await expect(readHistory(join(folder, 'other'))).rejects.toThrow("found none among the runs 'deep'");
  });
});

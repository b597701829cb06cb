import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ClosedWriterError, MemoryOutput, type Output, SummaryWriter } from '../../src/index.js';
import { defaultLogdir } from '../../src/writer/run-writer.js';
import { decodeRecords, scalarsOf, stepsIn, writerInMemory } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { catchWarnings } from '../support/warnings.js';

describe('runs', () => {
  catchWarnings();
  afterEach(() => {
    vi.useRealTimers();
  });

  it('run gives one writer per name, closed with its parent; a closed one is replaced by another', async () => {
    const { writer, output } = writerInMemory();
    const train = writer.run('train');
    expect(writer.run('train')).toBe(train);
    train.addScalar('loss', 1, 1);
    await train.close();
    const again = writer.run('train');
    expect(again).not.toBe(train);
    again.addScalar('loss', 2, 2);
    await writer.close();
    expect(again.isClosed).toBe(true);
    expect(scalarsOf(decodeRecords(output.runs.get('train')!.bytes)).map(({ step }) => step)).toEqual([1, 2]);
  });

  it.each([
    ['a/b', 'a//b'],
    ['a/b', 'a/./b'],
    ['train', './train/'],
    ['/train', 'train'],
  ])('%j and %j would share a folder: the second is refused, in memory and on disk', async (first, second) => {
    for (const output of [new MemoryOutput(), temporaryFolder()]) {
      const writer = new SummaryWriter(output);
      const run = writer.run(first);
      expect(() => writer.run(second)).toThrow(RangeError);
      expect(() => writer.run(second)).toThrow(`got the folder of run ${JSON.stringify(first)}`);
      expect(writer.run(first)).toBe(run);
      await writer.close();
    }
  });

  it('names that the file system takes for one are refused, whatever makes them one', async () => {
    const logdir = temporaryFolder();
    mkdirSync(join(logdir, 'A'));
    symlinkSync('A', join(logdir, 'a')); // what a case-insensitive file system shows
    const writer = new SummaryWriter(logdir);
    writer.run('A').addScalar('loss', 1, 1);
    expect(() => writer.run('a')).toThrow(
      'run "a": expected a name with a folder of its own, got the folder of run "A"',
    );
    await writer.close();
  });

  it.each([
    ['a\\b', 'a_b'],
    ['a\0b', 'a\x01b'],
    ['..', '__'],
    ['é', 'e\u0301'],
    ['A', 'a'],
    [`${'lr=0.1,'.repeat(40)}x`, `${'lr=0.1,'.repeat(40)}y`],
    ['a/'.repeat(900), `${'a/'.repeat(900)}b`],
  ])('%j and %j have a folder each', async (first, second) => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const runs = [first, second].map((name, index) => {
      const run = writer.run(name);
      run.addScalar('loss', index, index);
      return run.logdir;
    });
    await writer.close();
    expect(runs.map((folder) => stepsIn(folder))).toEqual([[0], [1]]);
  });

  it('a run is of the same class as its writer', () => {
    class Mine extends SummaryWriter {}
    expect(new Mine(new MemoryOutput()).run('train')).toBeInstanceOf(Mine);
  });

  it('flush and close of a writer are flush and close of its runs, too', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir, { flushSecs: 1000 });
    writer.run('a/b').addScalar('loss', 1, 1);
    await writer.flush();
    expect(stepsIn(join(logdir, 'a/b'))).toEqual([1]);
    writer.run('a').run('b').addScalar('loss', 2, 2);
    await writer.close();
    expect(stepsIn(join(logdir, 'a/b'))).toEqual([1, 2]);
  });

  it('after close every call is a ClosedWriterError that names it; close and flush stay what they were', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addScalar('loss', 1, 1);
    const closed = writer.close();
    expect(writer.close()).toBe(closed);
    await closed;
    await writer.flush();
    const calls: ((w: SummaryWriter) => void)[] = [
      (w) => w.addScalar('loss', 1, 2),
      (w) => w.addScalars('loss', { a: 1 }, 2),
      (w) => w.addHistogram('loss', [1], 2),
      (w) => w.addText('loss', 'x', 2),
      (w) => w.run('loss'),
      (w) => w.addEvent({ wallTime: 0, step: 0 }),
    ];
    for (const call of calls) {
      expect(() => call(writer)).toThrow(ClosedWriterError);
      expect(() => call(writer)).toThrow(logdir);
    }
    expect(stepsIn(logdir)).toEqual([1]);
  });

  it('await using closes', async () => {
    const logdir = temporaryFolder();
    {
      await using writer = new SummaryWriter(logdir, { flushSecs: 1000 });
      writer.addScalar('loss', 1, 1);
    }
    expect(stepsIn(logdir)).toEqual([1]);
  });

  it('a writer that got no event makes no file', async () => {
    const logdir = join(temporaryFolder(), 'logdir');
    const writer = new SummaryWriter(logdir);
    await writer.flush();
    await writer.close();
    expect(readdirSync(logdir)).toEqual([]);
  });

  it('logdir is as it was given, below it for runs, and does not move with the working directory', async () => {
    const folder = temporaryFolder();
    const before = process.cwd();
    process.chdir(folder);
    const writer = new SummaryWriter('logs');
    process.chdir(before);
    expect(writer.logdir).toBe('logs');
    expect(writer.run('a/b').logdir).toBe(join('logs', 'a/b'));
    writer.run('a').addScalar('loss', 1, 1);
    await writer.close();
    expect(stepsIn(join(folder, 'logs/a'))).toEqual([1]);
  });

  it('an Output without runs or companion files says so', async () => {
    const output: Output = { write() {}, async flush() {}, async close() {} };
    const writer = new SummaryWriter(output);
    expect(() => writer.run('train')).toThrow(/no runs/);
    await writer.close();
  });
});

describe('defaultLogdir', () => {
  // The example of tensorboardX's own documentation: runs/May04_22-14-54_s-MacBook-Pro.localcomment
  it('the default logdir is named as tensorboardX and torch name it', () => {
    expect(defaultLogdir('comment', new Date(2018, 4, 4, 22, 14, 54))).toBe(`runs/May04_22-14-54_${hostname()}comment`);
    expect(defaultLogdir('', new Date(2018, 11, 31, 1, 2, 3))).toBe(`runs/Dec31_01-02-03_${hostname()}`);
  });

  it('a comment cannot lead out of runs/', () => {
    expect(defaultLogdir('/../../x\0').split('/').length).toBe(2);
  });
});

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DirectoryOutput, type Output, SummaryWriter } from '../../src/index.js';
import { eventFileName } from '../../src/output/event-file-name.js';
import { eventFiles, stepsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';
import { catchWarnings } from '../support/warnings.js';

let programs: Programs;
beforeAll(() => {
  programs = new Programs();
});
afterAll(() => programs.remove());
afterEach(() => {
  vi.useRealTimers();
});

/** Every file below a folder, links not followed. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

describe('links that somebody has put into the logdir', () => {
  const warnings = catchWarnings();

  function logdirAndOutside(): { logdir: string; outside: string } {
    const folder = temporaryFolder();
    for (const name of ['logdir', 'outside']) mkdirSync(join(folder, name));
    return { logdir: join(folder, 'logdir'), outside: join(folder, 'outside') };
  }

  it('where a run would be: the run is refused', async () => {
    const { logdir, outside } = logdirAndOutside();
    symlinkSync(outside, join(logdir, 'train'));
    symlinkSync('../outside', join(logdir, 'relative'));
    symlinkSync('train', join(logdir, 'twice'));
    symlinkSync(join(outside, 'missing'), join(logdir, 'dangling'));
    const writer = new SummaryWriter(logdir);
    for (const name of ['train', 'train/deep/down', 'relative', 'twice']) {
      expect(() => writer.run(name)).toThrow(RangeError);
      expect(() => writer.run(name)).toThrow('a link that leads out of it');
    }
    expect(() => writer.addScalars('train', { a: 1 }, 1)).toThrow('a link that leads out of it');
    writer.run('dangling/x').addScalar('loss', 1, 1);
    await expect(writer.close()).rejects.toThrow();
    expect(filesBelow(outside)).toEqual([]);
    expect(warnings.length).toBeGreaterThan(0);
  });

  it('inside the logdir, and a logdir that is a link itself, are followed', async () => {
    const { logdir, outside } = logdirAndOutside();
    mkdirSync(join(logdir, 'real'));
    symlinkSync('real', join(logdir, 'train'));
    symlinkSync(logdir, join(outside, 'logs'));
    const writer = new SummaryWriter(join(outside, 'logs'));
    writer.run('train').addScalar('loss', 1, 1);
    writer.addScalar('loss', 2, 2);
    await writer.close();
    expect([stepsIn(join(logdir, 'real')), stepsIn(logdir)]).toEqual([[1], [2]]);
  });

  it('that appears in place of a run once it is open', async () => {
    const { logdir, outside } = logdirAndOutside();
    const writer = new SummaryWriter(logdir);
    const run = writer.run('train');
    rmSync(join(logdir, 'train'), { recursive: true });
    symlinkSync(outside, join(logdir, 'train'));
    run.addScalar('loss', 1, 1);
    await expect(writer.close()).rejects.toThrow('a link that leads out of it');
    expect(filesBelow(outside)).toEqual([]);
  });

  it('with the name of the event file', async () => {
    const { logdir, outside } = logdirAndOutside();
    vi.useFakeTimers({ now: 5_000_000, toFake: ['Date'] });
    const next = eventFileName([], '');
    const counter = Number(/(\d{5})$/.exec(next)![1]);
    const planted = [1, 2].map((ahead) => next.replace(/\d{5}$/, String(counter + ahead).padStart(5, '0')));
    for (const name of planted) symlinkSync(join(outside, 'victim'), join(logdir, name));
    const output = new DirectoryOutput(logdir);
    output.write(Uint8Array.of(1));
    expect(filesBelow(outside)).toEqual([]);
    expect(readFileSync(output.path!)).toEqual(Buffer.of(1));
    // In place of a file that is being written, and leading to one that looks the same.
    await output.flush();
    renameSync(output.path!, join(outside, 'victim'));
    symlinkSync(join(outside, 'victim'), output.path!);
    expect(() => output.write(Uint8Array.of(2))).toThrow('was removed or changed');
    output.write(Uint8Array.of(2));
    expect(readFileSync(join(outside, 'victim'))).toEqual(Buffer.of(1));
  });

  it('with the names of companion files, of their folders and of what they are written to first', async () => {
    const { logdir, outside } = logdirAndOutside();
    writeFileSync(join(outside, 'victim'), 'embeddings {\n  tensor_name: "secret"\n}\n');
    const secret = () => readFileSync(join(outside, 'victim'), 'utf8');
    const before = secret();
    mkdirSync(join(logdir, '00001/words'), { recursive: true });
    for (const name of ['00001/words/tensors.tsv', '00001/words/.tensors.tsv.tmp', '.projector_config.pbtxt.tmp']) {
      symlinkSync(join(outside, 'victim'), join(logdir, name));
    }
    symlinkSync(outside, join(logdir, '00002'));
    const writer = new SummaryWriter(logdir);
    writer.addEmbedding('words', [[1, 2]], 1);
    expect(readFileSync(join(logdir, '00001/words/tensors.tsv'), 'utf8')).toBe('1\t2\n');
    await writer.flush();
    writer.addEmbedding('words', [[1, 2]], 2);
    await expect(writer.flush()).rejects.toThrow('a link that leads out of it');
    rmSync(join(logdir, 'projector_config.pbtxt'));
    symlinkSync(join(outside, 'victim'), join(logdir, 'projector_config.pbtxt'));
    writer.addEmbedding('words', [[1, 2]], 3);
    await expect(writer.close()).rejects.toThrow('a link that leads out of it');
    expect(secret()).toBe(before);
    expect(filesBelow(outside)).toEqual(['victim']);
  });
});

describe('the name of a new event file', () => {
  it.each([
    ['the clock went back', 'events.out.tfevents.4000000000.host.1.00000'],
    ['the last second', 'events.out.tfevents.9999999999.zz.1.00000'],
    ['eleven digits and more', 'events.out.tfevents.9999999999999.host'],
    ['nanoseconds', 'events.out.tfevents.99999999999999999.host.1.v2'],
    ['another beginning', 'training.tfevents.1700000000.host'],
    ['no number', 'tfevents'],
    ['words', 'zzz-my-tfevents-file.bak'],
    ['letters for digits', 'events.out.tfevents.latest'],
  ])('sorts after all that are there, again and again: %s', (_, there) => {
    const names = [there, 'events.out.tfevents.1600000000.host.1.0', '~notes.txt'];
    for (let k = 0; k < 12; k++) {
      const name = eventFileName(names, '.v2');
      const before = names
        .filter((one) => one.includes('tfevents'))
        .sort()
        .at(-1)!;
      expect(name > before).toBe(true);
      expect(name).toContain('tfevents');
      expect(name.length).toBeLessThan(180);
      names.push(name);
    }
  });

  it('sorts after any that leave it room', () => {
    const part = fc.constantFrom('events.out.', 'tfevents.', '9', '1', '0', '.', 'z', '-', 'v2', '9999999999');
    const there = fc.array(part, { maxLength: 12 }).map((parts) => `${parts.join('')}tfevents`);
    fc.assert(
      fc.property(fc.array(there, { maxLength: 5 }), (names) => {
        const name = eventFileName(names, '');
        for (const one of names) expect(name > one).toBe(true);
        expect(eventFileName([...names, name], '') > name).toBe(true);
      }),
    );
  });

  it('fits into a file system, however long suffix, host and other names are', async () => {
    const logdir = temporaryFolder();
    writeFileSync(join(logdir, `z-tfevents-${'z'.repeat(230)}`), '');
    const writer = new SummaryWriter(logdir, { filenameSuffix: '-suffix'.repeat(60) });
    writer.addScalar('loss', 1, 1);
    await writer.close();
    const [name] = eventFiles(logdir);
    expect(name).toContain('-suffix-suffix');
    expect(name.length).toBeLessThanOrEqual(255);
  });
});

describe('the default logdir', () => {
  it('is a folder of its own for each of several programs, threads and writers that begin in one second', async () => {
    const folder = temporaryFolder();
    const at = Date.now() - (Date.now() % 1000) + 2000;
    const endings = await Promise.all(
      Array.from({ length: 6 }, () =>
        programs.run(
          `import { Worker, isMainThread } from 'node:worker_threads';
          const [, program, folder, at] = process.argv;
          if (isMainThread) process.chdir(folder);
          while (Date.now() < Number(at));
          for (let k = 0; k < 2; k++) {
            const writer = new SummaryWriter(undefined, { comment: '-same' });
            writer.addScalar('loss', k, 1);
            await writer.close();
          }
          if (isMainThread) for (let k = 0; k < 2; k++) new Worker(program, { argv: [folder, '0'] });`,
          [folder, String(at)],
        ),
      ),
    );
    for (const ending of endings) expect(ending).toMatchObject({ code: 0, stderr: '' });
    const runs = readdirSync(join(folder, 'runs'));
    expect(runs.length).toBe(6 * 3 * 2);
    for (const run of runs) {
      expect(run).toMatch(/-same(_\d+)?$/);
      expect(eventFiles(join(folder, 'runs', run)).length).toBe(1);
    }
  });

  it('takes a comment of any length', async () => {
    const before = process.cwd();
    process.chdir(temporaryFolder());
    try {
      const writers = ['a', 'b'].map((end) => new SummaryWriter(undefined, { comment: `${'é'.repeat(300)}${end}` }));
      const names = writers.map(({ logdir }) => basename(logdir));
      expect(new Set(names.map((name) => name.slice(15))).size).toBe(2);
      for (const name of names) {
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        expect(name).toContain(`${hostname()}ééé`);
      }
      await Promise.all(writers.map((writer) => writer.close()));
    } finally {
      process.chdir(before);
    }
  });
});

describe('a logdir that is too long for a file system', () => {
  it.each([
    ['in one name', `/tmp/${'x'.repeat(256)}`],
    ['in one name, in bytes', `/tmp/${'é'.repeat(128)}`],
    ['in all', `/tmp${'/abcdefghi'.repeat(410)}`],
  ])('%s is refused at once, as a folder and as an Output', (_, logdir) => {
    for (const open of [() => new SummaryWriter(logdir), () => new DirectoryOutput(logdir)]) {
      expect(open).toThrow(RangeError);
      expect(open).toThrow(/^DirectoryOutput '\/tmp/);
    }
  });

  it('leaves room for runs, or says so at the call', () => {
    const output: Output = new DirectoryOutput(`/tmp${'/abcdefghi'.repeat(360)}`);
    expect(() => output.run!('short')).not.toThrow();
    expect(() => output.run!('n'.repeat(240))).toThrow(RangeError);
  });
});

describe("the projector's configuration", () => {
  const namesIn = (folder: string) =>
    [...readFileSync(join(folder, 'projector_config.pbtxt'), 'utf8').matchAll(/^ {2}tensor_name: "(.*)"$/gm)]
      .map(([, name]) => name)
      .sort();

  it('has the embeddings of all programs and threads that wrote to one run at once', async () => {
    const logdir = temporaryFolder();
    const ending = await programs.run(
      `import { fork } from 'node:child_process';
      import { Worker, isMainThread, workerData } from 'node:worker_threads';
      const [, program, logdir, name = 'main'] = process.argv;
      const own = isMainThread ? name : workerData;
      if (own === 'main') {
        for (let k = 0; k < 10; k++) {
          new Worker(program, { argv: [logdir], workerData: 'thread' + k });
          fork(program, [logdir, 'program' + k]);
        }
      }
      const writer = new SummaryWriter(logdir);
      for (let k = 0; k < 5; k++) writer.addEmbedding(own + '-' + k, [[k, 1]], 0);
      await writer.close();`,
      [logdir],
    );
    expect(ending).toMatchObject({ code: 0, stderr: '' });
    const expected = ['main', ...Array.from({ length: 10 }, (_, k) => [`thread${k}`, `program${k}`]).flat()];
    expect(namesIn(logdir)).toEqual(expected.flatMap((own) => [0, 1, 2, 3, 4].map((k) => `${own}-${k}:00000`)).sort());
    expect(readdirSync(logdir).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('is not held up for long by the lock of a program that died', async () => {
    const logdir = temporaryFolder();
    writeFileSync(join(logdir, '.projector_config.pbtxt.lock'), '1 died');
    const endings = await Promise.all(
      Array.from({ length: 5 }, (_, k) =>
        programs.run(
          `const [, , logdir, own] = process.argv;
          const writer = new SummaryWriter(logdir);
          writer.addEmbedding(own, [[1, 1]], 0);
          await writer.close();`,
          [logdir, `own${k}`],
        ),
      ),
    );
    for (const ending of endings) expect(ending).toMatchObject({ code: 0, stderr: '' });
    expect(namesIn(logdir)).toEqual([0, 1, 2, 3, 4].map((k) => `own${k}:00000`));
    expect(readdirSync(logdir).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('does not name an embedding whose files could not be written', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    const later = { shape: [1, 2], dtype: 'float32', data: async () => Float32Array.of(1, Number.NaN) };
    writer.addEmbedding('bad', later, 0);
    writer.addEmbedding('good', [[1, 2]], 0);
    await expect(writer.close()).rejects.toThrow('expected finite vectors');
    expect(namesIn(logdir)).toEqual(['good:00000']);
  });
});

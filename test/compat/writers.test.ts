import { readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DecodedSummary } from '../../src/event/event.js';
import { MemoryOutput } from '../../src/output/output.js';
import { readEvents } from '../../src/reader/read-events.js';
import { SummaryWriter } from '../../src/writer/summary-writer.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';
import { describeWithTensorBoard, LOADERS, runPython, startTensorBoard, type TensorBoard } from './harness.js';

let programs: Programs;
beforeAll(() => {
  programs = new Programs();
});
afterAll(() => programs.remove());

type Points = [number, number, number][];
/** The [step, value] of a scalar as TensorBoard shows them. */
async function shown(board: TensorBoard, run: string, tag: string): Promise<[number, number][]> {
  return (await board.ask<Points>('scalars/scalars', { run, tag })).map(([, step, value]) => [step, value]);
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describeWithTensorBoard.each(LOADERS)('through $loader', ({ fast }) => {
  it('a zip file of a MemoryOutput, unpacked by Python, is a logdir with its runs', async () => {
    const output = new MemoryOutput();
    const writer = new SummaryWriter(output);
    for (const step of range(0, 3)) {
      writer.run('train').addScalar('loss', step, step);
      writer.run('val').addScalar('loss', 2 * step, step);
    }
    await writer.close();
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'runs.zip'), new Uint8Array(await (await output.toZip('first')).arrayBuffer()));
    const program = `import zipfile; zipfile.ZipFile('${folder}/runs.zip').extractall('${folder}/logdir')`;
    expect(runPython(program, {})).toBe('');
    const board = await startTensorBoard(join(folder, 'logdir'), { fast });
    expect(await shown(board, 'first/train', 'loss')).toEqual(range(0, 3).map((step) => [step, step]));
    expect(await shown(board, 'first/val', 'loss')).toEqual(range(0, 3).map((step) => [step, 2 * step]));
  });

  it('purgeStep hides what the crashed run wrote from that step on', async () => {
    const logdir = temporaryFolder();
    const crashed = new SummaryWriter(join(logdir, 'run'));
    for (const step of range(0, 10)) {
      crashed.addScalar('loss', step, step);
      crashed.addScalar('never again', step, step);
      if (step >= 6) crashed.addScalar('only late', step, step);
    }
    await crashed.close();
    const resumed = new SummaryWriter(join(logdir, 'run'), { purgeStep: 5 });
    for (const step of range(5, 8)) resumed.addScalar('loss', 100 + step, step);
    await resumed.close();
    const board = await startTensorBoard(logdir, { fast });
    const kept = range(0, 5).map((step) => [step, step]);
    // The Python loader keeps the last point before purgeStep, which Rust needs written again, twice.
    const doubled = fast ? [] : [[4, 4]];
    const again = range(5, 8).map((step) => [step, 100 + step]);
    expect(await shown(board, 'run', 'loss')).toEqual([...kept, ...doubled, ...again]);
    expect(await shown(board, 'run', 'never again')).toEqual([...kept, ...doubled]);
    // As documented: what has no point before purgeStep stays visible to the Rust loader.
    if (fast) expect((await shown(board, 'run', 'only late')).length).toBe(4);
    else await expect(shown(board, 'run', 'only late')).resolves.toEqual([]);
  });

  it.each([
    ['the clock went back', 'events.out.tfevents.4000000000.elsewhere.1.00000'],
    ['its name holds milliseconds', 'events.out.tfevents.9000000000000.elsewhere'],
    ["its name is another program's", 'z-training.tfevents.1700000000.host'],
    ['it has the last second', 'events.out.tfevents.9999999999.zz.1.0'],
  ])('shows what is added after a file that it has read and whose name is late: %s', async (_, name) => {
    const logdir = temporaryFolder();
    const run = join(logdir, 'run');
    const first = new SummaryWriter(run);
    first.addScalar('loss', 1, 1);
    await first.close();
    renameSync(join(run, readdirSync(run)[0]), join(run, name));
    const board = await startTensorBoard(logdir, { fast });
    for (const step of [2, 3]) {
      const later = new SummaryWriter(run);
      later.addScalar('loss', step, step);
      await later.close();
    }
    const points = await board.askUntil<Points>(
      'scalars/scalars',
      { run: 'run', tag: 'loss' },
      ({ length }) => length >= 3,
    );
    expect(points.map(([, step]) => step)).toEqual([1, 2, 3]);
  });

  it('two writers of one folder show everything', async () => {
    const logdir = temporaryFolder();
    const [one, other] = [new SummaryWriter(join(logdir, 'run')), new SummaryWriter(join(logdir, '.', 'run'))];
    for (const step of range(0, 20)) (step % 2 ? one : other).addScalar('loss', step, step);
    await Promise.all([one.close(), other.close()]);
    const board = await startTensorBoard(logdir, { fast });
    expect(await shown(board, 'run', 'loss')).toEqual(range(0, 20).map((step) => [step, step]));
  });

  it('workers and forks that have a run each show everything', async () => {
    const logdir = temporaryFolder();
    const ending = await programs.run(
      `import { fork } from 'node:child_process';
      import { Worker, isMainThread, workerData } from 'node:worker_threads';
      const [, program, logdir, forked] = process.argv;
      const name = isMainThread ? (forked ?? 'main') : workerData;
      const writer = new SummaryWriter(logdir).run(name);
      for (let step = 0; step < 10; step++) writer.addScalar('loss', step, step);
      if (name === 'main') {
        new Worker(program, { argv: [logdir], workerData: 'worker' });
        fork(program, [logdir, 'fork']);
      }`,
      [logdir],
    );
    expect(ending).toMatchObject({ code: 0, stderr: '' });
    const board = await startTensorBoard(logdir, { fast });
    for (const run of ['main', 'worker', 'fork']) {
      expect(await shown(board, run, 'loss')).toEqual(range(0, 10).map((step) => [step, step]));
    }
  });

  it('one run written by two programs hides one of them: why each needs a run of its own', async () => {
    const logdir = temporaryFolder();
    for (const value of ['1', '2']) {
      const text = `const writer = new SummaryWriter(process.argv[2] + '/run');
        for (let step = 0; step < 10; step++) writer.addScalar('loss', Number(process.argv[3]), step);`;
      expect((await programs.run(text, [logdir, value])).code).toBe(0);
    }
    const board = await startTensorBoard(logdir, { fast });
    const points = await shown(board, 'run', 'loss');
    // Rust shows only the later file; Python draws both, as a zigzag.
    if (fast) expect(points).toEqual(range(0, 10).map((step) => [step, 2]));
    else expect(points.length).toBe(20);
  });

  it('a program killed while it writes leaves a file that is read to its last whole record', async () => {
    const logdir = temporaryFolder();
    const { child, ended } = programs.start(
      `const writer = new SummaryWriter(process.argv[2] + '/run', { maxQueue: 1 });
      for (let step = 0; step < 50; step++) writer.addScalar('loss', step, step);
      console.log('ready');
      setInterval(() => {}, 1000);`,
      [logdir],
    );
    await new Promise((ready) => child.stdout!.once('data', ready));
    child.kill('SIGKILL');
    expect((await ended).signal).toBe('SIGKILL');
    const file = join(logdir, 'run', readdirSync(join(logdir, 'run'))[0]);
    // As if the program had died in the middle of a write: the last record is torn.
    truncateSync(file, statSync(file).size - 10);
    const reopened = new SummaryWriter(join(logdir, 'run'));
    for (const step of range(49, 60)) reopened.addScalar('loss', step, step);
    await reopened.close();
    const board = await startTensorBoard(logdir, { fast });
    expect(await shown(board, 'run', 'loss')).toEqual(range(0, 60).map((step) => [step, step]));
  });

  it('what follows a deleted event file is shown, with its description', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(join(logdir, 'run'));
    writer.addScalar('loss', 0, 0, { description: 'falls' });
    await writer.flush();
    rmSync(join(logdir, 'run'), { recursive: true });
    for (const step of range(1, 10)) writer.addScalar('loss', step, step);
    await expect(writer.flush()).rejects.toThrow(/lost/);
    writer.addScalar('loss', 10, 10);
    await writer.close().catch(() => {});
    const board = await startTensorBoard(logdir, { fast });
    expect(await shown(board, 'run', 'loss')).toEqual(range(1, 11).map((step) => [step, step]));
    type Tags = Record<string, Record<string, { description: string }>>;
    expect((await board.ask<Tags>('scalars/tags')).run.loss.description).toMatch(/falls/);
  });

  it('200 keys of addScalars are 200 runs', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addScalars('many', Object.fromEntries(range(0, 200).map((key) => [`key${key}`, key])), 1);
    await writer.close();
    const board = await startTensorBoard(logdir, { fast });
    expect((await board.ask<string[]>('/data/runs')).filter((run) => run.startsWith('many/')).length).toBe(200);
    expect(await shown(board, 'many/key77', 'many')).toEqual([[1, 77]]);
  });

  it('strange tags, texts and steps stop nothing', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(join(logdir, 'run'));
    const tags = ['\ud800 half', '../up', '/abs', 'nul\0', 'ünï/cødé 😀', 'a b', '%2e', '<b>x</b>', 'x'.repeat(5000)];
    tags.forEach((tag, step) => {
      writer.addScalar(tag, step, step, { description: '\udc00', displayName: '\ud83d' });
      writer.run(tag.slice(0, 100)).addScalar('loss', step, -step);
    });
    writer.addScalar('last', 7, 2n ** 62n);
    await writer.close();
    const board = await startTensorBoard(logdir, { fast });
    expect(await shown(board, 'run', 'last')).toEqual([[2 ** 62, 7]]);
    const known = Object.keys((await board.ask<Record<string, object>>('scalars/tags')).run as object);
    expect(known.sort()).toEqual([...tags.map((tag) => tag.replace('\ud800', '\ufffd')), 'last'].sort());
  });

  it('no summary that addEvent takes stops the file: thousands of mutated ones, and the scalar after them is shown', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(join(logdir, 'run'));
    const originals: DecodedSummary[] = [];
    for await (const { summary } of readEvents('test/fixtures/events/recommended/r'))
      originals.push(...(summary ?? []));
    let taken = 0;
    let refused = 0;
    for (let seed = 1; seed <= 5000; seed++) {
      const original = originals[seed % originals.length];
      const raw = original.raw.slice(0, 400);
      let random = Math.imul(seed, 0x9e3779b1) >>> 0;
      for (let change = 0; change <= seed % 3; change++) {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        raw[(random >>> 8) % Math.min(raw.length, 80)] = random & 255;
      }
      try {
        writer.addEvent({ wallTime: seed, step: seed, summary: [{ ...original, raw }] });
        taken++;
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
        refused++;
      }
    }
    expect(taken).toBeGreaterThan(500);
    expect(refused).toBeGreaterThan(500);
    writer.addScalar('after them', 7, 7);
    await writer.close();
    const board = await startTensorBoard(logdir, { fast });
    expect(await shown(board, 'run', 'after them')).toEqual([[7, 7]]);
  });
});

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import { files as nodeFiles } from '../../src/platform/node-files.js';
import { stepsIn, temporaryFolder } from '../support/event-files.js';
import { Programs } from '../support/programs.js';

const files = nodeFiles!;

/** Why a small file system cannot be mounted here; undefined, with it mounted at `path`, where it can. */
function mountSmall(path: string): string | undefined {
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'delve-test', path], { stdio: 'pipe' });
  } catch (error) {
    return `no small file system can be mounted here: ${(error as Error).message.trim().split('\n').pop()}`;
  }
  onTestFinished(() => void execFileSync('umount', [path]));
  return undefined;
}

test('append is all or nothing on a full disk', ({ skip }) => {
  const disk = join(temporaryFolder(), 'disk');
  const reason = mountSmall(disk);
  if (reason !== undefined) skip(reason);
  const path = join(disk, 'file');
  files.create(path);
  expect(files.append(path, new Uint8Array(40_000).fill(1), 0)).toBe(true);
  expect(() => files.append(path, new Uint8Array(40_000).fill(2), 40_000)).toThrow(/ENOSPC/);
  expect(readFileSync(path)).toEqual(Buffer.alloc(40_000, 1));
});

test('on a full disk training goes on, flush rejects, and all is written when there is room again', async ({
  skip,
}) => {
  const disk = join(temporaryFolder(), 'disk');
  const reason = mountSmall(disk);
  if (reason !== undefined) skip(reason);
  const writer = new SummaryWriter(join(disk, 'run'), { maxBufferedBytes: 4096 });
  const ballast = join(disk, 'ballast');
  for (let step = 0; step < 100; step++) writer.addScalar('loss', step, step);
  await writer.flush();
  // Whole pages, so that the disk is really full.
  writeFileSync(ballast, new Uint8Array(40_000));
  for (let step = 100; step < 2000; step++) writer.addScalar('loss', step, step);
  await expect(writer.flush()).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(writer.flush()).rejects.toThrow(/ENOSPC/);
  const before = stepsIn(join(disk, 'run'));
  expect(before).toEqual(before.map((_, index) => index));
  writeFileSync(ballast, '');
  execFileSync('mount', ['-o', 'remount,size=1m', disk]);
  await writer.flush();
  expect(stepsIn(join(disk, 'run'))).toEqual(Array.from({ length: 2000 }, (_, step) => step));
  await writer.close();
});

test('out of file descriptors, training goes on and all is written when there are some again', async () => {
  const programs = new Programs();
  onTestFinished(() => programs.remove());
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `import { closeSync, openSync } from 'node:fs';
    const writer = new SummaryWriter(process.argv[2], { maxQueue: 1 });
    writer.addScalar('loss', 0, 0);
    const taken = [];
    try {
      for (;;) taken.push(openSync('/dev/null'));
    } catch {}
    for (let step = 1; step < 100; step++) writer.addScalar('loss', step, step);
    let message = 'nothing';
    await writer.flush().catch((error) => (message = error.code));
    console.log(message);
    taken.forEach((each) => closeSync(each));
    await writer.close();`,
    [logdir],
    'ulimit -n 64',
  );
  expect(ending.stdout.trim()).toBe('EMFILE');
  expect(ending.code).toBe(0);
  expect(ending.stderr.match(/EMFILE/g)?.length).toBe(1);
  expect(stepsIn(logdir)).toEqual(Array.from({ length: 100 }, (_, step) => step));
});

test('200 keys of addScalars hold no file descriptor', async () => {
  const programs = new Programs();
  onTestFinished(() => programs.remove());
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `import { readdirSync } from 'node:fs';
    const writer = new SummaryWriter(process.argv[2]);
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    const values = Object.fromEntries(Array.from({ length: 200 }, (_, i) => ['key' + i, i]));
    writer.addScalars('many', values, 1);
    await writer.flush();
    writer.addScalars('many', values, 2);
    console.log(open() - before);`,
    [logdir],
    'ulimit -n 64',
  );
  expect(ending).toMatchObject({ stdout: '0\n', stderr: '', code: 0 });
  expect(readdirSync(join(logdir, 'many')).length).toBe(200);
  for (const key of ['key0', 'key199']) expect(stepsIn(join(logdir, 'many', key), 'many')).toEqual([1, 2]);
});

test('write replaces a file in one step and leaves nothing beside it', () => {
  const folder = temporaryFolder();
  files.write(join(folder, 'a/b.txt'), Buffer.from('one'));
  files.write(join(folder, 'a/b.txt'), Buffer.from('two'));
  expect(readFileSync(join(folder, 'a/b.txt'), 'utf8')).toBe('two');
  expect(readdirSync(join(folder, 'a'))).toEqual(['b.txt']);
});

test('read gives the whole of a file longer than a piece', () => {
  const path = join(temporaryFolder(), 'file');
  const bytes = Buffer.from(Uint8Array.from({ length: 2_500_000 }, (_, i) => i % 251));
  writeFileSync(path, bytes);
  expect(Buffer.concat(Array.from(files.read(path), (piece) => Buffer.from(piece))).equals(bytes)).toBe(true);
});

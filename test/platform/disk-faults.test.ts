/** What a disk does rarely, and no test can bring about for real: the file system's functions are replaced one at a time. */

import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DirectoryOutput, SummaryWriter } from '../../src/index.js';
import { defaultStoreFiles, files as nodeFiles } from '../../src/platform/node-files.js';
import { eventFiles, eventsIn, stepsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';
import { catchWarnings } from '../support/warnings.js';

vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  return {
    ...real,
    writeSync: vi.fn(real.writeSync),
    ftruncateSync: vi.fn(real.ftruncateSync),
    closeSync: vi.fn(real.closeSync),
  };
});

const files = nodeFiles!;
const real = await vi.importActual<typeof fs>('node:fs');
const warnings = catchWarnings();
afterEach(() => {
  vi.mocked(fs.writeSync)
    .mockReset()
    .mockImplementation(real.writeSync as typeof fs.writeSync);
  vi.mocked(fs.ftruncateSync).mockReset().mockImplementation(real.ftruncateSync);
  vi.mocked(fs.closeSync).mockReset().mockImplementation(real.closeSync);
});

const failure = (code: string) => Object.assign(new Error(`${code}: on purpose`), { code });
const fail = (code: string) => () => {
  throw failure(code);
};
/** Writes at most `most` bytes at a time. */
const short = (most: number) =>
  ((descriptor: number, bytes: Uint8Array, offset: number, length: number, position: number | null) =>
    real.writeSync(descriptor, bytes, offset, Math.min(most, length), position)) as typeof fs.writeSync;

const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const newFile = () => files.create(join(temporaryFolder(), 'file'))!;

describe('an append', () => {
  it('goes on after a short count', () => {
    const file = newFile();
    vi.mocked(fs.writeSync).mockImplementation(short(3));
    expect(file.append(bytes)).toBe(true);
    expect(file.append(bytes)).toBe(true);
    file.release();
    expect([...fs.readFileSync(file.path)]).toEqual([...bytes, ...bytes]);
  });

  it('that the disk takes no byte of is an error, and leaves nothing', () => {
    const file = newFile();
    vi.mocked(fs.writeSync)
      .mockImplementationOnce(short(3))
      .mockImplementationOnce(() => 0);
    expect(() => file.append(bytes)).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect(fs.readFileSync(file.path).length).toBe(0);
    expect(file.append(bytes)).toBe(true);
    file.release();
    expect([...fs.readFileSync(file.path)]).toEqual([...bytes]);
  });

  it('whose part cannot be cut off is repeated in its place', () => {
    const file = newFile();
    file.append(bytes);
    vi.mocked(fs.writeSync).mockImplementationOnce(short(5)).mockImplementationOnce(fail('EIO'));
    vi.mocked(fs.ftruncateSync).mockImplementation(fail('EIO'));
    expect(() => file.append(bytes)).toThrow('EIO');
    expect(fs.readFileSync(file.path).length).toBe(13);
    expect(() => file.append(bytes.subarray(0, 2))).toThrow('EIO');
    file.release();
    vi.mocked(fs.ftruncateSync).mockImplementation(real.ftruncateSync);
    expect(file.append(bytes.subarray(0, 2))).toBe(true);
    file.release();
    expect([...fs.readFileSync(file.path)]).toEqual([...bytes, 1, 2]);
  });

  it('to a file whose descriptor the program has closed and used for another goes to the file', () => {
    const folder = temporaryFolder();
    const file = files.create(join(folder, 'file'))!;
    file.append(bytes);
    const descriptor = fs
      .readdirSync('/proc/self/fd')
      .map(Number)
      .find((each) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${each}`) === file.path;
        } catch {
          return false;
        }
      })!;
    real.closeSync(descriptor);
    expect(file.append(bytes)).toBe(true);
    real.closeSync(descriptor);
    const other = join(folder, 'other');
    fs.writeFileSync(other, new Uint8Array(16));
    expect(fs.openSync(other, 'r+')).toBe(descriptor);
    expect(file.append(bytes)).toBe(true);
    file.release();
    real.closeSync(descriptor);
    expect([...fs.readFileSync(file.path)]).toEqual([...bytes, ...bytes, ...bytes]);
    expect([...fs.readFileSync(other)]).toEqual(Array(16).fill(0));
  });
});

describe('an error of close', () => {
  it('rejects the flush that closes the file, and not the next', async () => {
    const output = new DirectoryOutput(temporaryFolder());
    output.write(bytes);
    vi.mocked(fs.closeSync).mockImplementationOnce((descriptor) => {
      real.closeSync(descriptor);
      fail('EDQUOT')();
    });
    await expect(output.flush()).rejects.toMatchObject({
      code: 'EDQUOT',
      message: expect.stringContaining(output.path!),
    });
    await output.flush();
    output.write(bytes);
    await output.close();
    expect(output.restarts).toBe(0);
    expect(fs.readFileSync(output.path!).length).toBe(16);
  });

  it('when another file is opened is kept for the flush', async () => {
    const folder = temporaryFolder();
    const first = new DirectoryOutput(join(folder, 'first'));
    first.write(bytes);
    vi.mocked(fs.closeSync).mockImplementationOnce((descriptor) => {
      real.closeSync(descriptor);
      fail('ENOSPC')();
    });
    const others = Array.from({ length: 32 }, (_, i) => new DirectoryOutput(join(folder, String(i))));
    for (const other of others) other.write(bytes);
    await expect(first.flush()).rejects.toMatchObject({ code: 'ENOSPC' });
    for (const other of others) await other.close();
  });

  it('rejects flush and close of a writer, whose events are all there', async () => {
    const logdir = temporaryFolder();
    const writer = new SummaryWriter(logdir);
    writer.addScalar('loss', 1, 1);
    vi.mocked(fs.closeSync).mockImplementationOnce((descriptor) => {
      real.closeSync(descriptor);
      fail('EIO')();
    });
    await expect(writer.flush()).rejects.toMatchObject({ code: 'EIO' });
    writer.addScalar('loss', 2, 2);
    await writer.close();
    expect(stepsIn(logdir)).toEqual([1, 2]);
    expect(warnings.length).toBe(1);
  });
});

it('a writer counts what a disk that takes nothing has cost', async () => {
  const logdir = temporaryFolder();
  const writer = new SummaryWriter(logdir, { maxBufferedBytes: 200, maxUnwrittenBytes: 0 });
  writer.addScalar('loss', 0, 0);
  vi.mocked(fs.writeSync).mockImplementation(() => 0);
  for (let step = 1; step < 100; step++) writer.addScalar('loss', step, step);
  await expect(writer.flush()).rejects.toMatchObject({ code: 'EIO' });
  vi.mocked(fs.writeSync).mockImplementation(real.writeSync as typeof fs.writeSync);
  await writer.flush();
  const steps = stepsIn(logdir);
  await expect(writer.close()).rejects.toThrow(`${100 - steps.length} events were lost`);
  expect(steps[0]).toBe(0);
});

it('a file that has reached the largest size is followed by another, and nothing is lost', async () => {
  const programs = new Programs();
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `const writer = new SummaryWriter(process.argv[2], { maxBufferedBytes: 4096 });
    for (let step = 0; step < 2000; step++) writer.addScalar('loss', step, step);
    await writer.close();`,
    [logdir],
    'ulimit -f 32',
  );
  programs.remove();
  expect(ending.code).toBe(0);
  expect(ending.stderr.match(/EFBIG/g)?.length).toBe(1);
  expect(stepsIn(logdir)).toEqual(Array.from({ length: 2000 }, (_, step) => step));
  expect(eventFiles(logdir).length).toBeGreaterThan(2);
  // Each file is whole by itself.
  const versions = eventsIn(logdir).filter(({ fileVersion }) => fileVersion);
  expect(versions.length).toBe(eventFiles(logdir).length);
});

it('a file that may not be large enough for anything is tried without an end of files', async () => {
  const programs = new Programs();
  const logdir = temporaryFolder();
  const ending = await programs.run(
    `const writer = new SummaryWriter(process.argv[2]);
    for (let step = 0; step < 100; step++) {
      writer.addText('note', 'x'.repeat(50_000), step);
      await new Promise((done) => setTimeout(done, 3));
    }
    await writer.close().catch(({ code }) => console.log(code));`,
    [logdir],
    'ulimit -f 8',
  );
  programs.remove();
  expect(ending.stdout).toBe('EFBIG\n');
  expect(eventFiles(logdir).length).toBeLessThan(4);
});

it.each([
  ['files', (path: string) => files.write(path, bytes)],
  ['a store', (path: string) => defaultStoreFiles().write(path, bytes)],
])('%s cannot replace a folder, and says so; nothing stays beside it', async (_, write) => {
  const folder = temporaryFolder();
  fs.mkdirSync(join(folder, 'taken', 'full'), { recursive: true });
  await expect((async () => write(join(folder, 'taken')))()).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(fs.readdirSync(folder)).toEqual(['taken']);
});

it('a companion file that the disk takes no byte of is an error', () => {
  const folder = temporaryFolder();
  vi.mocked(fs.writeSync).mockImplementation(() => 0);
  expect(() => files.write(join(folder, 'file'), bytes)).toThrow(expect.objectContaining({ code: 'EIO' }));
  expect(fs.readdirSync(folder)).toEqual([]);
});

it("a store's file that finds no room leaves nothing", async ({ skip }) => {
  const disk = join(temporaryFolder(), 'disk');
  fs.mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'delve-test', disk], { stdio: 'pipe' });
  } catch {
    skip('no small file system can be mounted here');
  }
  try {
    await expect(defaultStoreFiles().write(join(disk, 'run.csv'), new Uint8Array(100_000))).rejects.toThrow('ENOSPC');
    expect(fs.readdirSync(disk)).toEqual([]);
  } finally {
    execFileSync('umount', [disk]);
  }
});

import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { DirectoryOutput } from '../../src/output/directory-output.js';
import { eventFiles, temporaryFolder } from '../support/event-files.js';

afterEach(() => {
  vi.useRealTimers();
});

const bytes = Uint8Array.of(1, 2, 3);

test('the name has ten digits of seconds, host, process, padded counter and suffix', () => {
  const folder = temporaryFolder();
  vi.useFakeTimers({ now: 1_234_567_890_999 });
  new DirectoryOutput(folder, { filenameSuffix: '.v2' }).write(bytes);
  const [name] = eventFiles(folder);
  expect(name).toMatch(/^events\.out\.tfevents\.1234567890\.[-\w.]+\.\d+\.\d{5}\.v2$/);
  expect(name).toContain(`.${process.pid}.`);
});

test('seconds before 2001 are padded', () => {
  const folder = temporaryFolder();
  vi.useFakeTimers({ now: 5000 });
  new DirectoryOutput(folder).write(bytes);
  expect(eventFiles(folder)[0]).toMatch(/tfevents\.0000000005\./);
});

test('files sort in the order they were begun: within a second, and after the clock stepped back', () => {
  const folder = temporaryFolder();
  const begun: (string | undefined)[] = [];
  for (const now of [2e12, 2e12, 2e12 + 10, 1e12, 1e12, 3e12, 2e12]) {
    vi.useFakeTimers({ now });
    const output = new DirectoryOutput(folder);
    output.write(bytes);
    begun.push(output.path);
  }
  expect(begun).toEqual(eventFiles(folder).map((name) => join(folder, name)));
  expect(new Set(begun).size).toBe(7);
});

test("a file sorts after every other writer's in the folder", () => {
  const folder = temporaryFolder();
  vi.useFakeTimers({ now: 1.6e12 });
  for (const name of ['events.out.tfevents.1700000000.vm', 'events.out.tfevents.1600000000.zz.9.9.v2', 'notes.txt']) {
    writeFileSync(join(folder, name), '');
  }
  const output = new DirectoryOutput(folder);
  output.write(bytes);
  expect(eventFiles(folder).at(-1)).toMatch(/tfevents\.1700000001\./);
});

test('a name that is taken at the last moment is left alone and the counter goes up', () => {
  const folder = temporaryFolder();
  vi.useFakeTimers({ now: 9_999_999_999_000 });
  // The seconds cannot go beyond ten digits, so both writers want one name.
  const outputs = [new DirectoryOutput(folder), new DirectoryOutput(folder)];
  for (const [index, output] of outputs.entries()) output.write(Uint8Array.of(index));
  expect(eventFiles(folder).map((name) => join(folder, name))).toEqual(outputs.map(({ path }) => path));
  expect(outputs.map(({ path }) => [...readFileSync(path!)])).toEqual([[0], [1]]);
});

test('a suffix cannot lead out of the folder', () => {
  const folder = temporaryFolder();
  const output = new DirectoryOutput(join(folder, 'in'), { filenameSuffix: '/../../x\0' });
  output.write(bytes);
  expect(eventFiles(join(folder, 'in'))[0]).toMatch(/\.\d{5}_.._.._x_$/);
});

test.each(['../../out', '/etc/out', 'a/../../../out', '..\\..\\out', 'x\0y', '....//', '~/x', 'C:\\x'])(
  'the run and the companion file called %j stay in the folder',
  async (name) => {
    const folder = temporaryFolder();
    const inside = join(folder, 'logdir');
    const output = new DirectoryOutput(inside);
    const run = output.run(name);
    run.write(bytes);
    await output.file(`${name}/x.tsv`, bytes);
    expect(run.path!.startsWith(`${inside}/`)).toBe(true);
    expect(eventFiles(folder)).toEqual([]);
    rmSync(inside, { recursive: true });
    mkdirSync(inside);
    expect(existsSync(join(folder, 'out'))).toBe(false);
    expect(existsSync('/etc/out')).toBe(false);
  },
);

test('a logdir that is a file, or below one, is an error that names it', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  for (const path of [join(folder, 'file'), join(folder, 'file', 'below')]) {
    expect(() => new DirectoryOutput(path).makeFolder()).toThrow(path);
    expect(() => new DirectoryOutput(path).makeFolder()).toThrow(/EEXIST|ENOTDIR/);
    expect(new DirectoryOutput(path).folder).toBe(path);
  }
});

test.each([
  ['removed', (path: string) => rmSync(path)],
  ['shortened', (path: string) => truncateSync(path, 1)],
  ['appended to', (path: string) => writeFileSync(path, 'more', { flag: 'a' })],
])('a file that was %s is left as it is, and the next write begins another', (_, change) => {
  const folder = temporaryFolder();
  const output = new DirectoryOutput(folder);
  output.write(bytes);
  const first = output.path!;
  change(first);
  const changed = existsSync(first) ? readFileSync(first) : undefined;
  expect(() => output.write(bytes)).toThrow(first);
  expect(output.restarts).toBe(1);
  output.write(bytes);
  expect(output.path).not.toBe(first);
  expect([...readFileSync(output.path!)]).toEqual([1, 2, 3]);
  expect(existsSync(first) ? readFileSync(first) : undefined).toEqual(changed);
});

test('a deleted folder is made again', () => {
  const folder = join(temporaryFolder(), 'a', 'b');
  const output = new DirectoryOutput(folder);
  output.write(bytes);
  rmSync(join(folder, '..'), { recursive: true });
  expect(() => output.write(bytes)).toThrow(/removed/);
  output.write(bytes);
  expect(eventFiles(folder).length).toBe(1);
});

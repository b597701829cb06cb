import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DirectoryOutput, type Output, openBrowserFolder, SummaryWriter } from '../../src/index.js';
import { eventFileName } from '../../src/output/event-file-name.js';
import { safePath } from '../../src/output/output.js';
import { eventFiles, stepsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { catchWarnings } from '../support/warnings.js';

describe('DirectoryOutput', () => {
  const warnings = catchWarnings();
  afterEach(() => {
    vi.useRealTimers();
  });

  const bytes = Uint8Array.of(1, 2, 3);

  it('the name has ten digits of seconds, host, process, padded counter and suffix', () => {
    const folder = temporaryFolder();
    vi.useFakeTimers({ now: 1_234_567_890_999 });
    new DirectoryOutput(folder, { filenameSuffix: '.v2' }).write(bytes);
    const [name] = eventFiles(folder);
    expect(name).toMatch(/^events\.out\.tfevents\.1234567890\.[-\w.]+\.\d+\.\d{5}\.v2$/);
    expect(name).toContain(`.${process.pid}.`);
  });

  it('seconds before 2001 are padded', () => {
    const folder = temporaryFolder();
    vi.useFakeTimers({ now: 5000 });
    new DirectoryOutput(folder).write(bytes);
    expect(eventFiles(folder)[0]).toMatch(/tfevents\.0000000005\./);
  });

  it('files sort in the order they were begun: within a second, and after the clock stepped back', () => {
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

  it("a file sorts after every other writer's in the folder", () => {
    const folder = temporaryFolder();
    vi.useFakeTimers({ now: 1.6e12 });
    for (const name of ['events.out.tfevents.1700000000.vm', 'events.out.tfevents.1600000000.zz.9.9.v2', 'notes.txt']) {
      writeFileSync(join(folder, name), '');
    }
    const output = new DirectoryOutput(folder);
    output.write(bytes);
    expect(eventFiles(folder).at(-1)).toMatch(/tfevents\.1700000001\./);
  });

  it('a name that is taken at the last moment is left alone and the counter goes up', () => {
    const folder = temporaryFolder();
    vi.useFakeTimers({ now: 9_999_999_999_000 });
    // The seconds cannot have more than ten digits, so both writers choose the same name.
    const outputs = [new DirectoryOutput(folder), new DirectoryOutput(folder)];
    for (const [index, output] of outputs.entries()) output.write(Uint8Array.of(index));
    expect(eventFiles(folder).map((name) => join(folder, name))).toEqual(outputs.map(({ path }) => path));
    expect(outputs.map(({ path }) => [...readFileSync(path!)])).toEqual([[0], [1]]);
  });

  it('a suffix cannot lead out of the folder', () => {
    const folder = temporaryFolder();
    const output = new DirectoryOutput(join(folder, 'in'), { filenameSuffix: '/../../x\0' });
    output.write(bytes);
    expect(eventFiles(join(folder, 'in'))[0]).toMatch(/\.\d{5}_.._.._x_$/);
  });

  it.each(['../../out', '/etc/out', 'a/../../../out', '..\\..\\out', 'x\0y', '....//', '~/x', 'C:\\x'])(
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

  it('a logdir that is a file, or below one, is an error that names it', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    for (const path of [join(folder, 'file'), join(folder, 'file', 'below')]) {
      expect(() => new DirectoryOutput(path).makeFolder()).toThrow(path);
      expect(() => new DirectoryOutput(path).makeFolder()).toThrow(/EEXIST|ENOTDIR/);
      expect(new DirectoryOutput(path).folder).toBe(path);
    }
  });

  it.each([
    ['removed', (path: string) => rmSync(path)],
    ['shortened', (path: string) => truncateSync(path, 1)],
    ['appended to', (path: string) => writeFileSync(path, 'more', { flag: 'a' })],
    [
      'replaced by one of the same length',
      (path: string) => {
        writeFileSync(`${path}.new`, 'abc');
        renameSync(`${path}.new`, path);
      },
    ],
    [
      'replaced by a folder',
      (path: string) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])('a file that was %s is left as it is, and the next write begins another', (_, change) => {
    const folder = temporaryFolder();
    const output = new DirectoryOutput(folder);
    output.write(bytes);
    const first = output.path!;
    change(first);
    const content = () => (statSync(first, { throwIfNoEntry: false })?.isFile() ? readFileSync(first) : undefined);
    const changed = content();
    expect(() => output.write(bytes)).toThrow(first);
    expect(output.restarts).toBe(1);
    output.write(bytes);
    expect(output.path).not.toBe(first);
    expect([...readFileSync(output.path!)]).toEqual([1, 2, 3]);
    expect(content()).toEqual(changed);
  });

  it.each([
    ['renamed', (path: string) => renameSync(path, `${path}.old`)],
    [
      'replaced by a folder',
      (path: string) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])('a file that was %s is missed when it is opened again, within a second', async (_, change) => {
    const folder = temporaryFolder();
    const output = new DirectoryOutput(folder);
    for (const waited of [() => output.flush(), () => vi.advanceTimersByTimeAsync(1000)]) {
      vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
      output.write(bytes);
      const first = output.path!;
      change(first);
      await waited();
      vi.useRealTimers();
      if (output.path === first) expect(() => output.write(bytes)).toThrow(/removed or changed/);
      output.write(bytes);
      expect(output.path).not.toBe(first);
      await output.close();
    }
  });

  it('a file is opened again for what comes after a flush', async () => {
    const output = new DirectoryOutput(temporaryFolder());
    for (let round = 0; round < 3; round++) {
      output.write(bytes);
      await output.flush();
      output.write(bytes);
    }
    await output.close();
    expect(output.restarts).toBe(0);
    expect([...readFileSync(output.path!)]).toEqual(
      Array(6)
        .fill([...bytes])
        .flat(),
    );
  });

  it('a deleted folder is made again', () => {
    const folder = join(temporaryFolder(), 'a', 'b');
    const output = new DirectoryOutput(folder);
    output.write(bytes);
    rmSync(join(folder, '..'), { recursive: true });
    expect(() => output.write(bytes)).toThrow(/removed/);
    output.write(bytes);
    expect(eventFiles(folder).length).toBe(1);
  });

  it('can be given to a writer, or wrapped in an Output of the user', async () => {
    const folder = temporaryFolder();
    const direct = new SummaryWriter(new DirectoryOutput(join(folder, 'direct'), { filenameSuffix: '.mine' }));
    direct.addScalar('loss', 1, 1);
    await direct.close();
    expect(direct.logdir).toBe(join(folder, 'direct'));
    expect(eventFiles(join(folder, 'direct'))[0]).toMatch(/\.mine$/);

    let written = 0;
    const counting = (inner: DirectoryOutput): Output => ({
      write(bytes) {
        inner.write(bytes);
        written += bytes.length;
      },
      flush: () => inner.flush(),
      close: () => inner.close(),
      run: (name) => counting(inner.run(name)),
    });
    const wrapped = new SummaryWriter(counting(new DirectoryOutput(join(folder, 'wrapped'))));
    wrapped.run('train').addScalar('loss', 2, 2);
    await wrapped.close();
    expect(stepsIn(join(folder, 'wrapped/train'))).toEqual([2]);
    expect(written).toBeGreaterThan(0);
  });

  it('that cannot be made fails at once as a logdir, and when events are written as an Output', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    const path = join(folder, 'file', 'below');
    expect(() => new SummaryWriter(path)).toThrow(/ENOTDIR/);
    const writer = new SummaryWriter(new DirectoryOutput(path));
    writer.addScalar('loss', 1, 1);
    await expect(writer.flush()).rejects.toThrow(/ENOTDIR/);
    await expect(writer.close()).rejects.toThrow('2 events were lost');
    expect(warnings.length).toBeGreaterThan(0);
  });

  it.each(['', undefined, 5, null])('refuses the logdir %j', (logdir) => {
    expect(() => new DirectoryOutput(logdir as string)).toThrow(TypeError);
    expect(() => new DirectoryOutput(logdir as string)).toThrow(
      /^DirectoryOutput: expected logdir to be a non-empty string/,
    );
  });
});

describe('names of event files', () => {
  it('sorts after every event file in the folder, whatever the clock says, and never repeats', () => {
    const late = 'events.out.tfevents.9000000000.elsewhere.1.0';
    const names = Array.from({ length: 20 }, () => eventFileName(['model.json', late], '.v2'));
    for (const name of names) expect(name).toMatch(/^events\.out\.tfevents\.9000000001\.[-\w.]+\.\d+\.\d{5}\.v2$/);
    expect([...names].sort()).toEqual(names);
    expect(new Set(names).size).toBe(20);
    const before = Math.floor(Date.now() / 1000);
    const seconds = Number(/tfevents\.(\d+)\./.exec(eventFileName([], ''))![1]);
    expect(seconds).toBeGreaterThanOrEqual(before);
    expect(seconds).toBeLessThanOrEqual(Date.now() / 1000);
  });
});

describe('safePath', () => {
  it.each([
    ['train', 'train'],
    ['loss/train', 'loss/train'],
    ['/abs//path/', 'abs/path'],
    ['../up', expect.stringMatching(/^__-[0-9a-f]{8}\/up$/)],
    ['a/../b', expect.stringMatching(/^a\/__-[0-9a-f]{8}\/b$/)],
    ['a/./b', 'a/b'],
    ['...', '...'],
    ['c:\\x', expect.stringMatching(/^c:_x-[0-9a-f]{8}$/)],
    ['nul\0', expect.stringMatching(/^nul_-[0-9a-f]{8}$/)],
    ['half \ud83d', expect.stringMatching(/^half _-[0-9a-f]{8}$/)],
    ['12:30 ä 😀', '12:30 ä 😀'],
    ['e\u0301 trailing. ', 'e\u0301 trailing. '],
    ['CON', 'CON'],
    ['x'.repeat(255), 'x'.repeat(255)],
    ['x'.repeat(256), expect.stringMatching(/^x{246}-[0-9a-f]{8}$/)],
    [`a/${'😀'.repeat(64)}`, expect.stringMatching(/^a\/(😀){61}-[0-9a-f]{8}$/u)],
  ])('%j becomes %j', (name, path) => {
    expect(safePath(name)).toEqual(path);
  });

  it.each([
    ['CON', 'CON_'],
    ['a/nul.txt', 'a/nul_.txt'],
    ['Lpt1/x', 'Lpt1_/x'],
    ['console', 'console'],
    ['lr=0.1:adam?', 'lr=0.1_adam_'],
    ['end. ', 'end_'],
    ['<a>|"b"*', '_a___b__'],
  ])('for Windows and browsers %j becomes %j, with a checksum if it was changed', (name, path) => {
    const changed = safePath(name, true);
    expect(changed.replace(/-[0-9a-f]{8}(?=\/|$)/, '')).toBe(path);
    expect(changed === name).toBe(path === name);
  });

  it.each(['', '/', '.', './/.'])('%j is refused, because it names nothing', (name) => {
    expect(() => safePath(name)).toThrow(RangeError);
  });

  it('whatever the name, the path lies below the folder, and is its own safe path', () => {
    const part = fc.constantFrom('..', '.', '/', '\\', '\0', 'a', '~', ' ', '%2e', 'é');
    const names = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(part).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(names, (name) => {
        let path: string;
        try {
          path = safePath(name);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        expect(isAbsolute(path)).toBe(false);
        expect(resolve('/logdir', path).startsWith('/logdir/')).toBe(true);
        expect(path).not.toContain('\0');
        expect(safePath(path)).toBe(path);
      }),
      { numRuns: 2000 },
    );
  });

  const folderOf = (name: string) =>
    name
      .split('/')
      .filter((part) => part !== '' && part !== '.')
      .join('/');
  const long = fc
    .tuple(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 400 }))
    .map(([text, n]) => text.repeat(n));

  it('two names have one path only if they are two spellings of it', () => {
    const part = fc.constantFrom('..', '.', '/', '\\', '_', '__', '\0', 'a', '\ud83d', '\ude00', 'con', ':');
    const names = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 4 }),
      fc.array(part, { maxLength: 5 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(names, names, fc.boolean(), (a, b, isForWindows) => {
        fc.pre(folderOf(a) !== '' && folderOf(b) !== '');
        expect(safePath(a, isForWindows) === safePath(b, isForWindows)).toBe(folderOf(a) === folderOf(b));
      }),
      { numRuns: 5000 },
    );
  });

  it('names of any length fit, and stay different if they differ at their ends only', () => {
    fc.assert(
      fc.property(fc.array(long, { minLength: 1, maxLength: 40 }), fc.boolean(), (texts, isForWindows) => {
        const name = `n/${texts.join('/')}`;
        const [path, another] = [safePath(name, isForWindows), safePath(`${name}!`, isForWindows)];
        for (const part of path.split('/')) expect(Buffer.byteLength(part)).toBeLessThanOrEqual(255);
        expect(Buffer.byteLength(path)).toBeLessThanOrEqual(1024);
        expect(path).not.toBe(another);
      }),
      { numRuns: 300 },
    );
  });
});

describe('openBrowserFolder', () => {
  // What it does in a page is tested in one: test/browser/browser-folder-output.test.ts.
  it('rejects if there is no browser to write to', async () => {
    await expect(openBrowserFolder('runs/a')).rejects.toThrow(TypeError);
    await expect(openBrowserFolder('runs/a')).rejects.toThrow(/'runs\/a': there is no origin private file system here/);
  });
});

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import { terminalHasColors as browserHasColors } from '../../src/platform/browser.js';
import { startWorker, terminalHasColors, unref, waitForChange } from '../../src/platform/node.js';
import { defaultStoreFiles, files as nodeFiles } from '../../src/platform/node-files.js';
import { stepsIn } from '../support/event-files.js';
import { temporaryFolder } from '../support/folders.js';
import { Programs } from '../support/programs.js';

it('a timer of jsdom, which is a number, stays as it is', () => {
  expect(() => unref(7)).not.toThrow();
});

describe('nodeFiles', () => {
  const files = nodeFiles!;

  /** Mounts a small file system at `path`. Returns the reason if that is not possible here, otherwise undefined. */
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

  it('append is all or nothing on a full disk', ({ skip }) => {
    const disk = join(temporaryFolder(), 'disk');
    const reason = mountSmall(disk);
    if (reason !== undefined) skip(reason);
    const path = join(disk, 'file');
    const file = files.create(path)!;
    onTestFinished(() => file.release());
    expect(file.append(new Uint8Array(40_000).fill(1))).toBe(true);
    expect(() => file.append(new Uint8Array(40_000).fill(2))).toThrow(/ENOSPC/);
    expect(readFileSync(path)).toEqual(Buffer.alloc(40_000, 1));
  });

  it('on a full disk training goes on, flush rejects, and all is written when there is room again', async ({
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

  it('out of file descriptors, training goes on and all is written when there are some again', async () => {
    const programs = new Programs();
    onTestFinished(() => programs.remove());
    const logdir = temporaryFolder();
    const ending = await programs.run(
      `import { closeSync, openSync } from 'node:fs';
    const writer = new SummaryWriter(process.argv[2], { maxQueue: 1 });
    writer.addScalar('loss', 0, 0);
    await writer.flush();
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
      'ulimit -n 96',
    );
    expect(ending.stdout.trim()).toBe('EMFILE');
    expect(ending.code).toBe(0);
    expect(ending.stderr.match(/EMFILE/g)?.length).toBe(1);
    expect(stepsIn(logdir)).toEqual(Array.from({ length: 100 }, (_, step) => step));
  });

  it('200 keys of addScalars hold a few file descriptors for a moment, and none after a flush', async () => {
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
    const flushed = open() - before;
    writer.addScalars('many', values, 2);
    await new Promise(setImmediate);
    const written = open() - before;
    await new Promise((done) => setTimeout(done, 1500));
    console.log(flushed, written, open() - before);`,
      [logdir],
      'ulimit -n 96',
    );
    expect(ending).toMatchObject({ stdout: '0 32 0\n', stderr: '', code: 0 });
    expect(readdirSync(join(logdir, 'many')).length).toBe(200);
    for (const key of ['key0', 'key199']) expect(stepsIn(join(logdir, 'many', key), 'many')).toEqual([1, 2]);
  });

  it('files that stay open give their descriptors back when there are no others', async () => {
    const programs = new Programs();
    onTestFinished(() => programs.remove());
    const logdir = temporaryFolder();
    const ending = await programs.run(
      `import { openSync } from 'node:fs';
    const writer = new SummaryWriter(process.argv[2], { maxQueue: 1 });
    writer.addScalars('many', { a: 1, b: 1 }, 1);
    try {
      for (;;) openSync('/dev/null');
    } catch {}
    writer.addScalars('many', { c: 1, a: 1 }, 2);
    await writer.close();`,
      [logdir],
      'ulimit -n 96',
    );
    expect(ending).toMatchObject({ stderr: '', code: 0 });
    const [a, b, c] = ['a', 'b', 'c'].map((key) => stepsIn(join(logdir, 'many', key), 'many'));
    expect({ a, b, c }).toEqual({ a: [1, 2], b: [1], c: [2] });
  });

  it('write replaces a file in one step and leaves nothing beside it', () => {
    const folder = temporaryFolder();
    files.write(join(folder, 'a/b.txt'), Buffer.from('one'));
    files.write(join(folder, 'a/b.txt'), Buffer.from('two'));
    expect(readFileSync(join(folder, 'a/b.txt'), 'utf8')).toBe('two');
    expect(readdirSync(join(folder, 'a'))).toEqual(['b.txt']);
  });

  it('read gives the whole of a file longer than a piece', () => {
    const path = join(temporaryFolder(), 'file');
    const bytes = Buffer.from(Uint8Array.from({ length: 2_500_000 }, (_, i) => i % 251));
    writeFileSync(path, bytes);
    expect(Buffer.concat(Array.from(files.read(path), (piece) => Buffer.from(piece))).equals(bytes)).toBe(true);
  });
});

describe('defaultStoreFiles', () => {
  let folder: string;
  beforeEach(() => {
    folder = temporaryFolder();
  });

  const bytes = (text: string) => new TextEncoder().encode(text);

  it('makes the folders of a file, replaces it and leaves nothing else behind', async () => {
    const files = defaultStoreFiles();
    await files.write(`${folder}/a/b/c.csv`, bytes('one'));
    await files.write(`${folder}/a/b/c.csv`, bytes('two'));
    expect(readFileSync(join(folder, 'a/b/c.csv'), 'utf8')).toBe('two');
    expect(readdirSync(join(folder, 'a/b'))).toEqual(['c.csv']);
  });

  it('keeps the old content when the new one cannot be written', async () => {
    const files = defaultStoreFiles();
    await files.write(`${folder}/c.csv`, bytes('old'));
    // Bytes that no file takes.
    await expect(files.write(`${folder}/c.csv`, { length: 1 } as Uint8Array)).rejects.toThrow();
    expect(readFileSync(join(folder, 'c.csv'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['c.csv']);
  });

  it('leaves nothing behind if something else stands where the file belongs', async () => {
    mkdirSync(join(folder, 'c.csv'));
    await expect(defaultStoreFiles().write(`${folder}/c.csv`, bytes('new'))).rejects.toThrow('EISDIR');
    expect(readdirSync(folder)).toEqual(['c.csv']);
  });

  it('takes names as long as the file system does', async () => {
    const name = `${'x'.repeat(251)}.csv`;
    await defaultStoreFiles().write(`${folder}/${name}`, bytes('long'));
    expect(readdirSync(folder)).toEqual([name]);
  });

  it('replaces links and does not write through them, whatever name they have', async () => {
    const outside = join(folder, 'outside');
    writeFileSync(outside, 'theirs');
    for (const name of ['c.csv', '.c.csv.tmp', '.c.csv']) symlinkSync(outside, join(folder, name));
    await defaultStoreFiles().write(`${folder}/c.csv`, bytes('ours'));
    expect(readFileSync(outside, 'utf8')).toBe('theirs');
    expect(readFileSync(join(folder, 'c.csv'), 'utf8')).toBe('ours');
  });

  it('has the old or the new content at every moment, never a part', async () => {
    const files = defaultStoreFiles();
    const path = `${folder}/c.csv`;
    const contents = ['a', 'b'].map((letter) => letter.repeat(200_000));
    await files.write(path, bytes(contents[0]));
    let writing = true;
    const writes = (async () => {
      for (let k = 1; k < 30; k++) await files.write(path, bytes(contents[k % 2]));
      writing = false;
    })();
    while (writing) expect(contents).toContain(new TextDecoder().decode(await files.read(path)));
    await writes;
  });

  it('lists files at any depth, with / between the parts', async () => {
    mkdirSync(join(folder, 'x/y'), { recursive: true });
    writeFileSync(join(folder, 'x/y/2.npy'), '');
    writeFileSync(join(folder, '1.npy'), '');
    expect(await defaultStoreFiles().list(folder)).toEqual(['1.npy', 'x/y/2.npy']);
  });

  it('finds nothing if there is no such file', async () => {
    const files = defaultStoreFiles();
    expect(await files.read(`${folder}/none`)).toBeUndefined();
    expect(await files.list(`${folder}/none`)).toEqual([]);
    await expect(files.remove(`${folder}/none`)).resolves.toBeUndefined();
  });

  it('stays where it was made when the working directory changes', async () => {
    const before = process.cwd();
    try {
      process.chdir(folder);
      const files = defaultStoreFiles();
      process.chdir(tmpdir());
      await files.write('here.csv', bytes(''));
    } finally {
      process.chdir(before);
    }
    expect(existsSync(join(folder, 'here.csv'))).toBe(true);
  });

  it.skipIf(process.getuid?.() === 0)('rejects with the reason if it may not write', async () => {
    chmodSync(folder, 0o500);
    await expect(defaultStoreFiles().write(`${folder}/c.csv`, bytes(''))).rejects.toThrow('EACCES');
  });
});

describe('terminalHasColors', () => {
  const { isTTY, hasColors } = process.stdout;
  afterEach(() => {
    Object.assign(process.stdout, { isTTY, hasColors });
    vi.unstubAllEnvs();
  });

  /** Makes standard output look like a terminal to Node. */
  const asTerminal = async () => {
    const { WriteStream } = await import('node:tty');
    const { hasColors: real, getColorDepth } = WriteStream.prototype;
    Object.assign(process.stdout, { isTTY: true, hasColors: real, getColorDepth });
    vi.stubEnv('FORCE_COLOR', undefined);
    vi.stubEnv('NO_COLOR', undefined);
    // Node uses no colors in a CI that it does not know.
    vi.stubEnv('CI', undefined);
    vi.stubEnv('TERM', 'xterm-256color');
  };

  it('is true on a terminal', async () => {
    await asTerminal();
    expect(terminalHasColors()).toBe(true);
  });

  it('is false if NO_COLOR is set, and on a dumb terminal', async () => {
    await asTerminal();
    vi.stubEnv('NO_COLOR', '1');
    expect(terminalHasColors()).toBe(false);
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('TERM', 'dumb');
    vi.stubEnv('COLORTERM', undefined);
    expect(terminalHasColors()).toBe(false);
  });

  it('is false in a file or pipe', async () => {
    await asTerminal();
    process.stdout.isTTY = false;
    expect(terminalHasColors()).toBe(false);
    const piped = spawnSync(process.execPath, ['-e', 'console.log(process.stdout.isTTY)'], { encoding: 'utf8' });
    expect(piped.stdout.trim()).toBe('undefined');
  });

  it('is false in a browser', () => {
    expect(browserHasColors()).toBe(false);
  });
});

describe('startWorker', () => {
  it('runs a script that answers messages, and moves buffers', async () => {
    const source = 'globalThis.onmessage = ({ data }) => postMessage({ sum: data.reduce((a, b) => a + b) }, []);';
    const numbers = Float64Array.of(1, 2, 3.5);
    const answer = await new Promise((resolve, reject) => {
      const worker = startWorker(source, {
        onMessage: (message) => {
          resolve(message);
          worker?.terminate();
        },
        onError: reject,
      });
      worker?.setRef(true);
      worker?.post(numbers, [numbers.buffer]);
    });
    expect(answer).toEqual({ sum: 6.5 });
    expect(numbers.length).toBe(0);
  });

  it.runIf(process.platform === 'linux')(
    'yields to the thread that starts it, and not to all other programs',
    async () => {
      const source = `
      const { readlinkSync } = process.getBuiltinModule('node:fs');
      postMessage(Number(readlinkSync('/proc/thread-self').split('/').pop()), []);
      globalThis.onmessage = () => {};`;
      const before = getPriority();
      let worker: ReturnType<typeof startWorker>;
      const thread = await new Promise((resolve, reject) => {
        worker = startWorker(source, { onMessage: resolve, onError: reject });
      });
      expect(getPriority(thread as number)).toBe(5);
      expect(getPriority()).toBe(before);
      worker?.terminate();
    },
  );

  it('passes on what comes while the host stands still, one message at a time, and no longer than it may wait', () => {
    const source = `postMessage('ready', []);
      globalThis.onmessage = ({ data }) => { postMessage(data + 1, []); postMessage(data + 2, []); };`;
    const messages: unknown[] = [];
    const worker = startWorker(source, { onMessage: (message) => messages.push(message), onError: () => {} })!;
    const receive = () => worker.receive(performance.now() + 60_000);
    expect(receive()).toBe(true);
    worker.post(10, []);
    expect(receive()).toBe(true);
    expect(messages).toEqual(['ready', 11]);
    expect(receive()).toBe(true);
    expect(messages).toEqual(['ready', 11, 12]);
    const begin = performance.now();
    expect(worker.receive(begin + 30)).toBe(false);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(29);
    worker.terminate();
  });

  it('delivers what a script has posted before it ended', async () => {
    const said: unknown[] = [];
    await new Promise<void>((resolve) => {
      startWorker("postMessage('last', []); throw new Error('on purpose');", {
        onMessage: (message) => said.push(message),
        onError: (error) => {
          said.push(error.message);
          if (said.length === 3) resolve();
        },
      })?.setRef(true);
    });
    expect(said).toEqual(['last', 'on purpose', expect.stringContaining('ended with code 1')]);
  });

  it('reports a script that throws', async () => {
    const error = await new Promise<Error>((resolve) => {
      startWorker('throw new RangeError("out of order")', { onMessage: () => {}, onError: resolve })?.setRef(true);
    });
    expect(error.message).toContain('out of order');
  });
});

describe('waitForChange', () => {
  it('returns when another thread changes the counter, or at once when it has changed already', async () => {
    const counter = new Int32Array(new SharedArrayBuffer(4));
    expect(waitForChange(counter, 5)).toBe(true);
    const source = `globalThis.onmessage = ({ data }) => {
      postMessage('ready', []);
      setTimeout(() => { Atomics.store(data, 0, 1); Atomics.notify(data, 0); }, 20);
    };`;
    let worker: ReturnType<typeof startWorker>;
    await new Promise<unknown>((resolve, reject) => {
      worker = startWorker(source, { onMessage: resolve, onError: reject });
      worker?.setRef(true);
      worker?.post(counter, []);
    });
    expect(waitForChange(counter, 0)).toBe(true);
    expect(Atomics.load(counter, 0)).toBe(1);
    worker?.terminate();
  });
});

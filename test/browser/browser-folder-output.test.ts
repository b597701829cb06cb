import { unzipSync } from 'fflate';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { listRuns, openBrowserFolder, readEvents, ScalarWriter, SummaryWriter } from '../../src/index.js';
import { allowWarnings } from './console.js';

afterEach(async () => {
  const root = await navigator.storage.getDirectory();
  for await (const name of root.keys()) await root.removeEntry(name, { recursive: true });
});

async function stepsIn(source: Parameters<typeof readEvents>[0]): Promise<number[]> {
  const steps = [];
  for await (const { step, summary } of readEvents(source)) if (summary !== undefined) steps.push(Number(step));
  return steps;
}

/** The steps of the only file of a folder as they are on the disk, whatever a writer holds. */
async function stepsOnDisk(path: string): Promise<number[]> {
  let folder = await navigator.storage.getDirectory();
  for (const name of path.split('/')) folder = await folder.getDirectoryHandle(name);
  for await (const entry of folder.values()) return stepsIn(await (entry as FileSystemFileHandle).getFile());
  return [];
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe('openBrowserFolder', () => {
  it('writes an event file that flush has brought into the file, and continues it', async () => {
    const folder = await openBrowserFolder('runs/first');
    const writer = new SummaryWriter(folder);
    for (let i = 0; i < 100; i++) writer.addScalar('loss', i, i);
    await writer.flush();
    const [{ path, file }] = await folder.list();
    expect(path).toMatch(/^events\.out\.tfevents\.\d{10}\.localhost\.\d+\.\d{5}$/);
    expect(await stepsIn(file)).toEqual(range(0, 100));
    expect(folder.pendingBytes).toBe(0);
    for (let i = 100; i < 250; i++) writer.addScalar('loss', i, i);
    await writer.close();
    const files = await folder.list();
    expect(files).toHaveLength(1);
    expect(await stepsIn(files[0].file)).toEqual(range(0, 250));
  });

  it('begins a file that sorts later where an earlier writer left one', async () => {
    for (const [from, to] of [
      [0, 3],
      [3, 6],
      [6, 9],
    ]) {
      const writer = new SummaryWriter(await openBrowserFolder('runs/again'));
      for (const step of range(from, to)) writer.addScalar('loss', 1, step);
      await writer.close();
    }
    const files = await (await openBrowserFolder('runs/again')).list();
    const steps = await Promise.all(files.map(({ file }) => stepsIn(file)));
    expect(steps).toEqual([range(0, 3), range(3, 6), range(6, 9)]);
  });

  it('writes runs and companion files below the folder, whatever their names', async () => {
    const folder = await openBrowserFolder('/runs/../outside/');
    const writer = new SummaryWriter(folder);
    writer.run('val').addScalar('loss', 1, 5);
    writer.addScalars('both', { a: 1, '../b': 2 }, 6);
    writer.addEmbedding(
      'points',
      [
        [0, 1],
        [1, 0],
      ],
      0,
      { metadata: ['x', 'y'] },
    );
    await writer.close();
    const files = await folder.list();
    const folders = files.map(({ path }) =>
      path.replace(/events\.out.*/, 'events').replace(/-[0-9a-f]{8}\//, '-checksum/'),
    );
    expect(folders).toEqual(
      expect.arrayContaining(['both/__-checksum/b/events', 'both/a/events', 'events', 'val/events']),
    );
    expect(folders).toContain('projector_config.pbtxt');
    const root = await navigator.storage.getDirectory();
    const names = [];
    for await (const name of root.keys()) names.push(name);
    expect(names).toEqual(['runs']);
    const val = files.find(({ path }) => path.startsWith('val/'))!;
    expect(await stepsIn(val.file)).toEqual([5]);
  });

  it('keeps the embeddings of several writers that add to one folder at once', async () => {
    const writers = await Promise.all(
      [0, 1, 2, 3].map(async () => new SummaryWriter(await openBrowserFolder('shared'))),
    );
    for (const [index, writer] of writers.entries()) {
      for (const k of [0, 1]) writer.addEmbedding(`own${index}-${k}`, [[0, 1]], 0);
    }
    await Promise.all(writers.map((writer) => writer.close()));
    const files = await (await openBrowserFolder('shared')).list();
    const config = await files.find(({ path }) => path === 'projector_config.pbtxt')!.file.text();
    const names = [...config.matchAll(/tensor_name: "(.*)"/g)].map(([, name]) => name).sort();
    expect(names).toEqual([0, 1, 2, 3].flatMap((index) => [0, 1].map((k) => `own${index}-${k}:00000`)));
  });

  it('writes in the background, without flush', async () => {
    const folder = await openBrowserFolder('runs/background');
    const writer = new SummaryWriter(folder, { flushSecs: 0.01 });
    writer.addScalar('loss', 1, 1);
    await vi.waitFor(async () => expect(await stepsOnDisk('runs/background')).toEqual([1]), 60_000);
    writer.addScalar('loss', 1, 2);
    await vi.waitFor(async () => expect(await stepsOnDisk('runs/background')).toEqual([1, 2]), 60_000);
    await writer.close();
  });

  it.each([
    ['left', () => window.dispatchEvent(new PageTransitionEvent('pagehide'))],
    [
      'hidden',
      () => {
        vi.spyOn(document, 'visibilityState', 'get').mockReturnValueOnce('hidden');
        document.dispatchEvent(new Event('visibilitychange'));
      },
    ],
  ])('writes what is buffered when the page is being %s', async (name, leave) => {
    const writer = new SummaryWriter(await openBrowserFolder(`runs/${name}`), { flushSecs: 3600 });
    // No timer writes it.
    const timers = vi.spyOn(globalThis, 'setTimeout').mockReturnValue(0 as never);
    for (const step of range(0, 5)) writer.addScalar('loss', 1, step);
    leave();
    timers.mockRestore();
    await vi.waitFor(async () => expect(await stepsOnDisk(`runs/${name}`)).toEqual(range(0, 5)), 60_000);
    await writer.close();
  });

  it('is listed, read and zipped with what the writers of the page hold, its own and those below it', async () => {
    const writer = new SummaryWriter(await openBrowserFolder('runs/open'));
    const small = new ScalarWriter(await openBrowserFolder('runs/open/small'));
    const other = new SummaryWriter(await openBrowserFolder('elsewhere'));
    const add = (step: number) => {
      for (const each of [writer, writer.run('val'), small, other]) each.addScalar('loss', 1, step);
    };
    add(0);
    expect(await stepsIn((await openBrowserFolder('runs')).run('open/val'))).toEqual([0]);
    add(1);
    const zip = await (await openBrowserFolder('runs')).toZip();
    const files = unzipSync(new Uint8Array(await zip.arrayBuffer()));
    const names = Object.keys(files).sort();
    expect(names.map((name) => name.replace(/events\.out.*/, 'events'))).toEqual([
      'open/events',
      'open/small/events',
      'open/val/events',
    ]);
    for (const name of names) expect(await stepsIn(files[name])).toEqual([0, 1]);
    for (const each of [writer, small, other]) await each.close();
  });

  it('is read as a folder is: its runs are listed, and each is read', async () => {
    const folder = await openBrowserFolder('runs/read');
    const writer = new SummaryWriter(folder);
    for (const step of range(0, 3)) writer.run('train').addScalar('loss', 1, step);
    writer.run('val').addScalar('loss', 1, 7);
    await writer.close();
    const again = await openBrowserFolder('runs/read');
    expect((await listRuns(again)).map(({ run }) => run)).toEqual(['train', 'val']);
    expect(await stepsIn(again.run('train'))).toEqual([0, 1, 2]);
    expect(await stepsIn(again.run('val'))).toEqual([7]);
    await expect(stepsIn(again)).rejects.toThrow("pass its run(name), which is one of 'train', 'val'");
    expect((await listRuns(await openBrowserFolder('runs'))).map(({ run }) => run)).toEqual(['read/train', 'read/val']);
  });

  it('is followed while it is written', async () => {
    const folder = await openBrowserFolder('runs/followed');
    const writer = new SummaryWriter(folder);
    const steps: number[] = [];
    const end = new AbortController();
    const reading = (async () => {
      for await (const { step, summary } of readEvents(folder, { follow: true, pollInterval: 5, signal: end.signal })) {
        if (summary !== undefined) steps.push(Number(step));
      }
    })();
    for (const step of range(0, 5)) {
      writer.addScalar('loss', 1, step);
      await writer.flush();
      await vi.waitFor(() => expect(steps).toEqual(range(0, step + 1)), 60_000);
    }
    end.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    await writer.close();
  });

  it('becomes one zip file, with its runs in folders, also while a writer goes on', async () => {
    const folder = await openBrowserFolder('runs/zipped');
    const writer = new SummaryWriter(folder);
    const [train, val] = ['train', 'val'].map((name) => writer.run(name));
    for (const step of range(0, 5)) {
      train.addScalar('loss', 1, step);
      val.addScalar('loss', 2, step);
    }
    await writer.flush();
    const zips = [];
    for (const step of range(5, 30)) {
      train.addScalar('loss', 1, step);
      const flushing = writer.flush();
      zips.push(await folder.toZip('first'));
      await flushing;
    }
    await writer.close();
    zips.push(await folder.toZip('first'));
    for (const zip of zips) {
      const files = unzipSync(new Uint8Array(await zip.arrayBuffer()));
      const names = Object.keys(files).sort();
      expect(names.map((name) => name.replace(/events\.out.*/, 'events'))).toEqual([
        'first/train/events',
        'first/val/events',
      ]);
      const steps = await stepsIn(files[names[0]]);
      expect(steps).toEqual(range(0, steps.length));
      expect(steps.length).toBeGreaterThanOrEqual(zip === zips.at(-1) ? 30 : 5);
      expect(await stepsIn(files[names[1]])).toEqual(range(0, 5));
    }
  });

  it('is named where a page gives the path of a folder', async () => {
    const advice = "openBrowserFolder('runs/x')";
    expect(() => new SummaryWriter('runs/x')).toThrow(advice);
    await expect(stepsIn('runs/x')).rejects.toThrow(advice);
    await expect(listRuns('runs/x')).rejects.toThrow(advice);
    expect(() => readEvents({} as never)).toThrow('an Output of openBrowserFolder');
  });

  it('says in flush that its file was deleted', async () => {
    const folder = await openBrowserFolder('runs/deleted');
    const writer = new SummaryWriter(folder);
    writer.addScalar('loss', 1, 0);
    await writer.flush();
    const handle = await folder.handle();
    for await (const name of handle.keys()) await handle.removeEntry(name);
    allowWarnings(/Cannot write to the browser's folder/);
    writer.addScalar('loss', 1, 1);
    await expect(writer.flush()).rejects.toMatchObject({ code: 'NotFoundError' });
    await expect(writer.close()).rejects.toThrow(/Cannot write to the browser's folder/);
  });

  it('takes a folder the user has picked', async () => {
    const root = await navigator.storage.getDirectory();
    const picked = await root.getDirectoryHandle('picked', { create: true });
    const writer = new SummaryWriter(await openBrowserFolder(picked));
    writer.addScalar('loss', 1, 8);
    await writer.close();
    const [{ file }] = await (await openBrowserFolder('picked')).list();
    expect(await stepsIn(file)).toEqual([8]);
    await expect(openBrowserFolder(undefined as never)).rejects.toThrow(TypeError);
  });

  it('keeps what cannot be written, says so in flush, and writes it when that works again', async () => {
    const folder = await openBrowserFolder('runs/full');
    const writer = new SummaryWriter(folder);
    writer.addScalar('loss', 1, 0);
    await writer.flush();
    const full = vi
      .spyOn(FileSystemFileHandle.prototype, 'createWritable')
      .mockRejectedValue(new DOMException('The quota has been exceeded', 'QuotaExceededError'));
    const warnings = allowWarnings(/quota has been exceeded/);
    writer.addScalar('loss', 1, 1);
    await expect(writer.flush()).rejects.toMatchObject({
      message: expect.stringContaining('quota'),
      code: 'QuotaExceededError',
    });
    writer.addScalar('loss', 1, 2);
    await expect(writer.flush()).rejects.toThrow(/quota/);
    expect(folder.pendingBytes).toBeGreaterThan(0);
    expect(warnings.length).toBeGreaterThan(0);
    full.mockRestore();
    await writer.close();
    expect(await stepsIn((await folder.list())[0].file)).toEqual([0, 1, 2]);
  });

  it('appends in place in a worker', async () => {
    const module = new URL('../../src/index.ts', import.meta.url).href;
    const source = `
      import { openBrowserFolder, SummaryWriter } from ${JSON.stringify(module)};
      let copies = 0;
      const copy = FileSystemFileHandle.prototype.createWritable;
      FileSystemFileHandle.prototype.createWritable = function (...args) { copies++; return copy.apply(this, args); };
      const writer = new SummaryWriter(await openBrowserFolder('runs/worker'));
      for (let i = 0; i < 50; i++) { writer.addScalar('loss', i, i); if (i % 10 === 0) await writer.flush(); }
      await writer.close();
      postMessage({ copies });
    `;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), { type: 'module' });
    const said = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.terminate();
    expect(said).toEqual({ copies: 0 });
    const [{ file }] = await (await openBrowserFolder('runs/worker')).list();
    expect(await stepsIn(file)).toEqual(range(0, 50));
  });
});

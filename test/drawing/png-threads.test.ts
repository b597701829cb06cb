import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodePng, type Pixels, type PixelsJob, pixelsOf, takeJob } from '../../src/drawing/png.js';
import { encodePngs } from '../../src/drawing/png-threads.js';
import * as node from '../../src/platform/node.js';
import type { WorkerListener, WorkerThread } from '../../src/platform/platform.js';
import { Soon } from '../../src/platform/soon.js';
import { zlibOfPage } from '../../src/platform/zlib.js';
import { noisyPixels } from '../support/pixels.js';

const digests = (files: readonly Uint8Array[]) => files.map((file) => createHash('sha1').update(file).digest('hex'));
const inPlace = (images: Pixels[]) => images.map((pixels) => encodePng(pixels, node.zlib) as Uint8Array);

describe('encodePngs', () => {
  it('gives the bytes that one thread gives, whatever the sizes, although other threads encode', async () => {
    const batches = Array.from({ length: 60 }, (_, i) =>
      Array.from({ length: 1 + (i % 3) }, (_, k) => noisyPixels([16, 96, 200][i % 3], [1, 12, 256][i % 3], i + k + 1)),
    );
    const encoded = batches.map((images) => encodePngs(images));
    if (node.processorCount() > 1) expect(encoded.filter((files) => files instanceof Soon).length).toBeGreaterThan(10);
    for (const [i, files] of encoded.entries()) expect(digests(await files)).toEqual(digests(inPlace(batches[i])));
  });

  it('reads pixels during the call: what is changed later does not change the picture', async () => {
    const images = Array.from({ length: 30 }, (_, i) => noisyPixels(150, 12, i + 1));
    const expected = inPlace(images);
    const encoded = images.map((image) => {
      const files = encodePngs([image]);
      image.data.fill(7);
      return files;
    });
    expect(digests((await Promise.all(encoded)).flat())).toEqual(digests(expected));
  });

  it('of no images is no file', () => {
    expect(encodePngs([])).toEqual([]);
  });
});

/** A thread that does nothing unless the test has it do so. */
class FakeThread implements WorkerThread {
  readonly jobs: PixelsJob[] = [];
  isRef = false;
  isEnded = false;
  /** Called when the host stands still for a message. */
  onReceive = (_deadline: number) => false;

  constructor(readonly listener: WorkerListener) {}

  post(job: unknown): void {
    this.jobs.push(job as PixelsJob);
  }
  receive(deadline: number): boolean {
    return this.onReceive(deadline);
  }
  setRef(keepsAlive: boolean): void {
    this.isRef = keepsAlive;
  }
  terminate(): void {
    this.isEnded = true;
    this.listener.onError(new Error('The worker thread ended with code 1.'));
  }
  /** Does its oldest job. */
  work(): void {
    const job = this.jobs.shift()!;
    if (takeJob(job)) this.listener.onMessage({ id: job.id, files: inPlace(pixelsOf(job)) });
  }
}

describe('encodePngs, with threads that do as the test says', () => {
  let threads: FakeThread[];
  let encode: typeof encodePngs;
  let maxWaitingPixelBytes: number;
  const platform = { processorCount: () => 16, isExiting: () => false };

  async function load(more: object = {}) {
    vi.resetModules();
    vi.doMock('#platform', () => ({
      ...node,
      ...platform,
      startWorker(_source: string, listener: WorkerListener) {
        threads.push(new FakeThread(listener));
        return threads.at(-1);
      },
      ...more,
    }));
    ({ encodePngs: encode, maxWaitingPixelBytes } = await import('../../src/drawing/png-threads.js'));
  }

  beforeEach(async () => {
    threads = [];
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'], now: 0 });
    await load();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.doUnmock('#platform');
    vi.resetModules();
  });

  // Classes of modules that are loaded again are others.
  const isSoon = (files: unknown) => files instanceof Promise && 'find' in files;
  const soon = (files: unknown) => files as Soon<Uint8Array[]>;
  const image = noisyPixels(100, 12);
  const file = inPlace([image]);

  it('an image that comes alone is encoded at once, by this thread', () => {
    vi.advanceTimersByTime(60_000);
    expect(encode([image])).toEqual(file);
    expect(threads).toEqual([]);
  });

  it('small images are encoded by this thread, however many come; a batch of them is worth a message', () => {
    const small = noisyPixels(28, 12);
    for (let i = 0; i < 100; i++) expect(encode([small])).toEqual(inPlace([small]));
    expect(threads).toEqual([]);
    expect(isSoon(encode(Array(20).fill(small)))).toBe(true);
    expect(threads.flatMap(({ jobs }) => jobs.map((job) => pixelsOf(job).length))).toEqual([7, 7]);
  });

  it('each image of a batch is a job, and jobs go to the thread with the fewest, four at most', () => {
    encode(Array(10).fill(image));
    expect(threads.map(({ jobs }) => jobs.length)).toEqual([3, 3, 2, 2]);
  });

  it.each([
    [1, 0],
    [2, 1],
    [4, 3],
  ])('on %i processors there are %i threads beside this one', async (processors, count) => {
    await load({ processorCount: () => processors });
    for (let i = 0; i < 10; i++) encode([image]);
    expect(threads.length).toBe(count);
  });

  it('no more than some bytes of pixels wait: what comes then is encoded by this thread', () => {
    const most = Math.floor(maxWaitingPixelBytes / image.data.length);
    const encoded = Array.from({ length: most + 5 }, () => encode([image]));
    expect(encoded.map((files) => isSoon(files)).indexOf(false)).toBe(most);
    expect(encoded.slice(most)).toEqual(Array(5).fill(file));
    threads[0].work();
    expect(isSoon(encode([image]))).toBe(true);
  });

  it('a batch of which a part waits has its files in its order', async () => {
    const images = Array.from({ length: 400 }, (_, i) => noisyPixels(100, 12, i + 1));
    const encoded = soon(encode(images));
    expect(encoded.find(false)).toBeUndefined();
    for (const thread of threads) while (thread.jobs.length > 0) thread.work();
    expect(digests(encoded.find(false)!.value)).toEqual(digests(inPlace(images)));
    expect(await encoded).toBe(encoded.find(false)!.value);
  });

  it('what must be there is encoded here, and the thread leaves it out', async () => {
    const encoded = soon(encode([image]));
    expect(encoded.find(true)).toEqual({ value: file });
    expect(takeJob(threads[0].jobs[0])).toBe(false);
    expect(await encoded).toEqual(file);
  });

  it('what must be there, and a thread has begun, is waited for', () => {
    const encoded = soon(encode([image]));
    const [thread] = threads;
    const [job] = thread.jobs;
    takeJob(job);
    thread.onReceive = (deadline) => {
      if (deadline === 0) return false;
      thread.listener.onMessage({ id: job.id, files: [Uint8Array.of(1, 2, 3)] });
      return true;
    };
    expect(encoded.find(true)).toEqual({ value: [Uint8Array.of(1, 2, 3)] });
  });

  it('a thread that has begun and does not answer in time is not waited for any longer', () => {
    const encoded = soon(encode([image]));
    takeJob(threads[0].jobs[0]);
    expect(encoded.find(true)).toEqual({ value: file });
  });

  it('a thread that dies leaves its jobs to this one, which goes on alone', async () => {
    const encoded = [encode([image]), encode([image])];
    takeJob(threads[0].jobs[0]);
    for (const { listener } of threads) listener.onError(new Error('out of memory'));
    expect(await Promise.all(encoded)).toEqual([file, file]);
    expect(encode([image])).toEqual(file);
    expect(threads.length).toBe(2);
  });

  it('what a thread could not encode this one does', async () => {
    const encoded = encode([image]);
    const [{ jobs, listener }] = threads;
    listener.onMessage({ id: jobs[0].id, files: undefined });
    expect(await encoded).toEqual(file);
  });

  it('where no thread can be started this one encodes', async () => {
    await load({ startWorker: () => undefined });
    expect(encode([image])).toEqual(file);
  });

  it('while the program exits this thread encodes', async () => {
    await load({ isExiting: () => true });
    expect(encode([image])).toEqual(file);
  });

  it('a thread keeps the program alive while it has something to do, and ends when it has had nothing for a while', async () => {
    await load({ zlib: zlibOfPage }); // there threads encode however much time there was
    encode([image]);
    const [thread] = threads;
    expect(thread.isRef).toBe(true);
    thread.work();
    expect([thread.isRef, thread.isEnded]).toEqual([false, false]);
    encode([image]);
    vi.advanceTimersByTime(60_000);
    expect(thread.isEnded).toBe(false);
    thread.work();
    vi.advanceTimersByTime(60_000);
    expect(thread.isEnded).toBe(true);
    // It was ended on purpose: another one may start.
    encode([image]);
    expect(threads.length).toBe(2);
  });

  it('in a page a thread encodes every image that is worth it, and the page itself if there is none', async () => {
    const pagePng = await encodePng(image, zlibOfPage);
    await load({ zlib: zlibOfPage, processorCount: () => 1 });
    vi.advanceTimersByTime(60_000);
    const encoded = encode([image]);
    const [thread] = threads;
    const [job] = thread.jobs;
    thread.listener.onMessage({ id: job.id, files: [pagePng] });
    expect(await encoded).toEqual([pagePng]);
    const others = [encode([image]), encode([image])];
    thread.listener.onError(new Error('forbidden by a policy'));
    expect(await Promise.all([...others, encode([image])])).toEqual([[pagePng], [pagePng], [pagePng]]);
    expect(threads.length).toBe(1);
  });
});

/**
 * Images to PNG files: on this thread, and on others when many come. In Node this thread still encodes what finds no place in the
 * bounded memory of what waits, and what must be there at once.
 */
import { isExiting, processorCount, startWorker, unref, zlib } from '#platform';
import type { WorkerThread } from '../platform/platform.js';
import { Soon } from '../platform/soon.js';
import { workerSource } from './generated/png-worker-source.js';
import { type EncodedJob, encodePng, jobOf, type Pixels, type PixelsJob, pixelsOf, takeJob } from './png.js';

/** Fewer bytes of pixels are encoded here, which takes about as long as having another thread do it. */
const leastJobBytes = 16_384;
/** How many bytes of pixels wait for other threads at most. */
export const maxWaitingPixelBytes = 8 * 2 ** 20;
/** How many threads encode beside this one at most. */
const maxThreads = 4;
/** How long threads stay that have nothing to do, in milliseconds. */
const maxIdleMillis = 10_000;
/** How long a thread is waited for that has begun what must be there now, in milliseconds: another program may have its processor. */
const maxWaitMillis = 250;
/** The part of the time that passes which encoding takes of this thread in Node, before other threads help. */
const ownShare = 0.05;
/** As much of it, in milliseconds, is saved or owed at most. */
const maxSavedMillis = 20;

type Files = Uint8Array[];

/** Images that another thread has been sent. */
class OpenJob {
  /** Resolves to the files. */
  readonly done: Promise<Files>;
  /** The files, once they are there. */
  files: Files | undefined;
  #resolve!: (files: Files | Promise<Files>) => void;

  constructor(
    readonly job: PixelsJob,
    readonly thread: EncoderThread,
  ) {
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  settle(files: Files | Promise<Files>): void {
    if (Array.isArray(files)) this.files = files;
    this.#resolve(files);
  }
}

/** A thread that runs png-worker.ts, and what it has to do. An open job keeps the program alive; an idle thread does not. */
interface EncoderThread {
  worker: WorkerThread | undefined;
  readonly open: Map<number, OpenJob>;
}

const threads = new Set<EncoderThread>();
let waitingBytes = 0;
let nextId = 0;
/** Whether threads cannot be started here, or died. */
let isBroken = false;
let idleTimer: ReturnType<typeof setTimeout> | undefined;
/** Milliseconds that encoding may still take of this thread, as of `allowedAt`. */
let allowedMillis = 0;
let allowedAt = 0;

/**
 * Encodes images of one size as PNG files. Their pixels are read during the call.
 *
 * @returns the files; in Node, if many images come, what will soon be the files; in a page a promise of them
 */
export function encodePngs(images: readonly Pixels[]): Files | Promise<Files> {
  const parts = partsOf(images).map((part) => sent(part) ?? encodedHere(part));
  const jobs = parts.filter((part) => part instanceof OpenJob);
  if (jobs.length === 0 && zlib.isImmediate) return (parts as Files[]).flat();
  const whole = Promise.all(parts.map((part) => (part instanceof OpenJob ? part.done : part)));
  if (!zlib.isImmediate) return whole.then((all) => all.flat());
  const bytes = jobs.reduce((sum, { job }) => sum + job.memory.byteLength, 0);
  let value: Files | undefined;
  return Soon.from(whole, bytes, (must) => {
    const found = (parts as (Files | OpenJob)[]).map((part) => (Array.isArray(part) ? part : filesOf(part, must)));
    if (!found.includes(undefined)) value ??= (found as Files[]).flat();
    return value && { value };
  });
}

/** Images in groups that are worth a job each. */
function partsOf(images: readonly Pixels[]): Pixels[][] {
  const parts: Pixels[][] = [];
  const together = images.length === 0 ? 1 : Math.ceil(leastJobBytes / images[0].data.length);
  for (let from = 0; from < images.length; from += together) parts.push(images.slice(from, from + together));
  return parts;
}

function encodedHere(images: readonly Pixels[]): Files | Promise<Files> {
  const began = performance.now();
  const files = images.map((pixels) => encodePng(pixels, zlib));
  if (!zlib.isImmediate) return Promise.all(files);
  allowedMillis = Math.max(-maxSavedMillis, allowedMillis - (performance.now() - began));
  return files as Files;
}

/** Whether this thread, which encodes at once, may take the time for it. */
function isAllowed(): boolean {
  const now = performance.now();
  allowedMillis = Math.min(maxSavedMillis, allowedMillis + ownShare * (now - allowedAt));
  allowedAt = now;
  return allowedMillis > 0;
}

/** Sends images to another thread; returns undefined if they should be encoded here. */
function sent(images: readonly Pixels[]): OpenJob | undefined {
  const bytes = images.reduce((sum, { data }) => sum + data.length, 0);
  if (bytes < leastJobBytes || waitingBytes + bytes > maxWaitingPixelBytes || isExiting()) return undefined;
  if (zlib.isImmediate && isAllowed()) return undefined;
  const thread = freestThread();
  if (thread === undefined) return undefined;
  const open = new OpenJob(jobOf(nextId++, images, zlib.isImmediate), thread);
  thread.open.set(open.job.id, open);
  waitingBytes += open.job.memory.byteLength;
  clearTimeout(idleTimer);
  thread.worker!.setRef(true);
  thread.worker!.post(open.job, []);
  return open;
}

/** The thread with the fewest jobs; a new one if all have some and there may be another. */
function freestThread(): EncoderThread | undefined {
  const [freest] = [...threads].sort((a, b) => a.open.size - b.open.size);
  // A page must stay free, even if there is one processor.
  const most = Math.min(maxThreads, Math.max(processorCount() - 1, zlib.isImmediate ? 0 : 1));
  if (isBroken || freest?.open.size === 0 || threads.size >= most) return freest;
  const thread: EncoderThread = { worker: undefined, open: new Map() };
  thread.worker = startWorker(workerSource, {
    onMessage(message) {
      const { id, files } = message as EncodedJob;
      const open = thread.open.get(id);
      if (open !== undefined) settle(open, files ?? encodedHere(pixelsOf(open.job)));
    },
    onError() {
      if (!threads.delete(thread)) return; // it was ended here
      isBroken = true;
      for (const open of thread.open.values()) settle(open, encodedHere(pixelsOf(open.job)));
    },
  });
  if (thread.worker === undefined) {
    isBroken = true;
    return freest;
  }
  threads.add(thread);
  return thread;
}

/** The files of a job, if they are there by now; if they must be, they are encoded here unless the thread has begun to. */
function filesOf(open: OpenJob, must: boolean): Files | undefined {
  const { worker } = open.thread;
  while (open.files === undefined && worker!.receive(0));
  if (!must) return open.files;
  const deadline = performance.now() + maxWaitMillis;
  while (open.files === undefined) {
    if (takeJob(open.job) || !worker!.receive(deadline)) settle(open, encodedHere(pixelsOf(open.job)));
  }
  return open.files;
}

function settle(open: OpenJob, files: Files | Promise<Files>): void {
  const { job, thread } = open;
  thread.open.delete(job.id);
  waitingBytes -= job.memory.byteLength;
  open.settle(files);
  if (thread.open.size === 0) thread.worker?.setRef(false);
  if (waitingBytes > 0) return;
  idleTimer = setTimeout(endThreads, maxIdleMillis);
  unref(idleTimer);
}

function endThreads(): void {
  const idle = [...threads];
  threads.clear();
  for (const { worker } of idle) worker?.terminate();
}

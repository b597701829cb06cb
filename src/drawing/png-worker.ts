/** Runs in a thread that encodes images. It is bundled into a string by scripts/build.mjs. */
import { zlibOfThread } from '../platform/zlib.js';
import { type EncodedJob, encodePng, type PixelsJob, pixelsOf, takeJob } from './png.js';

interface Scope {
  postMessage(message: unknown, transfer: ArrayBufferLike[]): void;
  onmessage(event: { data: PixelsJob }): void;
}

const scope = globalThis as unknown as Scope;
const zlib = zlibOfThread();

scope.onmessage = async ({ data: job }) => {
  if (!takeJob(job)) return;
  let files: Uint8Array[] | undefined;
  try {
    files = await Promise.all(pixelsOf(job).map((pixels) => encodePng(pixels, zlib)));
  } catch {} // no memory, say: the host encodes them
  const message: EncodedJob = { id: job.id, files };
  scope.postMessage(message, files?.map(({ buffer }) => buffer) ?? []);
};

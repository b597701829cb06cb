/** Runs in a thread that encodes images. It is bundled into a string by scripts/build.mjs. */
import { zlibOfThread } from '../platform/zlib.js';
import { encodePng, type PixelsJob, pixelsOf, takeJob } from './png.js';

interface Scope {
  postMessage(message: unknown, transfer: ArrayBufferLike[]): void;
  onmessage(event: { data: PixelsJob }): void;
}

const scope = globalThis as unknown as Scope;
const zlib = zlibOfThread();

scope.onmessage = async ({ data: job }) => {
  if (!takeJob(job)) return;
  const encoded = pixelsOf(job).map((pixels) => encodePng(pixels, zlib));
  const files = zlib.isImmediate ? (encoded as Uint8Array[]) : await Promise.all(encoded);
  scope.postMessage(
    { id: job.id, files },
    files.map(({ buffer }) => buffer),
  );
};

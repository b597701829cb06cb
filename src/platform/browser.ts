import { messageOf } from '../errors.js';
import type { DrawnSvg, NativeZlib } from './node.js';
import type { Files, SourceFiles, WorkerListener, WorkerThread } from './platform.js';

export { defaultStoreFiles } from './browser-folders.js';

/** A page has no synchronous file system. */
export const files: Files | undefined = undefined;

/** A page does not know its computer's name; its own host stands for it. */
export function hostname(): string {
  return globalThis.location?.hostname ?? '';
}

const pageNumber = Math.floor(Math.random() * 2 ** 31);

/** A page has no process number; one by chance keeps pages and workers apart that write to one folder. */
export function processId(): number {
  return pageNumber;
}

const exitCallbacks = new Set<(final: boolean) => void>();

/** Calls back when the page is hidden for good, or for so long that it may never come back. */
export function onExit(callback: (final: boolean) => void): void {
  if (exitCallbacks.size === 0) {
    globalThis.addEventListener?.('pagehide', () => {
      for (const each of exitCallbacks) each(false);
    });
  }
  exitCallbacks.add(callback);
}

/** A page receives no signals. */
export function handleSignals(): void {}

/** Says something on the console's warning channel. */
export function warn(message: string): void {
  console.warn(`(delve-tensorboard) ${message}`);
}

/** A page's timers never keep it alive. */
export function unref(_timer: ReturnType<typeof setTimeout>): void {}

/** A browser's console shows ANSI colour codes as text. */
export function terminalHasColors(): boolean {
  return false;
}

/** A page has no terminal to draw progress on. */
export function writesToTerminal(): boolean {
  return false;
}

/** Nothing: see writesToTerminal. */
export function writeTerminal(_text: string): void {}

export type { DeflateEffort } from './node.js';

/** Browsers have no synchronous native deflate. */
export const nativeZlib: NativeZlib | undefined = undefined;

/** Draws an SVG document as the page would show it, on white. Workers have no means to: there it is an error. */
export async function drawSvg(svg: string): Promise<DrawnSvg> {
  if (typeof Image === 'undefined')
    throw new Error('the SVG could not be drawn: this worker has no Image; call addFigure in the page');
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    image.src = url;
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
    context.fillStyle = 'white';
    context.fillRect(0, 0, width, height);
    context.drawImage(image, 0, 0);
    const file = await canvas.convertToBlob({ type: 'image/png' });
    return { encoded: new Uint8Array(await file.arrayBuffer()), width, height };
  } catch (error) {
    const message = messageOf(error);
    throw new Error(`the SVG could not be drawn: ${message}`, { cause: error });
  } finally {
    URL.revokeObjectURL(url);
  }
}

function refuse(path: string | URL): never {
  throw new TypeError(
    `"${path}" is a path, and a page has no files: pass a Blob, a Response, a ReadableStream or bytes instead`,
  );
}

/** A page has no file system to read from. */
export const sourceFiles: SourceFiles = {
  kind: async (path) => refuse(path),
  list: async (folder) => refuse(folder),
  realPath: async (folder) => refuse(folder),
  size: async (path) => refuse(path),
  path: refuse,
  open: async (path) => refuse(path),
};

/**
 * Starts a thread that runs `source`, a classic script that sets `globalThis.onmessage`; undefined where there are no
 * workers. A content security policy without `worker-src blob:` shows as an error or as an onError that comes later.
 */
export function startWorker(source: string, listener: WorkerListener): WorkerThread | undefined {
  if (typeof Worker === 'undefined' || typeof Blob === 'undefined') return undefined;
  let worker: Worker;
  let url: string | undefined;
  try {
    url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    worker = new Worker(url, { name: 'delve-tensorboard' });
  } catch {
    if (url) URL.revokeObjectURL(url);
    return undefined;
  }
  const release = () => URL.revokeObjectURL(url);
  worker.addEventListener('message', (event) => {
    release(); // the script has been read once it speaks; revoking twice does nothing
    listener.onMessage(event.data);
  });
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    release();
    listener.onError(new Error(event.message || 'The worker could not start.'));
  });
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    setRef: () => {}, // a page's workers live as long as the page
    terminate: () => worker.terminate(),
  };
}

/** A page's main thread must not wait; a worker may. False where it could not, or when the time is over. */
export function waitForChange(counter: Int32Array, seen: number, milliseconds = 10_000): boolean {
  try {
    return Atomics.wait(counter, 0, seen, milliseconds) !== 'timed-out';
  } catch {
    return false;
  }
}

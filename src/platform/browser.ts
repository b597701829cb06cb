/** The browsers' side of `Platform`: pages and web workers. */
import { messageOf } from '../errors.js';
import {
  checkPictureSize,
  type DrawnSvg,
  type Files,
  type GifCodec,
  type ModelFiles,
  type SourceFiles,
  type WorkerListener,
  type WorkerThread,
} from './platform.js';
import { random } from './random.js';

export { defaultStoreFiles } from './browser-folders.js';

/** A page has no synchronous file system. */
export const files: Files | undefined = undefined;

/** Nor files of models that are read in ranges. */
export const modelFiles: ModelFiles | undefined = undefined;

/** A page does not know its computer's name, so this is the page's own host. */
export function hostname(): string {
  return globalThis.location?.hostname ?? '';
}

let pageNumber: number | undefined;

/** A page has no process number. A random one distinguishes pages and workers that write to one folder. */
export function processId(): number {
  return (pageNumber ??= Math.floor(random() * 2 ** 31));
}

const exitCallbacks = new Set<(final: boolean) => void>();

/** Calls back when the page is hidden, from where it may never come back: on phones nothing else tells its end. */
export function onExit(callback: (final: boolean) => void): void {
  if (exitCallbacks.size === 0) {
    const tell = () => {
      for (const each of exitCallbacks) each(false);
    };
    globalThis.addEventListener?.('pagehide', tell);
    globalThis.document?.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'hidden') tell();
    });
  }
  exitCallbacks.add(callback);
}

/** A page does not say when it is closed for good. */
export function isExiting(): boolean {
  return false;
}

/** Calls back when the promises that are settled have been heard. */
export function atEndOfTurn(callback: () => void): void {
  setTimeout(callback);
}

/** A page receives no signals. */
export function handleSignals(): void {}

/** Writes a warning to the console. */
export function warn(message: string): void {
  console.warn(`(delve-tensorboard) ${message}`);
}

/** A page has no environment. */
export function environment(_name: string): string | undefined {
  return undefined;
}

/** A page's timers never keep it alive. */
export function unref(_timer: number | object): void {}

/** A browser's console shows ANSI color codes as text. */
export function terminalHasColors(): boolean {
  return false;
}

/** A page has no terminal to draw progress on. */
export function writesToTerminal(): boolean {
  return false;
}

/** Does nothing: see writesToTerminal. */
export function writeTerminal(_text: string): void {}

/** The browser's own deflate, which is a stream. */
export { zlibOfPage as zlib } from './zlib.js';

/** Loads the package gifenc, which pages that write no video need not load. */
export async function loadGifCodec(): Promise<GifCodec> {
  const gifenc = await import('gifenc');
  return typeof gifenc.GIFEncoder === 'function' ? gifenc : gifenc.default;
}

/**
 * Draws an SVG document on white as the page would show it. The browser loads nothing that such an image names.
 * Source: https://www.w3.org/TR/SVG2/conform.html#secure-static-mode
 *
 * @param scale pixels per unit of the document
 * @throws Error if the document cannot be drawn or is too large; always in a worker, which cannot draw SVG
 */
export async function drawSvg(svg: string, scale = 1): Promise<DrawnSvg> {
  if (typeof Image === 'undefined')
    throw new Error('the SVG could not be drawn: a worker cannot draw, so draw it in the page');
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    image.src = url;
    await image.decode();
    const width = Math.ceil(image.naturalWidth * scale);
    const height = Math.ceil(image.naturalHeight * scale);
    checkPictureSize(width, height);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
    context.fillStyle = 'white';
    context.fillRect(0, 0, width, height);
    context.drawImage(image, 0, 0, width, height);
    const file = await canvas.convertToBlob({ type: 'image/png' });
    return { encoded: new Uint8Array(await file.arrayBuffer()), width, height };
  } catch (cause) {
    throw new Error(`the SVG could not be drawn: ${messageOf(cause)}`, { cause });
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** A page draws by itself. */
export function checkRenderer(_call: string): void {}

/** A path of a page's own files as it is, and anything else too: what a page has no files for refuses it. */
export function localPath(place: string | URL, _call: string, _elsewhere: string): string {
  return String(place);
}

function refuse(path: string): never {
  throw new TypeError(
    `"${path}" is a path, and a page has no files: pass await openBrowserFolder('${path}'), a Blob, a Response, a ReadableStream or bytes instead`,
  );
}

/** A page has no file system to read from. */
export const sourceFiles: SourceFiles = {
  kind: async (path) => refuse(path),
  list: async (folder) => refuse(folder),
  realPath: async (folder) => refuse(folder),
  size: async (path) => refuse(path),
  open: async (path) => refuse(path),
};

/**
 * Starts a thread that runs `source`, a classic script that sets `globalThis.onmessage`; returns undefined if there are no
 * workers. If a content security policy lacks `worker-src blob:`, `onError` may be called later.
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
    release(); // the script has been loaded once it sends a message; revoking twice does nothing
    listener.onMessage(event.data);
  });
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    release();
    listener.onError(new Error(event.message || 'The worker could not start.'));
  });
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    receive: () => false, // a page must not wait
    setRef: () => {}, // a page's workers live as long as the page
    terminate: () => worker.terminate(),
  };
}

/** How many processors the browser says there are. */
export function processorCount(): number {
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** All processors but two, for the page and what it draws with; undefined unless the page is cross-origin isolated. */
export function freeProcessors(): number | undefined {
  const { crossOriginIsolated, navigator } = globalThis;
  return crossOriginIsolated && navigator.hardwareConcurrency > 1 ? navigator.hardwareConcurrency - 2 : undefined;
}

/**
 * Waits until `counter[0]` is no longer `seen`; returns false after the time has passed, and at once on a page's main
 * thread, which must not wait.
 */
export function waitForChange(counter: Int32Array, seen: number, milliseconds = 10_000): boolean {
  try {
    return Atomics.wait(counter, 0, seen, milliseconds) !== 'timed-out';
  } catch {
    return false;
  }
}

/** Node's side of `Platform`. */
import { createRequire } from 'node:module';
import { availableParallelism, cpus, hostname as osHostname } from 'node:os';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { describe, MissingRendererError, messageOf, printableLines } from '../errors.js';
import { DrawingProcess, NoProcessError } from './drawing-process.js';
import {
  checkPictureSize,
  type DrawnSvg,
  type GifCodec,
  type WorkerListener,
  type WorkerThread,
  type Zlib,
} from './platform.js';
import { zlibOfNode } from './zlib.js';

export { modelFiles } from './model-files.js';
export { defaultStoreFiles, files, localPath, sourceFiles } from './node-files.js';

/** This computer's name; '' if it has none, or if Deno was not given --allow-sys. */
export function hostname(): string {
  try {
    return osHostname();
  } catch {
    return '';
  }
}

/** The process's number, which worker threads share. */
export function processId(): number {
  return process.pid;
}

/** Whether our listener of `exit` has been called. */
let exiting = false;
const exitCallbacks = new Set<(final: boolean) => void>();

/**
 * Calls back synchronously when the program (or this worker thread) ends in any way that still runs code: an empty event
 * loop, process.exit, an uncaught exception, an unhandled rejection. One listener serves all callbacks, and it comes before
 * those that the program added earlier: if one of them throws or calls process.exit, later ones are not called.
 *
 * @param callback `final` is false if an exception was not caught, or the program itself listens to a signal that came: it may go on
 */
export function onExit(callback: (final: boolean) => void): void {
  if (exitCallbacks.size === 0) {
    process.prependListener('exit', () => {
      exiting = true;
      for (const each of exitCallbacks) each(true);
    });
    // Also an exception in a listener of 'exit' that was put before ours. It changes nothing for the program.
    process.on('uncaughtExceptionMonitor', () => {
      for (const each of exitCallbacks) each(false);
    });
  }
  exitCallbacks.add(callback);
}

/** Whether `exit` has begun: from then on nothing asynchronous runs. */
export function isExiting(): boolean {
  // Node's own flag is set even if the first writer is made by a listener of 'exit'.
  return exiting || (process as { _exiting?: boolean })._exiting === true;
}

/** Calls back after the code that runs now and after all microtasks. */
export function atEndOfTurn(callback: () => void): void {
  process.nextTick(callback);
}

const signals = ['SIGINT', 'SIGTERM'] as const;
let handlesSignals = false;

/**
 * Runs the exit callbacks when SIGINT or SIGTERM comes, then lets the signal do what it would have done: the program's
 * own listeners run; if there are none, the signal ends the program.
 */
export function handleSignals(): void {
  if (handlesSignals) return;
  handlesSignals = true;
  for (const signal of signals) process.prependListener(signal, onSignal);
}

function onSignal(signal: NodeJS.Signals): void {
  const ends = process.listenerCount(signal) === 1;
  if (ends) exiting = true;
  for (const each of exitCallbacks) each(ends);
  // Removed while the others run: some of them end the program only if they are the only listener.
  process.removeListener(signal, onSignal);
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  else setImmediate(() => process.prependListener(signal, onSignal)).unref();
}

/**
 * Emits a process warning; during exit, when nothing shows those any more, writes to standard error. The message may hold
 * names from files, which must not command the terminal.
 */
export function warn(message: string): void {
  const text = printableLines(message);
  if (isExiting()) console.warn(`(delve-tensorboard) ${text}`);
  else process.emitWarning(text, { type: 'DelveTensorBoardWarning' });
}

/** A variable of the environment; undefined if it is not set or empty, or if Deno was not given --allow-env. */
export function environment(name: string): string | undefined {
  try {
    return process.env[name] || undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a timer from keeping the program alive. One of jsdom, as test runners put it in the place of Node's, cannot. */
export function unref(timer: number | object): void {
  (timer as Partial<NodeJS.Timeout>).unref?.();
}

/** Whether colors may be written to the terminal: not into a file or pipe, and not if NO_COLOR is set. */
export function terminalHasColors(): boolean {
  const { FORCE_COLOR } = process.env;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  // Node's hasColors also knows TERM=dumb and NO_COLOR.
  return process.stdout.isTTY === true && process.stdout.hasColors();
}

/** Whether standard error is a terminal. */
export function writesToTerminal(): boolean {
  return process.stderr.isTTY === true;
}

/** Writes to standard error, beside the program's own output. */
export function writeTerminal(text: string): void {
  process.stderr.write(text);
}

// Whatever an older Node lacked, it would say no more than that.
if (process.getBuiltinModule === undefined) {
  throw new Error(`delve-tensorboard: expected Node 20.19 or newer, got ${process.version}`);
}

let loadedZlib: Zlib | undefined;
const loadZlib = () => (loadedZlib ??= zlibOfNode(process.getBuiltinModule('node:zlib')));

/** Node's zlib, which is loaded with the first image: it takes milliseconds of the start of every program. */
export const zlib: Zlib = {
  isImmediate: true,
  deflate: (bytes, effort) => loadZlib().deflate(bytes, effort),
  crc32: (bytes) => loadZlib().crc32(bytes),
};

/** Loads the package gifenc with the first video. In a bundle, which has no packages beside it, it comes later. */
export function loadGifCodec(): GifCodec | Promise<GifCodec> {
  try {
    return createRequire(import.meta.url)('gifenc') as GifCodec;
  } catch {
    return import('gifenc').then((gifenc) => (typeof gifenc.GIFEncoder === 'function' ? gifenc : gifenc.default));
  }
}

const renderer = '@resvg/resvg-js';
let drawingProcess: DrawingProcess | undefined;

/**
 * Draws an SVG document on white with the optional peer @resvg/resvg-js, which is loaded at the first document. It is drawn
 * in another process, which the document may exhaust; where none can be started, on another thread.
 *
 * @param scale pixels per unit of the document
 * @throws Error if the document cannot be drawn or is too large, MissingRendererError if the package is not installed
 */
export async function drawSvg(svg: string, scale = 1): Promise<DrawnSvg> {
  const { Resvg, renderAsync } = await loadRenderer();
  try {
    const own = withoutOutsideImages(svg);
    try {
      drawingProcess ??= new DrawingProcess(createRequire(import.meta.url).resolve(renderer));
      return await drawingProcess.draw(own, scale);
    } catch (error) {
      // A bundle has no packages beside it, and some programs may start no process.
      if (drawingProcess !== undefined && !(error instanceof NoProcessError)) throw error;
    }
    // Loading the fonts takes most of the time that reading takes, and no size depends on them.
    const { width, height } = new Resvg(own, { font: { loadSystemFonts: false } });
    checkPictureSize(Math.ceil(width * scale), Math.ceil(height * scale));
    const fitTo = scale === 1 ? ({ mode: 'original' } as const) : ({ mode: 'zoom', value: scale } as const);
    const picture = await renderAsync(own, { background: 'white', fitTo });
    return { encoded: new Uint8Array(picture.asPng()), width: picture.width, height: picture.height };
  } catch (cause) {
    throw new Error(`the SVG could not be drawn: ${messageOf(cause)}`, { cause });
  }
}

const quoted = `(?:"[^"<]*"|'[^'<]*')`;
/** Declarations of a document type. An entity's value with '<' or '&' in it could hide an element. */
const declaration = `<![A-Z]+[^<>"']*(?:(?:"[^"<&]*"|'[^'<&]*')[^<>"']*)*>`;
const comment = '<!--[^]*?-->';
const instruction = '<\\?[^]*?\\?>';
/** One piece of an XML document: a start tag is captured, all else is not. Source: https://www.w3.org/TR/xml/#sec-documents */
const xmlPiece = new RegExp(
  [
    '[^<]+',
    `(<[^\\s<>"'/!?][^<>"']*(?:(?:"[^"]*"|'[^']*')[^<>"']*)*>)`,
    '</[^<>]*>',
    comment,
    instruction,
    '<!\\[CDATA\\[[^]*?\\]\\]>',
    `<!DOCTYPE[^<>"'[]*(?:${quoted}[^<>"'[]*)*(?:\\[(?:[^<"'\\]]|${comment}|${instruction}|${declaration})*\\]\\s*)?>`,
  ].join('|'),
  'y',
);

/** The attributes of a start tag, with their local names and their values in quotes. */
const attribute = /([^\s=<>"'/:]+)(\s*=\s*)("[^"]*"|'[^']*')/g;

/**
 * An SVG document whose images come from nowhere but the document: the renderer would read files of this computer. Whatever
 * is left out is warned of.
 *
 * @throws Error if the document is not well-formed, or declares entities that hold elements
 */
function withoutOutsideImages(svg: string): string {
  const left: string[] = [];
  let own = '';
  for (let at = 0; at < svg.length; at = xmlPiece.lastIndex) {
    xmlPiece.lastIndex = at;
    const [piece, tag] = xmlPiece.exec(svg) ?? [];
    if (piece === undefined) throw new Error(`expected an XML document, got ${describe(svg.slice(at, at + 80))} in it`);
    const isImage = tag !== undefined && /^<(?:[^\s:]*:)?(?:image|feImage)[\s/>]/.test(tag);
    own += !isImage
      ? piece
      : piece.replace(attribute, (whole, name: string, equals: string, value: string) => {
          if (name !== 'href' || /^.(?:data:|#)/.test(value)) return whole;
          left.push(value.slice(1, -1));
          return `${name}${equals}""`;
        });
  }
  if (left.length > 0) {
    warn(`A figure is drawn without ${describe(left[0])}: an image in an SVG must be a data: URL, files are not read`);
  }
  return own;
}

/**
 * Looks for the package that draws, without loading it.
 *
 * @param call the call that wants to draw, for the error
 * @throws MissingRendererError if it is not installed
 */
export function checkRenderer(call: string): void {
  try {
    createRequire(import.meta.url).resolve(renderer);
  } catch (cause) {
    // Anything else, as in a bundle that knows no place of its own, does not mean that it cannot be imported.
    if ((cause as { code?: unknown }).code === 'MODULE_NOT_FOUND') throw new MissingRendererError(renderer, { call });
  }
}

/** Its name is in a variable, and marked, so that bundlers do not insist on an optional package. */
async function loadRenderer(): Promise<typeof import('@resvg/resvg-js')> {
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ renderer);
  } catch (cause) {
    throw new MissingRendererError(renderer, { cause });
  }
}

/**
 * On Linux every thread has a priority of its own, and the threads of this package get a lower one: while a network trains,
 * its backend's threads find the processors free, and these use what is left. With the lowest one they all but stand still beside
 * other busy programs, and epochs do not end.
 */
const LOWER_PRIORITY = `
try {
  const thread = process.getBuiltinModule('node:fs').readlinkSync('/proc/thread-self').split('/').pop();
  const { setPriority } = process.getBuiltinModule('node:os');
  setPriority(Number(thread), 5);
} catch {}
`;

/**
 * Gives the script the two names that a browser's worker has: `onmessage` and `postMessage`. What it posts goes through a
 * channel of its own, and is counted, so that the host can wait for it without its event loop.
 */
const PRELUDE = `
const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads');
${LOWER_PRIORITY}
globalThis.postMessage = (message, transfer) => {
  workerData.port.postMessage(message, transfer);
  Atomics.add(workerData.posted, 0, 1);
  Atomics.notify(workerData.posted, 0);
};
parentPort.on('message', (data) => globalThis.onmessage({ data }));
`;

/**
 * Starts a thread that runs `source`, a classic script that sets `globalThis.onmessage`; returns undefined if threads are
 * forbidden. It does not keep the program alive unless asked to.
 */
export function startWorker(source: string, listener: WorkerListener): WorkerThread | undefined {
  const { port1: received, port2: port } = new MessageChannel();
  const posted = new Int32Array(new SharedArrayBuffer(4));
  let worker: Worker;
  try {
    worker = new Worker(PRELUDE + source, {
      eval: true,
      // Without the program's own flags, some of which change how the script is read.
      execArgv: [],
      name: 'delve-tensorboard',
      workerData: { port, posted },
      transferList: [port],
    });
  } catch {
    return undefined;
  }
  const receiveOne = () => {
    const next = receiveMessageOnPort(received) as { message: unknown } | undefined;
    if (next !== undefined) listener.onMessage(next.message);
    return next !== undefined;
  };
  received.on('message', (message) => listener.onMessage(message));
  received.unref();
  worker.on('error', (error) => {
    while (receiveOne());
    listener.onError(error instanceof Error ? error : new Error(String(error)));
  });
  worker.on('exit', (code) => {
    while (receiveOne());
    received.close();
    listener.onError(new Error(`The worker thread ended with code ${code}.`));
  });
  worker.unref();
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    receive(deadline) {
      for (;;) {
        const seen = Atomics.load(posted, 0);
        if (receiveOne()) return true;
        const left = deadline - performance.now();
        if (left <= 0) return false;
        Atomics.wait(posted, 0, seen, left);
      }
    },
    setRef: (keepsAlive) => (keepsAlive ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}

/** How many processors the program may use. */
export function processorCount(): number {
  return availableParallelism();
}

/** Milliseconds of all processors since the machine started. */
let lastTimes = { free: 0, all: 0 };

/** How many processors had nothing to do since the last call, other than threads of this package, which Linux counts as nice. */
export function freeProcessors(ownThreads = 0): number | undefined {
  const most = availableParallelism();
  if (most < 2) return undefined;
  const processors = cpus();
  const times = { free: 0, all: 0 };
  for (const { user, nice, sys, idle, irq } of processors.map((processor) => processor.times)) {
    times.free += idle + nice;
    times.all += user + nice + sys + idle + irq;
  }
  const passed = times.all - lastTimes.all;
  const free = passed > 0 ? (processors.length * (times.free - lastTimes.free)) / passed : 0;
  lastTimes = times;
  return Math.min(most, process.platform === 'linux' ? free : free + ownThreads);
}

/** Waits until `counter[0]` is no longer `seen`; returns false after the time has passed. */
export function waitForChange(counter: Int32Array, seen: number, milliseconds = 10_000): boolean {
  return Atomics.wait(counter, 0, seen, milliseconds) !== 'timed-out';
}

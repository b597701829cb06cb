import { hostname as osHostname } from 'node:os';
import { Worker } from 'node:worker_threads';
import { constants, crc32, deflateSync } from 'node:zlib';
import { messageOf } from '../errors.js';
import type { WorkerListener, WorkerThread } from './platform.js';

export { defaultStoreFiles, files, sourceFiles } from './node-files.js';

/** This computer's name; '' where there is none. */
export function hostname(): string {
  return osHostname();
}

/** What tells this program from others on this computer. Worker threads share it. */
export function processId(): number {
  return process.pid;
}

/** True once `exit` has begun: from then on nothing asynchronous runs. */
let exiting = false;
const exitCallbacks = new Set<(final: boolean) => void>();

/**
 * Calls back synchronously when the program (or this worker thread) ends in any way that lets it speak: the event loop
 * running dry, process.exit, an uncaught exception, an unhandled rejection. One listener serves all callbacks.
 *
 * @param callback `final` is false where the program may go on: a signal was handled, a page was hidden
 */
export function onExit(callback: (final: boolean) => void): void {
  if (exitCallbacks.size === 0) {
    process.on('exit', () => {
      exiting = true;
      for (const each of exitCallbacks) each(true);
    });
  }
  exitCallbacks.add(callback);
}

const signals = ['SIGINT', 'SIGTERM'] as const;
let handlesSignals = false;

/**
 * Runs the exit callbacks when SIGINT or SIGTERM comes, then lets the signal do what it would have done: the program's
 * own listeners run; where there are none, it ends by that signal.
 */
export function handleSignals(): void {
  if (handlesSignals) return;
  handlesSignals = true;
  for (const signal of signals) process.prependListener(signal, onSignal);
}

function onSignal(signal: NodeJS.Signals): void {
  for (const each of exitCallbacks) each(false);
  // Gone while the others run: some of them end the program only where they find themselves alone.
  process.removeListener(signal, onSignal);
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  else setImmediate(() => process.prependListener(signal, onSignal)).unref();
}

/** Says something on the program's warning channel; at exit, where that no longer speaks, on standard error. */
export function warn(message: string): void {
  if (exiting) console.warn(`(delve-tensorboard) ${message}`);
  else process.emitWarning(message, { type: 'DelveTensorBoardWarning' });
}

/** Keeps a timer from keeping the program alive. */
export function unref(timer: ReturnType<typeof setTimeout>): void {
  timer.unref();
}

/** Whether colours may be written to the terminal: not into a file or pipe, and not where NO_COLOR asks for none. */
export function terminalHasColors(): boolean {
  // Node's hasColors also knows TERM=dumb and FORCE_COLOR.
  return process.stdout.isTTY === true && process.stdout.hasColors();
}

/** True where somebody watches: standard error is a terminal. */
export function writesToTerminal(): boolean {
  return process.stderr.isTTY === true;
}

/** Writes to the terminal beside the program's own output: progress lines. */
export function writeTerminal(text: string): void {
  process.stderr.write(text);
}

/** How hard deflate looks for repetitions: anywhere before, in runs of one byte only, or not at all (the bytes are stored). */
export type DeflateEffort = 'search' | 'runs' | 'none';

/** The parts of zlib that an image encoder needs, where the platform has them natively. */
export interface NativeZlib {
  /** Deflates into the zlib format. On bytes without repetitions 'runs' is several times faster than 'search', 'none' than both. */
  deflate(bytes: Uint8Array, effort: DeflateEffort): Uint8Array;
  /** CRC-32 (ISO 3309), to be continued with `previous`. */
  crc32(bytes: Uint8Array, previous?: number): number;
}

const options = {
  search: { level: 1 },
  runs: { level: 1, strategy: constants.Z_RLE },
  none: { level: 0 },
};

/** Node's zlib; undefined in browsers, which have no synchronous deflate. */
export const nativeZlib: NativeZlib | undefined = {
  deflate: (bytes, effort) => deflateSync(bytes, options[effort]),
  crc32: (bytes, previous) => crc32(bytes, previous),
};

/** A picture drawn from an SVG document. */
export interface DrawnSvg {
  /** A PNG file. */
  encoded: Uint8Array;
  width: number;
  height: number;
}

const renderer = '@resvg/resvg-js';

/**
 * Draws an SVG document on white, in the size it states. In Node the optional peer @resvg/resvg-js does it, which is loaded
 * at the first document; in a page the page itself.
 *
 * @throws Error where the document cannot be drawn, or naming the command that installs the renderer where that is absent
 */
export async function drawSvg(svg: string): Promise<DrawnSvg> {
  const { Resvg } = await loadRenderer();
  try {
    const picture = new Resvg(svg, { background: 'white' }).render();
    return { encoded: new Uint8Array(picture.asPng()), width: picture.width, height: picture.height };
  } catch (error) {
    const message = messageOf(error);
    throw new Error(`the SVG could not be drawn: ${message}`, { cause: error });
  }
}

/** Its name is in a variable, and marked, so that bundlers do not insist on an optional package. */
async function loadRenderer(): Promise<typeof import('@resvg/resvg-js')> {
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ renderer);
  } catch (error) {
    throw new Error(`figures are drawn by ${renderer}, which is not there: npm install ${renderer}`, { cause: error });
  }
}

/**
 * On Linux every thread has a priority of its own: ours give way to the program's. While a network trains, the threads of
 * its backend then find the processors free, and ours take what is left over.
 */
const LOWER_PRIORITY = `
try {
  const thread = process.getBuiltinModule('node:fs').readlinkSync('/proc/thread-self').split('/').pop();
  const { setPriority } = process.getBuiltinModule('node:os');
  setPriority(Number(thread), 19);
} catch {}
`;

/** Gives the script the two names that a browser's worker has: `onmessage` and `postMessage`. */
const PRELUDE = `
const { parentPort } = process.getBuiltinModule('node:worker_threads');
${LOWER_PRIORITY}
globalThis.postMessage = (message, transfer) => parentPort.postMessage(message, transfer);
parentPort.on('message', (data) => globalThis.onmessage({ data }));
`;

/**
 * Starts a thread that runs `source`, a classic script that sets `globalThis.onmessage`; undefined where threads are
 * forbidden. It never keeps the program alive unless asked to.
 */
export function startWorker(source: string, listener: WorkerListener): WorkerThread | undefined {
  let worker: Worker;
  try {
    // Without the program's own flags, some of which change how the script is read.
    worker = new Worker(PRELUDE + source, { eval: true, execArgv: [], name: 'delve-tensorboard' });
  } catch {
    return undefined;
  }
  worker.on('message', (message) => listener.onMessage(message));
  worker.on('error', (error) => listener.onError(error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', (code) => listener.onError(new Error(`The worker thread ended with code ${code}.`)));
  worker.unref();
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    setRef: (keepsAlive) => (keepsAlive ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}

/** Waits until `counter[0]` is no longer `seen`; false where this thread must not wait, or when the time is over. */
export function waitForChange(counter: Int32Array, seen: number, milliseconds = 10_000): boolean {
  return Atomics.wait(counter, 0, seen, milliseconds) !== 'timed-out';
}

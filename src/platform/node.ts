import { hostname as osHostname } from 'node:os';

export { files } from './node-files.js';
export { sourceFiles } from './node-source-files.js';
export { defaultStoreFiles } from './node-store-files.js';
export { terminalHasColors, writesToTerminal, writeTerminal } from './node-terminal.js';

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

export { drawSvg } from './node-svg.js';
export { startWorker, waitForChange } from './node-workers.js';
export { type DeflateEffort, nativeZlib } from './node-zlib.js';

import { Worker } from 'node:worker_threads';
import type { WorkerListener, WorkerThread } from './worker-thread.js';

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

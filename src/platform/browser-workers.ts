import type { WorkerListener, WorkerThread } from './worker-thread.js';

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

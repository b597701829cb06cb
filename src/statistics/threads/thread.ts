import { startWorker } from '#platform';
import type { WorkerThread } from '../../platform/platform.js';
import { workerSource } from './generated/worker-source.js';
import type { Answer, Command, FromWorker, Question } from './protocol.js';

/*
 * One worker thread, as the host sees it: messages go out, and each answer comes back to whoever asked. An open question
 * keeps the program alive; an idle thread does not.
 */

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** A worker thread could not start. Nothing was sent to it, so the caller can do the work itself. */
export class NoThreadError extends Error {
  override readonly name = 'NoThreadError';
}

/** A thread that runs worker.ts. */
export class ComputeThread {
  /** Resolves when the thread runs; rejects with NoThreadError if it cannot start. */
  readonly ready: Promise<void>;
  readonly #worker: WorkerThread | undefined;
  readonly #open = new Map<number, { resolve: (result: Answer['result']) => void; reject: (error: Error) => void }>();
  #nextId = 0;
  #failure: Error | undefined;
  #isReady = false;

  constructor() {
    let resolve!: () => void;
    let reject!: (error: Error) => void;
    this.ready = new Promise((...both) => {
      [resolve, reject] = both;
    });
    this.ready.catch(() => {}); // Whoever awaits it sees the error; that nobody does is fine.
    this.#worker = startWorker(workerSource, {
      onMessage: (message) => {
        const received = message as FromWorker;
        if (received.type === 'ready') {
          this.#isReady = true;
          this.#updateRef();
          resolve();
        } else this.#settle(received);
      },
      onError: (error) => {
        reject(new NoThreadError(`the worker thread did not start: ${error.message}`, { cause: error }));
        this.#fail(error);
      },
    });
    if (this.#worker) {
      this.#worker.setRef(true); // until it is ready or has failed
    } else {
      this.#failure = new NoThreadError('worker threads are not available here');
      reject(this.#failure);
    }
  }

  /** Why the thread can do no more work: it could not start, or died, or was terminated. Undefined while it can. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Sends a message that has no answer. Does nothing once the thread has failed. */
  post(message: Command): void {
    if (!this.#failure) this.#worker?.post(message, []);
  }

  /**
   * Sends a question and resolves to the result in its answer. Rejects with the error in it, or with `failure`.
   *
   * @param transfer buffers of the question that are handed over to the thread instead of being copied
   */
  ask(question: WithoutId<Question>, transfer: ArrayBuffer[] = []): Promise<Answer['result']> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#updateRef();
      this.#worker?.post({ ...question, id } as Question, transfer);
    });
  }

  /** Ends the thread; open questions reject. */
  terminate(): void {
    this.#fail(new Error('the worker thread was closed'));
    this.#worker?.terminate();
  }

  #settle({ id, result, error }: Answer): void {
    const question = this.#open.get(id);
    this.#open.delete(id);
    this.#updateRef();
    if (error) question?.reject(error.name === 'RangeError' ? new RangeError(error.message) : new Error(error.message));
    else question?.resolve(result);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#open.values()) reject(this.#failure);
    this.#open.clear();
  }

  #updateRef(): void {
    this.#worker?.setRef(!this.#isReady || this.#open.size > 0);
  }
}

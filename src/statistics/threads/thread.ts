import { startWorker } from '#platform';
import type { WorkerThread } from '../../platform/platform.js';
import { workerSource } from './generated/worker-source.js';
import type { FromWorker, ToWorker } from './worker.js';

type Question = Extract<ToWorker, { id: number }>;
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
type Answer = Extract<FromWorker, { type: 'answer' }>;

/** Thrown when a thread could not start: nothing was sent to it, so the work can be done elsewhere. */
export class NoThreadError extends Error {
  override readonly name = 'NoThreadError';
}

/** One of our threads: sends messages once it is ready, matches answers with questions. */
export class QuestionThread {
  /** Resolves when the thread speaks; rejects with NoThreadError where it cannot start. */
  readonly ready: Promise<void>;
  readonly #thread: WorkerThread | undefined;
  readonly #waiting = new Map<number, { resolve: (result: Answer['result']) => void; reject: (e: Error) => void }>();
  #nextId = 0;
  #failure: Error | undefined;
  #isReady = false;

  constructor() {
    let started!: () => void;
    let failed!: (error: Error) => void;
    this.ready = new Promise((resolve, reject) => {
      started = resolve;
      failed = reject;
    });
    this.ready.catch(() => {}); // whoever asks sees it; nobody asking is fine
    this.#thread = startWorker(workerSource, {
      onMessage: (message) => {
        const said = message as FromWorker;
        if (said.type === 'ready') {
          this.#isReady = true;
          this.#updateRef();
          started();
        } else this.#answer(said);
      },
      onError: (error) => {
        this.#failure ??= error;
        failed(new NoThreadError(`No worker thread: ${error.message}`));
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
      },
    });
    if (!this.#thread) {
      this.#failure = new NoThreadError('Worker threads are not available here.');
      failed(this.#failure);
    } else this.#thread.setRef(true); // until it is ready or has failed
  }

  /** Questions without an answer yet. */
  get pending(): number {
    return this.#waiting.size;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Sends a message that has no answer; messages arrive in the order sent. Nothing happens once the thread failed. */
  tell(message: ToWorker): void {
    if (!this.#failure) this.#thread?.post(message, []);
  }

  /** Sends a question; resolves to its answer. The program stays alive until then. */
  ask(question: WithoutId<Question>, transfer: ArrayBuffer[] = []): Promise<Answer['result']> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#updateRef();
      this.#thread?.post({ ...question, id } as Question, transfer);
    });
  }

  terminate(): void {
    this.#failure ??= new Error('The worker thread was closed.');
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
    this.#thread?.terminate();
  }

  #answer({ id, result, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#updateRef();
    if (error) waiting?.reject(error.name === 'RangeError' ? new RangeError(error.message) : new Error(error.message));
    else waiting?.resolve(result);
  }

  #updateRef(): void {
    this.#thread?.setRef(!this.#isReady || this.#waiting.size > 0);
  }
}

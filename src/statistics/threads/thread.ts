import { startWorker } from '#platform';
import { kernelsName } from '../../kernels/kernels.js';
import type { SharedWork } from '../../kernels/numeric-kernels.js';
import { fused, probeBase64, wasm } from '../../kernels/wasm/generated/wasm.js';
import type { WorkerThread } from '../../platform/platform.js';
import type { AccumulatorState } from '../accumulator-state.js';
import { workerSource } from './generated/worker-source.js';
import type { Answer, Command, FromWorker, Question } from './protocol.js';
import type { Solved } from './solve.js';

/*
 * One worker thread, as the host sees it: messages go out, and each answer comes back to whoever asked. An open question
 * keeps the program alive; an idle thread does not.
 */

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
/** What a question is answered with; undefined if it names nothing that is known. */
type ResultOf<Q extends { type: string }> = Q extends { type: 'takeNamed' }
  ? AccumulatorState | undefined
  : Q extends { type: 'assist' }
    ? number
    : Solved | undefined;

/** Something that another thread computes, for one who can await it and for one who cannot. */
export interface Computation<T> {
  /** Resolves to the result. */
  readonly result: Promise<T>;
  /**
   * The result, for which this thread stands still.
   *
   * @param deadline until when, in milliseconds of `performance.now`
   * @throws NotInTimeError if the result is not there by then, or the error with which `result` rejects
   */
  now(deadline: number): T;
}

/** A computation takes longer than its result can be waited for. */
export class NotInTimeError extends Error {
  override readonly name = 'NotInTimeError';
}

/** Calls `act` at once and keeps what it returns or throws. */
export function computed<T>(act: () => T): Computation<T> {
  try {
    const value = act();
    return { result: Promise.resolve(value), now: () => value };
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): Computation<never> {
  const result = Promise.reject(error);
  result.catch(() => {}); // whoever takes the result sees the error
  return {
    result,
    now() {
      throw error;
    },
  };
}

/** Changes a result when it is there. `change` may be called twice. */
export function mapped<T, R>(computation: Computation<T>, change: (value: T) => R): Computation<R> {
  return { result: computation.result.then(change), now: (deadline) => change(computation.now(deadline)) };
}

/** A computation that begins when `before` resolves, for which nobody can stand still. */
export function afterwards<T>(before: Promise<unknown>, begin: () => Computation<T>): Computation<T> {
  let begun: Computation<T> | undefined;
  const result = before.then(() => {
    begun = begin();
    return begun.result;
  });
  return {
    result,
    now(deadline) {
      if (begun === undefined) throw new NotInTimeError('it has not begun');
      return begun.now(deadline);
    },
  };
}

/** A worker thread could not start. Nothing was sent to it, so the caller can do the work itself. */
export class NoThreadError extends Error {
  override readonly name = 'NoThreadError';
}

/** A thread that runs worker.ts. */
export class ComputeThread {
  /** Resolves when the thread runs; rejects with NoThreadError if it cannot start. */
  readonly ready: Promise<void>;
  readonly #worker: WorkerThread | undefined;
  /** The questions without an answer, by what their answer goes to. */
  readonly #open = new Map<number, (outcome: Computation<Answer['result']>) => void>();
  #nextId = 0;
  #failure: Error | undefined;
  #isReady = false;

  /** @param onOffer learns of work of a question with which another thread can help */
  constructor(onOffer?: (work: SharedWork) => void) {
    let resolve!: () => void;
    let reject!: (error: Error) => void;
    this.ready = new Promise((...both) => {
      [resolve, reject] = both;
    });
    this.ready.catch(() => {}); // Whoever awaits it sees the error; that nobody does is fine.
    const kernelBuilds = JSON.stringify({ wasm, fused, probeBase64 });
    this.#worker = startWorker(`globalThis.kernelBuilds=${kernelBuilds};${workerSource}`, {
      onMessage: (message) => {
        const received = message as FromWorker;
        if (received.type === 'ready') {
          this.#isReady = true;
          this.#updateRef();
          resolve();
        } else if (received.type === 'offer') onOffer?.(received.work);
        else this.#settle(received);
      },
      onError: (error) => {
        reject(new NoThreadError(`the worker thread did not start: ${error.message}`, { cause: error }));
        this.#fail(error);
      },
    });
    if (this.#worker) {
      this.#worker.setRef(true); // until it is ready or has failed
      this.post({ type: 'kernels', name: kernelsName() });
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
   * Sends a question. The result is the one in its answer, or the error in it, or `failure`.
   *
   * @param transfer buffers of the question that are handed over to the thread instead of being copied
   */
  ask<Q extends WithoutId<Question>>(question: Q, transfer: ArrayBuffer[] = []): Computation<ResultOf<Q>> {
    if (this.#failure) return failed(this.#failure);
    const id = this.#nextId++;
    let outcome: Computation<ResultOf<Q>> | undefined;
    const result = new Promise<ResultOf<Q>>((resolve) => {
      this.#open.set(id, (settled) => {
        outcome = settled as Computation<ResultOf<Q>>;
        resolve(outcome.result);
      });
    });
    this.#updateRef();
    this.#worker?.post({ ...question, id } as Question, transfer);
    return {
      result,
      now: (deadline) => {
        while (outcome === undefined) {
          if (!this.#worker?.receive(deadline)) throw new NotInTimeError('the worker thread has not answered in time');
        }
        return outcome.now(deadline);
      },
    };
  }

  /** Ends the thread; open questions reject. */
  terminate(): void {
    this.#fail(new Error('the worker thread was closed'));
    this.#worker?.terminate();
  }

  #settle({ id, result, error }: Answer): void {
    const settle = this.#open.get(id);
    this.#open.delete(id);
    this.#updateRef();
    if (!error) settle?.(computed(() => result));
    else settle?.(failed(error.name === 'RangeError' ? new RangeError(error.message) : new Error(error.message)));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const settle of this.#open.values()) settle(failed(this.#failure));
    this.#open.clear();
  }

  #updateRef(): void {
    this.#worker?.setRef(!this.#isReady || this.#open.size > 0);
  }
}

import { unref } from '#platform';
import { buffersOf, type Solved, type SolveRequest, solveRequest } from './solve.js';
import { NoThreadError, QuestionThread } from './thread.js';

/** A thread without work for so long is ended; the next request starts another. */
const IDLE_MILLISECONDS = 10_000;

/** A thread and the number of requests it was given and has not answered. */
interface Entry {
  readonly thread: QuestionThread;
  load: number;
}

/**
 * Solves spectra on threads of its own, one by default; on the calling thread where there can be none. It keeps the
 * program alive only while a request is open.
 */
export class SolverPool {
  readonly #size: number;
  #threads: Entry[] = [];
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #withoutThreads = false;

  /** @param threads How many threads at most: a positive integer, else RangeError. */
  constructor(threads = 1) {
    if (!Number.isInteger(threads) || threads < 1) {
      throw new RangeError(`threads must be a positive integer, got ${String(threads)}.`);
    }
    this.#size = threads;
  }

  /** Threads that run now. */
  get threads(): number {
    return this.#threads.length;
  }

  /**
   * Solves a request, whose arrays this call takes over. Rejects with RangeError on a NaN or an Infinity.
   *
   * @param copies Copies the arrays to the thread. Handing them over detaches them, which makes loops over typed arrays
   *   slower on this thread for good (see Scratch.reserve).
   */
  async solve(request: SolveRequest, copies = false): Promise<Solved> {
    if (this.#withoutThreads) return solveRequest(request);
    clearTimeout(this.#idleTimer);
    const entry = this.#leastBusy();
    const { thread } = entry;
    entry.load++;
    try {
      await thread.ready;
      return (await thread.ask({ type: 'solve', request }, copies ? [] : buffersOf(request))) as Solved;
    } catch (error) {
      if (!(error instanceof NoThreadError)) throw error;
      this.#withoutThreads = true;
      return solveRequest(request);
    } finally {
      entry.load--;
      if (thread.failure) this.#threads = this.#threads.filter((other) => other !== entry);
      if (this.#isIdle()) this.#endWhenIdle();
    }
  }

  /** Ends the threads. Open requests reject; a later one starts new threads. */
  close(): void {
    clearTimeout(this.#idleTimer);
    for (const { thread } of this.#threads) thread.terminate();
    this.#threads = [];
  }

  #leastBusy(): Entry {
    let least: Entry | undefined;
    for (const entry of this.#threads) if (!least || entry.load < least.load) least = entry;
    if (least && (least.load === 0 || this.#threads.length >= this.#size)) return least;
    const entry = { thread: new QuestionThread(), load: 0 };
    this.#threads.push(entry);
    return entry;
  }

  #isIdle(): boolean {
    return this.#threads.every(({ load }) => load === 0);
  }

  #endWhenIdle(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      if (this.#isIdle()) this.close();
    }, IDLE_MILLISECONDS);
    unref(this.#idleTimer);
  }
}

let shared: SolverPool | undefined;

/** The pool that all spectra of this program are solved on. */
export function solverPool(): SolverPool {
  shared ??= new SolverPool();
  return shared;
}

import { unref } from '#platform';
import type { CovarianceAccumulator } from '../covariance.js';
import { buffersOf } from './protocol.js';
import { type Solved, type SolveOptions, type SolveRequest, solveRequest } from './solve.js';
import { ComputeThread, NoThreadError } from './thread.js';

/*
 * Spectra are solved off the host's thread: one worker thread, which all spectra of the program share. The first request
 * starts it, and it ends when it has been idle for a while.
 */

/** A thread that had no request for so long is ended; the next request starts another. */
const IDLE_MILLISECONDS = 10_000;

/**
 * Solves requests one after another on a worker thread, or on the calling thread if there can be no worker. It keeps
 * the program alive only while a request is open.
 */
class SharedSolver {
  #thread: ComputeThread | undefined;
  #openRequests = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #withoutThreads = false;

  /**
   * Solves a request, whose arrays this call takes over. Rejects with RangeError on a NaN or an Infinity, and with the
   * thread's error if the thread dies; the next request then starts another thread.
   *
   * @param copies Copies the arrays to the thread. Handing them over detaches them, which makes loops over typed arrays
   *   slower on this thread for good (see Scratch.reserve).
   */
  async solve(request: SolveRequest, copies = false): Promise<Solved> {
    if (this.#withoutThreads) return solveRequest(request);
    clearTimeout(this.#idleTimer);
    this.#thread ??= new ComputeThread();
    const thread = this.#thread;
    this.#openRequests++;
    try {
      await thread.ready;
      return (await thread.ask({ type: 'solve', request }, copies ? [] : buffersOf(request))) as Solved;
    } catch (error) {
      if (!(error instanceof NoThreadError)) throw error;
      this.#withoutThreads = true;
      return solveRequest(request);
    } finally {
      this.#openRequests--;
      if (thread.failure && this.#thread === thread) this.#thread = undefined;
      if (this.#openRequests === 0) this.#endWhenIdle();
    }
  }

  #endWhenIdle(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      this.#thread?.terminate();
      this.#thread = undefined;
    }, IDLE_MILLISECONDS);
    unref(this.#idleTimer);
  }
}

/** The solver of this program. */
export const sharedSolver = new SharedSolver();

/**
 * Does what `solveAccumulator` does on the shared solver. The accumulator may be changed as soon as this returns.
 *
 * @param reset Hands the accumulator's memory over instead of copying it; the accumulator is empty afterwards
 * @param copies Copies to the thread in any case: see SharedSolver.solve
 */
export function solveInBackground(
  accumulator: CovarianceAccumulator,
  options: SolveOptions = {},
  reset = false,
  copies = false,
): Promise<Solved> {
  const state = reset ? accumulator.takeState() : accumulator.copyState();
  return sharedSolver.solve({ state, options }, copies);
}

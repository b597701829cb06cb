import { unref } from '#platform';
import type { CovarianceAccumulator } from '../covariance.js';
import { buffersOf } from './protocol.js';
import { SecondThread } from './second-thread.js';
import { type Solved, type SolveOptions, type SolveRequest, solveRequest, solvingMillis } from './solve.js';
import { type Computation, ComputeThread, computed, NoThreadError, NotInTimeError } from './thread.js';

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
  readonly #second = new SecondThread(() => this.#thread?.terminate());
  #openRequests = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #withoutThreads = false;

  /**
   * Solves a request, whose arrays this call takes over. The result rejects with RangeError on a NaN or an Infinity, and
   * with the thread's error if the thread dies; the next request then starts another thread.
   *
   * @param copies Copies the arrays to the thread. Handing them over detaches them, which makes loops over typed arrays
   *   slower on this thread for good (see Scratch.reserve).
   */
  solve(request: SolveRequest, copies = false): Computation<Solved> {
    if (this.#withoutThreads) return computed(() => solveRequest(request));
    let asked: Computation<Solved> | undefined;
    const result = this.#ask(request, copies, (computation) => {
      asked = computation;
    });
    return {
      result,
      now(deadline) {
        if (asked !== undefined) return asked.now(deadline);
        // The thread is still starting, and the arrays are here.
        if (performance.now() + solvingMillis(request) > deadline) throw new NotInTimeError('it takes too long');
        return solveRequest(request);
      },
    };
  }

  async #ask(request: SolveRequest, copies: boolean, onAsked: (computation: Computation<Solved>) => void) {
    clearTimeout(this.#idleTimer);
    this.#thread ??= new ComputeThread((work) => this.#second.offer(work));
    const thread = this.#thread;
    this.#openRequests++;
    try {
      await thread.ready;
      const question = { type: 'solve', request, mayOffer: mayBeLarge(request) && this.#second.begin() } as const;
      const asked = thread.ask(question, copies ? [] : buffersOf(request)) as Computation<Solved>;
      onAsked(asked);
      return await asked.result;
    } catch (error) {
      if (!(error instanceof NoThreadError)) throw error;
      this.#withoutThreads = true;
      return solveRequest(request);
    } finally {
      this.#openRequests--;
      this.#second.end();
      if (thread.failure && this.#thread === thread) {
        this.#thread = undefined;
        this.#second.close();
      }
      if (this.#openRequests === 0) this.#endWhenIdle();
    }
  }

  #endWhenIdle(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      this.#thread?.terminate();
      this.#thread = undefined;
      this.#second.close();
    }, IDLE_MILLISECONDS);
    unref(this.#idleTimer);
  }
}

/** Whether a second thread might help: asking what the processors do takes longer than a small spectrum. */
function mayBeLarge(request: SolveRequest): boolean {
  return solvingMillis(request) >= 500;
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
): Computation<Solved> {
  const state = reset ? accumulator.takeState() : accumulator.copyState();
  return sharedSolver.solve({ state, options }, copies);
}

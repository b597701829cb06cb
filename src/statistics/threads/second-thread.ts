import { freeProcessors, unref } from '#platform';
import { describe } from '../../errors.js';
import { dismiss } from '../../kernels/kernels.js';
import type { SharedWork } from '../../kernels/numeric-kernels.js';
import { ComputeThread } from './thread.js';

/*
 * The thread beside the solver's: it takes a part of the eigenvalues of large matrices for as long as a processor has nothing
 * else to do. It changes no bit of them, so it may come late, leave early, or not start at all.
 */

/** How many threads may solve a spectrum: `'auto'` is a second one while a processor is idle. */
export type SolverThreads = 1 | 2 | 'auto';

let allowed: SolverThreads = 'auto';
let used: 1 | 2 = 1;

/**
 * Says how many threads may solve a large spectrum (1792 features or more) from now on; the bits are the same.
 *
 * @param count `'auto'`, the default: a second one while processors are idle. 1: never. 2: wherever memory can be shared between
 *   threads (Node, pages that are cross-origin isolated), idle or not
 * @throws RangeError if it is something else
 */
export function useSolverThreads(count: SolverThreads): void {
  if (count !== 1 && count !== 2 && count !== 'auto') {
    throw new RangeError(`useSolverThreads: expected 1, 2 or 'auto', got ${describe(count)}`);
  }
  allowed = count;
}

/** How many threads have solved the large spectrum that was solved last, or is being solved; 1 before the first. */
export function solverThreads(): 1 | 2 {
  return used;
}

/** Milliseconds between looks at the processors. */
const LOOK_MILLISECONDS = 100;
/** Processors that must be free for both threads together; what is missing to 2 is noise. */
const FREE_PROCESSORS = 1.7;

/** Helps the solver of a program. */
export class SecondThread {
  readonly #onLost: () => void;
  #thread: ComputeThread | undefined;
  #work: SharedWork | undefined;
  #isHelping = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onLost is called if the thread dies in the middle of a part: nobody else does that part */
  constructor(onLost: () => void) {
    this.#onLost = onLost;
  }

  /** Whether work may be offered at all. Also the beginning of the time over which the processors are watched. */
  begin(): boolean {
    return allowed !== 1 && freeProcessors() !== undefined;
  }

  /** Takes an offer, now or as soon as a processor is idle. */
  offer(work: SharedWork): void {
    this.end();
    this.#work = work;
    used = 1;
    if (allowed === 2) void this.#help(work);
    else this.#lookLater();
  }

  /** The work is done, by whomever. */
  end(): void {
    clearTimeout(this.#timer);
    this.#work = undefined;
  }

  /** Ends the thread. */
  close(): void {
    this.end();
    this.#thread?.terminate();
    this.#thread = undefined;
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => this.#look(), LOOK_MILLISECONDS);
    unref(this.#timer);
  }

  #look(): void {
    const work = this.#work;
    if (work === undefined) return;
    const isFree = (freeProcessors(this.#isHelping ? 2 : 1) ?? 0) >= FREE_PROCESSORS;
    if (this.#isHelping && !isFree) {
      dismiss(work);
    } else {
      if (!this.#isHelping && isFree) void this.#help(work);
      this.#lookLater();
    }
  }

  async #help(work: SharedWork): Promise<void> {
    if (this.#thread?.failure) this.#thread = undefined;
    this.#thread ??= new ComputeThread();
    const thread = this.#thread;
    this.#isHelping = true;
    try {
      await thread.ready;
    } catch {
      this.#isHelping = false; // it could not start, and the solver goes on alone
      return this.end();
    }
    try {
      if ((await thread.ask({ type: 'assist', work }).result) > 0) used = 2;
    } catch {
      if (this.#work === work) this.#onLost();
    } finally {
      this.#isHelping = false;
    }
  }
}

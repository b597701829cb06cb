import { waitForChange } from '#platform';
import { describe } from '../../errors.js';
import type { AccumulatorOptions } from '../accumulator-state.js';
import { CovarianceAccumulator } from '../covariance.js';
import { type Command, IS_RUNNING, RING_COUNTERS, SEGMENTS_READ, type Segment } from './protocol.js';
import type { Solved, SolveOptions } from './solve.js';
import { type Computation, ComputeThread, computed } from './thread.js';

/*
 * Accumulators that live in a worker thread and are known by name. The host copies rows into a ring of shared memory; the
 * thread reads them from there (protocol.ts) and multiplies them while the host goes on training.
 */

/** Numbers that the ring holds: 32 MB. */
const RING_NUMBERS = 8 << 20;
/** Numbers after which the thread gets a message about them: a message costs the host as much as copying a batch. */
const MESSAGE_NUMBERS = 1 << 19;
/** What a thread multiplies and adds per millisecond, about (bench/RESULTS.md). */
const PRODUCTS_PER_MILLISECOND = 1.6e7;

/**
 * Covariance accumulators in a thread of their own. `update` costs the host one copy of the rows, and the thread gets one
 * message about several updates. The numbers are those that a CovarianceAccumulator on the host gives.
 */
export class RemoteAccumulators {
  /** How the thread accumulates. */
  readonly options: AccumulatorOptions;
  readonly #thread = new ComputeThread();
  readonly #rows: Float32Array;
  readonly #counters: Int32Array;
  /** Features of the accumulators, by name. */
  readonly #features = new Map<string, number>();
  /** Segments that the thread has not read yet, oldest first. */
  readonly #unread: { start: number; length: number }[] = [];
  /** The thread's SEGMENTS_READ when `#unread` was last shortened. */
  #released = 0;
  /** Segments that no message has announced yet, and how many numbers they hold. */
  #unannounced: Segment[] = [];
  #unannouncedNumbers = 0;
  /** Where the newest segment ends. */
  #head = 0;

  private constructor(options: AccumulatorOptions) {
    const rows = new SharedArrayBuffer(4 * RING_NUMBERS);
    const counters = new SharedArrayBuffer(4 * RING_COUNTERS);
    this.options = options;
    this.#rows = new Float32Array(rows);
    this.#counters = new Int32Array(counters);
    this.#thread.post({ type: 'ring', rows, counters, options });
  }

  /**
   * Starts the thread, which takes a moment: rows may be added as soon as `isRunning` is true. Returns undefined if
   * memory cannot be shared (in a page that is not cross-origin isolated): accumulate on the host then.
   *
   * @param options see CovarianceAccumulator
   */
  static start(options: AccumulatorOptions = {}): RemoteAccumulators | undefined {
    if (typeof SharedArrayBuffer === 'undefined') return undefined;
    return new RemoteAccumulators(options);
  }

  /** Whether the thread has started. It says so in shared memory, which a host can see without awaiting anything. */
  get isRunning(): boolean {
    return Atomics.load(this.#counters, IS_RUNNING) === 1 && this.failure === undefined;
  }

  /** Why the thread can do no more work: it has died or was closed, and what it had accumulated is lost. */
  get failure(): Error | undefined {
    return this.#thread.failure;
  }

  /**
   * Adds rows to the accumulator of this name; the first call makes it. The numbers are copied. If the thread lags by a
   * whole ring, this waits a little. Returns false if there is still no room then, because processors are few or busy, or
   * if the rows would never fit: nothing was added, and the caller accumulates them itself (see merge).
   *
   * @param samples Row-major, `features` numbers per row. Numbers that are not float32 are rounded.
   * @throws RangeError if the numbers do not divide into such rows, or the name was used with other features before. The
   *   thread's own error if it has died or was closed.
   */
  update(name: string, features: number, samples: ArrayLike<number>): boolean {
    const known = this.#features.get(name);
    if (!Number.isSafeInteger(features) || features < 1 || (known !== undefined && known !== features)) {
      throw new RangeError(
        `features of "${name}": expected ${known ?? 'a positive integer'}, got ${describe(features)}`,
      );
    }
    if (samples.length % features !== 0) {
      throw new RangeError(
        `samples of "${name}": expected rows of ${features} features, got ${samples.length} numbers`,
      );
    }
    if (this.#thread.failure) throw this.#thread.failure;
    const { length } = samples;
    if (length === 0) return true;
    const start = this.#reserve(length, features);
    if (start === undefined) return false;
    this.#features.set(name, features);
    this.#rows.set(samples, start);
    this.#unannounced.push({ name, features, start, length });
    this.#unannouncedNumbers += length;
    if (this.#unannouncedNumbers >= MESSAGE_NUMBERS) this.#announce();
    return true;
  }

  /** Whether `update` or `merge` was ever called with this name. */
  knows(name: string): boolean {
    return this.#features.has(name);
  }

  /** Solves what was added under a name so far. The result is undefined if the name is unknown. */
  solve(name: string, options: SolveOptions = {}, reset = false): Computation<Solved | undefined> {
    if (!this.#features.has(name)) return computed(() => undefined);
    this.#announce();
    return this.#thread.ask({ type: 'solveNamed', name, options, reset });
  }

  /**
   * What was added under a name so far, unsolved; undefined if the name is unknown. Rejects if rows of it are missing.
   *
   * @param reset whether the name has no rows afterwards
   */
  async take(name: string, reset: boolean): Promise<CovarianceAccumulator | undefined> {
    if (!this.#features.has(name)) return undefined;
    this.#announce();
    const state = await this.#thread.ask({ type: 'takeNamed', name, reset }).result;
    return state && CovarianceAccumulator.fromState(state, this.options);
  }

  /**
   * A copy of what was added under a name so far. The host stands still until the thread has written it. Returns
   * undefined if the name is unknown, and on a host that must not wait (the main thread of a page).
   */
  readNow(name: string): CovarianceAccumulator | undefined {
    const features = this.#features.get(name);
    if (features === undefined || this.#thread.failure) return undefined;
    const length = new Int32Array(new SharedArrayBuffer(4));
    // Rows not folded in yet, or the packed scatter and some rows, with room to spare. If that is too little, the loop tries again.
    let size = 8 * (features + 1) * (features + 600) + 4096;
    for (;;) {
      const into = new SharedArrayBuffer(size);
      Atomics.store(length, 0, -1);
      this.#post({ type: 'save', name, into, length: length.buffer as SharedArrayBuffer });
      if (Atomics.load(length, 0) === -1 && !waitForChange(length, -1)) return undefined;
      const written = Atomics.load(length, 0);
      if (written === 0) return undefined;
      if (written <= size) return CovarianceAccumulator.fromBytes(new Uint8Array(into).slice(0, written));
      size = written;
    }
  }

  /** Adds the rows of another accumulator, which is empty afterwards. Its arrays are copied: see SharedSolver.solve. */
  merge(name: string, accumulator: CovarianceAccumulator): void {
    this.#features.set(name, accumulator.features);
    this.#post({ type: 'merge', name, state: accumulator.takeState() });
  }

  /** Ends the thread. What it has accumulated is lost, and open calls of `solve` reject. */
  close(): void {
    this.#thread.terminate();
  }

  #post(message: Command): void {
    this.#announce();
    this.#thread.post(message);
  }

  #announce(): void {
    if (this.#unannounced.length === 0) return;
    this.#thread.post({ type: 'update', segments: this.#unannounced });
    this.#unannounced = [];
    this.#unannouncedNumbers = 0;
  }

  /** Where the ring has room for `length` numbers side by side; undefined if it has none, also after a little waiting. */
  #reserve(length: number, features: number): number | undefined {
    if (length > RING_NUMBERS) return undefined;
    let end: number | undefined;
    for (;;) {
      const segmentsRead = this.#release();
      const start = this.#findRoom(length);
      if (start !== undefined) {
        this.#unread.push({ start, length });
        this.#head = start + length;
        return start;
      }
      this.#announce();
      // Several times what the product takes. After that it is quicker to multiply on the host.
      end ??= performance.now() + 20 + (4 * length * features) / PRODUCTS_PER_MILLISECOND;
      const left = end - performance.now();
      if (left <= 0 || !waitForChange(this.#counters, segmentsRead, left)) return undefined;
    }
  }

  #findRoom(length: number): number | undefined {
    const oldest = this.#unread[0];
    if (!oldest) return 0;
    if (this.#head > oldest.start) {
      if (this.#head + length <= RING_NUMBERS) return this.#head;
      return length <= oldest.start ? 0 : undefined;
    }
    return this.#head + length <= oldest.start ? this.#head : undefined;
  }

  /** Forgets the segments that the thread has read; returns its SEGMENTS_READ. */
  #release(): number {
    const segmentsRead = Atomics.load(this.#counters, SEGMENTS_READ);
    const count = (segmentsRead - this.#released) | 0; // right also when the counter has wrapped around
    this.#unread.splice(0, count);
    this.#released = segmentsRead;
    return segmentsRead;
  }
}
